"""What can go wrong between a hub and its client, as switches around the mirror's application.

A fault is written ``kind:key=value,key=value``, for instance ``cut:at=10M,where=storage`` or
``status:code=429,retry_after=1,times=2``. Sizes take k, M and G (powers of 1024).

===========  ====================================================================================
silence      the connection is accepted and never answered
stall        after ``at`` bytes of the body nothing more comes, the connection stays open
cut          the connection ends after ``at`` bytes of a body, and again when it is resumed
corrupt      the byte at offset ``at`` of a body is wrong, its length is right
excess       ``at`` bytes more than the content has (Content-Length says so too)
short        ``at`` bytes fewer than the content has (Content-Length says so too)
status       answers ``code`` (with ``retry_after`` in seconds where given)
slow         ``rate`` bytes of a body per second
loop         a redirect to itself
expired      403, as a signed link that is too old; with ``where=storage``
norange      a range is answered with 200 and the whole
gzip         bodies up to 1 MiB go out compressed, without Content-Length, where accepted
listing      every page of a tree, and every description, has one more file, called ``path``
move         with the answer, ``branch`` of ``repo`` (type/id or id) is moved to ``to``
===========  ====================================================================================

Which requests: ``where`` is ``api``, ``resolve``, ``storage`` or ``any``, ``match`` is searched in
the decoded path, ``method`` restricts to one, the first ``skip`` that match are spared, and
``times`` of them are hit (all without it).
"""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import re
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from typing import Any

from holdfast.refs import parse_ref

Scope = dict[str, Any]
Message = dict[str, Any]
_UNITS = {"k": 1024, "M": 1024**2, "G": 1024**3}
_GZIP_UP_TO = 1024 * 1024


@dataclass(frozen=True)
class Fault:
    """One thing that goes wrong; see the module's table."""

    kind: str
    where: str = "any"
    match: str = ""
    method: str = ""
    skip: int = 0
    times: int = -1
    at: int = 0
    code: int = 503
    retry_after: str = ""
    rate: int = 0
    path: str = ""
    repo: str = ""
    branch: str = "main"
    to: str = ""

    @classmethod
    def parse(cls, text: str) -> Fault:
        """Read ``kind:key=value,...``."""
        kind, _, rest = text.partition(":")
        if kind not in _KINDS:
            raise ValueError(f"{kind!r} is not one of {', '.join(sorted(_KINDS))}")
        types = {field.name: field.type for field in fields(cls)}
        values: dict[str, Any] = {}
        for item in filter(None, rest.split(",")):
            name, _, value = item.partition("=")
            values[name] = _number(value) if types.get(name) == "int" else value
        return cls(kind, **values)

    def concerns(self, scope: Scope, where: str) -> bool:
        """Return whether a request of class ``where`` is one of those meant."""
        return (
            self.where in {"any", where}
            and self.method in {"", scope["method"]}
            and re.search(self.match, scope["path"]) is not None
        )


