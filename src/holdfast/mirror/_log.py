"""What was asked of the hub and what it answered, for tests and for the operator."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["Origin", "RequestLog", "RequestRecord"]

Origin = Literal["hub", "storage"]
_KEPT_HEADERS = ("accept-encoding", "if-range", "range", "user-agent")


@dataclass(frozen=True, slots=True)
class RequestRecord:
    """One request.

    Attributes:
        origin: ``hub`` or ``storage``.
        path: as it was sent, percent-encoded, without the query.
        headers: a few of those received, names in lower case. A token is never kept:
            ``authorization`` is ``"present"`` where there was one.
        status: what was answered; 0 when nothing was.
        bytes_sent: of the body.
    """

    origin: Origin
    method: str
    path: str
    query: str
    headers: dict[str, str]
    status: int
    bytes_sent: int


@dataclass
class RequestLog:
    """Every request in the order of its end. May be read while the hub serves."""

    keep: int = 100_000
    on_record: Callable[[RequestRecord], None] | None = None
    _records: list[RequestRecord] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def records(self) -> list[RequestRecord]:
        """A copy of what was logged so far."""
        with self._lock:
            return list(self._records)

    def clear(self) -> None:
        """Forget what was logged."""
        with self._lock:
            self._records.clear()

    def add(self, record: RequestRecord) -> None:
        """Log one request; beyond ``keep`` the oldest are dropped."""
        with self._lock:
            self._records.append(record)
            if len(self._records) > self.keep:
                del self._records[: self.keep // 10]
        if self.on_record is not None:
            self.on_record(record)

    def watch(self, app: ASGIApp, origin: Origin) -> ASGIApp:
        """Return ``app`` with its requests logged."""

        async def watched(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != "http":
                await app(scope, receive, send)
                return
            status = bytes_sent = 0

            async def counted(message: Message) -> None:
                nonlocal status, bytes_sent
                if message["type"] == "http.response.start":
                    status = message["status"]
                await send(message)
                if scope["method"] != "HEAD":
                    bytes_sent += len(message.get("body", b""))

            try:
                await app(scope, receive, counted)
            finally:
                self.add(_record(scope, origin, status, bytes_sent))

        return watched


def _record(scope: Scope, origin: Origin, status: int, sent: int) -> RequestRecord:
    received = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
    headers = {name: received[name] for name in _KEPT_HEADERS if name in received}
    if "authorization" in received:
        headers["authorization"] = "present"
    return RequestRecord(
        origin=origin,
        method=scope["method"],
        path=scope["raw_path"].decode("ascii", "replace"),
        query=scope["query_string"].decode("ascii", "replace"),
        headers=headers,
        status=status,
        bytes_sent=sent,
    )
