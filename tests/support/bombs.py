"""Recordings that are small as files and long as sound."""

from __future__ import annotations

from functools import cache
from pathlib import Path

__all__ = ["MOST_SAMPLES", "silent_flac"]

# Of a frame.
MOST_SAMPLES = 65_535


def silent_flac(
    path: Path,
    seconds: float,
    *,
    rate_hz: int = 16_000,
    channels: int = 1,
    promised: int | None = None,
) -> Path:
    """Write silence as FLAC (RFC 9639), 14 bytes for 65,535 samples of a channel.

    Args:
        path: the file.
        seconds: how long it lasts.
        rate_hz: of the samples, at most 655,350; a whole number of hundreds above 65,535.
        channels: 1 to 8.
        promised: samples that its header says it has; what there are when None, 0 for nothing said.
    """  # fmt: skip
    samples = round(seconds * rate_hz)
    frames = -(-samples // MOST_SAMPLES)
    told = frames * MOST_SAMPLES if promised is None else promised
    info = (
        MOST_SAMPLES.to_bytes(2) * 2 + bytes(6)
        + (rate_hz << 44 | (channels - 1) << 41 | 15 << 36 | told).to_bytes(8) + bytes(16)
    )  # fmt: skip
    with path.open("wb") as file:
        file.write(b"fLaC" + (0x80 << 24 | len(info)).to_bytes(4) + info)
        for number in range(frames):
            file.write(_frame(number, channels))
    return path


def _frame(number: int, channels: int) -> bytes:
    """Return a frame of silence: its size in 16 bits, its rate and depth as the header says."""
    head = b"\xff\xf8" + bytes([0b0111_0000, (channels - 1) << 4]) + _number(number)
    head += (MOST_SAMPLES - 1).to_bytes(2)
    head += bytes([_crc(head, 8, 0x07)])
    head += b"\0\0\0" * channels  # a constant of 16 bits each
    return head + _crc(head, 16, 0x8005).to_bytes(2)


def _number(number: int) -> bytes:
    """Return a number as UTF-8 would a character."""
    return chr(number).encode("utf-8", "surrogatepass")


def _crc(content: bytes, bits: int, polynomial: int) -> int:
    value, table, most = 0, _table(bits, polynomial), (1 << bits) - 1
    for byte in content:
        value = (value << 8 & most) ^ table[value >> (bits - 8) ^ byte]
    return value


@cache
def _table(bits: int, polynomial: int) -> tuple[int, ...]:
    found = []
    for byte in range(256):
        value = byte << (bits - 8)
        for _ in range(8):
            value = value << 1 ^ (polynomial if value >> (bits - 1) & 1 else 0)
        found.append(value & ((1 << bits) - 1))
    return tuple(found)