class Faults:
    """The faults that are switched on. May be changed while the hub serves."""

    def __init__(self, faults: Iterable[Fault | str] = ()) -> None:
        self._lock = threading.Lock()
        self._active: list[tuple[Fault, list[int]]] = []
        self.on_move: Callable[[Fault], None] | None = None
        self.set(*faults)

    def set(self, *faults: Fault | str) -> None:
        """Switch exactly these on."""
        read = [Fault.parse(fault) if isinstance(fault, str) else fault for fault in faults]
        with self._lock:
            self._active = [(fault, [0]) for fault in read]

    def clear(self) -> None:
        """Switch all off."""
        self.set()

    def hitting(self, scope: Scope, where: str) -> dict[str, Fault]:
        """Count the request and return the faults that hit it, by kind."""
        hit = {}
        with self._lock:
            for fault, count in self._active:
                if not fault.concerns(scope, where):
                    continue
                count[0] += 1
                past = count[0] - fault.skip
                if past > 0 and (fault.times < 0 or past <= fault.times):
                    hit[fault.kind] = fault
        return hit

    def wrap(self, app: Any, origin: str) -> Any:
        """Return ``app`` with the faults around it."""

        async def faulty(scope: Scope, receive: Any, send: Any) -> None:
            where = "storage" if origin == "storage" else _class_of(scope["path"])
            hit = self.hitting(scope, where)
            for kind in ("silence", "status", "expired", "loop"):
                if kind in hit:
                    await _INSTEAD[kind](hit[kind], scope, receive, send)
                    return
            if "norange" in hit:
                kept = [(n, v) for n, v in scope["headers"] if n not in {b"range", b"if-range"}]
                scope = scope | {"headers": kept}
            if "move" in hit:
                send = self._moving(hit["move"], send)
            body = _Body(hit, scope, receive, send)
            if "slow" in hit and scope["method"] != "POST":
                body.gone = asyncio.create_task(_until_disconnected(receive))
            # The server closes a connection whose answer is left unfinished.
            with contextlib.suppress(_CutError):
                await app(scope, receive, body.send)
            if body.gone is not None:
                body.gone.cancel()

        return faulty

    def _moving(self, fault: Fault, send: Any) -> Any:
        """Return ``send`` that moves the branch before the answer, known by then, is complete."""

        async def moving(message: Any) -> None:
            last = message["type"] == "http.response.body" and not message.get("more_body")
            if last and self.on_move is not None:
                await asyncio.to_thread(self.on_move, fault)
            await send(message)

        return moving


def move_branch(repositories: Any, fault: Fault) -> None:
    """Carry a ``move`` out on a ``holdfast.mirror.Repositories``."""
    repositories.branch(parse_ref(fault.repo).repo, fault.branch, fault.to)


class _CutError(Exception):
    """The body ends here."""


