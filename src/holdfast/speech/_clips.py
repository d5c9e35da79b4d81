"""Speech in clips that a reader takes at once, cut while the recording is still coming.

Rules only; nothing here does I/O.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from holdfast.speech._segments import (
    RATE_HZ,
    OptionInvalid,
    Segment,
    SegmentFinder,
    VadOptions,
)

if TYPE_CHECKING:
    from holdfast.media import Waveform

__all__ = ["LONGEST_CLIP_S", "RECORDING", "Clip", "ClipCutter", "TurnDetection"]

# Whisper hears thirty seconds at a time, and takes as long for three: clips are filled up.
LONGEST_CLIP_S = 30
_LONGEST = LONGEST_CLIP_S * RATE_HZ
_LIMITS = {
    "threshold": (0.01, 0.99),
    "silence_duration_ms": (0, 10_000),
    "prefix_padding_ms": (0, 5_000),
}
# In a longer pause a reader begins to imagine things.
_PAUSE = 3 * RATE_HZ


class TurnDetection(NamedTuple):
    """When somebody is taken to begin and to end, by OpenAI's names.

    Attributes:
        threshold: a frame with this probability or more is speech.
        silence_duration_ms: so long a pause is an end.
        prefix_padding_ms: kept from before the beginning.
    """

    threshold: float = 0.5
    silence_duration_ms: int = 500
    prefix_padding_ms: int = 300

    def checked(self, param: str) -> TurnDetection:
        """Return it.

        Args:
            param: what the client calls all of it.

        Raises:
            OptionInvalid: a value is outside its limits; all such values are named.
        """
        problems = [
            f"{name} {value} is not between {least} and {most}"
            for (name, (least, most)), value in zip(_LIMITS.items(), self, strict=True)
            if not least <= value <= most
        ]
        if problems:
            raise OptionInvalid(
                "speech cannot be divided so", why="; ".join(problems),
                hint="leave an option out for its default", param=param,
            )  # fmt: skip
        return self


# A recording is divided more finely than a conversation: its pauses do not keep anybody waiting.
RECORDING = TurnDetection(silence_duration_ms=160, prefix_padding_ms=200)


class Clip(NamedTuple):
    """A stretch of a recording with speech in it.

    ``start`` is its first sample, at 16 kHz; ``waveform`` float32, shape (samples,), at most 30 s.
    """

    start: int
    waveform: Waveform

    @property
    def start_s(self) -> float:
        """Where it begins, in seconds."""
        return self.start / RATE_HZ


class ClipCutter:
    """Cuts a recording into clips by where somebody speaks; holds little more than one clip.

    Every clip begins and ends in a pause where there is one; silence longer than
    three seconds is in none.
    """

    def __init__(self, options: TurnDetection = RECORDING) -> None:
        self._pad = options.prefix_padding_ms * RATE_HZ // 1000
        finding = VadOptions(
            threshold=options.threshold,
            min_silence_ms=options.silence_duration_ms,
            max_speech_s=LONGEST_CLIP_S - 2 * self._pad / RATE_HZ,
        )
        self._finder = SegmentFinder(finding)
        self._taken = 0  # of the finder's segments
        self._group: Segment | None = None
        self._held: list[Waveform] = []
        self._held_from = 0
        self._total = 0

    def feed(self, waveform: Waveform, probabilities: Sequence[float]) -> list[Clip]:
        """Take the next samples, and the probabilities of frames that they complete.

        Args:
            waveform: float32, shape (samples,), mono, 16 kHz.
            probabilities: of speech, of frames of 512 samples, as an engine gives them.

        Returns:
            the clips that are complete now.
        """
        self._held.append(waveform)
        self._total += len(waveform)
        self._finder.feed(probabilities)
        clips = self._settle(self._finder.settled[self._taken :])
        self._taken = len(self._finder.settled)
        group = self._group
        quiet_since = self._total if self._finder.open_since is None else self._finder.open_since
        if group is not None and quiet_since - group.stop > _PAUSE:
            clips.append(self._clip(group))  # whatever comes, it is too late to belong to this
            self._group = None
        self._forget()
        return clips

    def finish(self, probabilities: Sequence[float]) -> list[Clip]:
        """Take the last frame's probability, if any; return the clips that are left."""
        self._finder.feed(probabilities)
        found = self._finder.finish(self._total)
        clips = self._settle(found[self._taken :])
        if self._group is not None:
            clips.append(self._clip(self._group))
            self._group = None
        return clips

    def _settle(self, segments: Sequence[Segment]) -> list[Clip]:
        clips = []
        for segment in segments:
            group = self._group
            if group is None:
                self._group = segment
            elif (
                segment.stop + self._pad - max(group.start - self._pad, 0) <= _LONGEST
                and segment.start - group.stop <= _PAUSE
            ):
                self._group = Segment(group.start, segment.stop)
            else:
                # The pause between both is shared out.
                reach = min(self._pad, max(segment.start - group.stop, 0) // 2)
                clips.append(self._clip(group, group.stop + reach))
                self._group = segment
        return clips

    def _clip(self, group: Segment, stop: int | None = None) -> Clip:
        import numpy as np

        start = max(group.start - self._pad, self._held_from)
        stop = min(group.stop + self._pad if stop is None else stop, self._total, start + _LONGEST)
        held = np.concatenate(self._held)
        return Clip(start, held[start - self._held_from : stop - self._held_from].copy())

    def _forget(self) -> None:
        """Let go of samples that no clip can need any more."""
        wanted = [self._total - self._pad - RATE_HZ]
        if self._group is not None:
            wanted.append(self._group.start - self._pad)
        if self._finder.open_since is not None:
            wanted.append(self._finder.open_since - self._pad)
        first = max(min(wanted), 0)
        while self._held and self._held_from + len(self._held[0]) <= first:
            self._held_from += len(self._held.pop(0))
