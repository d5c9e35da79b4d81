"""Measure the starter model's scale: thresholds, calibration, and what tells two voices from one.

    python -m training.voiceprint.scale DATA MODEL      writes MODEL/scale.json

Through the product's own steps: recordings are listened to, embedded and compared as a service does
it. The trials are all pairs of the held-out voices' recordings; so are the error rates.
"""

from __future__ import annotations

import argparse
import itertools
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from holdfast.config import ServiceSettings, Settings
from holdfast.runtime import carry_out
from holdfast.voiceprint import SCALE_FILE, Examined, alike, fingerprint
from holdfast.voiceprint.engines.ecapa import CHECKPOINT
from holdfast.voiceprint.evaluation import Trial, detection_curve, eer, scale_of
from holdfast.wiring import Services, configured_services
from training.voiceprint.synthesis import Corpus

_DATA = "held-out synthetic voices (training/voiceprint); it says nothing about people"
_TOGETHER = 3


def examined(services: Services, folder: Path, *samples: Any) -> Examined:
    """Return recordings, one after the other in one file, as a service examines them."""
    from tests.support.voices import write_wav

    whole = np.concatenate(samples).astype(np.float32)
    return carry_out(services.voiceprint.examine(write_wav(folder / "one.wav", whole)))


def main() -> None:
    """Measure, print and write the scale."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("model", type=Path)
    options = parser.parse_args()
    corpus = Corpus(options.data, "held-out")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        env = {"HOLDFAST_HOME": str(folder / "home"), "HOME": name}
        services = configured_services(
            Settings.from_env(env), ServiceSettings(data=folder / "data"), env
        )
        services.supervisor.start()
        if not services.supervisor.wait_ready(120):
            raise SystemExit(str(services.supervisor.failure()))
        vectors: dict[str, Any] = {}
        single: list[float] = []
        for number, speaker in enumerate(corpus.speakers):
            count = len(corpus.spans[number])
            said = [corpus.recording(number, each) for each in range(count)]
            for each, samples in enumerate(said):
                found = examined(services, folder, samples)
                if found.vector is not None and found.quality.speech_s >= 2:
                    vectors[f"{speaker}/{each:02}"] = found.vector
            for first in range(0, count - _TOGETHER, _TOGETHER):
                alone = examined(services, folder, *said[first : first + _TOGETHER])
                single += [alone.quality.same_voice] if alone.quality.same_voice else []
        double = []
        for one, other in itertools.combinations(range(len(corpus.speakers)), 2):
            if (one + other) % 5:
                continue  # a fifth of the pairs is enough
            parts = [corpus.recording(who, each) for who in (one, other) for each in range(3)]
            both = examined(services, folder, *parts).quality.same_voice
            double += [both] if both is not None else []
        services.supervisor.close()
    scored = [
        (Trial("target" if a.split("/")[0] == b.split("/")[0] else "nontarget", a, b),
         alike(vectors[a], vectors[b]))
        for a, b in itertools.combinations(vectors, 2)
    ]  # fmt: skip
    lowest = float(np.quantile(single, 0.02))
    model = fingerprint(options.model / CHECKPOINT)
    scale = scale_of(model, scored, data=_DATA, min_same_voice=round(lowest, 3))
    (options.model / SCALE_FILE).write_text(scale.text(), "utf-8")
    of = {
        label: np.array([score for trial, score in scored if trial.label == label])
        for label in ("target", "nontarget")
    }
    print(scale.text(), f"EER {eer(detection_curve(of['target'], of['nontarget']))[0]:.4f}")
    missed = float((np.array(double) >= lowest).mean())
    print(f"two voices not noticed: {missed:.3f} of {len(double)}; one taken for two: 0.02")


if __name__ == "__main__":
    main()
