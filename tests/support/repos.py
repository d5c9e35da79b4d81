"""Repositories to test with, as plain dictionaries from path to content.

Contents are noise, the same on every machine and in every run, and no two blocks are alike, so a
byte in the wrong place is a wrong file. Making them costs about what copying them would.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

__all__ = [
    "TWO_GB",
    "Repo",
    "case_collisions",
    "chunks",
    "long_names",
    "model",
    "model_sizes",
    "names_windows_refuses",
    "noise",
    "same_look",
    "second_revision",
    "small_files",
    "unicode_names",
    "voiceprint",
    "write",
]

Repo = dict[str, bytes]

TWO_GB = 2_000_000_000
_BLOCK = 1 << 20

# 283 MB in 20 files, as a sharded model has them: eight equal shards, one smaller weight file, a
# tokenizer, and configuration. What is left to 283 MB goes to the last.
_SHARDS, _SHARD_BYTES = 8, 32_000_000
_OTHER_FILES = {
    "tokenizer.json": 4_700_000,
    "vocab.json": 999_000,
    "merges.txt": 456_000,
    "model.safetensors.index.json": 98_000,
    "README.md": 14_000,
    "config.json": 1_900,
    "generation_config.json": 250,
    "special_tokens_map.json": 2_200,
    "tokenizer_config.json": 5_100,
    ".gitattributes": 1_519,
    "LICENSE": 11_358,
}
_TOTAL_BYTES = 283_000_000


def chunks(size: int, seed: str) -> Iterator[bytes]:
    """Yield ``size`` bytes of noise in blocks of 1 MiB; for files too large to hold in memory."""
    block = random.Random(seed).randbytes(min(size, _BLOCK))
    for number, start in enumerate(range(0, size, _BLOCK)):
        stamped = number.to_bytes(8, "big") + block[8:]
        yield stamped[: min(_BLOCK, size - start)]


def noise(size: int, seed: str) -> bytes:
    """Return ``size`` bytes that depend on ``seed`` alone."""
    return b"".join(chunks(size, seed))


def model_sizes(scale: float = 1.0) -> dict[str, int]:
    """Return the sizes of :func:`model`'s files; each file is noise seeded with its path."""
    sizes = {
        f"model-{number:05}-of-{_SHARDS:05}.safetensors": _SHARD_BYTES
        for number in range(1, _SHARDS + 1)
    }
    sizes |= _OTHER_FILES
    sizes["adapter/adapter.safetensors"] = _TOTAL_BYTES - sum(sizes.values())
    return {path: max(1, int(size * scale)) for path, size in sizes.items()}


def model(scale: float = 1.0) -> Repo:
    """Return 20 files of 283 MB together; ``scale`` shrinks every file for quick tests."""
    return {path: noise(size, path) for path, size in model_sizes(scale).items()}


def second_revision(repo: Repo) -> Repo:
    """Return the next commit of :func:`model`: one small file changed, one small file added."""
    changed = b'{"revised": true}\n' + repo["generation_config.json"]
    return repo | {"generation_config.json": changed, "CHANGES.md": noise(4_700, "changes")}


def voiceprint(scale: float = 1.0) -> Repo:
    """Return the files of an ECAPA-TDNN as SpeechBrain lays them out: 89 MB, 83.3 in one file."""
    sizes = {
        "embedding_model.ckpt": 83_316_686,
        "classifier.ckpt": 5_534_328,
        "mean_var_norm_emb.ckpt": 1_921,
        "label_encoder.txt": 128_619,
        "hyperparams.yaml": 1_919,
        "config.json": 37,
    }
    return {path: noise(max(1, int(size * scale)), path) for path, size in sizes.items()}


def small_files(count: int = 300, size: int = 4_000) -> Repo:
    """Return many small files in a few folders, each a little different in size."""
    return {
        f"part-{number % 10}/file-{number:04}.json": noise(size + number, f"small {number}")
        for number in range(count)
    }


def unicode_names() -> Repo:
    """Return names from several scripts, with spaces and signs that URLs must quote."""
    paths = [
        "модель/веса.bin",
        "モデル/重み.bin",
        "emoji 🎙️/voice.bin",
        "with space/and+plus & per%cent.txt",
        "hash#and?question.txt",
        "quote'and(brackets)[x].txt",
        "combining-é.txt",
        ".hidden/.dotfile",
    ]
    return {path: noise(2_000, path) for path in paths}


def same_look() -> Repo:
    """Return two names that look alike: composed and decomposed; one name on some systems."""
    return {"caf\u00e9.bin": noise(2_000, "composed"), "cafe\u0301.bin": noise(2_000, "decomposed")}


def case_collisions() -> Repo:
    """Return names that differ in case only: as files, as folders, and file against folder."""
    paths = ["config.json", "Config.json", "Weights/a.bin", "weights/b.bin", "README.md"]
    return {path: noise(2_000, path) for path in paths}


def names_windows_refuses() -> Repo:
    """Return names that are good on Linux and cannot be made on Windows."""
    paths = ["a:b.txt", "trail. ", "dot.", "aux.json", "what?.bin", "star*.bin", "ok.txt"]
    return {path: noise(2_000, path) for path in paths}


def long_names() -> Repo:
    """Return names of 255 bytes, the most that Linux file systems hold, also in two-byte letters.

    With any suffix appended for a temporary file such a name is too long.
    """
    paths = ["a" * 251 + ".bin", "ж" * 125 + ".bin", "/".join(["d" * 200] * 4) + "/deep.bin"]
    return {path: noise(2_000, path) for path in paths}


def write(repo: Repo, folder: Path) -> Path:
    """Write the files below ``folder`` and return it."""
    for path, content in repo.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    return folder
