"""Samples from a line, beside what FFmpeg makes of them."""

from __future__ import annotations

import av
import numpy as np
import pytest
import soxr
from hypothesis import given
from hypothesis import strategies as st

from holdfast.media import LINE_CODES, LineCode, LineSamples


@pytest.mark.parametrize(("code", "codec"), [("pcmu", "pcm_mulaw"), ("pcma", "pcm_alaw")])
def test_telephones_bytes_mean_what_others_take_them_for(code: LineCode, codec: str) -> None:
    every = bytes(range(256))
    context = av.CodecContext.create(codec, "r")
    context.sample_rate, context.layout = 16_000, "mono"  # type: ignore[attr-defined]
    (frame,) = context.decode(av.Packet(every))
    expected = frame.to_ndarray().reshape(-1).astype(np.float32) / 32_768
    assert np.array_equal(LineSamples(code, 16_000).feed(every), expected)


@given(st.binary(max_size=400), st.lists(st.integers(0, 40), max_size=12))
def test_pieces_make_what_the_whole_makes(content: bytes, cuts: list[int]) -> None:
    for code in LINE_CODES:
        line, parts, at = LineSamples(code, 16_000), [], 0
        for cut in cuts:
            parts.append(line.feed(content[at : at + cut]))
            at += cut
        parts += [line.feed(content[at:]), line.finish()]
        assert np.array_equal(np.concatenate(parts), LineSamples(code, 16_000).feed(content))


@pytest.mark.parametrize("rate_hz", [8_000, 24_000, 48_000])
def test_other_rates_become_ours(rate_hz: int) -> None:
    time = np.arange(rate_hz) / rate_hz
    tone = (8_000 * np.sin(2 * np.pi * 440 * time)).astype("<i2")
    line = LineSamples("pcm", rate_hz)
    content = tone.tobytes()
    parts = [line.feed(content[start : start + 999]) for start in range(0, len(content), 999)]
    made = np.concatenate([*parts, line.finish()])
    expected = soxr.resample(tone.astype(np.float32) / 32_768, rate_hz, 16_000)
    assert len(made) == pytest.approx(16_000, abs=2)
    assert np.abs(made[:15_900] - expected[:15_900]).max() < 1e-3
