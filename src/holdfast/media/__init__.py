"""Audio in any form as mono samples at 16 kHz, and samples as audio in the usual forms.

Needs the ``speech`` extra; its libraries load when the first file is read, not when this is
imported.
"""

from holdfast.media._decode import (
    RATE_HZ,
    AudioInfo,
    Waveform,
    audio_blocks,
    probe_audio,
    read_audio,
)
from holdfast.media._encode import (
    MEDIA_TYPES,
    PCM_RATE_HZ,
    SOUND_FORMS,
    SoundEncoder,
    SoundForm,
    flac_bytes,
)
from holdfast.media._errors import (
    AudioDamaged,
    AudioEmpty,
    AudioTooLong,
    AudioTruncated,
    AudioUnreadable,
    ChannelMissing,
    MediaError,
    NotAudio,
)
from holdfast.media._live import LINE_CODES, LineCode, LineSamples
from holdfast.media._source import (
    AudioSource,
    RawAudio,
    Recording,
    raw_of_media_type,
    raw_of_text,
)

__all__ = [
    "LINE_CODES",
    "MEDIA_TYPES",
    "PCM_RATE_HZ",
    "RATE_HZ",
    "SOUND_FORMS",
    "AudioDamaged",
    "AudioEmpty",
    "AudioInfo",
    "AudioSource",
    "AudioTooLong",
    "AudioTruncated",
    "AudioUnreadable",
    "ChannelMissing",
    "LineCode",
    "LineSamples",
    "MediaError",
    "NotAudio",
    "RawAudio",
    "Recording",
    "SoundEncoder",
    "SoundForm",
    "Waveform",
    "audio_blocks",
    "flac_bytes",
    "probe_audio",
    "raw_of_media_type",
    "raw_of_text",
    "read_audio",
]
