"""From the probability of speech in each frame to segments of speech.

Rules only; nothing here does I/O. The hysteresis is Silero's: speech begins where a frame reaches
``threshold`` and ends where frames stay below ``neg_threshold`` for long enough.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from holdfast.errors import HoldfastError

__all__ = ["OptionInvalid", "Segment", "SegmentFinder", "VadOptions", "find_segments"]

RATE_HZ = 16_000
FRAME_SAMPLES = 512
# The shortest silence at which a segment that grew too long may be cut.
_CUT_SILENCE_MS = 98
_LOWER_BY = 0.15
_LOWEST = 0.01
_LONGEST_MS = 3_600_000


class OptionInvalid(HoldfastError):
    """An option outside its limits."""

    code = "option-invalid"
    exit_code = 2
    http_status = 422


@dataclass(frozen=True, slots=True, order=True)
class Segment:
    """A stretch of speech: samples ``start`` (included) to ``stop`` (not), at 16 kHz."""

    start: int
    stop: int

    @property
    def start_ms(self) -> int:
        """The start in milliseconds."""
        return round(self.start * 1000 / RATE_HZ)

    @property
    def stop_ms(self) -> int:
        """The end in milliseconds."""
        return round(self.stop * 1000 / RATE_HZ)


@dataclass(frozen=True, slots=True, kw_only=True)
class VadOptions:
    """How probabilities become segments. The defaults are Silero's.

    Attributes:
        threshold: a frame with this probability or more is speech.
        neg_threshold: a frame below it is silence; None for 0.15 under ``threshold``. What lies
            between continues whatever was before.
        min_speech_ms: shorter segments are dropped.
        min_silence_ms: shorter pauses do not end a segment.
        speech_pad_ms: added to both ends of each segment, at most to the middle of a pause.
        max_speech_s: longer segments are cut, at their last pause if they have one.

    Raises:
        OptionInvalid: a value is outside its limits; all such values are named.
    """

    threshold: float = 0.5
    neg_threshold: float | None = None
    min_speech_ms: int = 250
    min_silence_ms: int = 100
    speech_pad_ms: int = 30
    max_speech_s: float = math.inf

    def __post_init__(self) -> None:
        problems = []
        if not 0 < self.threshold < 1:
            problems.append(f"threshold {self.threshold} is not between 0 and 1")
        if self.neg_threshold is not None and not 0 < self.neg_threshold <= self.threshold:
            problems.append(f"neg_threshold {self.neg_threshold} is not between 0 and threshold")
        for name in ("min_speech_ms", "min_silence_ms", "speech_pad_ms"):
            if not 0 <= getattr(self, name) <= _LONGEST_MS:
                problems.append(f"{name} {getattr(self, name)} is not between 0 and {_LONGEST_MS}")
        shortest = (2 * self.speech_pad_ms + 2 * FRAME_SAMPLES / 16) / 1000
        if not self.max_speech_s > shortest:
            problems.append(f"max_speech_s {self.max_speech_s} is not above {shortest:.3f}")
        if problems:
            raise OptionInvalid(
                "the options for voice activity cannot be used",
                why="; ".join(problems),
                hint="leave an option out for its default",
            )

    @property
    def silence_below(self) -> float:
        """The probability below which a frame is silence."""
        if self.neg_threshold is not None:
            return self.neg_threshold
        return max(self.threshold - _LOWER_BY, _LOWEST)


class SegmentFinder:
    """Takes probabilities as they come; keeps no more than the segments found.

    Positions are in samples, a frame being 512 of them.
    """

    def __init__(self, options: VadOptions) -> None:
        self._options = options
        self._silence_below = options.silence_below
        self._longest = (
            RATE_HZ * options.max_speech_s - FRAME_SAMPLES - 2 * _samples(options.speech_pad_ms)
        )
        self._found: list[Segment] = []
        self._position = 0
        self._start: int | None = None  # where speech began; None in silence
        self._silent_since: int | None = None  # where the present pause began
        self._cut_at: int | None = None  # where the last pause fit for a cut began
        self._resumed_at: int | None = None  # where speech went on after that pause

    def feed(self, probabilities: Iterable[float]) -> None:
        """Take the probabilities of the next frames."""
        for probability in probabilities:
            self._frame(probability)
            self._position += FRAME_SAMPLES

    @property
    def settled(self) -> Sequence[Segment]:
        """The segments whose ends are known, not padded; more come behind them."""
        return self._found

    @property
    def open_since(self) -> int | None:
        """Where the segment begins that is still going on; None in silence."""
        return self._start

    def finish(self, total: int) -> list[Segment]:
        """Return the segments of a recording of ``total`` samples, padded, in order."""
        if self._start is not None and total - self._start > self._shortest:
            self._found.append(Segment(self._start, total))
        self._silence()
        return _padded(self._found, _samples(self._options.speech_pad_ms), total)

    @property
    def _shortest(self) -> float:
        return _samples(self._options.min_speech_ms)

    def _frame(self, probability: float) -> None:
        here = self._position
        if probability >= self._options.threshold:
            if self._silent_since is not None:
                self._silent_since = None
                self._mark_resumption(here)
            if self._start is None:
                self._start = here
                return
        if self._start is None:
            return
        if here - self._start > self._longest and self._cut(here):
            return
        if probability < self._silence_below and self._start is not None:
            self._pause(here, self._start)

    def _mark_resumption(self, here: int) -> None:
        cut = self._cut_at
        if cut is not None and (self._resumed_at is None or self._resumed_at < cut):
            self._resumed_at = here

    def _cut(self, here: int) -> bool:
        """End a segment that is too long; return whether this frame is done with."""
        assert self._start is not None
        cut, resumed = self._cut_at, self._resumed_at
        self._found.append(Segment(self._start, here if cut is None else cut))
        self._silence()
        if cut is None:
            return True
        if resumed is not None and resumed >= cut:
            self._start = resumed
        return False

    def _pause(self, here: int, start: int) -> None:
        if self._silent_since is None:
            self._silent_since = here
        since = self._silent_since
        if here - since > _samples(_CUT_SILENCE_MS):
            self._cut_at = since
        if here - since < _samples(self._options.min_silence_ms):
            return
        if since - start > self._shortest:
            self._found.append(Segment(start, since))
        self._silence()

    def _silence(self) -> None:
        self._start = self._silent_since = self._cut_at = self._resumed_at = None


def find_segments(
    probabilities: Iterable[float], total: int, options: VadOptions | None = None
) -> list[Segment]:
    """Return the segments of speech in a recording of ``total`` samples.

    Args:
        probabilities: of speech, one for each frame of 512 samples.
        total: samples of the recording, at 16 kHz.
        options: Silero's defaults where None.
    """
    finder = SegmentFinder(options or VadOptions())
    finder.feed(probabilities)
    return finder.finish(total)


def _padded(found: list[Segment], pad: float, total: int) -> list[Segment]:
    padded = list(found)
    for index, segment in enumerate(padded):
        start, stop = segment.start, segment.stop
        if index == 0:
            start = int(max(0, start - pad))
        if index == len(padded) - 1:
            padded[index] = Segment(start, int(min(total, stop + pad)))
            continue
        following = padded[index + 1]
        pause = following.start - stop
        if pause < 2 * pad:
            # Neighbours meet in the middle of their pause.
            reach: float = pause // 2
        else:
            reach = pad
        padded[index] = Segment(start, int(min(total, stop + reach)))
        padded[index + 1] = replace(following, start=int(max(0, following.start - reach)))
    return padded


def _samples(milliseconds: float) -> float:
    return RATE_HZ * milliseconds / 1000
