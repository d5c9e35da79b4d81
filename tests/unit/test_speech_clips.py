"""Clips for readers: all speech is in one, in order, none is longer than thirty seconds."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.speech import LONGEST_CLIP_S, Clip, ClipCutter

RATE, FRAME = 16_000, 512


def cut(spans: list[tuple[bool, float]], block: int) -> tuple[list[Clip], np.ndarray, np.ndarray]:
    """Return the clips of speech and silence by turns, the recording, and where speech is."""
    loud = np.concatenate([np.full(round(s * RATE / FRAME), on) for on, s in spans]).astype(bool)
    samples = len(loud) * FRAME
    # Every sample is another, so that clips tell where they are from.
    recording = np.arange(samples, dtype=np.float32)
    cutter, clips, judged = ClipCutter(), [], 0
    for start in range(0, samples, block):
        piece = recording[start : start + block]
        frames = (start + len(piece)) // FRAME
        clips += cutter.feed(piece, loud[judged:frames].astype(float).tolist())
        judged = frames
    clips += cutter.finish(loud[judged:].astype(float).tolist())
    return clips, recording, np.repeat(loud, FRAME)


SPANS = st.lists(st.tuples(st.booleans(), st.floats(0.05, 50)), min_size=1, max_size=12)


@given(SPANS, st.sampled_from([FRAME, 7_777, 160_000]))
def test_clips_are_the_recording_where_somebody_speaks(
    spans: list[tuple[bool, float]], block: int
) -> None:
    clips, recording, spoken = cut(spans, block)
    before = 0
    for clip in clips:
        stop = clip.start + len(clip.waveform)
        assert np.array_equal(clip.waveform, recording[clip.start : stop])
        assert 0 < len(clip.waveform) <= LONGEST_CLIP_S * RATE
        assert clip.start >= before
        before = clip.start
        assert spoken[clip.start : stop].any()
    covered = np.zeros(len(recording), bool)
    for clip in clips:
        covered[clip.start : clip.start + len(clip.waveform)] = True
    # All speech of a quarter of a second and more, but for a frame where a long one is cut.
    edges = np.flatnonzero(np.diff(np.concatenate([[0], spoken.astype(int), [0]])))
    for start, stop in zip(edges[::2], edges[1::2], strict=True):
        if stop - start > 0.3 * RATE:
            missing = (stop - start) - covered[start:stop].sum()
            assert missing <= FRAME * (1 + (stop - start) // (20 * RATE))


def test_short_pauses_are_kept_and_long_ones_are_not() -> None:
    clips, _, _ = cut([(True, 2.0), (False, 1.0), (True, 2.0), (False, 10.0), (True, 1.0)], 16_000)
    assert [clip.start_s for clip in clips] == [0.0, pytest.approx(14.8, abs=0.1)]
    assert 5.0 < len(clips[0].waveform) / RATE < 5.5


def test_silence_gives_nothing() -> None:
    assert cut([(False, 120.0)], 16_000)[0] == []


def test_hours_take_no_more_memory_than_minutes() -> None:
    cutter = ClipCutter()
    block = np.zeros(10 * RATE, np.float32)
    frames = len(block) // FRAME
    peaks = []
    for minutes in (5, 120):
        tracemalloc.start()
        for number in range(minutes * 6):
            cutter.feed(block, [float(number % 3 != 0)] * frames)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] + 3_000_000