class _Body:
    """Lets an answer through, bent by the faults that hit it."""

    def __init__(self, hit: dict[str, Fault], scope: Scope, receive: Any, send: Any) -> None:
        self._hit = hit
        self._scope = scope
        self._receive = receive
        self._send = send
        self._sent = 0
        self._length = 0
        self._whole = {"gzip", "listing"} & hit.keys()
        self._start: Message | None = None
        self._collected = b""
        self._ok = True
        # Done once the client has left: nothing more is sent to it then, or counted as sent.
        self.gone: asyncio.Task[None] | None = None

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._ok = message["status"] in {200, 206}
            message = self._bend_start(message)
            if self._whole and self._ok:
                self._start = message
                return
            await self._send(message)
        elif not self._ok or self._scope["method"] == "HEAD":
            if self._start is not None:
                await self._send(self._start)
            await self._send(message)
        elif self._start is not None:
            await self._collect(message)
        else:
            await self._pass_on(message.get("body", b""), more=message.get("more_body", False))

    def _bend_start(self, message: Message) -> Message:
        headers = dict(message["headers"])
        self._length = int(headers.get(b"content-length", b"0"))
        if self._ok:
            by = self._hit["excess"].at if "excess" in self._hit else 0
            by -= self._hit["short"].at if "short" in self._hit else 0
            if by and b"content-length" in headers:
                self._length = max(self._length + by, 0)
                headers[b"content-length"] = str(self._length).encode()
        return message | {"headers": list(headers.items())}

    async def _collect(self, message: Message) -> None:
        self._collected += message.get("body", b"")
        if message.get("more_body", False):
            return
        assert self._start is not None
        headers = dict(self._start["headers"])
        body = self._collected
        if "listing" in self._hit:
            body = _with_one_more(body, self._hit["listing"].path)
            headers[b"content-length"] = str(len(body)).encode()
        accepted = dict(self._scope["headers"]).get(b"accept-encoding", b"")
        if "gzip" in self._hit and b"gzip" in accepted and len(body) <= _GZIP_UP_TO:
            body = gzip.compress(body)
            headers[b"content-encoding"] = b"gzip"
            headers.pop(b"content-length", None)
        await self._send(self._start | {"headers": list(headers.items())})
        await self._send({"type": "http.response.body", "body": body, "more_body": False})

    async def _pass_on(self, block: bytes, *, more: bool) -> None:
        block = self._bent(block, more=more)
        rate = self._hit["slow"].rate if "slow" in self._hit else 0
        step = max(rate // 10, 1) if rate else len(block)
        for start in range(0, max(len(block), 1), max(step, 1)):
            part = block[start : start + step]
            last = start + step >= len(block)
            await self._part(part, more=more or not last)
            if rate and part:
                await asyncio.sleep(len(part) / rate)

    def _bent(self, block: bytes, *, more: bool) -> bytes:
        corrupt = self._hit.get("corrupt")
        if corrupt is not None and self._sent <= corrupt.at < self._sent + len(block):
            offset = corrupt.at - self._sent
            block = block[:offset] + bytes([block[offset] ^ 0xFF]) + block[offset + 1 :]
        if "short" in self._hit:
            block = block[: max(self._length - self._sent, 0)]
        if "excess" in self._hit and not more:
            block += b"\0" * (self._length - self._sent - len(block))
        return block

    async def _part(self, part: bytes, *, more: bool) -> None:
        if self.gone is not None and self.gone.done():
            raise _CutError
        for kind in ("cut", "stall"):
            fault = self._hit.get(kind)
            if fault is not None and self._sent + len(part) > fault.at:
                rest = part[: fault.at - self._sent]
                await self._send({"type": "http.response.body", "body": rest, "more_body": True})
                if kind == "cut":
                    raise _CutError
                await _until_disconnected(self._receive)
                raise _CutError
        self._sent += len(part)
        await self._send({"type": "http.response.body", "body": part, "more_body": more})


def _with_one_more(body: bytes, path: str) -> bytes:
    """Return a page of a tree, or a revision's description, that has one more file."""
    content = json.loads(body)
    if isinstance(content, list):
        content.append({"type": "file", "oid": "0" * 40, "size": 1, "path": path})
    elif isinstance(content, dict) and "siblings" in content:
        content["siblings"].append({"rfilename": path, "size": 1, "blobId": "0" * 40})
    return json.dumps(content).encode()


async def _silence(fault: Fault, scope: Scope, receive: Any, send: Any) -> None:
    del fault, scope, send
    await _until_disconnected(receive)


async def _status(fault: Fault, scope: Scope, receive: Any, send: Any) -> None:
    del scope, receive
    code = 403 if fault.kind == "expired" else fault.code
    body = b"AccessDenied: Request has expired" if code == 403 else b"the hub has a fault"
    headers = [(b"content-length", str(len(body)).encode())]
    if fault.retry_after:
        headers.append((b"retry-after", fault.retry_after.encode()))
    await send({"type": "http.response.start", "status": code, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})


async def _loop(fault: Fault, scope: Scope, receive: Any, send: Any) -> None:
    del fault, receive
    target = scope["raw_path"] + (b"?" + scope["query_string"] if scope["query_string"] else b"")
    headers = [(b"location", target), (b"content-length", b"0")]
    await send({"type": "http.response.start", "status": 307, "headers": headers})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _until_disconnected(receive: Any) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _class_of(path: str) -> str:
    return "api" if path.startswith("/api/") else "resolve"


def _number(text: str) -> int:
    unit = _UNITS.get(text[-1:], 0)
    return int(float(text[:-1]) * unit) if unit else int(text)


_INSTEAD = {"silence": _silence, "status": _status, "expired": _status, "loop": _loop}
_KINDS = {
    *_INSTEAD,
    *["stall", "cut", "corrupt", "excess", "short", "slow", "norange", "gzip", "listing", "move"],
}
