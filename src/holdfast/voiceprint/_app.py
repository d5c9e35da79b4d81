"""What is asked of voiceprints, step by step: listen, embed, compare, decide, remember.

Every question is a generator of jobs (`holdfast.runtime.Steps`). Between jobs it reads and writes
the gallery.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from holdfast.errors import NoDataFolder
from holdfast.runtime import Steps, Supervisor
from holdfast.voiceprint._admission import Admission
from holdfast.voiceprint._again import enrolled_again
from holdfast.voiceprint._answers import Candidate, Enrolment, Identification, Verification
from holdfast.voiceprint._cohort import Cohort
from holdfast.voiceprint._decide import Decision, Scale, SpoofVerdict, decide, spoof_refusals
from holdfast.voiceprint._examine import Detection, Examined, Examiner, Hear
from holdfast.voiceprint._naming import Naming
from holdfast.voiceprint._quality import Gates, Quality, Refusal, refusals
from holdfast.voiceprint._scores import Scores, alike

if TYPE_CHECKING:
    from holdfast.media import AudioSource
    from holdfast.voiceprint.gallery import Gallery, Profile, Utterance

__all__ = ["Limits", "Voiceprint"]

# Of a recording that cannot be read.
_UNHEARD = Quality(speech_s=0.0, snr_db=None, clipped=0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What is asked of recordings.

    Attributes:
        enrol: of each utterance that is enrolled.
        verify: of a recording that is compared.
        enrol_speech_s: net speech that a speaker should have in all.
        keep_audio: whether the speech that is enrolled is kept, for another model.
    """

    enrol: Gates = Gates(min_speech_s=3.0)
    verify: Gates = Gates(min_speech_s=2.0)
    enrol_speech_s: float = 20.0
    keep_audio: bool = False


