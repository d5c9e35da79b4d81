"""Clients that ask one thing again and again: so lean that the server is what is measured."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from benchmarks.measure import MeasurementError

__all__ = ["Answers", "ask", "for_seconds", "question"]

_STATUS = b"HTTP/1.1 200 "
_LENGTH = b"content-length: "
_ANSWER_WITHIN_S = 60.0


@dataclass(frozen=True)
class Answers:
    """What the clients got: seconds of every request, and of it all."""

    took_s: Sequence[float]
    wall_s: float

    @property
    def rate(self) -> float:
        """Return the requests a second."""
        return len(self.took_s) / self.wall_s

    def ms(self, share: float) -> float:
        """Return the milliseconds within which a share of the requests was answered."""
        ordered = sorted(self.took_s)
        return 1000 * ordered[min(int(share * len(ordered)), len(ordered) - 1)]


def question(path: str, body: bytes | None = None) -> bytes:
    """Return a request: a POST where there is a body."""
    head = f"{'GET' if body is None else 'POST'} {path} HTTP/1.1\r\nhost: localhost\r\n"
    if body is not None:
        head += f"content-type: application/octet-stream\r\ncontent-length: {len(body)}\r\n"
    return f"{head}\r\n".encode() + (body or b"")


class _Client(asyncio.Protocol):
    """One connection; it asks, waits for the whole answer, and asks again.

    At once, or every so many seconds. Then a late answer makes the next question late, and that
    counts as waiting: else a server that stands still would keep the questions away that show it.
    """

    def __init__(self, request: bytes, every_s: float) -> None:
        self._request = request
        self._every_s = every_s
        self._received = bytearray()
        self._stopping = False
        self._due = 0.0
        self._asked_at = 0.0
        self.took_s: list[float] = []
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._due = time.perf_counter()
        self._ask(self._due)

    def stop(self) -> None:
        """Ask no more once the answer is here."""
        self._stopping = True

    def _ask(self, asked_at: float) -> None:
        if self._stopping:
            self._end(None)
            return
        self._received.clear()
        self._asked_at = asked_at
        self._transport.write(self._request)

    def _ask_in_time(self) -> None:
        # A timer of this process that was late is not the server's doing.
        self._ask(time.perf_counter())

    def data_received(self, data: bytes) -> None:
        self._received += data
        head_end = self._received.find(b"\r\n\r\n")
        if head_end < 0:
            return
        if not self._received.startswith(_STATUS):
            said = bytes(self._received[:500]).decode(errors="replace")
            self._end(MeasurementError(f"not answered with 200: {said}"))
            return
        at = self._received.lower().find(_LENGTH, 0, head_end) + len(_LENGTH)
        length = int(self._received[at : self._received.find(b"\r", at)])
        if len(self._received) < head_end + 4 + length:
            return
        now = time.perf_counter()
        self.took_s.append(now - self._asked_at)
        if not self._every_s:
            self._ask(now)
            return
        self._due += self._every_s
        if self._due <= now:
            self._ask(self._due)
        else:
            asyncio.get_running_loop().call_later(self._due - now, self._ask_in_time)

    def connection_lost(self, exc: Exception | None) -> None:
        self._end(MeasurementError(f"the connection was closed: {exc}"))

    def _end(self, error: MeasurementError | None) -> None:
        if not self.ended.done():
            if error is None:
                self.ended.set_result(None)
            else:
                self.ended.set_exception(error)
            self._transport.close()


async def ask(
    url: str,
    request: bytes,
    clients: int,
    meanwhile: Callable[[], Awaitable[None]],
    every_s: float = 0.0,
) -> Answers:
    """Have so many clients ask until ``meanwhile`` is over; each at once again, or every so often.

    Raises:
        MeasurementError: an answer was none, or not 200.
    """
    address = urlsplit(url)
    loop = asyncio.get_running_loop()
    started = time.perf_counter()
    made: list[_Client] = []
    try:
        for _ in range(clients):
            _, client = await loop.create_connection(
                lambda: _Client(request, every_s), address.hostname, address.port
            )
            made.append(client)
            await asyncio.sleep(every_s / clients)
        await meanwhile()
    finally:
        for client in made:
            client.stop()
    await asyncio.wait_for(asyncio.gather(*(client.ended for client in made)), _ANSWER_WITHIN_S)
    wall_s = time.perf_counter() - started
    return Answers([one for client in made for one in client.took_s], wall_s)


def for_seconds(
    url: str, request: bytes, clients: int, seconds: float, every_s: float = 0.0
) -> Answers:
    """Have so many clients ask for so long."""
    return asyncio.run(ask(url, request, clients, lambda: asyncio.sleep(seconds), every_s))
