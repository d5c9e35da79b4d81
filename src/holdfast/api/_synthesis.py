"""Speaking, in OpenAI's form: ``/v1/audio/speech``."""

import base64
import io
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from typing import Any, Literal

from fastapi import APIRouter, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from holdfast.api._flow import EVENTS, Flow, FlowingResponse, event, failure_event
from holdfast.api._models import check_voice
from holdfast.api._schemas import refusals
from holdfast.api._uploads import received_object
from holdfast.media import MEDIA_TYPES, SoundEncoder, SoundForm, Waveform
from holdfast.runtime import Steps
from holdfast.speech import MOST_CHARACTERS, Speaking, SpeakingRequest, Spoken
from holdfast.wiring import Services

__all__ = ["synthesis_routes"]

_MOST_BYTES = 1_000_000
# OpenAI counts sound in tokens of so many milliseconds.
_TOKEN_MS = 50


class SpeechAsked(BaseModel):
    """What is to be said, and how.

    ``instructions`` are taken and have no effect: the models here speak in one way.
    """

    model_config = ConfigDict(extra="forbid", strict=True)

    input: str = Field(description=f"At most {MOST_CHARACTERS} characters")
    model: str = ""
    voice: str = "default"
    instructions: str = ""
    response_format: SoundForm = "mp3"
    speed: float = Field(1.0, ge=0.25, le=4.0, allow_inf_nan=False)
    stream_format: Literal["audio", "sse"] = "audio"

    @field_validator("voice", mode="before")
    @classmethod
    def by_its_id(cls, given: Any) -> Any:
        """Take ``{"id": ...}`` for the id."""
        return given["id"] if isinstance(given, dict) and [*given] == ["id"] else given


def synthesis_routes(services: Services) -> APIRouter:
    """Return the routes over ``services``."""
    router = APIRouter()
    schema = SpeechAsked.model_json_schema()
    schema["properties"]["voice"] = {"description": "A voice's id, or {id}", "default": "default"}
    body = {"required": True, "content": {"application/json": {"schema": schema}}}
    answers: dict[int | str, dict[str, Any]] = {
        200: {"content": {kind: {} for kind in (*MEDIA_TYPES.values(), EVENTS)}}
    }

    @router.post(
        "/v1/audio/speech",
        openapi_extra={"requestBody": body},
        responses=answers | refusals(404, 408, 413, 422, 429, 503, 504),
        response_class=Response,
    )
    async def speech(request: Request) -> Response:
        """Speak a text: the sound, or events with it, sentence by sentence as it is made."""
        check_voice(services, "")  # before anything is received
        asked = _asked((await received_object(request, _MOST_BYTES))[1])
        speaking = check_voice(services, asked.model)
        flow = _flow(request, speaking, asked)
        try:
            await flow.begin()
        except BaseException:
            await flow.aclose()
            raise
        events = asked.stream_format == "sse"
        kind = EVENTS if events else MEDIA_TYPES[asked.response_format]
        return FlowingResponse(flow, kind, AsyncExitStack())

    return router


def _asked(content: dict[str, Any]) -> SpeechAsked:
    try:
        return SpeechAsked.model_validate(content)
    except ValidationError as error:
        found = [{**each, "loc": ("body", *each["loc"])} for each in error.errors()]
        raise RequestValidationError(found) from error


def _flow(request: Request, speaking: Speaking, asked: SpeechAsked) -> Flow[Spoken]:
    events = asked.stream_format == "sse"
    encoding = _Encoding(asked.response_format)
    question = SpeakingRequest(text=asked.input, voice=asked.voice, speed=asked.speed)

    def work(send: Callable[[bytes], None]) -> Steps[Spoken]:
        def said(sound: Waveform, rate_hz: int) -> None:
            made = encoding.of(sound, rate_hz)
            send(_delta(made) if events and made else made)

        return speaking.speak(question, said)

    def last(spoken: Spoken) -> Iterator[bytes]:
        rest = encoding.finish()
        if not events:
            yield rest
            return
        if rest:
            yield _delta(rest)
        given, made = len(asked.input), round(1000 * spoken.seconds / _TOKEN_MS)
        usage = {"input_tokens": given, "output_tokens": made, "total_tokens": given + made}
        yield event({"type": "speech.audio.done", "usage": usage})

    return Flow(request, work, last, failure_event if events else None)


class _Encoding:
    """Makes an encoder once the first sentence says at which rate.

    FLAC comes whole, at the end: without a length in its header common readers take it for endless.
    """

    def __init__(self, form: SoundForm) -> None:
        self._form = form
        self._whole = io.BytesIO() if form == "flac" else None
        self._encoder: SoundEncoder | None = None

    def of(self, sound: Waveform, rate_hz: int) -> bytes:
        """Return what of the recording can be sent now."""
        if self._encoder is None:
            self._encoder = SoundEncoder(self._form, rate_hz, self._whole)
        return self._encoder.feed(sound)

    def finish(self) -> bytes:
        """Return the rest of it."""
        rest = self._encoder.finish() if self._encoder is not None else b""
        return rest if self._whole is None else self._whole.getvalue()


def _delta(sound: bytes) -> bytes:
    return event({"type": "speech.audio.delta", "audio": base64.b64encode(sound).decode()})
