"""What is known of a speaker, and how it is written down. Rules only; nothing here does I/O."""

from __future__ import annotations

import base64
import json
import re
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from holdfast.voiceprint.gallery._errors import SpeakerInvalid
from holdfast.voiceprint.gallery._index import Vectors

__all__ = [
    "EXPORT",
    "Profile",
    "Template",
    "Utterance",
    "centroid_of",
    "check_profile",
    "is_id",
    "packed",
    "plain",
    "template_of",
    "unit_rows",
    "unpacked",
    "vector_bytes",
    "whole",
]

EXPORT = "holdfast-voiceprint-export-1"
# An utterance as it is sealed: this byte, the vector's length, the vector, and the rest as JSON.
# What begins with "{" is of an earlier form, with the vector in base64 inside the JSON.
_PACKED = b"\x01"
_HEAD = struct.Struct("<cI")
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,127}")
# Halves of surrogate pairs cannot be encoded; controls, ends of lines and changes of direction make
# a list show other lines than it has.
_HALVES = re.compile("[\ud800-\udfff]")
_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_MOST_TEXT = 2000
_MOST_TAGS = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What is known of a speaker besides the voice.

    Attributes:
        id: the name it is asked for by; letters, digits and ``._@-``.
        display_name: for people; the id where empty.
        tags: for whoever uses the service.
        consent: the note on what was agreed to, when and how.
        created: UTC, ISO 8601.
    """

    id: str
    display_name: str = ""
    tags: tuple[str, ...] = ()
    consent: str = ""
    created: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Utterance:
    """One enrolled utterance.

    Attributes:
        vector: shape (dimension,), float32, as the model gives it.
        model: fingerprint of the model that made it.
        speech_s: seconds of net speech in it.
        facts: what was measured of the recording.
        audio: the speech itself as FLAC, where it is to be kept; it is not read back with the rest.
        created: UTC, ISO 8601.
    """

    vector: Vectors
    model: str
    speech_s: float
    facts: Mapping[str, Any] = field(default_factory=dict)
    created: str = ""
    id: str = ""
    audio: bytes = b""


@dataclass(frozen=True, slots=True)
class Template:
    """What a voice is compared with: of one speaker and one model.

    Attributes:
        vectors: shape (n, dimension), float32, of length 1 each.
        centroid: shape (dimension,), their mean, of length 1.
        speech_s: net speech behind it.
    """

    vectors: Vectors
    centroid: Vectors
    speech_s: float


def template_of(utterances: Sequence[Utterance]) -> Template | None:
    if not utterances:
        return None
    vectors = unit_rows(np.stack([each.vector for each in utterances]))
    speech_s = sum(each.speech_s for each in utterances)
    return Template(vectors, centroid_of(vectors, [0])[0], speech_s)


def centroid_of(vectors: Vectors, starts: Sequence[int]) -> Vectors:
    """Return the mean of each group of rows, made of length 1; a group begins at each start."""
    # A mean and a sum differ in length only.
    return unit_rows(np.add.reduceat(vectors, starts, axis=0))


def unit_rows(vectors: Vectors) -> Vectors:
    """Return rows of length 1; those of length 0 stay.

    Raises:
        ValueError: one is empty, or not finite.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    if not vectors.shape[1] or not np.isfinite(lengths).all():
        raise ValueError("a vector is empty, or not finite")
    found: Vectors = (vectors / np.where(lengths == 0, 1, lengths)).astype(np.float32)
    return found


def packed(utterance: Utterance) -> bytes:
    vector = np.asarray(utterance.vector, "<f4").tobytes()
    apart = {"vector", "audio"}
    rest = {name: value for name, value in plain(utterance).items() if name not in apart}
    return _HEAD.pack(_PACKED, len(vector)) + vector + json.dumps(rest).encode()


def unpacked(content: bytes) -> Utterance:
    if content[:1] == b"{":
        return utterance_of(json.loads(content))
    _, length = _HEAD.unpack_from(content)
    rest = json.loads(content[_HEAD.size + length :])
    return _utterance(rest, vector_bytes(content))


def vector_bytes(content: bytes) -> bytes:
    """Return the vector of a packed utterance, float32, without reading the rest of it."""
    if content[:1] == b"{":
        return base64.b64decode(json.loads(content)["vector"], validate=True)
    _, length = _HEAD.unpack_from(content)
    return content[_HEAD.size : _HEAD.size + length]


def plain(utterance: Utterance) -> dict[str, Any]:
    found = {
        "id": utterance.id,
        "model": utterance.model,
        "vector": _text(np.asarray(utterance.vector, "<f4").tobytes()),
        "speech_s": utterance.speech_s,
        "facts": dict(utterance.facts),
        "created": utterance.created,
    }
    return found | ({"audio": _text(utterance.audio)} if utterance.audio else {})


def _text(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")


def utterance_of(plain: Mapping[str, Any]) -> Utterance:
    return _utterance(plain, base64.b64decode(plain["vector"], validate=True))


def _utterance(plain: Mapping[str, Any], of_vector: bytes) -> Utterance:
    vector = np.frombuffer(of_vector, "<f4")
    if not len(vector) or not np.isfinite(vector).all():
        raise ValueError("a vector is empty, or not finite")
    return Utterance(
        vector=vector.astype(np.float32),
        model=str(plain["model"]),
        speech_s=float(plain["speech_s"]),
        facts=dict(plain["facts"]),
        created=str(plain["created"]),
        id=str(plain["id"]),
        audio=base64.b64decode(plain.get("audio", ""), validate=True),
    )


def whole(text: str) -> str:
    """Return text with ``?`` for what cannot be encoded; an earlier version kept such names."""
    return text.encode(errors="replace").decode()


def is_id(speaker: str) -> bool:
    """Return whether a speaker can have this id at all."""
    return _ID.fullmatch(speaker) is not None


def check_profile(profile: Profile) -> None:
    """Make sure that a profile can be kept, sent and shown.

    Raises:
        SpeakerInvalid: it cannot; all that is wrong is said.
    """
    problems = []
    shown = (profile.display_name, *profile.tags)
    if not is_id(profile.id):
        problems.append("the id must be 1 to 128 letters, digits or . _ @ -, the first no sign")
    if max(len(profile.display_name), len(profile.consent)) > _MOST_TEXT:
        problems.append(f"the display name and the consent note have at most {_MOST_TEXT} letters")
    if len(profile.tags) > _MOST_TAGS or any(len(tag) > 128 for tag in profile.tags):
        problems.append(f"there are at most {_MOST_TAGS} tags, of at most 128 letters")
    if any(_CONTROLS.search(text) for text in shown):
        problems.append("the display name and tags are one line each, without control characters")
    if _HALVES.search(profile.consent):
        problems.append("the consent note has half a character, which no text has")
    if problems:
        raise SpeakerInvalid(
            "this speaker cannot be taken", why="; ".join(problems), hint="give another id or text"
        )
