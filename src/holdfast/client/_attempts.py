"""What both forms of the client have in common: where the service is, and one call's attempts."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Generic, TypeVar

import httpx2

from holdfast._version import __version__
from holdfast.client._calls import SOUND, Call, Reply, pause_s
from holdfast.client._direct import environment_for
from holdfast.client._errors import ServiceBusy, ServiceUnreachable, error_of
from holdfast.client._pieces import Receiver, cut_off

__all__ = ["Attempts", "Service"]

T = TypeVar("T")
_CONNECT_S = 10.0
_EXAMPLE = "an address is such as http://127.0.0.1:8000"


class Service:
    """Where the service is, what to show it, and how long to be patient."""

    def __init__(
        self,
        url: str,
        *,
        key: str | None = None,
        timeout_s: float = 300.0,
        patience_s: float = 60.0,
    ) -> None:
        self.url = url.rstrip("/")
        self.patience_s = patience_s
        headers = {"User-Agent": f"holdfast-client/{__version__}"}
        if key is not None:
            _check_key(key)
            headers["Authorization"] = f"Bearer {key}"
        self._open(
            base_url=self.url,
            headers=headers,
            timeout=httpx2.Timeout(timeout_s, connect=_CONNECT_S),
            follow_redirects=False,  # a key must not go where an answer points
            **environment_for(_sound(self.url)),
        )

    def _open(self, **options: Any) -> None:
        raise NotImplementedError


def _check_key(key: str) -> None:
    """Say if a key cannot be shown to a service, without telling it.

    Raises:
        ValueError: it has what no header of HTTP carries, such as the end of the line it was on.
    """
    if not (key.isascii() and key.isprintable() and key.strip() == key != ""):
        raise ValueError(
            "the key cannot be sent: it is empty, ends in a space or a line break, or has a "
            "character outside ASCII"
        )


def _sound(url: str) -> httpx2.URL:
    """Return the address.

    Raises:
        ServiceUnreachable: it is none.
    """
    try:
        found = httpx2.URL(url)
        found.raw_host.decode("ascii").encode("idna")  # as the system is asked for it
    except (httpx2.InvalidURL, UnicodeError) as error:
        raise ServiceUnreachable(f"{url!r} is no address", why=str(error), hint=_EXAMPLE) from error
    if found.scheme not in {"http", "https"} or not found.host:
        raise ServiceUnreachable(
            f"{url!r} is no address", why="it lacks http:// or https:// and a name", hint=_EXAMPLE
        )
    return found


class Attempts(Generic[T]):
    """One call's attempts: what to send, and what to make of what comes."""

    def __init__(self, service: Service, call: Call[T]) -> None:
        self._service = service
        self._call = call
        self._deadline = time.monotonic() + service.patience_s
        self._count = 0

    def request(self) -> dict[str, Any]:
        """Return what the HTTP library is to send."""
        call = self._call
        given: dict[str, Any] = {"method": call.method, "url": call.path}
        if call.files:
            given["files"], given["data"] = list(call.files), dict(call.form)
        if call.json is not None:
            given["json"] = call.json
        return given

    def in_pieces(self, response: httpx2.Response) -> bool:
        """Return whether the answer comes piece by piece; a server may also answer all at once."""
        kind = _kind(response)
        pieces = self._call.pieces is not None and kind.startswith(self._call.pieces_as)
        return response.status_code == 200 and pieces

    @contextmanager
    def receiving(self, response: httpx2.Response) -> Iterator[Receiver[T]]:
        """Let an answer be received piece by piece while the block runs.

        Raises:
            ServiceUnreachable: it was cut off.
        """
        assert self._call.pieces is not None
        url = str(response.request.url)
        try:
            yield self._call.pieces(url)
        except httpx2.HTTPError as error:
            raise cut_off(url, str(error) or type(error).__name__) from error

    def result_of(self, response: httpx2.Response) -> T:
        """Return the call's result.

        Raises:
            ServiceError: the answer is an error.
        """
        content: Any = response.content if _kind(response).startswith(SOUND) else response.text
        if "json" in _kind(response):
            try:
                content = response.json()
            except ValueError:
                content = None
        if response.status_code not in self._call.fine:
            after = response.headers.get("retry-after")
            raise error_of(response.status_code, content, after, str(response.request.url))
        try:
            reply = Reply(response.status_code, dict(response.headers), content)
            return self._call.read(reply)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ServiceUnreachable(
                f"{response.request.url} is no Holdfast service",
                why=f"its answer cannot be read: {type(error).__name__}: {error}",
                hint=f"check the address; {_EXAMPLE}",
            ) from error

    def pause_after_refusal(self, busy: ServiceBusy) -> float:
        """Return how long to wait before the next attempt.

        Raises:
            ServiceBusy: ``busy``; another attempt is of no use, or patience has run out.
        """
        # A 503 that names no time is not about to pass: a model that nobody configured, or that a
        # person unloaded.
        again = busy.status == 429 or busy.retry_after_s is not None
        return self._pause_after(busy, again, busy.retry_after_s)

    def pause_after_silence(self, error: httpx2.HTTPError) -> float:
        """Return how long to wait before the next attempt.

        Raises:
            ServiceUnreachable: what ``error`` means, as above.
        """
        return self._pause_after(self._translated(error), self._call.safe, None)

    def _pause_after(
        self, error: ServiceBusy | ServiceUnreachable, again: bool, after: float | None
    ) -> float:
        pause = pause_s(self._count, after)
        self._count += 1
        if not again or time.monotonic() + pause > self._deadline:
            raise error
        return pause

    def _translated(self, error: httpx2.HTTPError) -> ServiceUnreachable:
        reason = str(error) or type(error).__name__
        return ServiceUnreachable(
            f"{self._service.url} does not answer", why=reason,
            hint=f"is it running? holdfast status {self._service.url}",
        )  # fmt: skip


def _kind(response: httpx2.Response) -> str:
    """Return what an answer says that its content is."""
    return str(response.headers.get("content-type", "")).lower()
