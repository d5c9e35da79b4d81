"""Measure a model on the held-out voices, and write the figures into its card.

    python -m training.voiceprint.evaluate DATA MODEL [--card README.md] [--trials FILE]

Every pair of recordings is a trial, so that the list follows from the data alone; ``--trials``
writes it, ``label enrol test``, for other tools. Both sides of a trial are in the same condition.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from holdfast.voiceprint._features import SpeechBrainFbank, speechbrain_features
from holdfast.voiceprint.engines.ecapa import load_ecapa
from training.voiceprint.augment import RATE_HZ, Samples, add_noise, coloured_noise, telephone
from training.voiceprint.synthesis import SEED, Corpus

_LONGEST = 4 * RATE_HZ
_FIGURES = re.compile(r"(?<=<!-- figures -->\n).*?(?=<!-- end of figures -->)", re.DOTALL)


def recordings(corpus: Corpus) -> tuple[list[Samples], NDArray[np.int64], list[str]]:
    """Return recordings of at most four seconds, whose each is, and what each is called."""
    found, speakers, names = [], [], []
    for speaker, spans in enumerate(corpus.spans):
        for number in range(len(spans)):
            found.append(corpus.recording(speaker, number)[:_LONGEST])
            speakers.append(speaker)
            names.append(f"{corpus.speakers[speaker]}/{number:02}")
    return found, np.array(speakers), names


def conditions(clean: list[Samples], speakers: NDArray[np.int64]) -> dict[str, list[Samples]]:
    """Return the recordings in every condition that is measured."""
    random = np.random.default_rng(SEED)
    noisy = []
    for number, voice in enumerate(clean):
        if number % 3 == 2:  # four others talk at once
            others = random.choice(np.flatnonzero(speakers != speakers[number]), 4, replace=False)
            noise = sum(np.resize(clean[other], len(voice)) for other in others)
            noisy.append(add_noise(voice, np.asarray(noise, np.float32), 15))
        else:
            noisy.append(add_noise(voice, coloured_noise(random, len(voice), number % 3), 15))
    return {
        "clean": clean,
        "15 dB signal to noise (white, pink, four voices)": noisy,
        "telephone (300 to 3400 Hz, 8 bits)": [telephone(voice) for voice in clean],
    }


def equal_error_rate(
    embeddings: NDArray[np.float32], speakers: NDArray[np.int64]
) -> tuple[float, float]:
    """Return the rate at which as many are falsely accepted as rejected, and its threshold."""
    unit = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    first, second = np.triu_indices(len(unit), 1)
    scores = (unit @ unit.T)[first, second]
    same = speakers[first] == speakers[second]
    order = np.argsort(scores)
    rejected = np.cumsum(same[order]) / same.sum()
    accepted = 1 - np.cumsum(~same[order]) / (~same).sum()
    at = int(np.argmin(np.abs(rejected - accepted)))
    return float(rejected[at] + accepted[at]) / 2, float(scores[order[at]])


def baseline(voice: Samples) -> NDArray[np.float32]:
    """Return means and deviations of mel spectra: what is possible without any training."""
    features = speechbrain_features(voice, SpeechBrainFbank()) / 10
    loud = features[features.mean(axis=1) > -1]
    stats = np.concatenate([loud.mean(axis=0) - loud.mean(), loud.std(axis=0)])
    found: NDArray[np.float32] = (stats - stats.mean()).astype(np.float32)
    return found


def figures(corpus: Corpus, embed: Callable[[list[Samples]], NDArray[np.float32]]) -> str:
    """Return the table of the card."""
    clean, speakers, _ = recordings(corpus)
    lines = [
        "| condition | EER | at cosine | EER of mel statistics |",
        "|---|--:|--:|--:|",
    ]
    for name, heard in conditions(clean, speakers).items():
        rate, threshold = equal_error_rate(embed(heard), speakers)
        plain, _ = equal_error_rate(np.stack([baseline(voice) for voice in heard]), speakers)
        lines.append(f"| {name} | {rate:.1%} | {threshold:.2f} | {plain:.1%} |")
    counts = np.bincount(speakers)
    same = int((counts * (counts - 1) // 2).sum())
    everything = len(speakers) * (len(speakers) - 1) // 2
    lines.append(
        f"\n{len(corpus.speakers)} speakers, {len(speakers)} recordings of at most 4 s; "
        f"{same} trials of one speaker, {everything - same} of two.\n"
    )
    return "\n".join(lines)


def main() -> None:
    """Print the table, and write what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("model", type=Path)
    parser.add_argument("--card", type=Path)
    parser.add_argument("--trials", type=Path)
    chosen = parser.parse_args()
    corpus = Corpus(chosen.data, "held-out")
    table = figures(corpus, load_ecapa(chosen.model, "cpu").embed)
    print(table)
    if chosen.card is not None:
        text = chosen.card.read_text("utf-8")
        chosen.card.write_text(_FIGURES.sub(lambda _: table, text), "utf-8")
    if chosen.trials is not None:
        _, speakers, names = recordings(corpus)
        with chosen.trials.open("w") as file:
            for first, second in zip(*np.triu_indices(len(names), 1), strict=True):
                label = int(speakers[first] == speakers[second])
                file.write(f"{label} {names[first]} {names[second]}\n")


if __name__ == "__main__":
    main()
