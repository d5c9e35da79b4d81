"""Reading recordings, in OpenAI's form: ``/v1/audio/transcriptions`` and ``/translations``."""

import math
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, PlainTextResponse, Response

from holdfast.api._asked import DIARIZED, MOST_FIELD_BYTES, TranscriptionAsked, asked_of
from holdfast.api._errors import request_id
from holdfast.api._flow import EVENTS, Flow, FlowingResponse, event, failure_event
from holdfast.api._models import check_reader
from holdfast.api._recordings import recordings_of
from holdfast.api._schemas import refusals
from holdfast.api._uploads import received_upload
from holdfast.api._waiting import carried_out
from holdfast.media import MediaError, Recording, audio_blocks
from holdfast.runtime import Steps
from holdfast.speech import (
    FORMATS,
    OptionInvalid,
    Passage,
    Reading,
    Task,
    Transcript,
    VoiceNaming,
    subtitles,
    transcript_json,
)
from holdfast.voiceprint import Naming
from holdfast.wiring import Services

__all__ = ["logprobs_of", "transcription_routes"]

_ASKED = (404, 408, 413, 415, 422, 429, 503, 504)
_SUBTITLES = {"srt": "application/x-subrip", "vtt": "text/vtt"}


def _form(task: Task) -> dict[str, Any]:
    """Return the description of the form."""
    fields: dict[str, Any] = {
        "file": {"type": "string", "format": "binary"},
        "model": {"type": "string"},
        "prompt": {"type": "string"},
        "temperature": {"type": "number", "minimum": 0, "maximum": 1},
        "response_format": {"type": "string", "enum": list(FORMATS)},
    }
    if task == "transcribe":
        texts = {"type": "array", "items": {"type": "string"}}
        fields |= {
            "language": {"type": "string"},
            "languages[]": texts,
            "keywords[]": texts,
            "timestamp_granularities[]": texts,
            "include[]": texts,
            "stream": {"type": "boolean"},
            "chunking_strategy": {"type": "string"},
            "known_speaker_names[]": texts,
            "known_speaker_references[]": texts,
        }
    schema = {"type": "object", "required": ["file"], "properties": fields}
    content = {"multipart/form-data": {"schema": schema}}
    return {"requestBody": {"required": True, "content": content}}


def transcription_routes(services: Services, upload_limit_bytes: int) -> APIRouter:
    """Return the routes over ``services``."""
    router = APIRouter()

    def add(path: str, task: Task) -> None:
        @router.post(path, openapi_extra=_form(task), responses=refusals(*_ASKED), name=task)
        async def read(request: Request) -> Response:
            return await _answer(request, services, upload_limit_bytes, task)

        read.__doc__ = f"{task.capitalize()} a recording."

    add("/v1/audio/transcriptions", "transcribe")
    add("/v1/audio/translations", "translate")
    return router


async def _answer(request: Request, services: Services, limit: int, task: Task) -> Response:
    check_reader(services, "")  # before anything is received
    async with AsyncExitStack() as needed:
        upload = await needed.enter_async_context(
            received_upload(request, limit, 1, MOST_FIELD_BYTES)
        )
        asked = asked_of(upload, task)
        reading = check_reader(services, asked.model)
        if asked.speakers:
            services.supervisor.expect(services.voiceprint.model)
        (recording,) = recordings_of(upload)

        def work(heard: Callable[[Passage, str], None]) -> Steps[Transcript]:
            return _read(services, reading, recording, asked, heard)

        if not asked.stream:
            found = await carried_out(request, work(lambda *_: None))
            return _whole(found, asked)
        events = _Events(asked)
        flow = Flow(
            request,
            lambda send: work(lambda passage, speaker: send(events.of(passage, speaker))),
            events.last,
            failure_event,
        )
        try:
            await flow.begin()
        except BaseException:
            await flow.aclose()
            raise
        return FlowingResponse(flow, EVENTS, needed.pop_all())


def _read(
    services: Services,
    reading: Reading,
    recording: Recording,
    asked: TranscriptionAsked,
    heard: Callable[[Passage, str], None],
) -> Steps[Transcript]:
    """Read a recording; where it is asked for, say who speaks."""
    voices: VoiceNaming | None = None
    if asked.speakers:
        naming = services.voiceprint.naming(f"request {request_id.get()}")
        for name, sample in asked.known_speakers:
            yield from _learned(naming, name, sample)
        voices = naming
    blocks = audio_blocks(recording, longest_s=services.service.speech_longest_s)
    found = yield from reading.read(blocks, asked.request, heard, voices)
    return found


def _learned(naming: Naming, name: str, sample: Recording) -> Steps[None]:
    """Take along the voice of somebody whom the client names."""
    reason = "too little is said in it to know the voice again"
    try:
        if (yield from naming.learn(name, sample)):
            return
    except MediaError as error:
        reason = f"{error.what}: {error.why}" if error.why else error.what
    raise OptionInvalid(
        f"the reference of {name!r} cannot be used", why=reason,
        hint="send some seconds of one person's speech", param="known_speaker_references",
    )  # fmt: skip


def _whole(found: Transcript, asked: TranscriptionAsked) -> Response:
    form = asked.form
    if form == "text":
        return PlainTextResponse(found.text + "\n")
    if form in ("srt", "vtt"):
        return PlainTextResponse(subtitles(found, form), media_type=_SUBTITLES[form])
    body = transcript_json(found, form, asked.granularities)
    if asked.logprobs:
        body["logprobs"] = [each for passage in found.passages for each in logprobs_of(passage)]
    return JSONResponse(body)


def logprobs_of(passage: Passage) -> list[dict[str, Any]]:
    """Return the words of a passage and how sure the model is of each."""
    return [
        {
            "token": word.text,
            "bytes": [*word.text.encode()],
            "logprob": math.log(max(word.probability, 1e-30)),
        }
        for word in passage.words
    ]


class _Events:
    """A transcript on its way, as server-sent events."""

    def __init__(self, asked: TranscriptionAsked) -> None:
        self._asked = asked
        self._number = 0

    def of(self, passage: Passage, speaker: str) -> bytes:
        """Return the events of a passage."""
        if not passage.text:
            return b""
        space = " " if self._number else ""
        delta: dict[str, Any] = {"type": "transcript.text.delta", "delta": space + passage.text}
        segment_id = f"seg_{self._number}"
        if self._asked.logprobs:
            delta["logprobs"] = logprobs_of(passage)
        if self._asked.form != DIARIZED:
            self._number += 1
            return event(delta)
        delta["segment_id"] = segment_id
        segment = {
            "type": "transcript.text.segment",
            "id": segment_id,
            "start": round(passage.start_s, 3),
            "end": round(passage.end_s, 3),
            "text": passage.text,
            "speaker": speaker,
        }
        self._number += 1
        return event(delta) + event(segment)

    def last(self, found: Transcript) -> Iterator[bytes]:
        """Yield what ends the transcript."""
        done: dict[str, Any] = {"type": "transcript.text.done", "text": found.text}
        if self._asked.logprobs:
            done["logprobs"] = [each for passage in found.passages for each in logprobs_of(passage)]
        yield event(done)
        yield b"data: [DONE]\n\n"
