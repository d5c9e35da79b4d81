"""What is asked of voiceprints, step by step: listen, embed, compare, decide, remember.

Every question is a generator of jobs: whoever carries it out waits for each job in its own way (a
thread, an event loop) and hands its result back in. Between jobs it reads and writes the gallery.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from holdfast.runtime import Batch, Job, Supervisor
from holdfast.voiceprint._answers import Candidate, Enrolment, Identification, Verification
from holdfast.voiceprint._decide import Decision, Scale, SpoofVerdict, decide
from holdfast.voiceprint._quality import Gates, Quality, Refusal, refusals, split_similarity
from holdfast.voiceprint._voice import Embedded, embed_speech

if TYPE_CHECKING:
    from holdfast.media import AudioSource, Waveform
    from holdfast.voiceprint.gallery import Gallery

__all__ = [
    "NOT_EVALUATED",
    "Examined",
    "Heard",
    "Limits",
    "Steps",
    "Voiceprint",
    "alike",
    "carry_out",
]

T = TypeVar("T")
Steps: TypeAlias = Generator[Job[Any], Any, T]
NOT_EVALUATED = SpoofVerdict("not_evaluated")


@dataclass(frozen=True, slots=True)
class Heard:
    """What voice activity detection left of a recording, and its quality."""

    speech: Waveform
    quality: Quality


Hear: TypeAlias = "Callable[[AudioSource], Job[Heard]]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What is asked of recordings.

    Attributes:
        enrol: of each utterance that is enrolled.
        verify: of a recording that is compared.
        enrol_speech_s: net speech that a speaker should have in all.
    """

    enrol: Gates = Gates(min_speech_s=3.0)
    verify: Gates = Gates(min_speech_s=2.0)
    enrol_speech_s: float = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """One recording, embedded. ``vector`` is None where there was too little to embed."""

    vector: Any
    quality: Quality
    model: str
    scale: Scale


