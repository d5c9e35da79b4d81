"""Naming the voices of one recording, for a transcript that says who speaks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from holdfast.runtime import Steps
from holdfast.voiceprint._decide import Scale
from holdfast.voiceprint._examine import Examiner
from holdfast.voiceprint._scores import Scores, unit

if TYPE_CHECKING:
    from holdfast.media import AudioSource, Waveform
    from holdfast.voiceprint.gallery import Gallery

__all__ = ["UNKNOWN", "HeardVoice", "Naming"]

UNKNOWN = "unknown"


class HeardVoice(NamedTuple):
    """A voice: its embedding, shape (dimension,), of length 1, and how scores are read."""

    vector: Any
    scale: Scale


class Naming:
    """Knows the voices that are enrolled, and those that a client sent along.

    Args:
        examiner: embeds.
        scores: compares.
        gallery: the enrolled voices; None where there can be none.
        by: who asks, for the audit log.
    """

    def __init__(
        self, examiner: Examiner, scores: Scores, gallery: Gallery | None, by: str
    ) -> None:
        self._examiner = examiner
        self._scores = scores
        self._gallery = gallery
        self._by = by
        self._known: list[tuple[str, HeardVoice]] = []
        self._noted: set[str] = set()

    def learn(self, name: str, source: AudioSource) -> Steps[bool]:
        """Take a voice along for this recording; return whether there was enough of it.

        Raises:
            MediaError: the sample cannot be used.
        """
        found = yield from self._examiner.examine(source, judge=False)
        voice = yield from self.hear(found.speech)
        if voice is not None:
            self._known.append((name, voice))
        return voice is not None

    def hear(self, speech: Waveform) -> Steps[HeardVoice | None]:
        """Return the voice in a stretch of speech; None where there is too little of it.

        Args:
            speech: float32, shape (samples,), mono, 16 kHz.
        """
        embedded = yield from self._examiner.embed(speech)
        if embedded.vector is None:
            return None
        return HeardVoice(unit(embedded.vector), self._examiner.scale_of(embedded))

    def same(self, first: HeardVoice, second: HeardVoice) -> bool:
        """Return whether two stretches are of one voice."""
        score = self._scores.score(first.scale, first.vector, second.vector)
        return score >= first.scale.accept_at

    def joined(self, first: HeardVoice, second: HeardVoice, share: float) -> HeardVoice:
        """Return one voice of two stretches; ``share`` of the whole is the first's."""
        vector = share * first.vector + (1 - share) * second.vector
        return HeardVoice(unit(vector), first.scale)

    def name(self, voice: HeardVoice) -> str:
        """Return whose voice it is: the name, or the id, of who is enrolled; ``unknown`` for none.

        What the client sent along comes first.
        """
        from holdfast.voiceprint.gallery import TemplateTampered, UnknownSpeaker

        accept_at = voice.scale.accept_at
        scored = [
            (self._scores.score(voice.scale, known.vector, voice.vector), name)
            for name, known in self._known
        ]
        best, name = max(scored, default=(accept_at - 1, UNKNOWN))
        if best >= accept_at:
            return name
        if self._gallery is None:
            return UNKNOWN
        scale = voice.scale
        found = self._scores.ranked(self._gallery, scale.model, scale, voice.vector, 1)
        if not found:
            return UNKNOWN
        speaker = found[0][0]
        self._note(speaker)
        try:
            return self._gallery.profile(speaker).display_name or speaker
        except (TemplateTampered, UnknownSpeaker):
            return UNKNOWN  # erased a moment ago, or damaged: nobody can say who that is

    def _note(self, speaker: str) -> None:
        if speaker not in self._noted and self._gallery is not None:
            self._noted.add(speaker)
            self._gallery.note("name", speaker, self._by)
