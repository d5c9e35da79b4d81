"""An answer that comes piece by piece, read out of its bytes.

Rules only; nothing here does I/O. The form is that of server-sent events, one value to a line:
``data: {"choices": [{"delta": {"content": "..."}}]}``, and ``data: [DONE]`` at the end.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from holdfast.client._errors import ServiceError, ServiceUnreachable

__all__ = ["Pieces", "cut_off"]

_MOST_LINE_BYTES = 10_000_000
_HINT = "ask again; the log of the language model's server says what happened"


def cut_off(url: str, why: str) -> ServiceUnreachable:
    """Return what to say of an answer that ended before its end."""
    return ServiceUnreachable(f"{url} cut its answer off", why=why, hint=_HINT)


class Pieces:
    """The text of one answer.

    Attributes:
        ended: the answer said that it is complete; what comes after that does not count.
    """

    def __init__(self, url: str) -> None:
        self.ended = False
        self._url = url
        self._rest = bytearray()

    def of(self, block: bytes) -> Iterator[str]:
        """Yield the text that ``block`` completes.

        Raises:
            ServiceError: the answer is an error from here on, or cannot be read.
        """
        self._rest += block
        # Not by str.splitlines: it also parts where a sentence may (U+2028).
        *lines, rest = self._rest.replace(b"\r", b"\n").split(b"\n")
        if len(rest) > _MOST_LINE_BYTES:
            raise self._unreadable(f"a line of it has more than {_MOST_LINE_BYTES} bytes")
        self._rest = rest
        for line in lines:
            if line.startswith(b"data:") and not self.ended:
                yield from self._text(bytes(line[5:]).strip())

    def end(self) -> None:
        """Take note that no more comes.

        Raises:
            ServiceUnreachable: it should have.
        """
        if not self.ended:
            raise cut_off(self._url, "it ended without saying that it is complete ([DONE])")

    def _text(self, data: bytes) -> Iterator[str]:
        if data == b"[DONE]":
            self.ended = True
            return
        try:
            value: Any = json.loads(data)
            if value.get("error"):
                raise self._refused(value["error"])
            for choice in value.get("choices") or ():
                text = (choice.get("delta") or {}).get("content")
                if text and not choice.get("index"):  # of several answers, the first
                    yield str(text)
        except (ValueError, TypeError, AttributeError, RecursionError) as error:
            raise self._unreadable(f"{type(error).__name__}: {error}") from error

    def _refused(self, told: Any) -> ServiceError:
        facts = told if isinstance(told, dict) else {"message": told}
        return ServiceError(
            f"{self._url} ended its answer with an error",
            why=str(facts.get("message") or "without saying why"), hint=_HINT,
            status=200, service_code=facts.get("code") or "", param=facts.get("param"),
        )  # fmt: skip

    def _unreadable(self, why: str) -> ServiceError:
        return ServiceError(
            f"the answer of {self._url} cannot be read", why=why, status=200,
            hint="does its language model's server stream as OpenAI's does?",
        )  # fmt: skip
