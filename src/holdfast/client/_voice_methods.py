"""The methods about voices, in both forms of the client."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from holdfast.client._calls import Call
from holdfast.client._voices import (
    Enrollment,
    Identification,
    Speaker,
    SpeakerDetails,
    SpoofVerdict,
    Verification,
    VoiceAudio,
    VoiceCalls,
)

__all__ = ["AsyncVoiceMethods", "VoiceMethods"]

T = TypeVar("T")


class VoiceMethods:
    """Speakers and their voices; recordings in any usual form: a path, bytes, or an open file.

    Samples without a header are wrapped in `Pcm`. ``channel`` chooses the only channel that is
    heard, counted from 0; without it all are, averaged.

    What no service would take (an id that no speaker can have, no recording, half a character) is a
    ``ValueError``, and nothing is sent.
    """

    def _run(self, call: Call[T]) -> T:
        raise NotImplementedError

    def put_speaker(
        self, speaker: str, *, display_name: str = "", tags: Sequence[str] = (), consent: str = ""
    ) -> Speaker:
        """Create a speaker, or replace what is known besides the voice."""
        about = {"display_name": display_name, "tags": list(tags), "consent": consent}
        return self._run(VoiceCalls.put_speaker(speaker, about))

    def speakers(self, *, after: str = "", limit: int = 1000) -> list[Speaker]:
        """Return speakers by id, those after an id, at most 1000 at once."""
        return self._run(VoiceCalls.speakers(after, limit))

    def speaker(self, speaker: str) -> SpeakerDetails:
        """Return a speaker, and what is enrolled."""
        return self._run(VoiceCalls.speaker(speaker))

    def export_speaker(self, speaker: str) -> dict[str, Any]:
        """Return all that is kept of a speaker, vectors too, as `import_speaker` takes it."""
        return self._run(VoiceCalls.export_speaker(speaker))

    def import_speaker(self, exported: Mapping[str, Any]) -> Speaker:
        """Add a speaker that `export_speaker` gave; one that is there already is refused."""
        return self._run(VoiceCalls.import_speaker(exported))

    def erase_speaker(self, speaker: str) -> None:
        """Destroy all that is kept of a speaker."""
        self._run(VoiceCalls.erase_speaker(speaker))

    def enroll(
        self, speaker: str, recordings: Sequence[VoiceAudio], *, channel: int | None = None
    ) -> Enrollment:
        """Add recordings to a speaker; those that are not good enough are refused with reasons."""
        return self._run(VoiceCalls.enroll(speaker, recordings, channel))

    def verify(
        self, recording: VoiceAudio, speaker: str, *, channel: int | None = None
    ) -> Verification:
        """Return whether a voice is a speaker's."""
        return self._run(VoiceCalls.verify(recording, speaker, channel))

    def compare(
        self, first: VoiceAudio, second: VoiceAudio, *, channel: int | None = None
    ) -> Verification:
        """Return whether two recordings are of one voice; nothing is kept."""
        return self._run(VoiceCalls.compare(first, second, channel))

    def identify(
        self, recording: VoiceAudio, top_k: int = 5, *, channel: int | None = None
    ) -> Identification:
        """Return who a voice sounds like, among all that are enrolled."""
        return self._run(VoiceCalls.identify(recording, top_k, channel))

    def detect_spoof(self, recording: VoiceAudio, *, channel: int | None = None) -> SpoofVerdict:
        """Return whether speech is a person's own, where a detector is mounted."""
        return self._run(VoiceCalls.detect_spoof(recording, channel))

    def embed_voice(
        self, recording: VoiceAudio, *, channel: int | None = None
    ) -> list[float] | None:
        """Return the vector of the speech in a recording; None where there is too little."""
        return self._run(VoiceCalls.embed_voice(recording, channel))


class AsyncVoiceMethods:
    """The same as `VoiceMethods`, awaited."""

    async def _run(self, call: Call[T]) -> T:
        raise NotImplementedError

    async def put_speaker(
        self, speaker: str, *, display_name: str = "", tags: Sequence[str] = (), consent: str = ""
    ) -> Speaker:
        """Create a speaker, or replace what is known besides the voice."""
        about = {"display_name": display_name, "tags": list(tags), "consent": consent}
        return await self._run(VoiceCalls.put_speaker(speaker, about))

    async def speakers(self, *, after: str = "", limit: int = 1000) -> list[Speaker]:
        """Return speakers by id, those after an id, at most 1000 at once."""
        return await self._run(VoiceCalls.speakers(after, limit))

    async def speaker(self, speaker: str) -> SpeakerDetails:
        """Return a speaker, and what is enrolled."""
        return await self._run(VoiceCalls.speaker(speaker))

    async def export_speaker(self, speaker: str) -> dict[str, Any]:
        """Return all that is kept of a speaker, vectors too, as `import_speaker` takes it."""
        return await self._run(VoiceCalls.export_speaker(speaker))

    async def import_speaker(self, exported: Mapping[str, Any]) -> Speaker:
        """Add a speaker that `export_speaker` gave; one that is there already is refused."""
        return await self._run(VoiceCalls.import_speaker(exported))

    async def erase_speaker(self, speaker: str) -> None:
        """Destroy all that is kept of a speaker."""
        await self._run(VoiceCalls.erase_speaker(speaker))

    async def enroll(
        self, speaker: str, recordings: Sequence[VoiceAudio], *, channel: int | None = None
    ) -> Enrollment:
        """Add recordings to a speaker; see `VoiceMethods.enroll`."""
        return await self._run(VoiceCalls.enroll(speaker, recordings, channel))

    async def verify(
        self, recording: VoiceAudio, speaker: str, *, channel: int | None = None
    ) -> Verification:
        """Return whether a voice is a speaker's."""
        return await self._run(VoiceCalls.verify(recording, speaker, channel))

    async def compare(
        self, first: VoiceAudio, second: VoiceAudio, *, channel: int | None = None
    ) -> Verification:
        """Return whether two recordings are of one voice; nothing is kept."""
        return await self._run(VoiceCalls.compare(first, second, channel))

    async def identify(
        self, recording: VoiceAudio, top_k: int = 5, *, channel: int | None = None
    ) -> Identification:
        """Return who a voice sounds like, among all that are enrolled."""
        return await self._run(VoiceCalls.identify(recording, top_k, channel))

    async def detect_spoof(
        self, recording: VoiceAudio, *, channel: int | None = None
    ) -> SpoofVerdict:
        """Return whether speech is a person's own, where a detector is mounted."""
        return await self._run(VoiceCalls.detect_spoof(recording, channel))

    async def embed_voice(
        self, recording: VoiceAudio, *, channel: int | None = None
    ) -> list[float] | None:
        """Return the vector of the speech in a recording; None where there is too little."""
        return await self._run(VoiceCalls.embed_voice(recording, channel))
