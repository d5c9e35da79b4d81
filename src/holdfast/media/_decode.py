"""Decoding with PyAV, resampling with soxr, in blocks: memory does not grow with the length."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from os import SEEK_CUR, SEEK_END
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TypeAlias

from holdfast.errors import MissingExtra
from holdfast.media._errors import (
    AudioDamaged,
    AudioEmpty,
    AudioTooLong,
    AudioTruncated,
    AudioUnreadable,
    ChannelMissing,
    NotAudio,
)
from holdfast.media._lasting import Lasting
from holdfast.media._source import AudioSource, RawAudio, Recording

if TYPE_CHECKING:
    import numpy as np
    from av import AudioFrame
    from av.audio.stream import AudioStream
    from av.container import InputContainer
    from numpy.typing import NDArray

    Waveform: TypeAlias = NDArray[np.float32]
else:
    Waveform = "numpy.ndarray"

__all__ = [
    "RATE_HZ",
    "AudioInfo",
    "Waveform",
    "audio_blocks",
    "probe_audio",
    "read_audio",
]

RATE_HZ = 16_000
BLOCK_SAMPLES = 10 * RATE_HZ
File: TypeAlias = "Path | BinaryIO"

# Containers only. Playlists and scripts (m3u8, concat, ffmetadata ...) name other files and
# addresses, which a recording from a stranger must never make us open.
_FORMATS = "wav,w64,flac,ogg,mp3,mov,mp4,m4a,matroska,webm,aac,aiff,au,amr,caf"
# These state their length in the header. Others only let it be guessed from the bit rate.
_EXACT_LENGTH = frozenset({"wav", "w64", "flac", "mov", "matroska", "aiff", "caf", "au"})
_LENGTH_TOLERANCE_S = 0.5
_LENGTH_TOLERANCE = 0.05
_WAV_UNKNOWN = 0x7FFF0000
# A packet or two that does not decode is common (a tag between frames); more is damage.
_BAD_PACKETS = 0.1
# Beyond these nothing is recorded. At 1 Hz one packet of silence is hours of samples at 16 kHz.
_RATES_HZ = (1_000, 768_000)
_INTEGER_SCALES = {"u1": 128.0, "i2": 32_768.0, "i4": 2_147_483_648.0}


@dataclass(frozen=True, slots=True)
class AudioInfo:
    """What a recording says about itself. ``duration_s`` is None where it does not say."""

    container: str
    codec: str
    rate_hz: int
    channels: int
    duration_s: float | None


def probe_audio(source: AudioSource, *, raw: RawAudio | None = None) -> AudioInfo:
    """Read what ``source`` says about itself, without decoding it.

    Raises:
        AudioEmpty, NotAudio: there is nothing to decode.
    """
    given = _given(source, raw)
    with _opened(given.file, given.raw) as (container, stream):
        return _info(container, stream)


def audio_blocks(
    source: AudioSource,
    *,
    raw: RawAudio | None = None,
    block_samples: int = BLOCK_SAMPLES,
    whole: bool = True,
    longest_s: float | None = None,
) -> Iterator[Waveform]:
    """Decode ``source`` block by block.

    Channels are averaged, unless the source chooses one. A file object must be seekable and stays
    open.

    Args:
        source: a file, in any of the usual containers.
        raw: the form of headerless samples, as in `Recording`.
        block_samples: samples per block; only the last may be shorter.
        whole: whether a recording that ends early is an error, after its last block.
        longest_s: how long it may last; any length when None.

    Yields:
        float32, shape (samples,), mono, 16 kHz, within about [-1, 1].

    Raises:
        AudioEmpty, AudioUnreadable: no bytes or no samples; a file that cannot be opened.
        NotAudio: not a recording that can be read here, or at a rate that nothing is recorded at.
        ChannelMissing: it has not the channel that is chosen.
        AudioTooLong: it says that it lasts longer, or turns out to.
        AudioTruncated: it ends before the length in its header (``whole`` only).
        AudioDamaged: more than a tenth of its packets cannot be decoded.
    """
    import numpy as np

    given = _given(source, raw)
    name = _name_of(given.file)
    with _opened(given.file, given.raw) as (container, stream):
        info = _info(container, stream)
        _check_longest(name, longest_s, info.duration_s or 0)
        resampler = _Resampler()
        waiting, held, total = list[Waveform](), 0, 0
        for part in resampler.resampled(_mono_parts(container, stream, name, given.channel)):
            waiting.append(part)
            held += len(part)
            total += len(part)
            _check_longest(name, longest_s, total / RATE_HZ)
            while held >= block_samples:
                joined = np.concatenate(waiting)
                yield joined[:block_samples]
                waiting = [joined[block_samples:]]
                held -= block_samples
        if held:
            yield np.concatenate(waiting)
        if not total:
            raise AudioEmpty(
                f"{name} holds no samples",
                why=f"its {info.codec} stream has a header and nothing more",
                hint="record it again",
            )
        if whole:
            _check_length(name, info, total / RATE_HZ, _wav_bytes(given.file))


def _check_longest(name: str, longest_s: float | None, seconds: float) -> None:
    if longest_s is not None and seconds > longest_s:
        raise AudioTooLong(
            f"{name} is too long",
            why=f"it lasts {seconds:.0f} s or more, and at most {longest_s:g} s are taken",
            hint=f"ffmpeg -i RECORDING -f segment -segment_time {longest_s:g} part%d.flac",
            longest_s=longest_s,
        )


def read_audio(source: AudioSource, *, raw: RawAudio | None = None, whole: bool = True) -> Waveform:
    """Decode all of ``source``: float32, shape (samples,), mono, 16 kHz.

    Raises:
        The errors of `audio_blocks`.
    """
    import numpy as np

    return np.concatenate(list(audio_blocks(source, raw=raw, whole=whole)))


def _given(source: AudioSource, raw: RawAudio | None) -> Recording:
    return source if isinstance(source, Recording) else Recording(source, raw)


class _Resampler:
    """Brings parts of any rate to 16 kHz, keeping what a filter needs across their borders."""

    def __init__(self) -> None:
        self._rate = 0
        self._stream: Any = None

    def resampled(self, parts: Iterator[tuple[Waveform, int]]) -> Iterator[Waveform]:
        import numpy as np

        empty = np.zeros(0, dtype=np.float32)
        try:
            for part, rate in parts:
                if rate != self._rate:
                    yield from self._flushed(empty)
                    self._start(rate)
                yield part if self._stream is None else self._stream.resample_chunk(part)
            yield from self._flushed(empty)
        finally:
            self._stream = None  # an error keeps this frame, and what soxr holds would be told of

    def _start(self, rate: int) -> None:
        import soxr

        self._rate = rate
        self._stream = None if rate == RATE_HZ else soxr.ResampleStream(rate, RATE_HZ, 1)

    def _flushed(self, empty: Waveform) -> Iterator[Waveform]:
        if self._stream is not None:
            yield self._stream.resample_chunk(empty, last=True)


@contextmanager
def _opened(source: File, raw: RawAudio | None) -> Iterator[tuple[InputContainer, AudioStream]]:
    """Open the container and its first stream of sound; FFmpeg's errors become ours."""
    try:
        import av
        import soxr  # noqa: F401 - so that a missing one is said before decoding starts
    except ImportError as error:
        raise MissingExtra(
            "audio cannot be decoded here",
            why=f"{error.name} is not installed",
            hint="pip install 'holdfast[speech]'",
        ) from error
    name = _name_of(source)
    if _is_empty(source):
        raise AudioEmpty(f"{name} is empty", why="it has 0 bytes", hint="record it again")
    options = {"format_whitelist": raw.encoding if raw else _FORMATS}
    form = None
    if raw is not None:
        form = raw.encoding
        options |= {"sample_rate": str(raw.rate_hz), "ch_layout": f"{raw.channels}c"}
    with ExitStack() as stack:
        # An opened file, not a name: FFmpeg would read "concat:..." or "http://..." as a protocol.
        stream = Lasting(stack.enter_context(_as_stream(source)))
        try:
            opened = stack.enter_context(av.open(stream, mode="r", format=form, options=options))
        except (av.error.FFmpegError, ValueError) as error:
            raise NotAudio(
                f"{name} cannot be read as audio",
                why="it is not a recording, is in a form that is not supported, or is cut short",
                hint=f"supported: {_FORMATS.replace(',', ', ')}",
            ) from error
        if not opened.streams.audio:
            raise NotAudio(
                f"{name} has no sound",
                why=f"it is {opened.format.name} without an audio stream",
                hint="send a recording",
            )
        yield opened, opened.streams.audio[0]


