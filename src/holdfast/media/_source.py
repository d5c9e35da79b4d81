"""What is read, and how: a file, which of its channels, and the form of samples without a header.

Rules only; nothing here does I/O.
"""

from __future__ import annotations

from dataclasses import dataclass
from email.message import Message
from pathlib import Path
from typing import BinaryIO, TypeAlias

__all__ = ["AudioSource", "RawAudio", "Recording", "raw_of_media_type", "raw_of_text"]

_ENCODINGS = ("s16le", "s16be", "f32le")
_RATES_HZ = (1_000, 384_000)
_MOST_CHANNELS = 64


@dataclass(frozen=True, slots=True)
class RawAudio:
    """The form of samples without a header: ``encoding`` is FFmpeg's name, such as ``s16le``.

    Several channels take turns, sample by sample.
    """

    rate_hz: int
    channels: int = 1
    encoding: str = "s16le"


@dataclass(frozen=True, slots=True)
class Recording:
    """A file together with how it is to be read.

    Attributes:
        file: a path, or an open file, which must be seekable.
        raw: the form of samples without a header; without it the file's header decides.
        channel: the only one that is heard, counted from 0; all of them, averaged, when None.
    """

    file: Path | BinaryIO
    raw: RawAudio | None = None
    channel: int | None = None


AudioSource: TypeAlias = "Path | BinaryIO | Recording"


def raw_of_text(text: str) -> RawAudio:
    """Return the form that ``ENCODING:RATE[:CHANNELS]`` says, such as ``s16le:16000:1``.

    Raises:
        ValueError: it says none.
    """
    encoding, _, rest = text.partition(":")
    rate, _, channels = rest.partition(":")
    return _checked(encoding, rate, channels or "1")


def raw_of_media_type(text: str) -> RawAudio | None:
    """Return the form of samples that a media type says; None where it is of something else.

    ``audio/L16;rate=16000;channels=2`` is RFC 2586's: 16 bits, the high byte first, the rate always
    said. ``audio/pcm;rate=16000`` is what current services call samples as machines hold them: 16
    bits, the low byte first; ``encoding=f32le`` (or ``s16be``) says another kind. One channel is
    meant where none are said.

    Raises:
        ValueError: it is a type of bare samples, and does not say a form that is read here.
    """
    message = Message()
    message["content-type"] = text
    kind = message.get_content_type()
    if kind not in {"audio/l16", "audio/pcm"}:
        return None
    said = {
        str(name).lower(): str(value)
        for name, value in message.get_params(failobj=[], header="content-type")[1:]
    }
    usual = "s16be" if kind == "audio/l16" else "s16le"
    encoding = said.get("encoding", usual).lower() if kind == "audio/pcm" else usual
    return _checked(encoding, said.get("rate", ""), said.get("channels", "1"))


def _checked(encoding: str, rate: str, channels: str) -> RawAudio:
    if encoding not in _ENCODINGS:
        raise ValueError(f"the encoding {encoding[:20]!r} is none of {', '.join(_ENCODINGS)}")
    low, high = _RATES_HZ
    if not _whole(rate) or not low <= int(rate) <= high:
        raise ValueError(f"the rate {rate[:20]!r} is no number of Hz from {low} to {high}")
    if not _whole(channels) or not 1 <= int(channels) <= _MOST_CHANNELS:
        raise ValueError(f"the channels {channels[:20]!r} are no number from 1 to {_MOST_CHANNELS}")
    return RawAudio(int(rate), int(channels), encoding)


def _whole(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < 9
