"""The voices: which synthesiser speaks, how, and whether it is trained on or held out.

A voice's family goes to one side as a whole. Left out altogether: variants of espeak-ng that sound
like another one here (caleb and adam are klatt, michel and miguel are Diogo, gustave is Michael,
...), and festival's kal and slt, who are flite's kal16 and slt.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

__all__ = ["Voice", "held_out_voices", "training_voices"]

_ESPEAK_TRAINING = (
    "Alex", "Andy", "Annie", "antonio", "aunty", "benjamin", "croak", "david", "Denis", "Diogo",
    "ed", "f1", "f2", "f3", "f4", "f5", "fast", "Gene", "grandpa", "Hugo", "john", "klatt",
    "klatt3", "klatt4", "linda", "m1", "m2", "m3", "m4", "m5", "m6", "m7", "m8", "marcelo", "max",
    "norbert", "Nguyen", "pedro", "RicishayMax", "RicishayMax2", "rob", "Tweaky", "UniRobot",
    "whisper", "whisperf", "Henrique",
)  # fmt: skip
_ESPEAK_HELD_OUT = (
    "Alicia", "Andrea", "anika", "announcer", "AnxiousAndy", "belinda", "boris", "Demonic",
    "edward", "grandma", "iven", "Jacky", "kaukovalta", "Lee", "Marco", "Mario", "Michael", "pablo",
    "paul", "quincy", "robosoft", "robosoft3", "robosoft6", "robosoft7", "sandro", "shelby",
    "steph", "Storm", "travis", "victor", "zac",
)  # fmt: skip
_FLITE_TRAINING = ("awb", "kal16")
_FLITE_HELD_OUT = ("rms", "slt")
_FESTIVAL_TRAINING = (
    "czech_krb", "czech_machac", "czech_ph", "hy_fi_mv_diphone", "pc_diphone", "upc_ca_ona_hts",
)  # fmt: skip
_FESTIVAL_HELD_OUT = ("czech_dita", "ked_diphone", "lp_diphone", "suo_fi_lj_diphone")

# They read English by their own rules: other vowels, other rhythm.
_LANGUAGES = (
    "en-us", "en-gb", "en-gb-scotland", "en-029", "de", "es", "it", "pt-br", "nl", "sv", "pl",
    "fr-fr", "cs", "hu", "ro", "fi", "tr", "id",
)  # fmt: skip
_TEMPI = (0.82, 0.9, 1.0, 1.1, 1.2)


@dataclass(frozen=True)
class Voice:
    """One speaker.

    Attributes:
        name: unique.
        program: ``espeak``, ``flite`` or ``festival``.
        voice: the program's name for it.
        pitch: espeak-ng's, 0 to 99.
        words_per_minute: espeak-ng's.
        tempo: played so many times faster, which raises pitch and formants alike: somebody else.
    """

    name: str
    program: str
    voice: str
    pitch: int = 50
    words_per_minute: int = 175
    tempo: float = 1.0


def training_voices(seed: int, per_variant: int = 8) -> list[Voice]:
    """Return the speakers that are trained on: several of every voice."""
    random_ = random.Random(seed)
    found: list[Voice] = []
    for variant in _ESPEAK_TRAINING:
        languages = random_.sample(_LANGUAGES, per_variant)
        for number, language in enumerate(languages):
            found.append(
                Voice(
                    name=f"espeak-{variant}-{number}",
                    program="espeak",
                    voice=f"{language}+{variant}",
                    pitch=random_.randrange(25, 80),
                    words_per_minute=random_.randrange(150, 195),
                    tempo=random_.choice(_TEMPI),
                )
            )
    for program, voices in (("flite", _FLITE_TRAINING), ("festival", _FESTIVAL_TRAINING)):
        found += [
            Voice(f"{program}-{voice}-{tempo}", program, voice, tempo=tempo)
            for voice in voices
            for tempo in _TEMPI
        ]
    return found


def held_out_voices() -> list[Voice]:
    """Return the speakers of the test; espeak-ng's all speak American English at its own pace."""
    return [
        *(Voice(f"espeak-{name}", "espeak", f"en-us+{name}") for name in _ESPEAK_HELD_OUT),
        *(Voice(f"flite-{name}", "flite", name) for name in _FLITE_HELD_OUT),
        *(Voice(f"festival-{name}", "festival", name) for name in _FESTIVAL_HELD_OUT),
    ]
