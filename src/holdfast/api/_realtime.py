"""Reading speech while it is spoken: ``/v1/realtime``, by OpenAI's events for transcription."""

import asyncio
import base64
import binascii
import contextlib
import json
import logging
import uuid
from collections.abc import Awaitable, Callable, Mapping
from itertools import count
from typing import Any, NamedTuple, TypeVar

from fastapi import APIRouter, WebSocket
from starlette.websockets import WebSocketDisconnect

from holdfast.api._doors import Doors
from holdfast.api._errors import error_body
from holdfast.api._models import check_reader
from holdfast.api._session import LiveSession, updated
from holdfast.api._transcription import logprobs_of
from holdfast.api._waiting import steps_of
from holdfast.errors import HoldfastError
from holdfast.media import LineSamples, Waveform
from holdfast.runtime import Steps, shutting_down
from holdfast.speech import (
    Agreement,
    Listener,
    OptionInvalid,
    Reading,
    ReadingRequest,
    ReadOptions,
    Started,
    Stopped,
    Transcript,
    language_code,
)
from holdfast.wiring import Services

__all__ = ["realtime_routes"]

T = TypeVar("T")
_log = logging.getLogger(__name__)
_RATE_HZ = 16_000
_SUBPROTOCOL, _INTENT = "realtime", "transcription"
# Turns that wait to be read; with so many nothing more is received until one is.
_MOST_WAITING = 4
# Where the client says when a turn ends, so much is held.
_MOST_HELD_S = 600
_LEAST_COMMIT_S = 0.1
# So much more must have been said for another look at a turn that goes on.
_LOOK_AGAIN_S = 1.0
_DOORS_S = 0.25
_GOING_AWAY = 1012
_PREFIX = "conversation.item.input_audio_transcription"


def realtime_routes(services: Services, doors: Doors) -> APIRouter:
    """Return the route over ``services``; ``doors`` know whether the service is ending."""
    router = APIRouter()

    @router.websocket("/v1/realtime")
    async def realtime(socket: WebSocket) -> None:
        """Take sound as it comes; tell of turns, and of what is said in them."""
        offered = socket.scope.get("subprotocols", [])
        await socket.accept(_SUBPROTOCOL if _SUBPROTOCOL in offered else None)
        line = _Line(socket)
        try:
            if socket.query_params.get("intent", _INTENT) != _INTENT:
                raise OptionInvalid(
                    "there is no such session", why=f"the intent is to be {_INTENT}", param="intent"
                )
            reading = check_reader(services, socket.query_params.get("model", ""))
        except HoldfastError as error:
            await line.tell_error(error)
            await socket.close(1008)
            return
        session = _Session(line, services, reading)
        with contextlib.suppress(WebSocketDisconnect):
            await session.run(doors)

    return router


class _Line:
    """The way to one client."""

    def __init__(self, socket: WebSocket) -> None:
        self._socket = socket
        self._numbers = count(1)
        self.left = False

    async def is_disconnected(self) -> bool:
        """Return whether it is known that the client has left."""
        return self.left

    async def send(self, kind: str, **facts: Any) -> None:
        """Send an event."""
        event = {"type": kind, "event_id": f"event_{next(self._numbers)}", **facts}
        await self._socket.send_text(json.dumps(event, ensure_ascii=False))

    async def tell_error(self, error: HoldfastError, event_id: str | None = None) -> None:
        """Send what went wrong; the session goes on."""
        await self.send("error", error={**_told(error), "event_id": event_id})

    async def receive(self) -> Mapping[str, Any]:
        """Wait for an event of the client's.

        Raises:
            WebSocketDisconnect: it has left.
            OptionInvalid: what came is none.
        """
        message = await self._socket.receive()
        if message["type"] == "websocket.disconnect":
            self.left = True
            raise WebSocketDisconnect(message.get("code") or 1000)
        try:
            content = json.loads(message.get("text") or "")
        except (ValueError, RecursionError):
            content = None
        if not isinstance(content, dict) or not isinstance(content.get("type"), str):
            raise OptionInvalid("this is no event", why="it is no JSON object with a type")
        if "\\u" in str(message.get("text")):
            try:
                json.dumps(content, ensure_ascii=False).encode()
            except UnicodeEncodeError as error:
                raise OptionInvalid(
                    "this is no event", why="it has half a character, which nothing can hold"
                ) from error
        return content

    async def close(self, code: int) -> None:
        """Hang up."""
        with contextlib.suppress(RuntimeError, WebSocketDisconnect):
            await self._socket.close(code)


class _Turn(NamedTuple):
    """A turn that is, or will be, an item of the conversation."""

    item_id: str
    agreement: Agreement
    sound: "Waveform | None" = None