class Voiceprint:
    """Enrols, verifies and identifies with the models that a supervisor has loaded.

    Args:
        supervisor: has the speaker model.
        model: its id.
        hear: has the speech in a recording found.
        gallery: opens the enrolled voices; called for every question, and raises where it cannot.
        limits: what is asked of recordings.
        scale: replaces the model's own scale where it belongs to the same model.
    """

    def __init__(
        self,
        supervisor: Supervisor,
        model: str,
        hear: Hear,
        gallery: Callable[[], Gallery],
        limits: Limits | None = None,
        scale: Callable[[], Scale | None] = lambda: None,
    ) -> None:
        self._supervisor = supervisor
        self.model = model
        self._hear = hear
        self._gallery = gallery
        self._limits = limits or Limits()
        self._scale = scale

    @property
    def gallery(self) -> Gallery:
        """The enrolled voices.

        Raises:
            HoldfastError: they cannot be opened.
        """
        return self._gallery()

    def examine(self, source: AudioSource) -> Steps[Examined]:
        """Embed the speech in a recording.

        Raises:
            MediaError: the recording cannot be used.
        """
        heard: Heard = yield self._hear(source)
        embedded: Embedded = yield self._supervisor.submit(
            self.model, Batch(embed_speech), heard.speech
        )
        quality = heard.quality
        if embedded.windows is not None:
            quality = replace(quality, same_voice=split_similarity(embedded.windows))
        own = self._scale()
        fits = own is not None and own.model == embedded.scale.model
        scale = own if own is not None and fits else embedded.scale
        return Examined(
            vector=embedded.vector, quality=quality, model=embedded.scale.model, scale=scale
        )

    def enrol(self, speaker: str, sources: Sequence[AudioSource], by: str = "") -> Steps[Enrolment]:
        """Add the recordings that are good enough to a speaker, all of these at once.

        Raises:
            UnknownSpeaker: there is no such speaker.
            MediaError: a recording cannot be used; nothing is enrolled.
        """
        from holdfast.voiceprint.gallery import Utterance

        gallery = self.gallery
        gallery.profile(speaker)
        told: list[tuple[Quality, Sequence[Refusal]]] = []
        good = []
        model = ""
        for source in sources:
            found = yield from self.examine(source)
            model = found.model
            wrong = refusals(found.quality, self._gates(self._limits.enrol, found.scale))
            told.append((found.quality, wrong))
            if not wrong:
                facts = found.quality.to_dict()
                seconds = found.quality.speech_s
                good.append(
                    Utterance(vector=found.vector, model=model, speech_s=seconds, facts=facts)
                )
        if good:
            gallery.enrol(speaker, good, by)
        template = gallery.template(speaker, model)
        seconds = template.speech_s if template is not None else 0.0
        return Enrolment(
            speaker_id=speaker,
            utterances=told,
            accepted=len(good),
            speech_s=seconds,
            needed_s=max(self._limits.enrol_speech_s - seconds, 0.0),
        )

    def verify(self, speaker: str, source: AudioSource, by: str = "") -> Steps[Verification]:
        """Decide whether a voice is a speaker's; the decision is noted in the audit log.

        Raises:
            UnknownSpeaker: there is no such speaker.
            MediaError: the recording cannot be used.
        """
        gallery = self.gallery
        gallery.profile(speaker)
        found = yield from self.examine(source)
        template = gallery.template(speaker, found.model)
        if template is None:
            decision = Decision(outcome="not_enrolled", reasons=(self._why_none(speaker),))
        else:
            decision = self._decided(found, template.centroid)
        gallery.note("verify", speaker, by, decision=decision.outcome, model=found.model)
        return self._verification(decision, found)

    def compare(self, first: AudioSource, second: AudioSource) -> Steps[Verification]:
        """Decide whether two recordings are of one voice; nothing is kept.

        Raises:
            MediaError: a recording cannot be used.
        """
        one = yield from self.examine(first)
        other = yield from self.examine(second)
        gates = self._gates(self._limits.verify, one.scale)
        wrong = refusals(one.quality, gates)
        if one.vector is None:
            return self._verification(Decision(outcome="inconclusive", reasons=tuple(wrong)), other)
        decision = self._decided(other, one.vector, wrong)
        return self._verification(decision, other)

    def identify(self, source: AudioSource, most: int, by: str = "") -> Steps[Identification]:
        """Return who a voice sounds like, among all that are enrolled.

        Raises:
            MediaError: the recording cannot be used.
        """
        gallery = self.gallery
        found = yield from self.examine(source)
        wrong = refusals(found.quality, self._gates(self._limits.verify, found.scale))
        candidates: list[Candidate] = []
        if found.vector is not None and not wrong:
            probe, threshold = _unit(found.vector), found.scale.accept_at
            for speaker, score in gallery.search(found.model, probe, most, threshold):
                name = gallery.profile(speaker).display_name
                llr = found.scale.llr(score)
                candidates.append(
                    Candidate(speaker_id=speaker, display_name=name, score=score, llr=llr)
                )
        best = candidates[0].speaker_id if candidates else ""
        gallery.note("identify", best, by, candidates=len(candidates), model=found.model)
        return Identification(
            candidates=candidates,
            quality=found.quality,
            reasons=wrong,
            spoof=NOT_EVALUATED,
            scale=found.scale,
        )

    def _decided(self, found: Examined, centroid: Any, also: Sequence[Refusal] = ()) -> Decision:
        wrong = [*also, *refusals(found.quality, self._gates(self._limits.verify, found.scale))]
        if found.vector is None:
            return Decision(outcome="inconclusive", reasons=tuple(wrong))
        score = alike(centroid, found.vector)
        return decide(score, found.scale, wrong, NOT_EVALUATED)

    @staticmethod
    def _verification(decision: Decision, found: Examined) -> Verification:
        return Verification(
            decision=decision, quality=found.quality, spoof=NOT_EVALUATED, scale=found.scale
        )

    def _why_none(self, speaker: str) -> Refusal:
        others = {each.model for each in self.gallery.utterances(speaker)}
        if others:
            return Refusal(
                "other-model",
                f"{speaker} was enrolled with another model, and must be enrolled again with this "
                "one",
            )
        return Refusal("not-enrolled", f"nothing of {speaker}'s voice is enrolled")

    @staticmethod
    def _gates(gates: Gates, scale: Scale) -> Gates:
        return replace(gates, min_same_voice=scale.min_same_voice)


def alike(first: Any, second: Any) -> float:
    """Return the cosine between two embeddings, shape (dimension,) each; -1 to 1."""
    return float(_unit(first) @ _unit(second))


def _unit(vector: Any) -> Any:
    import numpy as np

    length = float(np.linalg.norm(vector))
    return (vector / length).astype(np.float32) if length else vector


def carry_out(steps: Steps[T]) -> T:
    """Wait for every job in this thread; return the answer."""
    result: Any = None
    while True:
        try:
            job = steps.send(result)
        except StopIteration as end:
            answer: T = end.value
            return answer
        try:
            result = job.result()
        except BaseException:
            steps.close()
            raise
