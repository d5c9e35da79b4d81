"""Texts as phonemes with their punctuation, for voices that are trained on espeak-ng's."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable

from holdfast.speech.engines._espeak_library import EspeakLibrary, wheel_data

__all__ = ["Phonemes", "espeak_phonemes"]

Phonemes = Callable[[str], str]
# The library gives clause after clause and drops what parts them, which voices go by.
_MARKS = re.compile(r"([.,;:!?\u2026]+)(?=[\s\"'\u201d\u2019»)\]]|$)")
# Where another language is spoken, it says so: "(fr)bɔ̃ʒuʁ(en)".
_SWITCHES = re.compile(r"\([a-z-]+\)")


def espeak_phonemes(voice: str) -> Phonemes:
    """Return what turns a text into the phonemes of a voice of espeak-ng, such as ``en-us``.

    Data and library are those in the wheel: they have to fit each other, and a voice was trained
    on what a language had. For a process of its own, as all that uses the library.

    Raises:
        EngineUnusable: there is no such voice.
        MissingExtra: the wheel is not installed.
    """
    library = EspeakLibrary(wheel_data())
    library.phonemes("a", voice)

    def phonemes(text: str) -> str:
        spoken = ""
        for part in _MARKS.split(" ".join(text.split())):
            if _MARKS.fullmatch(part):
                spoken = spoken.rstrip() + part.replace("\u2026", ".")[:1]
            elif part.strip(" \"'\u201d\u2019»)]"):
                sound = _SWITCHES.sub("", library.phonemes(part, voice)).strip()
                spoken = f"{spoken} {sound}" if spoken else sound
        # An accent is a sign of its own in the tables of voices.
        return unicodedata.normalize("NFD", spoken)

    return phonemes
