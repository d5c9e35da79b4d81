"""The text side of Whisper models, in the layout of openai/whisper-tiny; needs `tokenizers` only.

A byte-level vocabulary filled up to 50257 entries gives the special tokens Whisper's real numbers.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

__all__ = ["END", "FIRST_TIME", "LANGUAGES", "VOCABULARY", "write_text_side"]

# In the order of their tokens.
_CODES = """\
en zh de es ru ko fr ja pt tr pl ca nl ar sv it id hi fi vi he uk el ms cs ro da hu ta no th ur hr
bg lt la mi ml cy sk te fa lv bn sr az sl kn et mk br eu is hy ne mn bs kk sq sw gl mr pa si km sn
yo so af oc ka be tg sd gu am yi lo uz fo ht ps tk nn mt sa lb my bo tl mg as tt haw ln ha ba jw su
"""
LANGUAGES = tuple(_CODES.split())
END = 50_257
FIRST_TIME = 50_364
VOCABULARY = 51_865


def write_text_side(folder: Path) -> None:
    """Write tokenizer.json, vocab.json, merges.txt and preprocessor_config.json."""
    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = {
        char: number for number, char in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))
    }
    for number in range(len(vocabulary), END - 1):
        vocabulary[f"unused{number}"] = number
    vocabulary[""] = END - 1  # by which CTranslate2 knows a multilingual model
    made = Tokenizer(models.BPE(vocab=vocabulary, merges=[], fuse_unk=False))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    special = ["<|endoftext|>", "<|startoftranscript|>", *(f"<|{code}|>" for code in LANGUAGES),
               "<|translate|>", "<|transcribe|>", "<|startoflm|>", "<|startofprev|>",
               "<|nospeech|>", "<|notimestamps|>"]  # fmt: skip
    made.add_special_tokens([AddedToken(name, special=True) for name in special])
    times = [f"<|{step * 0.02:.2f}|>" for step in range(1501)]
    made.add_tokens([AddedToken(name, special=False) for name in times])
    assert made.token_to_id("<|endoftext|>") == END
    assert made.token_to_id("<|0.00|>") == FIRST_TIME
    made.save(str(folder / "tokenizer.json"))
    (folder / "vocab.json").write_text(json.dumps(vocabulary))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    about: dict[str, Any] = {
        "chunk_length": 30, "feature_extractor_type": "WhisperFeatureExtractor",
        "feature_size": 80, "hop_length": 160, "n_fft": 400, "n_samples": 480_000,
        "nb_max_frames": 3000, "padding_side": "right", "padding_value": 0.0,
        "processor_class": "WhisperProcessor", "return_attention_mask": False,
        "sampling_rate": 16_000,
    }  # fmt: skip
    (folder / "preprocessor_config.json").write_text(json.dumps(about))
