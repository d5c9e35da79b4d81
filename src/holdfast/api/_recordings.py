"""How a form's recordings are to be read: bare samples by their type, one channel of several."""

from __future__ import annotations

from typing import Any

from holdfast.api._uploads import Upload, UploadInvalid
from holdfast.media import RawAudio, Recording, raw_of_media_type

__all__ = ["CHANNEL", "CHANNEL_FIELD", "recordings_of"]

CHANNEL = "channel"
CHANNEL_FIELD: dict[str, Any] = {
    CHANNEL: {
        "type": "integer",
        "minimum": 0,
        "description": "The only channel that is heard, counted from 0; all, averaged, without it",
    }
}
_MOST = 255


def recordings_of(upload: Upload) -> list[Recording]:
    """Return the recordings of a form.

    A part whose type is ``audio/pcm;rate=16000`` or ``audio/L16;rate=16000`` (RFC 2586) holds bare
    samples; every other part says itself what it is, whatever its type.

    Raises:
        UploadInvalid: the channel is no number, or a type says no form that is read here.
    """
    channel = _channel(upload.fields.get(CHANNEL))
    return [
        Recording(file, _raw(kind), channel)
        for file, kind in zip(upload.files, upload.types, strict=True)
    ]


def _channel(text: str | None) -> int | None:
    if text is None:
        return None
    if not text.isascii() or not text.isdecimal() or int(text[:6]) > _MOST:
        raise UploadInvalid(
            "channel must be a whole number", why=f"of 0 to {_MOST}, counted from 0", param=CHANNEL
        )
    return int(text)


def _raw(kind: str) -> RawAudio | None:
    try:
        return raw_of_media_type(kind)
    except ValueError as error:
        raise UploadInvalid(
            "the samples cannot be read",
            why=f"{error}; a part's type says them, such as audio/pcm;rate=16000;channels=1",
            param="file",
        ) from error
