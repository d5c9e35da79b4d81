"""VITS voices in the layout of facebook/mms-tts-eng; needs torch and transformers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from transformers import VitsConfig, VitsModel

__all__ = ["FULL", "SMALL", "VOCABULARY", "write_vits"]

# In the order of their numbers, as in the real repository.
_SIGNS = "k'zyudhesw\u20133cp-1jmi flo0bra42n_xvtq56g"
VOCABULARY = {sign: number for number, sign in enumerate(_SIGNS)}
# The sizes of facebook/mms-tts-eng are VitsConfig's own.
FULL: dict[str, Any] = {}
SMALL: dict[str, Any] = {
    "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "ffn_dim": 48,
    "flow_size": 32, "spectrogram_bins": 33, "upsample_initial_channel": 64,
    "upsample_rates": [8, 8, 4], "upsample_kernel_sizes": [16, 16, 8],
    "resblock_kernel_sizes": [3, 5], "resblock_dilation_sizes": [[1, 3], [1, 3]],
    "duration_predictor_filter_channels": 32, "prior_encoder_num_wavenet_layers": 2,
    "prior_encoder_num_flows": 2, "posterior_encoder_num_wavenet_layers": 2,
}  # fmt: skip


def write_vits(
    folder: Path,
    sizes: dict[str, Any],
    tokenizer: dict[str, Any] | None = None,
    vocabulary: dict[str, int] = VOCABULARY,
) -> None:
    """Write a repository with random weights.

    Args:
        folder: where.
        sizes: what differs from facebook/mms-tts-eng in ``config.json``.
        tokenizer: what differs in ``tokenizer_config.json``.
        vocabulary: the signs that it knows, numbered from 0.
    """
    torch.manual_seed(5)
    config = VitsConfig(**{"vocab_size": len(vocabulary), "pad_token_id": 0, **sizes})
    model = VitsModel(config).eval()
    with torch.no_grad():
        # Random durations of some frames for a sign, and sound that is to be heard.
        for name, weights in model.named_parameters():
            if name.startswith("decoder.") and weights.dim() > 1:
                weights.mul_(1.5)
        # A flow that is new leaves all as it is: then speakers and texts would hardly differ.
        for name, weights in model.named_parameters():
            if "conv_post" in name or "translate" in name or "log_scale" in name:
                weights.copy_(0.3 * torch.randn_like(weights))
    model.save_pretrained(folder)
    _as_published(folder / "model.safetensors")
    (folder / "vocab.json").write_text(json.dumps(vocabulary, ensure_ascii=False, indent=2))
    about = {
        "add_blank": True, "clean_up_tokenization_spaces": True, "is_uroman": False,
        "language": "eng", "model_max_length": 10**30, "normalize": True, "pad_token": "k",
        "phonemize": False, "tokenizer_class": "VitsTokenizer", "unk_token": "<unk>",
    }  # fmt: skip
    (folder / "tokenizer_config.json").write_text(json.dumps(about | (tokenizer or {}), indent=2))
    (folder / "special_tokens_map.json").write_text('{"pad_token": "k", "unk_token": "<unk>"}')
    (folder / "added_tokens.json").write_text(json.dumps({"<unk>": len(vocabulary)}))


def _as_published(path: Path) -> None:
    """Name weights as the real files do, which are older than torch's parametrizations."""
    names = {"parametrizations.weight.original0": "weight_g",
             "parametrizations.weight.original1": "weight_v"}  # fmt: skip
    renamed = {}
    for name, weights in load_file(path).items():
        for new, old in names.items():
            name = name.replace(new, old)  # noqa: PLW2901
        renamed[name] = weights.contiguous()
    assert any(name.endswith("weight_g") for name in renamed)
    save_file(renamed, path, metadata={"format": "pt"})
