"""What can be wrong with a recording."""

from __future__ import annotations

from holdfast.errors import HoldfastError

__all__ = [
    "AudioDamaged",
    "AudioEmpty",
    "AudioTooLong",
    "AudioTruncated",
    "AudioUnreadable",
    "ChannelMissing",
    "MediaError",
    "NotAudio",
]


class MediaError(HoldfastError):
    """A recording that cannot be used."""

    code = "media-unusable"
    exit_code = 9
    http_status = 422


class AudioEmpty(MediaError):
    """There is no sound in it: no bytes, or no samples."""

    code = "audio-empty"


class NotAudio(MediaError):
    """It is something else, or in a form that is not read here."""

    code = "not-audio"
    http_status = 415


class AudioTruncated(MediaError):
    """It ends before the length that it promises."""

    code = "audio-truncated"


class AudioUnreadable(MediaError):
    """The system does not let its file be read."""

    code = "audio-unreadable"


class AudioTooLong(MediaError):
    """It lasts longer than is taken."""

    code = "audio-too-long"
    http_status = 413


class AudioDamaged(MediaError):
    """Too much of it cannot be decoded."""

    code = "audio-damaged"


class ChannelMissing(MediaError):
    """It has not the channel that is asked for."""

    code = "channel-missing"