def _mono_parts(
    container: InputContainer, stream: AudioStream, name: str, channel: int | None
) -> Iterator[tuple[Waveform, int]]:
    """Yield the stream's frames as mono float32 with their rate in Hz."""
    import av

    packets = bad = 0
    try:
        for packet in container.demux(stream):
            packets += 1
            try:
                frames = packet.decode()
            except av.error.InvalidDataError:
                bad += 1
                continue
            for frame in frames:
                if frame.samples:
                    _check_rate(name, frame.sample_rate)
                    yield _mono(frame, name, channel), frame.sample_rate
    except av.error.FFmpegError as error:
        raise AudioDamaged(
            f"{name} cannot be read to its end",
            why=f"reading failed after {packets} packets ({error.strerror})",
            hint="record or convert it again",
        ) from error
    if bad > max(_BAD_PACKETS * packets, 1):
        raise AudioDamaged(
            f"{name} is damaged",
            why=f"{bad} of its {packets} packets cannot be decoded",
            hint="record or convert it again",
        )


def _check_rate(name: str, rate_hz: int) -> None:
    least, most = _RATES_HZ
    if not least <= rate_hz <= most:
        raise NotAudio(
            f"{name} cannot be read as audio",
            why=f"it has {rate_hz} samples a second, and {least} to {most} are read",
            hint="ffmpeg -i RECORDING -ar 16000 OTHER.flac",
        )


