"""What stands in the ``.onnx.json`` of a Piper voice. Rules only but for reading that file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from holdfast.runtime import EngineUnusable

__all__ = ["PiperConfig", "read_piper_config"]

_KINDS = ("espeak", "text")
_ONLY_VOICE = "default"


@dataclass(frozen=True, slots=True)
class PiperConfig:
    """A voice's description.

    Attributes:
        rate_hz: samples per second of what it speaks.
        kind: ``espeak`` for a model of phonemes, ``text`` for one of letters.
        espeak_voice: whose phonemes they are, such as ``en-us``.
        language: such as ``en``.
        ids: for each phoneme or letter the model's numbers.
        speakers: names, and the model's numbers for them; one where it has one voice only.
        has_speakers: whether the model is told a speaker.
        noise: of the sound, as its makers chose it.
        length: of sounds; more is slower.
        noise_w: of the rhythm.
    """

    rate_hz: int
    kind: str
    espeak_voice: str
    language: str
    ids: Mapping[str, tuple[int, ...]]
    speakers: Mapping[str, int]
    has_speakers: bool
    noise: float
    length: float
    noise_w: float

    def numbers(self, signs: str) -> list[int]:
        """Return a model's numbers for phonemes or letters; what it does not know is left out.

        Begin, a blank, and behind every sign a blank, then the end: ``^ _ h _ i _ $``.
        """
        blank = self.ids.get("_", ())
        known = [self.ids[sign] for sign in signs if sign in self.ids and sign not in "^_$"]
        if not known:
            return []
        found = [*self.ids.get("^", ()), *blank]
        for numbers in known:
            found += [*numbers, *blank]
        return [*found, *self.ids.get("$", ())]


def read_piper_config(path: Path) -> PiperConfig:
    """Read a voice's description.

    Raises:
        EngineUnusable: it is damaged, or of a kind of voice that is not known here.
    """
    try:
        told = json.loads(path.read_text("utf-8"))
        return _config(told)
    except (ValueError, KeyError, TypeError, AttributeError, OSError) as error:
        raise EngineUnusable(
            f"{path} does not describe a Piper voice", why=f"{type(error).__name__}: {error}",
            hint="holdfast verify, then holdfast repair",
        ) from error  # fmt: skip


def _config(told: Mapping[str, Any]) -> PiperConfig:
    kind = str(told.get("phoneme_type", "espeak")).lower().removeprefix("phonemetype.")
    if kind not in _KINDS:
        raise ValueError(f"its phonemes are of the kind {kind!r}, not {' or '.join(_KINDS)}")
    count = int(told.get("num_speakers", 1))
    names = {str(name): int(number) for name, number in told.get("speaker_id_map", {}).items()}
    if count > 1 and not names:
        names = {str(number): number for number in range(count)}
    if any(not 0 <= number < count for number in names.values()):
        raise ValueError(f"its speakers are not 0 to {count - 1}: {names}")
    espeak_voice = str(told["espeak"]["voice"]) if kind == "espeak" else ""
    code = told.get("language", {}).get("family") or espeak_voice or "en"
    inference = told.get("inference", {})
    return PiperConfig(
        rate_hz=int(told["audio"]["sample_rate"]),
        kind=kind,
        espeak_voice=espeak_voice,
        language=str(code).replace("_", "-").partition("-")[0],
        ids={
            sign: tuple(map(int, numbers)) for sign, numbers in told["phoneme_id_map"].items()
        },
        speakers=dict(sorted(names.items(), key=lambda item: item[1])) or {_ONLY_VOICE: 0},
        has_speakers=count > 1,
        noise=float(inference.get("noise_scale", 0.667)),
        length=float(inference.get("length_scale", 1.0)),
        noise_w=float(inference.get("noise_w", 0.8)),
    )  # fmt: skip
