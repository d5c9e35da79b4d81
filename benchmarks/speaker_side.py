"""One side of `benchmarks.voiceprint`, in the Python that has its libraries.

    python -m benchmarks.speaker_side make FOLDER      write a full-size model with random weights
    python -m benchmarks.speaker_side SIDE FOLDER      speechbrain, graph, torch ...

A side reads a number of clips from each line of its input, embeds as many clips of three seconds,
and prints the seconds that took; ``0`` prints the embeddings of two clips as JSON.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

Embed = Callable[[Any], Any]


def clips(count: int) -> Any:
    """Return clips of three seconds: float32, shape (count, 48000)."""
    random = np.random.default_rng(3)
    time_s = np.arange(48_000) / 16_000
    found = []
    for _ in range(count):
        pitch = random.uniform(80, 260)
        voice = sum(np.sin(2 * np.pi * pitch * at * time_s) / at for at in range(1, 30))
        voice *= np.clip(np.sin(2 * np.pi * random.uniform(1, 4) * time_s), 0, 1)
        found.append(0.1 * voice + 0.003 * random.standard_normal(len(time_s)))
    return np.array(found, np.float32)


def make(folder: Path) -> None:
    """Write the model, and beside it its graph."""
    from tests.libraries.speaker_parity import SIZES, write_model

    from holdfast.voiceprint.engines.ecapa import convert_ecapa

    write_model(folder / "model", SIZES["full"])
    (folder / "graph").mkdir()
    convert_ecapa(folder / "model", folder / "graph")


def speechbrain(folder: Path) -> Embed:
    """Return SpeechBrain's own way, as its documentation shows it."""
    import torch
    from speechbrain.inference.speaker import EncoderClassifier

    saved = str(folder / "saved")
    classifier = EncoderClassifier.from_hparams(str(folder / "model"), savedir=saved)

    def embed(heard: Any) -> Any:
        return classifier.encode_batch(torch.from_numpy(heard)).squeeze(1).numpy()

    return embed


def graph(folder: Path) -> Embed:
    """Return our engine on onnxruntime."""
    from holdfast.voiceprint.engines.ecapa import load_ecapa

    engine = load_ecapa(folder / "graph", "cpu")
    return lambda heard: engine.embed(list(heard))


def in_torch(folder: Path) -> Embed:
    """Return our engine in torch."""
    from holdfast.voiceprint.engines.ecapa import load_ecapa

    engine = load_ecapa(folder / "model", "cpu")
    return lambda heard: engine.embed(list(heard))


SIDES: dict[str, Callable[[Path], Embed]] = {
    "speechbrain": speechbrain,
    "graph": graph,
    "torch": in_torch,
}


def main(side: str, folder: Path) -> None:
    """Answer every line."""
    if side == "make":
        make(folder)
        return
    embed = SIDES[side](folder)
    for line in sys.stdin:
        count = int(line)
        heard = clips(count or 2)
        started = time.perf_counter()
        found = embed(heard)
        seconds = time.perf_counter() - started
        print(json.dumps(seconds if count else found.tolist()), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
