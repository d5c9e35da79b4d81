"""What is found out about one recording: its speech, its embedding, and whether it is a spoof.

As everything here, a generator of jobs: see `holdfast.runtime.Steps`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeAlias

from holdfast.runtime import Batch, Job, Steps, Supervisor
from holdfast.voiceprint._decide import Scale, SpoofVerdict
from holdfast.voiceprint._quality import Quality, split_similarity
from holdfast.voiceprint._spoof import Judged, judge_speech, verdict
from holdfast.voiceprint._voice import Embedded, embed_speech

if TYPE_CHECKING:
    from holdfast.media import AudioSource, Waveform

__all__ = ["NOT_EVALUATED", "Detection", "Examined", "Examiner", "Hear", "Heard"]

NOT_EVALUATED = SpoofVerdict("not_evaluated", reason="no detector is mounted")


@dataclass(frozen=True, slots=True)
class Heard:
    """What voice activity detection found in a recording.

    Attributes:
        speech: float32, shape (samples,), mono, 16 kHz: the speech alone.
        natural: the same with its pauses, as detectors of spoofing were trained on.
        quality: of the recording.
    """

    speech: Waveform
    natural: Waveform
    quality: Quality


Hear: TypeAlias = "Callable[[AudioSource], Job[Heard]]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """One recording, embedded.

    Attributes:
        speech: float32, shape (samples,), mono, 16 kHz.
        vector: shape (dimension,); None where there was too little to embed.
        quality: of the recording.
        model: fingerprint of the model that embedded it.
        revision: commit of the repository that the model came from.
        scale: how its scores are read.
        spoof: what a detector says, where one was asked.
    """

    speech: Waveform
    vector: Any
    quality: Quality
    model: str
    revision: str
    scale: Scale
    spoof: SpoofVerdict = NOT_EVALUATED


@dataclass(frozen=True, slots=True, kw_only=True)
class Detection:
    """A detector of spoofing that is mounted.

    Attributes:
        model: its id at the supervisor.
        threshold: log-odds below which speech is taken for an attack.
    """

    model: str
    threshold: float = 0.0


class Examiner:
    """Asks the models about recordings.

    Args:
        supervisor: has the models.
        model: id of the speaker model.
        hear: has the speech in a recording found.
        scale: replaces the model's own scale where it belongs to the same model.
        detection: the detector of spoofing, where there is one.
    """

    def __init__(
        self,
        supervisor: Supervisor,
        model: str,
        hear: Hear,
        scale: Callable[[], Scale | None],
        detection: Detection | None,
    ) -> None:
        self._supervisor = supervisor
        self._model = model
        self._hear = hear
        self._scale = scale
        self._detection = detection

    def examine(self, source: AudioSource, *, judge: bool) -> Steps[Examined]:
        """Embed the speech in a recording, and have it judged meanwhile.

        Args:
            source: the recording.
            judge: whether it is to be decided upon: the detector is asked as well, where one is
                mounted, and a scale that was fitted here is used.

        Raises:
            MediaError: the recording cannot be used.
        """
        heard: Heard = yield self._hear(source)
        judging = self._judging(heard) if judge else None
        try:
            embedded: Embedded = yield self._supervisor.submit(
                self._model, Batch(embed_speech), heard.speech
            )
            judged: Judged | None = None if judging is None else (yield judging)
        except BaseException:
            if judging is not None:
                judging.call_off()
            raise
        quality = heard.quality
        if embedded.windows is not None:
            quality = replace(quality, same_voice=split_similarity(embedded.windows))
        return Examined(
            speech=heard.speech,
            vector=embedded.vector,
            quality=quality,
            model=embedded.scale.model,
            revision=self._supervisor.status(self._model).revision,
            # Where nothing is decided, what is kept of voices need not be there.
            scale=self.scale_of(embedded) if judge else embedded.scale,
            spoof=self._verdict(judged),
        )

    def embed(self, speech: Waveform) -> Steps[Embedded]:
        """Embed speech that was heard before.

        Args:
            speech: float32, shape (samples,), mono, 16 kHz.
        """
        embedded: Embedded = yield self._supervisor.submit(self._model, Batch(embed_speech), speech)
        return embedded

    def scale_of(self, embedded: Embedded) -> Scale:
        """Return how scores are read: as was fitted here, or as the model says."""
        own = self._scale()
        return own if own is not None and own.model == embedded.scale.model else embedded.scale

    def judge(self, source: AudioSource) -> Steps[SpoofVerdict]:
        """Say whether the speech in a recording is a person's own.

        Raises:
            MediaError: the recording cannot be used.
        """
        if self._detection is None:
            return NOT_EVALUATED
        heard: Heard = yield self._hear(source)
        judging = self._judging(heard)
        return self._verdict(None if judging is None else (yield judging))

    def _judging(self, heard: Heard) -> Job[Judged] | None:
        if self._detection is None:
            return None
        return self._supervisor.submit(self._detection.model, Batch(judge_speech), heard.natural)

    def _verdict(self, judged: Judged | None) -> SpoofVerdict:
        if judged is None or self._detection is None:
            return NOT_EVALUATED
        return verdict(judged, self._detection.threshold)