class _Session:
    """One client's session, from its first event to its last."""

    def __init__(self, line: _Line, services: Services, reading: Reading) -> None:
        self._line = line
        self._services = services
        self._reading = reading
        self._session = LiveSession()
        self._id = f"sess_{uuid.uuid4().hex}"
        self._previous: str | None = None
        self._turns: asyncio.Queue[_Turn] = asyncio.Queue(_MOST_WAITING)
        self._news = asyncio.Event()
        self._looked_at = 0  # samples of the line, when the turn that goes on was looked at
        self._samples = self._fresh_samples()
        self._listener = Listener(
            services.supervisor, reading.voice_activity, self._session.detection()
        )
        self._open = _new_turn()
        self._handlers: Mapping[str, Callable[[Mapping[str, Any]], Awaitable[None]]] = {
            "session.update": self._update,
            "input_audio_buffer.append": self._append,
            "input_audio_buffer.commit": self._commit,
            "input_audio_buffer.clear": self._clear,
        }

    async def run(self, doors: Doors) -> None:
        """Talk to the client until it leaves, or the service ends."""
        await self._line.send("session.created", session=self._described())
        receiving = asyncio.create_task(self._receive())
        others = [asyncio.create_task(self._read_turns()), asyncio.create_task(_ending(doors))]
        try:
            done, _ = await asyncio.wait({receiving, *others}, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
            if receiving not in done:
                await self._line.tell_error(shutting_down())
        finally:
            self._line.left = True
            for task in (receiving, *others):
                task.cancel()
            await asyncio.wait({receiving, *others})
            await self._line.close(_GOING_AWAY if doors.closing else 1000)

    async def _receive(self) -> None:
        while True:
            event_id: str | None = None
            try:
                event = await self._line.receive()
                event_id = event.get("event_id") if isinstance(event.get("event_id"), str) else None
                handler = self._handlers.get(event["type"])
                if handler is None:
                    raise OptionInvalid(
                        f"there is no event {event['type'][:60]!r}",
                        why=f"there are {', '.join(self._handlers)}", param="type",
                    )  # fmt: skip
                await handler(event)
            except HoldfastError as error:
                await self._line.tell_error(error, event_id)

    def _fresh_samples(self) -> LineSamples:
        return LineSamples(self._session.code, self._session.rate_hz)

    def _described(self) -> dict[str, Any]:
        """Return the session with what is in force, said or not."""
        told = self._session.model_dump()
        wanted = told["audio"]["input"]["transcription"]
        if wanted is not None:
            wanted["model"] = wanted["model"] or self._reading.model
        return {"id": self._id, "object": "realtime.transcription_session", **told}

    async def _update(self, event: Mapping[str, Any]) -> None:
        changed = updated(self._session, event.get("session"))
        check_reader(self._services, changed.wanted.model)
        self._check_language(changed.wanted.language)
        before, self._session = self._session, changed
        # What is held is kept, whatever is said in the midst of a turn.
        if (before.code, before.rate_hz) != (changed.code, changed.rate_hz):
            await self._hear_rest()
        if before.detection() != changed.detection():
            await self._hear(self._listener.detect(changed.detection()))
        await self._line.send("session.updated", session=self._described())

    def _check_language(self, named: str | None) -> None:
        known = self._services.supervisor.status(self._reading.model).about.get("languages")
        if named and known:  # until it was loaded once nobody can say
            language_code(named, known)

    async def _append(self, event: Mapping[str, Any]) -> None:
        given = event.get("audio")
        try:
            piece = base64.b64decode(given if isinstance(given, str) else "?", validate=True)
        except (binascii.Error, ValueError) as error:
            raise OptionInvalid(
                "the sound cannot be read", why="it is no base64", param="audio"
            ) from error
        if self._listener.held_s > _MOST_HELD_S:
            raise OptionInvalid(
                "too much sound waits to be committed", why=f"at most {_MOST_HELD_S} s may",
                param="audio",
            )  # fmt: skip
        samples = self._samples.feed(piece)
        # In parts, so that no turn is found the later the more comes at once.
        for start in range(0, len(samples), _RATE_HZ):
            await self._hear(self._listener.feed(samples[start : start + _RATE_HZ]))
        self._news.set()

    async def _hear(self, steps: Steps[list[Started | Stopped]]) -> None:
        for happened in await self._carried_out(steps):
            await self._tell(happened)

    async def _hear_rest(self) -> None:
        """Hear what the samples' resampler still holds; what comes then is another sound."""
        await self._hear(self._listener.feed(self._samples.finish()))
        self._samples = self._fresh_samples()

    async def _tell(self, happened: Started | Stopped) -> None:
        at_ms = happened.at * 1000 // _RATE_HZ
        if isinstance(happened, Started):
            await self._line.send(
                "input_audio_buffer.speech_started", audio_start_ms=at_ms,
                item_id=self._open.item_id,
            )  # fmt: skip
            return
        await self._line.send(
            "input_audio_buffer.speech_stopped", audio_end_ms=at_ms, item_id=self._open.item_id
        )
        await self._committed(happened.waveform)

    async def _commit(self, event: Mapping[str, Any]) -> None:
        del event
        await self._hear_rest()
        seconds = self._listener.held_s
        if seconds < _LEAST_COMMIT_S:
            raise OptionInvalid(
                "there is nothing to commit",
                why=f"{seconds:.3f} s are held, and {_LEAST_COMMIT_S} s are the least",
            )
        await self._committed(self._listener.commit())

    async def _clear(self, event: Mapping[str, Any]) -> None:
        del event
        self._listener.clear()
        self._samples = self._fresh_samples()  # which hold the last of what is forgotten
        self._open = _new_turn()
        await self._line.send("input_audio_buffer.cleared")

    async def _committed(self, sound: Waveform) -> None:
        """Make an item of a turn, and have it read."""
        turn, self._open = self._open._replace(sound=sound), _new_turn()
        self._looked_at = self._listener.total
        previous, self._previous = self._previous, turn.item_id
        about = {"previous_item_id": previous}
        item = {
            "id": turn.item_id, "object": "realtime.item", "type": "message", "role": "user",
            "status": "completed", "content": [{"type": "input_audio", "transcript": None}],
        }  # fmt: skip
        await self._line.send("input_audio_buffer.committed", item_id=turn.item_id, **about)
        await self._line.send("conversation.item.added", item=item, **about)
        await self._line.send("conversation.item.done", item=item, **about)
        if self._session.audio.input.transcription is not None:
            await self._turns.put(turn)  # waits, and so does the client, while too many are there
            self._news.set()

    async def _read_turns(self) -> None:
        while True:
            if not self._turns.empty():
                await self._read_turn(self._turns.get_nowait())
            elif self._worth_a_look():
                await self._look()
            else:
                await self._news.wait()
                self._news.clear()

    def _worth_a_look(self) -> bool:
        new = self._listener.total - self._looked_at
        wanted = self._session.audio.input.transcription is not None
        return wanted and self._listener.speaking and new >= _LOOK_AGAIN_S * _RATE_HZ

    async def _look(self) -> None:
        """Read a turn that goes on, and show what is sure of it by now."""
        turn = self._open
        self._looked_at = self._listener.total
        try:
            found = await self._carried_out(self._read(self._listener.sound(), words=False))
        except HoldfastError as error:
            _log.info("a turn that goes on was not read: %s", error)  # it is tried when it ends
            return
        await self._show(turn, turn.agreement.heard(found.text))

    async def _read_turn(self, turn: _Turn) -> None:
        assert turn.sound is not None
        part = {"item_id": turn.item_id, "content_index": 0}
        try:
            words = self._session.logprobs
            found = await self._carried_out(self._read(turn.sound, words=words))
        except HoldfastError as error:
            await self._line.send(f"{_PREFIX}.failed", **part, error=_told(error))
            return
        await self._show(turn, turn.agreement.ended(found.text))
        facts: dict[str, Any] = {"transcript": found.text}
        if words:
            facts["logprobs"] = [each for one in found.passages for each in logprobs_of(one)]
        usage = {"type": "duration", "seconds": round(len(turn.sound) / _RATE_HZ, 3)}
        await self._line.send(f"{_PREFIX}.completed", **part, **facts, usage=usage)

    async def _show(self, turn: _Turn, words: str) -> None:
        if words:
            await self._line.send(
                f"{_PREFIX}.delta", item_id=turn.item_id, content_index=0, delta=words
            )

    def _read(self, sound: Waveform, *, words: bool) -> Steps[Transcript]:
        wanted = self._session.wanted
        options = ReadOptions(prompt=wanted.prompt or "", words=words)
        request = ReadingRequest(options=options, language=wanted.language or "")
        return self._reading.read(iter([sound]), request)

    async def _carried_out(self, steps: Steps[T]) -> T:
        answers: list[T] = []
        async for _ in steps_of(self._line, steps, answers):
            pass
        return answers[0]


def _new_turn() -> _Turn:
    return _Turn(f"item_{uuid.uuid4().hex[:24]}", Agreement())


def _told(error: HoldfastError) -> dict[str, Any]:
    status = error.http_status
    message = error.what if status == 500 else str(error)
    told: dict[str, Any] = error_body(status, message, error.code, error.facts.get("param"))
    return dict(told["error"])


async def _ending(doors: Doors) -> None:
    """Wait until the service ends."""
    while not doors.closing:
        await asyncio.sleep(_DOORS_S)
