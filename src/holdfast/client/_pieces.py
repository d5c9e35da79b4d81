"""An answer that comes piece by piece, read out of its bytes.

Rules only; nothing here does I/O. Events have the form of server-sent ones, one value to a line:
``data: {"choices": [{"delta": {"content": "..."}}]}``, and ``data: [DONE]`` at the end. Sound comes
as it is.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Generic, Protocol, TypeVar

from holdfast.client._errors import ServiceError, ServiceUnreachable

__all__ = ["Blocks", "Events", "Receiver", "chat_pieces", "cut_off"]

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
_MOST_LINE_BYTES = 10_000_000
_HINT = "ask again; the service's log, or its language model's, says what happened"


def cut_off(url: str, why: str) -> ServiceUnreachable:
    """Return what to say of an answer that ended before its end."""
    return ServiceUnreachable(f"{url} cut its answer off", why=why, hint=_HINT)


class Receiver(Protocol[T_co]):
    """Makes pieces of one answer's bytes."""

    @property
    def ended(self) -> bool:
        """The answer said that it is complete; what comes after that does not count."""

    def of(self, block: bytes) -> Iterator[T_co]:
        """Yield what ``block`` completes.

        Raises:
            ServiceError: the answer is an error from here on, or cannot be read.
        """

    def end(self) -> None:
        """Take note that no more comes.

        Raises:
            ServiceUnreachable: it should have.
        """


class Blocks:
    """Bytes as they come. How they are sent says where they end."""

    ended = False

    def __init__(self, url: str) -> None:
        del url

    def of(self, block: bytes) -> Iterator[bytes]:
        """Yield ``block``."""
        if block:
            yield block

    def end(self) -> None:
        """Nothing is missing: an answer that was cut off did not come so far."""


class Events(Generic[T]):
    """The events of one answer.

    Args:
        url: where it comes from.
        read: what an event's value holds.
    """

    def __init__(self, url: str, read: Callable[[Any], Iterable[T]]) -> None:
        self.ended = False
        self._url = url
        self._read = read
        self._rest = bytearray()

    def of(self, block: bytes) -> Iterator[T]:
        """Yield what ``block`` completes; see `Receiver`."""
        self._rest += block
        # Not by str.splitlines: it also parts where a sentence may (U+2028).
        *lines, rest = self._rest.replace(b"\r", b"\n").split(b"\n")
        if len(rest) > _MOST_LINE_BYTES:
            raise self._unreadable(f"a line of it has more than {_MOST_LINE_BYTES} bytes")
        self._rest = rest
        for line in lines:
            if line.startswith(b"data:") and not self.ended:
                yield from self._pieces(bytes(line[5:]).strip())

    def end(self) -> None:
        """Take note that no more comes; see `Receiver`."""
        if not self.ended:
            raise cut_off(self._url, "it ended without saying that it is complete ([DONE])")

    def _pieces(self, data: bytes) -> Iterator[T]:
        if data == b"[DONE]":
            self.ended = True
            return
        try:
            value: Any = json.loads(data)
            if value.get("error"):
                raise self._refused(value["error"])
            # Read whole before any of it is told: what a caller raises is not the answer's fault.
            pieces = list(self._read(value))
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise self._unreadable(f"{type(error).__name__}: {error}") from error
        yield from pieces

    def _refused(self, told: Any) -> ServiceError:
        facts = told if isinstance(told, dict) else {"message": told}
        return ServiceError(
            f"{self._url} ended its answer with an error",
            why=str(facts.get("message") or "without saying why"), hint=_HINT,
            status=200, service_code=facts.get("code") or "", param=facts.get("param"),
            request_id=facts.get("request_id"),
        )  # fmt: skip

    def _unreadable(self, why: str) -> ServiceError:
        return ServiceError(
            f"the answer of {self._url} cannot be read", why=why, status=200,
            hint="does the service, or its language model's server, stream as OpenAI's does?",
        )  # fmt: skip


def chat_pieces(value: Any) -> Iterator[str]:
    """Yield the text of an event of a chat's answer."""
    for choice in value.get("choices") or ():
        text = (choice.get("delta") or {}).get("content")
        if text and not choice.get("index"):  # of several answers, the first
            yield str(text)
