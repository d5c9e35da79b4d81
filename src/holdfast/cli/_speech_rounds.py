"""The rounds about speech of `holdfast check` and `holdfast test`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from holdfast.cli._answers import Wrong
from holdfast.client import AsyncClient, Client, Model, ServiceError

__all__ = ["SpeechRounds", "speech_asynchronously"]

_TEXT = "Good morning. This was said to find out whether anybody can hear it."
_READER, _VOICE = "automatic-speech-recognition", "text-to-speech"


class SpeechRounds:
    """Speaks, hears what it has said, and reads a recording, in every form.

    Args:
        client: asks the service.
        models: that the service has.
        recording: somebody speaking.
    """

    def __init__(self, client: Client, models: Sequence[Model], recording: Path) -> None:
        self._client = client
        self._models = {model.task: model for model in models}
        self._recording = recording

    def all(self) -> list[tuple[str, Callable[[], str]]]:
        """Return each round's name and what it does; none about models that are not mounted."""
        rounds: list[tuple[str, Callable[[], str]]] = []
        if _VOICE in self._models:
            rounds += [("speech: text to speech", self._speak), ("speech: as it comes", self._flow)]
        if _READER in self._models:
            rounds += [
                ("speech: speech to text", self._read),
                ("speech: subtitles", self._subtitles),
                ("speech: read as it comes", self._read_flow),
                ("speech: who speaks", self._speakers),
                ("speech: translation", self._translate),
            ]
        return rounds

    def _speak(self) -> str:
        sound = self._client.speak(_TEXT)
        heard = self._client.find_speech(sound)
        if not heard:
            raise Wrong("nobody is heard in what was spoken")
        seconds = sum(one.stop_ms - one.start_ms for one in heard) / 1000
        voices = len(self._models[_VOICE].raw.get("about", {}).get("voices", []))
        return f"{seconds:.1f} s of speech in {len(sound)} bytes of WAV; {voices} voice(s)"

    def _flow(self) -> str:
        pieces = [len(piece) for piece in self._client.speak_stream(_TEXT, response_format="mp3")]
        if sum(pieces) < 1000:
            raise Wrong(f"there are {sum(pieces)} bytes")
        return f"{sum(pieces)} bytes of MP3 in {len(pieces)} piece(s)"

    def _read(self) -> str:
        found = self._client.transcribe(self._recording, words=True)
        if not found.text:
            raise Wrong(f"nothing was read in {self._recording.name}")
        return f"{found.text!r}, {len(found.words)} word(s) with times"

    def _subtitles(self) -> str:
        srt = self._client.transcribe_text(self._recording, "srt")
        vtt = self._client.transcribe_text(self._recording, "vtt")
        if "-->" not in srt or not vtt.startswith("WEBVTT"):
            raise Wrong(f"these are no subtitles: {srt[:40]!r}, {vtt[:40]!r}")
        return f"{srt.count('-->')} in SubRip, {vtt.count('-->')} in WebVTT"

    def _read_flow(self) -> str:
        pieces = list(self._client.transcribe_stream(self._recording))
        if not pieces or not pieces[-1].text:
            raise Wrong("the whole text did not come")
        return f"{len(pieces)} piece(s)"

    def _speakers(self) -> str:
        found = self._client.transcribe(self._recording, speakers=True)
        names = sorted({segment.speaker or "" for segment in found.segments})
        return f"{len(found.segments)} turn(s), by {', '.join(names)}"

    def _translate(self) -> str:
        able = "translate" in self._models[_READER].raw.get("about", {}).get("tasks", [])
        try:
            found = self._client.translate(self._recording)
        except ServiceError as error:
            if not able and error.service_code == "option-invalid":
                return "this model cannot, and says so"
            raise
        return f"{found.text!r}"


async def speech_asynchronously(
    client: AsyncClient, models: Sequence[Model], recording: Path
) -> str:
    """Speak and read once more, awaited."""
    tasks = {model.task for model in models}
    told = []
    if _VOICE in tasks:
        told.append(f"{len(await client.speak(_TEXT))} bytes spoken")
    if _READER in tasks:
        told.append(f"{len((await client.transcribe(recording)).text.split())} word(s) read")
    return ", ".join(told) or "nothing speaks or reads"
