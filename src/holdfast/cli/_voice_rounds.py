"""The rounds about voices of `holdfast check` and `holdfast test`."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable

from holdfast.cli._answers import Wrong
from holdfast.client import AsyncClient, Client
from holdfast.voiceprint import SampleVoices

__all__ = ["VoiceRounds", "voices_asynchronously"]


class VoiceRounds:
    """Enrols a voice under a name that nobody has, asks about it, and erases it again.

    Args:
        client: asks the service.
        voices: recordings of two voices.
    """

    def __init__(self, client: Client, voices: SampleVoices) -> None:
        self._client = client
        self._voices = voices
        self._speaker = _nobody()

    def all(self) -> list[tuple[str, Callable[[], str]]]:
        """Return each round's name and what it does; the last one cleans up."""
        return [
            ("voiceprint: enrollment", self._enroll),
            ("voiceprint: verification", self._verify),
            ("voiceprint: identification", self._identify),
            ("voiceprint: two recordings", self._compare),
            ("voiceprint: anti-spoofing", self._spoof),
            ("voiceprint: one's own data", self._own_data),
            ("voiceprint: erasure", self._erase),
        ]

    def _enroll(self) -> str:
        self._client.put_speaker(self._speaker, display_name="a check of the service")
        found = self._client.enroll(self._speaker, [self._voices.first])
        if not found.accepted:
            raise Wrong("; ".join(each.message for each in found.reasons[0]))
        return f"{found.speech_s:.1f} s of speech, {found.needed_s:.1f} s more are advised"

    def _verify(self) -> str:
        own = self._client.verify(self._voices.second, self._speaker)
        other = self._client.verify(self._voices.other, self._speaker)
        if own.score is None or other.score is None or own.score <= other.score:
            raise Wrong(f"the same voice scores {own.score}, another one {other.score}")
        return (
            f"the same voice: {own.decision} ({own.score:.2f}), another: {other.decision} "
            f"({other.score:.2f})"
        )

    def _identify(self) -> str:
        found = self._client.identify(self._voices.first)
        if self._speaker not in {each.speaker_id for each in found.candidates}:
            raise Wrong("the voice that was enrolled is not found")
        return f"found, with a score of {found.candidates[0].score:.2f}"

    def _compare(self) -> str:
        found = self._client.compare(self._voices.first, self._voices.other)
        numbers = self._client.embed_voice(self._voices.first)
        if found.decision == "accept" or not numbers:
            raise Wrong("two people are taken for one, or there is no embedding")
        return f"different voices: {found.decision}; an embedding has {len(numbers)} numbers"

    def _spoof(self) -> str:
        found = self._client.detect_spoof(self._voices.first)
        if found.decision == "not_evaluated":
            return "not evaluated: no detector is mounted, which is no fault"
        return f"{found.decision} by {found.model}"

    def _own_data(self) -> str:
        exported = self._client.export_speaker(self._speaker)
        self._client.erase_speaker(self._speaker)
        self._client.import_speaker(exported)
        found = self._client.speaker(self._speaker)
        if len(found.utterances) != len(exported["utterances"]):
            raise Wrong("what comes back is not what left")
        return f"{len(found.utterances)} utterance(s) exported, erased and imported again"

    def _erase(self) -> str:
        self._client.erase_speaker(self._speaker)
        listed = self._client.speakers(after=self._speaker[:-1], limit=10)
        if self._speaker in {each.id for each in listed}:
            raise Wrong("an erased speaker is still listed")
        return "the speaker of this check is gone"


async def voices_asynchronously(client: AsyncClient, voices: SampleVoices) -> str:
    """Do the same with the asynchronous client; return what came of it."""
    speaker = _nobody()
    await client.put_speaker(speaker)
    try:
        await client.enroll(speaker, [voices.first])
        own, both, named, spoof, numbers, listed = await asyncio.gather(
            client.verify(voices.second, speaker),
            client.compare(voices.first, voices.other),
            client.identify(voices.first),
            client.detect_spoof(voices.first),
            client.embed_voice(voices.first),
            client.speakers(after=speaker[:-1], limit=10),
        )
        exported = await client.export_speaker(speaker)
        await client.erase_speaker(speaker)
        await client.import_speaker(exported)
        kept = (await client.speaker(speaker)).utterances
    finally:
        await client.erase_speaker(speaker)
    there = speaker in {each.id for each in listed}
    if both.decision == "accept" or not numbers or not there or len(kept) != 1:
        raise Wrong("what the asynchronous client is told is not what the other one is")
    del named, spoof
    return f"the same voice: {own.decision}"


def _nobody() -> str:
    return f"holdfast-check-{uuid.uuid4().hex[:12]}"
