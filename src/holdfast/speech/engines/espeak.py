"""espeak-ng: voices by rule in more than a hundred languages, small and without a download.

It is GPL-3, which this project is not: it only ever runs in a process of its own (``isolate`` in
the runtime's `ModelSpec`), and comes with an extra of its own. The library is the one in the wheel
``espeakng_loader``; the voices' data comes from a model repository, as all models do.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from holdfast.runtime import EngineUnusable
from holdfast.speech._segments import OptionInvalid
from holdfast.speech._synthesis import SpokenVoice
from holdfast.speech.engines._espeak_library import DATA, EspeakLibrary

if TYPE_CHECKING:
    from holdfast.media import Waveform

__all__ = ["DATA", "EspeakEngine", "load_espeak"]

_USUAL = "en-us"
_WORDS_PER_MIN = 175
# What is asked of it above 450 is done by speeding the sound up; below 80 it goes no slower.
_SLOWEST, _FASTEST = 80, 700
# Codes by which others know a language.
_OTHER_CODES = {"cmn": "zh", "nb": "no"}


def load_espeak(folder: Path, device: str = "cpu") -> EspeakEngine:
    """Load the voices in a folder.

    Args:
        folder: with ``espeak-ng-data/``.
        device: ``cpu``.

    Raises:
        EngineUnusable: the data is missing or damaged, or ``device`` is another.
        MissingExtra: the wheel with the library is not installed.
    """
    if device != "cpu":
        raise EngineUnusable(
            f"espeak-ng does not run on {device!r}", why="it runs on processors only",
            hint="set its device to 'cpu'",
        )  # fmt: skip
    engine = EspeakEngine(EspeakLibrary(folder))
    engine.speak("a", engine.voices[0].id, 1.0)  # what cannot answer is not taken for loaded
    return engine


class EspeakEngine:
    """Loaded voices; see `holdfast.speech.SynthesisEngine`.

    A voice is a language (``de``) or a language and one of the data's variants (``de+f3``); of the
    variants, only the plain ones of the usual voice are listed.
    """

    def __init__(self, library: EspeakLibrary) -> None:
        self._library = library
        known = library.languages()
        meant = sorted(
            ((number, code, each.file) for each in known for code, number in each.codes),
            key=lambda listed: listed[0], reverse=True,
        )  # fmt: skip
        self._languages = {code: file for _, code, file in meant}
        # What is listed first in a language's own file is its own.
        self._languages |= {each.codes[0][0]: each.file for each in known}
        if not known:
            raise EngineUnusable(
                "espeak-ng has no voices here", why="its data lists no language",
                hint="holdfast verify, then holdfast repair",
            )  # fmt: skip
        self._variants = frozenset(library.variants())
        own = [each.codes[0][0] for each in known]
        usual = _USUAL if _USUAL in own else own[0]
        plain = [each for each in sorted(self._variants) if each[:1] in "fm" and each[1:].isdigit()]
        names = [usual, *(f"{usual}+{each}" for each in plain)]
        names += [code for code in own if code != usual]
        self._voices = tuple(SpokenVoice(name, _language(name)) for name in dict.fromkeys(names))

    @property
    def rate_hz(self) -> int:
        """Samples per second."""
        return self._library.rate_hz

    @property
    def voices(self) -> Sequence[SpokenVoice]:
        """The usual one, variants of it, and all other languages."""
        return self._voices

    def speak(self, sentence: str, voice: str, speed: float) -> Waveform:
        """Speak a sentence; see `SynthesisEngine.speak`.

        Its own rate is 175 words a minute; it goes no slower than 80 (a ``speed`` of 0.46).
        """
        import numpy as np

        language, plus, variant = voice.partition("+")
        if language not in self._languages or (plus and variant not in self._variants):
            raise OptionInvalid(
                f"there is no voice {voice[:40]!r}",
                why="it has languages, such as en-us and de, and variants of them, such as de+f3",
                hint="choose one of the model's voices", param="voice",
            )  # fmt: skip
        rate = round(min(max(_WORDS_PER_MIN * speed, _SLOWEST), _FASTEST))
        file = f"{self._languages[language]}{plus}{variant}"
        samples = np.frombuffer(self._library.speak(sentence, file, rate), "<i2")
        return samples.astype(np.float32) / np.float32(32_768.0)

    def close(self) -> None:
        """Keep the library: it cannot be unloaded, and goes with its process."""


def _language(voice: str) -> str:
    code = voice.partition("+")[0].partition("-")[0]
    return _OTHER_CODES.get(code, code)
