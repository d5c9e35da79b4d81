"""A small Whisper in the layout of openai/whisper-tiny, and what Transformers reads with it.

    python whisper_parity.py FOLDER     runs in .venv-libraries

FOLDER/model is the repository, FOLDER/converted-float32 and -int8 what is made of it. In
FOLDER/answers.npz are recordings (``clip_N``), and what Transformers makes of each: ``features_N``,
the tokens that it writes greedily, with times (``tokens_N``), and how probable each language is
(``language_N``).
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer
from transformers import (
    GenerationConfig,
    WhisperConfig,
    WhisperFeatureExtractor,
    WhisperForConditionalGeneration,
)

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from holdfast.speech.engines.whisper import convert_whisper
from tests.support.whisper_files import (
    END,
    FIRST_TIME,
    LANGUAGES,
    VOCABULARY,
    write_text_side,
)

START, TRANSCRIBE, TRANSLATE, NO_TIMES = END + 1, FIRST_TIME - 5, FIRST_TIME - 6, FIRST_TIME - 1
SECONDS = (1.0, 5.5, 12.0, 29.0)


SMALL: dict[str, Any] = {
    "d_model": 64, "encoder_layers": 2, "decoder_layers": 2, "encoder_attention_heads": 4,
    "decoder_attention_heads": 4, "encoder_ffn_dim": 128, "decoder_ffn_dim": 128,
}  # fmt: skip


def sure_of_itself(model: WhisperForConditionalGeneration, tokens: Tokenizer) -> None:
    """Have random weights prefer what they prefer clearly."""
    del tokens
    with torch.no_grad():
        for name, weights in model.named_parameters():
            if weights.dim() > 1 and "embed_positions" not in name:
                weights.mul_(3.0)


def write_model_of(
    folder: Path,
    sizes: Mapping[str, Any],
    shape: Callable[[WhisperForConditionalGeneration, Tokenizer], None],
) -> WhisperForConditionalGeneration:
    """Write the repository of a model with random weights.

    Args:
        folder: the repository.
        sizes: of the network, by the names of its configuration.
        shape: changes the weights.
    """
    write_text_side(folder)
    torch.manual_seed(3)
    config = WhisperConfig(
        vocab_size=VOCABULARY, **sizes, max_source_positions=1500, max_target_positions=448,
        decoder_start_token_id=START, bos_token_id=END, eos_token_id=END, pad_token_id=END,
        suppress_tokens=[], begin_suppress_tokens=[220, END],
    )  # fmt: skip
    model = WhisperForConditionalGeneration(config).eval()
    shape(model, Tokenizer.from_file(str(folder / "tokenizer.json")))
    codes = {f"<|{code}|>": START + 1 + number for number, code in enumerate(LANGUAGES)}
    model.generation_config = GenerationConfig(
        decoder_start_token_id=START, bos_token_id=END, eos_token_id=END, pad_token_id=END,
        is_multilingual=True, lang_to_id=codes, no_timestamps_token_id=NO_TIMES,
        task_to_id={"transcribe": TRANSCRIBE, "translate": TRANSLATE}, max_length=448,
        suppress_tokens=[], begin_suppress_tokens=[220, END], return_timestamps=False,
        prev_sot_token_id=FIRST_TIME - 3, max_initial_timestamp_index=50,
        alignment_heads=[[1, 0], [1, 2]],
    )  # fmt: skip
    model.save_pretrained(folder)
    return model


def main(folder: Path) -> None:
    """Write everything."""
    model = write_model_of(folder / "model", SMALL, sure_of_itself)
    extractor = WhisperFeatureExtractor.from_pretrained(folder / "model")
    random = np.random.default_rng(11)
    kept = {}
    for number, seconds in enumerate(SECONDS):
        samples = int(seconds * 16_000)
        tone = np.sin(np.cumsum(random.uniform(0.02, 0.3, samples)))
        clip = (0.3 * tone + random.normal(0, 0.02, samples)).astype(np.float32)
        features = extractor(clip, sampling_rate=16_000, return_tensors="pt").input_features
        kept[f"clip_{number}"] = clip
        kept[f"features_{number}"] = features[0].numpy()
        encoded = model.model.encoder(features).last_hidden_state
        written = model.generate(
            features, language="en", task="transcribe", return_timestamps=True, num_beams=1,
            do_sample=False, max_new_tokens=200,
        )  # fmt: skip
        kept[f"tokens_{number}"] = written[0].numpy()
        with torch.no_grad():
            ids = torch.tensor([[START]])
            logits = model(encoder_outputs=(encoded,), decoder_input_ids=ids).logits[0, -1]
        languages = logits[START + 1 : START + 1 + len(LANGUAGES)].softmax(-1)
        kept[f"language_{number}"] = languages.numpy()
    np.savez(folder / "answers.npz", **kept)
    for numbers in ("float32", "int8"):
        target = folder / f"converted-{numbers}"
        target.mkdir()
        convert_whisper(folder / "model", target, numbers)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
