"""Enrolling a speaker again, with another model, from recordings that were kept."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING

from holdfast.runtime import Steps
from holdfast.voiceprint._examine import Examiner
from holdfast.voiceprint._quality import Refusal

if TYPE_CHECKING:
    from holdfast.voiceprint.gallery import Gallery

__all__ = ["enrolled_again"]


def enrolled_again(
    gallery: Gallery, examiner: Examiner, speaker: str, by: str
) -> Steps[tuple[int, list[Refusal]]]:
    """Embed what is kept of a speaker, and add what this model had not embedded before.

    Returns:
        how many utterances were added; why others could not be made.

    Raises:
        UnknownSpeaker: there is no such speaker.
        TemplateTampered: what is kept does not open.
    """
    from holdfast.media import MediaError, read_audio
    from holdfast.voiceprint.gallery import Utterance

    known = {each.id: each for each in gallery.utterances(speaker)}
    made, wrong = list[Utterance](), list[Refusal]()
    for utterance, audio in gallery.audio(speaker):
        try:
            speech = read_audio(BytesIO(audio))
        except MediaError as error:
            wrong.append(Refusal(error.code, str(error)))
            continue
        embedded = yield from examiner.embed(speech)
        model, old = embedded.scale.model, known[utterance]
        done = any(
            each.model == model and utterance in {each.id, each.facts.get("of")}
            for each in known.values()
        )
        if embedded.vector is not None and not done:
            facts = {**old.facts, "of": utterance}
            vector, seconds = embedded.vector, old.speech_s
            made.append(Utterance(vector=vector, model=model, speech_s=seconds, facts=facts))
    if made:
        gallery.enrol(speaker, made, by)
    return len(made), wrong