class Voiceprint:
    """Enrols, verifies and identifies with the models that a supervisor has loaded.

    Args:
        supervisor: has the models.
        model: id of the speaker model.
        hear: has the speech in a recording found.
        gallery: opens the enrolled voices; called for every question, and raises where it cannot.
        limits: what is asked of recordings.
        scale: replaces the model's own scale where it belongs to the same model.
        cohort: opens the voices that a scale normalises scores with.
        detection: the detector of spoofing, where one is mounted.
    """

    def __init__(
        self,
        supervisor: Supervisor,
        model: str,
        hear: Hear,
        gallery: Callable[[], Gallery],
        limits: Limits | None = None,
        scale: Callable[[], Scale | None] = lambda: None,
        cohort: Callable[[], Cohort | None] = lambda: None,
        detection: Detection | None = None,
    ) -> None:
        self.model = model
        self.detector = None if detection is None else detection.model
        self._examiner = Examiner(supervisor, model, hear, scale, detection)
        self._gallery = gallery
        self._limits = limits or Limits()
        self.scores = Scores(cohort)

    @property
    def gallery(self) -> Gallery:
        """The enrolled voices.

        Raises:
            HoldfastError: they cannot be opened.
        """
        return self._gallery()

    def examine(self, source: AudioSource, *, judge: bool = False) -> Steps[Examined]:
        """Embed the speech in a recording.

        Args:
            source: the recording.
            judge: whether a detector that is mounted is asked about it, too.

        Raises:
            MediaError: the recording cannot be used.
        """
        return self._examiner.examine(source, judge=judge)

    def detect(self, source: AudioSource) -> Steps[SpoofVerdict]:
        """Say whether the speech in a recording is a person's own.

        Raises:
            MediaError: the recording cannot be used.
        """
        return self._examiner.judge(source)

    def naming(self, by: str = "") -> Naming:
        """Return what names the voices of one recording; ``by`` asks, for the audit log.

        Raises:
            HoldfastError: the enrolled voices cannot be opened.
        """
        try:
            gallery = self.gallery
        except NoDataFolder:
            return Naming(self._examiner, self.scores, None, by)  # nobody can have been enrolled
        return Naming(self._examiner, self.scores, gallery, by)

    def enrol(
        self,
        speaker: str,
        sources: Sequence[AudioSource],
        by: str = "",
        new: Profile | None = None,
    ) -> Steps[Enrolment]:
        """Add the recordings that are good enough to a speaker, all of these at once.

        Args:
            speaker: the id.
            sources: the recordings.
            by: who asks, for the audit log.
            new: makes the speaker, if there is none yet, once a recording was good enough.

        Raises:
            UnknownSpeaker: there is no such speaker.
            SpeakerInvalid: ``new`` cannot be taken.
        """
        import numpy as np

        from holdfast.voiceprint.gallery import check_profile

        gallery = self.gallery
        if new is None:
            gallery.profile(speaker)
        else:
            check_profile(new)
        told: list[tuple[Quality, Sequence[Refusal]]] = []
        good = []
        model, admission = "", None
        for source in sources:
            found, wrong = yield from self._heard(source)
            if found is None:
                told.append((_UNHEARD, wrong))
                continue
            model = found.model
            if not wrong:
                admission = admission or self._admission(speaker, model)
                wrong = admission.wrong(found.vector, found.scale)
            told.append((found.quality, wrong))
            if not wrong:
                good.append(self._utterance(found))
        if good:
            if new is not None and not gallery.has(speaker):
                gallery.put(new, by)
            gallery.enrol(speaker, good, by)
        if not model:  # there was nothing to examine, and the model says which it is
            model = (yield from self._examiner.embed(np.zeros(0, np.float32))).scale.model
        template = gallery.template(speaker, model) if gallery.has(speaker) else None
        seconds = template.speech_s if template is not None else 0.0
        return Enrolment(
            speaker_id=speaker,
            utterances=told,
            accepted=len(good),
            speech_s=seconds,
            needed_s=max(self._limits.enrol_speech_s - seconds, 0.0),
        )

    def _heard(self, source: AudioSource) -> Steps[tuple[Examined | None, list[Refusal]]]:
        """Examine a recording; without one that can be read, say what is wrong with it."""
        from holdfast.media import MediaError

        try:
            found = yield from self._examiner.examine(source, judge=True)
        except MediaError as error:
            return None, [Refusal(error.code, str(error))]
        return found, self._wrong(found, self._limits.enrol)

    def _admission(self, speaker: str, model: str) -> Admission:
        known = self.gallery.utterances(speaker) if self.gallery.has(speaker) else []
        vectors = [each.vector for each in known if each.model == model]
        return Admission(vectors, alike, self.scores.score)

    def _utterance(self, found: Examined) -> Utterance:
        from holdfast.media import flac_bytes
        from holdfast.voiceprint.gallery import Utterance

        return Utterance(
            vector=found.vector,
            model=found.model,
            speech_s=found.quality.speech_s,
            facts=found.quality.to_dict(),
            audio=flac_bytes(found.speech) if self._limits.keep_audio else b"",
        )

    def re_enrol(self, speaker: str, by: str = "") -> Steps[tuple[int, list[Refusal]]]:
        """Enrol a speaker with this model from recordings that were kept.

        Returns:
            how many utterances there are now that were not before; why others could not be made.

        Raises:
            UnknownSpeaker: there is no such speaker.
        """
        return enrolled_again(self.gallery, self._examiner, speaker, by)

    def verify(self, speaker: str, source: AudioSource, by: str = "") -> Steps[Verification]:
        """Decide whether a voice is a speaker's; the decision is noted in the audit log.

        Raises:
            UnknownSpeaker: there is no such speaker.
            TemplateTampered: what is kept of the speaker is damaged.
            MediaError: the recording cannot be used.
        """
        gallery = self.gallery
        gallery.profile(speaker)
        found = yield from self._examiner.examine(source, judge=True)
        length = None if found.vector is None else len(found.vector)
        template = gallery.template(speaker, found.model, length)
        if template is None:
            decision = Decision(outcome="not_enrolled", reasons=(self._why_none(speaker),))
        else:
            decision = self._decided(found, template.centroid)
        gallery.note(
            "verify", speaker, by,
            decision=decision.outcome, model=found.model, spoof=found.spoof.decision,
        )  # fmt: skip
        return self._verification(decision, found)

    def compare(self, first: AudioSource, second: AudioSource) -> Steps[Verification]:
        """Decide whether two recordings are of one voice; nothing is kept.

        Raises:
            MediaError: a recording cannot be used.
        """
        one = yield from self._examiner.examine(first, judge=True)
        other = yield from self._examiner.examine(second, judge=True)
        if one.spoof.decision == "spoof" and other.spoof.decision != "spoof":
            one, other = other, one  # the answer tells of one, and this is the one to tell of
        wrong = self._wrong(one, self._limits.verify)
        if one.vector is None:
            return self._verification(Decision(outcome="inconclusive", reasons=tuple(wrong)), other)
        decision = self._decided(other, one.vector, wrong)
        return self._verification(decision, other)

    def identify(self, source: AudioSource, most: int, by: str = "") -> Steps[Identification]:
        """Return who a voice sounds like, among all that are enrolled.

        Raises:
            MediaError: the recording cannot be used.
        """
        from holdfast.voiceprint.gallery import TemplateTampered, UnknownSpeaker

        gallery = self.gallery
        found = yield from self._examiner.examine(source, judge=True)
        wrong = self._wrong(found, self._limits.verify)
        candidates: list[Candidate] = []
        if found.vector is not None and not wrong:
            for speaker, score in self.scores.ranked(
                gallery, found.model, found.scale, found.vector, most
            ):
                try:
                    name = gallery.profile(speaker).display_name
                except (TemplateTampered, UnknownSpeaker):
                    continue  # erased a moment ago, or damaged: nobody can say who that is
                llr = found.scale.llr(score)
                candidates.append(
                    Candidate(speaker_id=speaker, display_name=name, score=score, llr=llr)
                )
        best = candidates[0].speaker_id if candidates else ""
        gallery.note(
            "identify", best, by,
            candidates=len(candidates), model=found.model, spoof=found.spoof.decision,
        )  # fmt: skip
        return Identification(
            candidates=candidates,
            quality=found.quality,
            reasons=wrong,
            spoof=found.spoof,
            scale=found.scale,
            revision=found.revision,
        )

    def _decided(self, found: Examined, centroid: Any, also: Sequence[Refusal] = ()) -> Decision:
        wrong = [*also, *refusals(found.quality, self._gates(self._limits.verify, found.scale))]
        if found.vector is None:
            told = [*spoof_refusals(found.spoof), *wrong]
            return Decision(outcome="inconclusive", reasons=tuple(told))
        score = self.scores.score(found.scale, centroid, found.vector)
        return decide(score, found.scale, wrong, found.spoof)

    def _wrong(self, found: Examined, gates: Gates) -> list[Refusal]:
        wrong = refusals(found.quality, self._gates(gates, found.scale))
        return [*spoof_refusals(found.spoof), *wrong]

    @staticmethod
    def _verification(decision: Decision, found: Examined) -> Verification:
        return Verification(
            decision=decision,
            quality=found.quality,
            spoof=found.spoof,
            scale=found.scale,
            revision=found.revision,
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
