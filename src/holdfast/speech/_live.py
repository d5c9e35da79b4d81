"""Speech while it is spoken: where somebody begins and ends, and what can be shown before that.

Rules only, but for `Listener`, which asks the model; nothing here does I/O.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from holdfast.runtime import Steps, Supervisor
from holdfast.speech._clips import TurnDetection
from holdfast.speech._reading import judge
from holdfast.speech._segments import RATE_HZ, SegmentFinder, VadOptions

if TYPE_CHECKING:
    from holdfast.media import Waveform

__all__ = ["Agreement", "Listener", "Started", "Stopped"]

# A reader takes as much at once.
_LONGEST_S = 28.0
_LEAST_PAD = RATE_HZ // 5
# Sooner it may be a cough.
_SURELY = 3 * RATE_HZ // 10


class Started(NamedTuple):
    """Somebody begins to speak: sample ``at`` of the line, at 16 kHz."""

    at: int


class Stopped(NamedTuple):
    """Somebody has spoken: until sample ``at``; ``waveform`` is the turn, with its edges."""

    at: int
    waveform: Waveform


class Listener:
    """Hears one line; holds no more than the turn that is going on.

    Args:
        supervisor: has the model.
        voice_activity: id of what finds speech.
        detection: when turns begin and end; None: whoever sends says so.
    """

    def __init__(
        self, supervisor: Supervisor, voice_activity: str, detection: TurnDetection | None
    ) -> None:
        self._supervisor = supervisor
        self._model = voice_activity
        self._open: int | None = None  # where the turn began that was told of
        self._held: list[Waveform] = []
        self._held_from = 0
        self._told_until = 0  # what was in a turn is in no other one
        self.total = 0
        self._begin(detection)

    def _begin(self, detection: TurnDetection | None) -> None:
        """Look for speech anew, in what is held and in what comes."""
        self._detection = detection
        self._usual = detection or TurnDetection()
        self._finder = _finder(self._usual)
        self._state: object = None
        self._taken = 0  # of the finder's segments
        self._offset = self._untold_from  # of the line, where the finder began

    @property
    def held_s(self) -> float:
        """Seconds of sound that are held, and were in no turn yet."""
        return (self.total - self._untold_from) / RATE_HZ

    @property
    def _untold_from(self) -> int:
        return max(self._held_from, self._told_until)

    @property
    def speaking(self) -> bool:
        """Whether a turn that was told of goes on."""
        return self._open is not None

    def feed(self, waveform: Waveform) -> Steps[list[Started | Stopped]]:
        """Take the next samples: float32, shape (samples,), mono, 16 kHz; return what happened."""
        self._held.append(waveform)
        self.total += len(waveform)
        return (yield from self._judged(waveform))

    def detect(self, detection: TurnDetection | None) -> Steps[list[Started | Stopped]]:
        """Find turns in another way from now on; what is held is kept, and looked at once more."""
        self._begin(detection)
        return (yield from self._judged(self._between(self._untold_from, self.total)))

    def _judged(self, waveform: Waveform) -> Steps[list[Started | Stopped]]:
        if self._detection is None:
            return []
        probabilities, self._state = yield self._supervisor.submit(
            self._model, judge, self._state, waveform
        )
        return self._happened(probabilities)

    def sound(self) -> Waveform:
        """Return the turn that is going on, as far as it has come; without detection all of it."""
        return self._between(self._untold_from if self._open is None else self._open, self.total)

    def commit(self) -> Waveform:
        """End the turn here, whoever speaks; return it."""
        sound = self.sound()
        self.clear()
        return sound

    def clear(self) -> None:
        """Forget what is held."""
        self._held, self._held_from, self._open = [], self.total, None
        self._begin(self._detection)

    def _happened(self, probabilities: Sequence[float]) -> list[Started | Stopped]:
        self._finder.feed(probabilities)
        happened: list[Started | Stopped] = []
        for segment in self._finder.settled[self._taken :]:
            self._taken += 1
            if self._open is None:
                happened.append(self._begun(segment.start))
            happened.append(self._ended(segment.stop + self._offset))
        since = self._finder.open_since
        if since is None:
            if self._open is not None:
                happened.append(self._ended(self.total))  # too short after all
        elif self._open is None and self.total - self._offset - since > _SURELY:
            happened.append(self._begun(since))
        self._forget()
        return happened

    def _begun(self, start: int) -> Started:
        before = self._usual.prefix_padding_ms * RATE_HZ // 1000
        self._open = max(start + self._offset - before, self._untold_from)
        return Started(start + self._offset)

    def _ended(self, stop: int) -> Stopped:
        assert self._open is not None
        sound = self._between(self._open, min(stop + _LEAST_PAD, self.total))
        self._open, self._told_until = None, stop
        return Stopped(stop, sound)

    def _between(self, start: int, stop: int) -> Waveform:
        import numpy as np

        held = np.concatenate([np.zeros(0, np.float32), *self._held])
        return held[start - self._held_from : stop - self._held_from].copy()

    def _forget(self) -> None:
        """Let go of samples that no turn can need any more."""
        since = self._finder.open_since
        begun = self.total if since is None else since + self._offset
        first = begun - self._usual.prefix_padding_ms * RATE_HZ // 1000 - RATE_HZ
        first = first if self._open is None else min(first, self._open)
        while self._held and self._held_from + len(self._held[0]) <= first:
            self._held_from += len(self._held.pop(0))


class Agreement:
    """What of a text that is still being read can be shown: the words that two readings agree on.

    Liu, Spanakis and Niehues, "Low-Latency Sequence-to-Sequence Speech Recognition and Translation
    by Partial Hypothesis Selection", Interspeech 2020 (local agreement).
    """

    def __init__(self) -> None:
        self._last: list[str] = []
        self._shown: list[str] = []

    def heard(self, text: str) -> str:
        """Take a reading of all there is so far; return the words that can be shown now, or ""."""
        words, last = text.split(), self._last
        self._last = words
        agreed = 0
        while agreed < min(len(words), len(last)) and words[agreed] == last[agreed]:
            agreed += 1
        if words[: len(self._shown)] != self._shown:
            return ""  # what was shown is taken back in the end: nothing is added to it
        return self._add(words[len(self._shown) : agreed])

    def ended(self, text: str) -> str:
        """Take the last reading; return what is still to be shown, "" where it differs before."""
        words = text.split()
        if words[: len(self._shown)] != self._shown:
            return ""
        return self._add(words[len(self._shown) :])

    def _add(self, words: list[str]) -> str:
        space = " " if self._shown and words else ""
        self._shown += words
        return space + " ".join(words)


def _finder(detection: TurnDetection) -> SegmentFinder:
    options: dict[str, Any] = {
        "threshold": detection.threshold, "min_silence_ms": detection.silence_duration_ms,
        "max_speech_s": _LONGEST_S,
    }  # fmt: skip
    return SegmentFinder(VadOptions(**options))
