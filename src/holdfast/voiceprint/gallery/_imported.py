"""What an exported speaker must look like to be taken in. Rules only; nothing here does I/O.

It comes from outside: every value is looked at, and nothing that `Gallery.export` cannot give is
taken.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
import re
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import numpy as np

from holdfast.voiceprint.gallery._errors import SpeakerInvalid
from holdfast.voiceprint.gallery._index import Vectors
from holdfast.voiceprint.gallery._records import EXPORT, Profile, Utterance, check_profile

__all__ = ["speaker_of"]

# Models of speakers give some hundred numbers.
_MOST_NUMBERS = 4096
_MOST_FACTS = 20_000
_MOST_SPEECH_S = 1e6
_WORD = re.compile(r"[!-~]{1,128}")
_TIME = re.compile(r"[0-9T:.+Z-]{0,40}")
_FLAC = b"fLaC"


def speaker_of(exported: Mapping[str, Any]) -> tuple[Profile, list[Utterance]]:
    """Read an exported speaker.

    Raises:
        SpeakerInvalid: it is none; the field that shows it is named.
    """
    top = _object(exported, "it")
    if top.get("form") != EXPORT:
        raise _invalid("form", f"is not {EXPORT!r}")
    profile = _profile(_object(top.get("profile"), "profile"))
    check_profile(profile)
    listed = top.get("utterances")
    if not isinstance(listed, list):
        raise _invalid("utterances", "is no list")
    return profile, [
        _utterance(_object(each, f"utterances[{k}]"), f"utterances[{k}]")
        for k, each in enumerate(listed)
    ]


def _profile(about: Mapping[str, Any]) -> Profile:
    known = {field.name for field in fields(Profile)}
    for name in about.keys() - known:
        raise _invalid(f"profile.{name[:40]!a}", "is not known")
    texts = {name: _text(about, name, "profile") for name in known - {"tags"}}
    tags = about.get("tags", [])
    if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):
        raise _invalid("profile.tags", "is no list of texts")
    if not _TIME.fullmatch(texts["created"]):
        raise _invalid("profile.created", "is no time")
    return Profile(**texts, tags=tuple(tags))


def _utterance(plain: Mapping[str, Any], where: str) -> Utterance:
    model, name, created = (_text(plain, each, where) for each in ("model", "id", "created"))
    if not _WORD.fullmatch(model):
        raise _invalid(f"{where}.model", "is no model's fingerprint")
    if len(name) > 128:
        raise _invalid(f"{where}.id", "is too long")
    if not _TIME.fullmatch(created):
        raise _invalid(f"{where}.created", "is no time")
    seconds: Any = plain.get("speech_s")
    number = isinstance(seconds, int | float) and not isinstance(seconds, bool)
    if not number or not 0 <= seconds <= _MOST_SPEECH_S:
        raise _invalid(f"{where}.speech_s", "is no number of seconds")
    audio = _bytes(plain.get("audio", ""), f"{where}.audio")
    if audio and not audio.startswith(_FLAC):
        raise _invalid(f"{where}.audio", "is no FLAC")
    return Utterance(
        vector=_vector(plain.get("vector"), f"{where}.vector"),
        model=model,
        speech_s=float(seconds),
        facts=_facts(_object(plain.get("facts"), f"{where}.facts"), f"{where}.facts"),
        created=created,
        id=name,
        audio=audio,
    )


def _vector(value: object, where: str) -> Vectors:
    content = _bytes(value, where)
    if len(content) % 4 or not 0 < len(content) <= 4 * _MOST_NUMBERS:
        raise _invalid(where, f"has not 1 to {_MOST_NUMBERS} numbers")
    vector = np.frombuffer(content, "<f4").astype(np.float32)
    with np.errstate(over="ignore", invalid="ignore"):
        length = float(np.linalg.norm(vector))
    if not math.isfinite(length) or length == 0:
        raise _invalid(where, "has no direction: it is zero, or not finite")
    return vector


def _facts(facts: Mapping[str, Any], where: str) -> dict[str, Any]:
    try:
        text = json.dumps(facts, allow_nan=False, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise _invalid(where, "cannot be written as JSON") from error
    if len(text) > _MOST_FACTS:
        raise _invalid(where, "is too long")
    return dict(facts)


def _object(value: object, where: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise _invalid(where, "is no JSON object")
    return value


def _text(plain: Mapping[str, Any], name: str, where: str) -> str:
    value = plain.get(name, "")
    if not isinstance(value, str):
        raise _invalid(f"{where}.{name}", "is no text")
    return value


def _bytes(value: object, where: str) -> bytes:
    try:
        return base64.b64decode(value if isinstance(value, str) else "?", validate=True)
    except (binascii.Error, ValueError) as error:
        raise _invalid(where, "is not base64") from error


def _invalid(where: str, what: str) -> SpeakerInvalid:
    return SpeakerInvalid(
        "this is no exported speaker",
        why=f"{where} {what}",
        hint="holdfast voiceprint speakers --export ID > FILE gives one",
    )