def _mono(frame: AudioFrame, name: str, channel: int | None) -> Waveform:
    import numpy as np

    channels = frame.layout.nb_channels
    if channel is not None and not 0 <= channel < channels:
        raise ChannelMissing(
            f"{name} has no channel {channel}",
            why=f"it has {channels}, counted from 0",
            hint=f"choose one of 0 to {channels - 1}, or none, to hear all of them",
            channel=channel,
            channels=channels,
        )
    samples = frame.to_ndarray()
    kind = samples.dtype.str[1:]
    if not frame.format.is_planar:
        samples = samples.reshape(-1, channels).T
    scaled: Waveform = samples.astype(np.float32)
    if kind == "u1":
        scaled -= 128.0
    if kind in _INTEGER_SCALES:
        scaled /= np.float32(_INTEGER_SCALES[kind])
    chosen = 0 if channels == 1 else channel
    mono: Waveform = scaled.mean(axis=0, dtype=np.float32) if chosen is None else scaled[chosen]
    return np.ascontiguousarray(np.nan_to_num(mono, posinf=1.0, neginf=-1.0), dtype=np.float32)


def _info(container: InputContainer, stream: AudioStream) -> AudioInfo:
    duration: float | None = None
    if stream.duration is not None and stream.time_base is not None:
        duration = float(stream.duration * stream.time_base)
    elif container.duration is not None:
        duration = container.duration / 1_000_000
    context = stream.codec_context
    return AudioInfo(
        container=container.format.name,
        codec=context.name,
        rate_hz=context.sample_rate,
        channels=context.layout.nb_channels,
        duration_s=duration if duration and duration > 0 else None,
    )


def _check_length(
    name: str, info: AudioInfo, decoded_s: float, wav: tuple[int, int] | None
) -> None:
    promised = info.duration_s
    exact = not _EXACT_LENGTH.isdisjoint(info.container.split(","))
    if promised is None or not exact:
        return
    if wav is not None:
        # FFmpeg believes the file's size more than its header.
        promised = max(promised, decoded_s * wav[0] / max(wav[1], 1))
    missing = promised - decoded_s
    if missing > max(_LENGTH_TOLERANCE_S, _LENGTH_TOLERANCE * promised):
        raise AudioTruncated(
            f"{name} is cut short",
            why=f"it promises {promised:.1f} s and ends after {decoded_s:.1f} s",
            hint="send the whole file",
            promised_s=round(promised, 3),
            decoded_s=round(decoded_s, 3),
        )


def _wav_bytes(source: File) -> tuple[int, int] | None:
    """Return the bytes of samples that a WAV file promises and has; None if it is none."""
    with _as_stream(source) as stream:
        stream.seek(0)
        head = stream.read(12)
        if head[:4] != b"RIFF" or head[8:] != b"WAVE":
            return None
        while len(chunk := stream.read(8)) == 8:
            size = int.from_bytes(chunk[4:], "little")
            if chunk[:4] == b"data":
                start = stream.tell()
                there = stream.seek(0, SEEK_END) - start
                # Writers that could not go back left 0 or a huge number.
                return (size, there) if 0 < size < _WAV_UNKNOWN else None
            stream.seek(size + size % 2, SEEK_CUR)
    return None


@contextmanager
def _as_stream(source: File) -> Iterator[BinaryIO]:
    if not isinstance(source, Path):
        yield source
        return
    try:
        stream = source.open("rb")
    except OSError as error:
        raise AudioUnreadable(
            f"{source.name} cannot be read", why=error.strerror or str(error),
            hint=f"ls -l {source}",
        ) from error  # fmt: skip
    with stream:
        yield stream


def _is_empty(source: File) -> bool:
    with _as_stream(source) as stream:
        start = stream.tell()
        empty = not stream.read(1)
        stream.seek(start)
        return empty


def _name_of(source: File) -> str:
    return source.name if isinstance(source, Path) else "the recording"
