"""One side of `benchmarks.speaking`, in the Python that has its libraries.

    python -m benchmarks.speaking_side make FOLDER      write a full-size model with random weights
    python -m benchmarks.speaking_side SIDE FOLDER      transformers, holdfast

A side reads lines, speaks ``TEXT`` for each, and prints as JSON the seconds until the first
sentence is there and until all are, and how many seconds of sound that is.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

# Without numbers, which plain Transformers would leave out.
TEXT = (
    "The old library on the corner opens at nine in the morning. "
    "She packed four sandwiches, a map and a warm coat before the walk. "
    "Nobody had expected the harbour to freeze so early in the year. "
    "If the train is late again we shall miss half of the concert. "
    "Seven small boats were painted blue, and one carried a yellow flag."
)
Speak = Callable[[str], Iterator[Any]]


def make(folder: Path) -> None:
    """Write the model."""
    from tests.support.vits import FULL, write_vits

    folder.mkdir(exist_ok=True)
    write_vits(folder, FULL)


def transformers(folder: Path) -> Speak:
    """Return Transformers' own way, as model cards show it; a sentence at a time, as ours."""
    import torch
    from transformers import VitsModel, VitsTokenizer

    from holdfast.speech import sentences
    from holdfast.speech.engines.vits import seed_of

    tokenizer, model = VitsTokenizer.from_pretrained(folder), VitsModel.from_pretrained(folder)

    def speak(text: str) -> Iterator[Any]:
        for sentence in sentences(text):
            torch.manual_seed(seed_of(sentence))  # so that both speak for equally long
            with torch.no_grad():
                yield model(**tokenizer(sentence, return_tensors="pt")).waveform[0].numpy()

    return speak


def holdfast(folder: Path) -> Speak:
    """Return our engine, a sentence at a time."""
    from holdfast.speech import sentences
    from holdfast.speech.engines.synthesis import load_synthesis

    engine = load_synthesis(folder)

    def speak(text: str) -> Iterator[Any]:
        for sentence in sentences(text):
            yield engine.speak(sentence, "default", 1.0)

    return speak


SIDES: dict[str, Callable[[Path], Speak]] = {"transformers": transformers, "holdfast": holdfast}


def main(side: str, folder: Path) -> None:
    """Answer every line."""
    if side == "make":
        make(folder)
        return
    speak = SIDES[side](folder)
    for _line in sys.stdin:
        started = time.perf_counter()
        first_s, samples = 0.0, 0
        for sound in speak(TEXT):
            first_s = first_s or time.perf_counter() - started
            samples += len(sound)
        seconds = time.perf_counter() - started
        print(json.dumps([first_s, seconds, samples / 16_000]), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
