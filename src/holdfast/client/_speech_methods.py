"""The methods about speech, spoken and read, in both forms of the client."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Generator
from typing import TypeVar

from holdfast.client._calls import Audio, Call
from holdfast.client._speech import (
    Asked,
    SoundForm,
    SpeechCalls,
    TextForm,
    Transcript,
    TranscriptPiece,
)

__all__ = ["AsyncSpeechMethods", "SpeechMethods"]

T = TypeVar("T")


class SpeechMethods:
    """Text becomes speech, and speech text; recordings in any usual form: a path, bytes, or a file.

    ``model`` is an id that `Client.models` lists, or an alias; without it the service has its own.
    What no service would take (half a character, a form that there is not) is a ``ValueError`` or a
    ``TypeError``, a file that cannot be read an ``OSError``, and nothing is sent.
    """

    def _run(self, call: Call[T]) -> T:
        raise NotImplementedError

    def _in_pieces(self, call: Call[T]) -> Generator[T, None, None]:
        raise NotImplementedError

    def speak(
        self,
        text: str,
        *,
        voice: str = "default",
        model: str | None = None,
        response_format: SoundForm = "wav",
        speed: float = 1.0,
    ) -> bytes:
        """Return ``text`` as speech, a file's bytes in the form that is asked for.

        Args:
            text: at most 4096 characters.
            voice: ``default``, or one of those that the model's ``about`` lists in `Client.models`.
            model: see above.
            response_format: ``wav``, ``mp3``, ``flac``, ``opus``, ``aac``, or ``pcm``, which is
                samples without a header: 16 bits, mono, 24 kHz.
            speed: from 0.25 to 4 times the voice's own.
        """
        return self._run(
            SpeechCalls.speak(
                text, voice=voice, model=model, response_format=response_format, speed=speed
            )
        )

    def speak_stream(
        self,
        text: str,
        *,
        voice: str = "default",
        model: str | None = None,
        response_format: SoundForm = "wav",
        speed: float = 1.0,
    ) -> Generator[bytes, None, None]:
        """Yield the same bytes as they come: the first sentence is heard before the last is made.

        Nothing is asked for before the first piece is. Leaving early, or ``close()``, ends the work
        at its source.

        Raises:
            ServiceUnreachable: there is no answer, or it was cut off.
        """
        yield from self._in_pieces(
            SpeechCalls.speak(
                text, voice=voice, model=model, response_format=response_format, speed=speed
            )
        )

    def transcribe(
        self,
        audio: Audio,
        *,
        model: str | None = None,
        language: str | None = None,
        prompt: str | None = None,
        temperature: float | None = None,
        words: bool = False,
        speakers: bool = False,
    ) -> Transcript:
        """Return what is said in a recording, segment by segment.

        Args:
            audio: the recording.
            model: see above.
            language: as ISO 639-1 has it (``en``); without it the model finds out.
            prompt: text that might have come before, for names and style.
            temperature: how freely words are chosen, from 0 to 1.
            words: say when each word is said, too.
            speakers: say who speaks; of the language nothing is told then.
        """
        asked = Asked(
            model=model, language=language, prompt=prompt, temperature=temperature, words=words,
            speakers=speakers,
        )  # fmt: skip
        return self._run(SpeechCalls.transcribe(audio, asked))

    def transcribe_text(
        self,
        audio: Audio,
        form: TextForm = "text",
        *,
        model: str | None = None,
        language: str | None = None,
        prompt: str | None = None,
        temperature: float | None = None,
    ) -> str:
        """Return what is said as ``text``, or as a file of subtitles: ``srt`` or ``vtt``."""
        asked = Asked(model=model, language=language, prompt=prompt, temperature=temperature)
        return self._run(SpeechCalls.transcribe_text(audio, asked, form))

    def transcribe_stream(
        self,
        audio: Audio,
        *,
        model: str | None = None,
        language: str | None = None,
        prompt: str | None = None,
        temperature: float | None = None,
        speakers: bool = False,
    ) -> Generator[TranscriptPiece, None, None]:
        """Yield what is said while the recording is read; the last piece is the whole text.

        The recording is sent when the first piece is asked for. Leaving early, or ``close()``, ends
        the work at its source.

        Raises:
            ServiceError: the answer is an error, from its beginning or from there on.
            ServiceUnreachable: there is none, or it was cut off.
        """
        asked = Asked(
            model=model, language=language, prompt=prompt, temperature=temperature,
            speakers=speakers,
        )  # fmt: skip
        yield from self._in_pieces(SpeechCalls.transcribe_stream(audio, asked))

    def translate(
        self,
        audio: Audio,
        *,
        model: str | None = None,
        prompt: str | None = None,
        temperature: float | None = None,
    ) -> Transcript:
        """Return in English what is said in a recording, in whatever language."""
        asked = Asked(model=model, prompt=prompt, temperature=temperature)
        return self._run(SpeechCalls.translate(audio, asked))


class AsyncSpeechMethods:
    """The same as `SpeechMethods`, awaited.

    Where a generator may be left early, ``contextlib.aclosing`` ends it there and then.
    """

    async def _run(self, call: Call[T]) -> T:
        raise NotImplementedError

    def _in_pieces(self, call: Call[T]) -> AsyncGenerator[T, None]:
        raise NotImplementedError

    async def speak(
        self,
        text: str,
        *,
        voice: str = "default",
        model: str | None = None,
        response_format: SoundForm = "wav",
        speed: float = 1.0,
    ) -> bytes:
        """Return ``text`` as speech; see `SpeechMethods.speak`."""
        return await self._run(
            SpeechCalls.speak(
                text, voice=voice, model=model, response_format=response_format, speed=speed
            )
        )

    async def speak_stream(
        self,
        text: str,
        *,
        voice: str = "default",
        model: str | None = None,
        response_format: SoundForm = "wav",
        speed: float = 1.0,
    ) -> AsyncGenerator[bytes, None]:
        """Yield the same bytes as they come; see `SpeechMethods.speak_stream`."""
        call = SpeechCalls.speak(
            text, voice=voice, model=model, response_format=response_format, speed=speed
        )
        async with contextlib.aclosing(self._in_pieces(call)) as pieces:
            async for piece in pieces:
                yield piece

    async def transcribe(
        self,
        audio: Audio,
        *,
        model: str | None = None,
        language: str | None = None,
        prompt: str | None = None,
        temperature: float | None = None,
        words: bool = False,
        speakers: bool = False,
    ) -> Transcript:
        """Return what is said in a recording; see `SpeechMethods.transcribe`."""
        asked = Asked(
            model=model, language=language, prompt=prompt, temperature=temperature, words=words,
            speakers=speakers,
        )  # fmt: skip
        return await self._run(SpeechCalls.transcribe(audio, asked))

    async def transcribe_text(
        self,
        audio: Audio,
        form: TextForm = "text",
        *,
        model: str | None = None,
        language: str | None = None,
        prompt: str | None = None,
        temperature: float | None = None,
    ) -> str:
        """Return what is said as text or subtitles; see `SpeechMethods.transcribe_text`."""
        asked = Asked(model=model, language=language, prompt=prompt, temperature=temperature)
        return await self._run(SpeechCalls.transcribe_text(audio, asked, form))

    async def transcribe_stream(
        self,
        audio: Audio,
        *,
        model: str | None = None,
        language: str | None = None,
        prompt: str | None = None,
        temperature: float | None = None,
        speakers: bool = False,
    ) -> AsyncGenerator[TranscriptPiece, None]:
        """Yield what is said while the recording is read; see `SpeechMethods.transcribe_stream`."""
        asked = Asked(
            model=model, language=language, prompt=prompt, temperature=temperature,
            speakers=speakers,
        )  # fmt: skip
        call = SpeechCalls.transcribe_stream(audio, asked)
        async with contextlib.aclosing(self._in_pieces(call)) as pieces:
            async for piece in pieces:
                yield piece

    async def translate(
        self,
        audio: Audio,
        *,
        model: str | None = None,
        prompt: str | None = None,
        temperature: float | None = None,
    ) -> Transcript:
        """Return in English what is said in a recording; see `SpeechMethods.translate`."""
        asked = Asked(model=model, prompt=prompt, temperature=temperature)
        return await self._run(SpeechCalls.translate(audio, asked))
