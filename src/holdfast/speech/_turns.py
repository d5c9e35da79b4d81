"""What was read in turns: who says which part of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from holdfast.runtime import Steps
from holdfast.speech._segments import RATE_HZ
from holdfast.speech._transcript import Passage, Word, runs_of

if TYPE_CHECKING:
    from holdfast.media import Waveform
    from holdfast.speech._clips import Clip

__all__ = ["UNKNOWN_SPEAKER", "Turn", "VoiceNaming", "turns_of"]

UNKNOWN_SPEAKER = "unknown"
# Between two people there is as good as always such a pause; within a sentence rarely.
_PAUSE_S = 0.3
# Of less speech a voice is not known.
_LEAST_S = 1.0


class VoiceNaming(Protocol):
    """What knows voices, for one recording."""

    def hear(self, speech: Waveform) -> Steps[Any]:
        """Return the voice in a stretch of speech; None where there is too little of it."""

    def same(self, first: Any, second: Any) -> bool:
        """Return whether two stretches are of one voice."""

    def joined(self, first: Any, second: Any, share: float) -> Any:
        """Return one voice of two stretches; ``share`` of the whole is the first's."""

    def name(self, voice: Any) -> str:
        """Return whose voice it is; ``unknown`` where nobody's whom it knows."""


class Turn(NamedTuple):
    """Somebody says something: seconds from the clip's beginning are the passage's."""

    passage: Passage
    speaker: str


@dataclass(slots=True)
class _Group:
    """Neighbouring fragments that one voice says, and the voice, where it is known."""

    fragments: list[Passage]
    voice: Any
    seconds: float

    @property
    def end_s(self) -> float:
        return self.fragments[-1].end_s


def turns_of(voices: VoiceNaming, clip: Clip, passages: Sequence[Passage]) -> Steps[list[Turn]]:
    """Divide what was read of a clip where somebody else begins to speak.

    It is cut at pauses between its words. Neighbours that sound alike are put together again before
    anybody is named: of more speech a voice is known better.

    Args:
        voices: what knows voices.
        clip: the sound.
        passages: what was read of it, with words.
    """
    fragments = [part for passage in passages for part in _fragments(passage)]
    groups: list[_Group] = []
    for number, fragment in enumerate(fragments):
        seconds = fragment.end_s - fragment.start_s
        voice = None
        if seconds >= _LEAST_S:
            voice = yield from voices.hear(_sound(clip, fragment))
        last = groups[-1] if groups else None
        if last is not None and _belongs(voices, last, fragment, voice, fragments[number + 1 :]):
            _add(voices, last, fragment, voice)
        else:
            groups.append(_Group([fragment], voice, seconds if voice is not None else 0.0))
    turns: list[Turn] = []
    for group in groups:
        name = UNKNOWN_SPEAKER if group.voice is None else voices.name(group.voice)
        whole = _whole(group.fragments)
        if turns and name == turns[-1].speaker != UNKNOWN_SPEAKER:
            turns[-1] = Turn(_whole([turns[-1].passage, whole]), name)
        else:
            turns.append(Turn(whole, name))
    return turns


def _belongs(
    voices: VoiceNaming, group: _Group, fragment: Passage, voice: Any, rest: Sequence[Passage]
) -> bool:
    """Return whether a fragment is said by who spoke before it."""
    if voice is not None:
        return group.voice is None or voices.same(group.voice, voice)
    # Too short to be known: it belongs to whoever is nearer.
    after_s = rest[0].start_s - fragment.end_s if rest else float("inf")
    return fragment.start_s - group.end_s <= after_s


def _add(voices: VoiceNaming, group: _Group, fragment: Passage, voice: Any) -> None:
    group.fragments.append(fragment)
    if voice is None:
        return
    seconds = fragment.end_s - fragment.start_s
    if group.voice is None:
        group.voice = voice
    else:
        share = group.seconds / (group.seconds + seconds)
        group.voice = voices.joined(group.voice, voice, share)
    group.seconds += seconds


def _fragments(passage: Passage) -> list[Passage]:
    """Cut a passage at the pauses between its words."""
    runs = runs_of(passage.words, _PAUSE_S)
    if len(runs) < 2:
        return [passage]
    texts = _texts(passage.text, runs)
    return [
        replace(
            passage, start_s=run[0].start_s, end_s=run[-1].end_s, text=text, tokens=(),
            words=tuple(run),
        )
        for run, text in zip(runs, texts, strict=True)
    ]  # fmt: skip


def _texts(text: str, runs: Sequence[Sequence[Word]]) -> list[str]:
    """Return what each run of words says, as the text has it: not every language has spaces."""
    found, at = [], 0
    for run in runs:
        start = at
        for number, word in enumerate(run):
            place = text.find(word.text, at)
            if place < 0:
                return [" ".join(each.text for each in of_run) for of_run in runs]
            start = place if number == 0 else start
            at = place + len(word.text)
        found.append(text[start:at])
    return found


def _whole(fragments: Sequence[Passage]) -> Passage:
    if len(fragments) == 1:
        return fragments[0]
    return replace(
        fragments[0],
        end_s=fragments[-1].end_s,
        text=" ".join(each.text for each in fragments),
        tokens=tuple(token for each in fragments for token in each.tokens),
        words=tuple(word for each in fragments for word in each.words),
    )


def _sound(clip: Clip, fragment: Passage) -> Waveform:
    start, stop = round(fragment.start_s * RATE_HZ), round(fragment.end_s * RATE_HZ)
    return clip.waveform[max(start, 0) : stop]
