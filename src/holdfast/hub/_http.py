"""One HTTP transport over urllib3: proxies and certificates from the environment, limits on waits.

Foreign exceptions are translated here, during the reading of a body too. Why urllib3: ADR 2.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urljoin, urlsplit

from holdfast._version import __version__
from holdfast.errors import ConfigInvalid, HubProtocolError, HubUnavailable
from holdfast.hub._protocol import same_origin

if TYPE_CHECKING:
    import ssl

    import urllib3

__all__ = ["Answer", "Http", "within"]

T = TypeVar("T")
CHUNK = 1 << 20
MAX_METADATA_BYTES = 64 << 20
_MAX_REDIRECTS = 8
_REDIRECTS = {301, 302, 303, 307, 308}
_CA_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")


class Answer:
    """A response whose body has not been read. ``url`` is where the redirects led."""

    __slots__ = ("_response", "headers", "status", "url")

    def __init__(self, response: urllib3.BaseHTTPResponse, url: str) -> None:
        self.status: int = response.status
        self.headers: Mapping[str, str] = response.headers
        self.url = url
        self._response = response

    def chunks(self) -> Iterator[bytes]:
        """Yield the body as it arrives, at most a megabyte at a time.

        Raises:
            HubUnavailable: the connection stalled, broke, or ended before the promised length.
        """
        with _translated(self.url):
            while chunk := self._response.read1(CHUNK):
                yield chunk

    def body(self, limit: int = MAX_METADATA_BYTES) -> bytes:
        """Read all of a small body.

        Raises:
            HubProtocolError: it is longer than ``limit`` bytes.
            HubUnavailable: as for `chunks`.
        """
        parts: list[bytes] = []
        taken = 0
        for chunk in self.chunks():
            taken += len(chunk)
            if taken > limit:
                self.close()
                raise HubProtocolError(
                    f"{self.url} sent too much", why=f"more than {limit} bytes for a description",
                    hint="check HF_ENDPOINT",
                )  # fmt: skip
            parts.append(chunk)
        return b"".join(parts)

    def release(self) -> None:
        """Give the connection back, reading what is left of a short body."""
        with contextlib.suppress(HubUnavailable, HubProtocolError):
            self.body(limit=1 << 16)
        self._response.release_conn()

    def close(self) -> None:
        """Drop the connection: the rest of the body is not wanted."""
        self._response.close()


class Http:
    """GET over pooled connections; safe to use from several threads."""

    def __init__(
        self,
        *,
        connect_timeout_s: float,
        stall_timeout_s: float,
        connections: int,
        env: Mapping[str, str],
    ) -> None:
        self._connect_timeout_s = connect_timeout_s
        self._stall_timeout_s = stall_timeout_s
        self._connections = connections
        self._env = env
        self._proxies = {
            name.lower().removesuffix("_proxy"): value
            for name, value in env.items()
            if name.lower().endswith("_proxy") and value
        }
        if "REQUEST_METHOD" in env:
            self._proxies.pop("http", None)  # a CGI program: the variable is the client's header
        self._pools: dict[tuple[str | None, bool], urllib3.PoolManager] = {}
        self._lock = threading.Lock()

    @staticmethod
    def load() -> None:
        """Import the HTTP library: as long as finding a home takes."""
        import urllib3  # noqa: F401

    def get(self, url: str, headers: Mapping[str, str], *, token: str | None = None) -> Answer:
        """Send a GET and follow redirects; the token goes to the first origin only.

        Raises:
            HubUnavailable: no connection, silence, or too many redirects.
        """
        sent = {"User-Agent": f"holdfast/{__version__}", "Accept-Encoding": "identity", **headers}
        origin = url
        for _ in range(_MAX_REDIRECTS):
            if token is not None and same_origin(origin, url):
                sent["Authorization"] = f"Bearer {token}"
            else:
                # Once the way has left the origin the token stays behind, even on the way back.
                sent.pop("Authorization", None)
                token = None
            answer = self._send(url, sent)
            target = answer.headers.get("Location")
            if answer.status not in _REDIRECTS or not target:
                return answer
            answer.release()
            url = _followed(url, target)
        raise HubProtocolError(
            f"{origin} only redirects", why=f"{_MAX_REDIRECTS} redirects led nowhere",
            hint="check HF_ENDPOINT",
        )  # fmt: skip

    def _send(self, url: str, headers: Mapping[str, str]) -> Answer:
        import urllib3

        timeout = urllib3.Timeout(connect=self._connect_timeout_s, read=self._stall_timeout_s)
        with _translated(url):
            response = self._pool(url).request(
                "GET", url, headers=headers, timeout=timeout, redirect=False, retries=False,
                preload_content=False, decode_content=False,
            )  # fmt: skip
        return Answer(response, url)

    def _pool(self, url: str) -> urllib3.PoolManager:
        import urllib3

        proxy = self._proxy_for(url)
        encrypted = url.startswith("https:") or (proxy or "").startswith("https:")
        with self._lock:
            pool = self._pools.get((proxy, encrypted))
            if pool is None:
                context = self._tls if encrypted else None
                if proxy is None:
                    pool = urllib3.PoolManager(maxsize=self._connections, ssl_context=context)
                else:
                    pool = _proxied(proxy, context, self._connections)
                self._pools[proxy, encrypted] = pool
        return pool

    def _proxy_for(self, url: str) -> str | None:
        if not self._proxies:
            return None
        import urllib.request  # on the first need: what stays offline starts sooner without it

        parts = urlsplit(url)
        proxy = self._proxies.get(parts.scheme) or self._proxies.get("all")
        bypass = urllib.request.proxy_bypass_environment  # type: ignore[attr-defined]
        if not proxy or bypass(parts.netloc, self._proxies):
            return None
        return proxy if "://" in proxy else f"http://{proxy}"

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        import ssl

        for variable in _CA_VARIABLES:
            bundle = self._env.get(variable)
            if not bundle:
                continue
            folder = os.path.isdir(bundle)  # noqa: PTH112 - given as text, handed on as text
            try:
                return ssl.create_default_context(
                    cafile=None if folder else bundle, capath=bundle if folder else None
                )
            except OSError as error:
                raise ConfigInvalid(
                    f"the certificates named by {variable} cannot be loaded",
                    why=f"{bundle}: {error}", hint=f"unset {variable}, or name a PEM file",
                ) from error  # fmt: skip
        import truststore

        # The system's own store, so that a company's certificate works without being told.
        return truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def _proxied(proxy: str, context: ssl.SSLContext | None, connections: int) -> urllib3.ProxyManager:
    import urllib3
    from urllib3.util import make_headers

    parts = urlsplit(proxy)
    if parts.scheme not in {"http", "https"}:
        raise ConfigInvalid(
            f"the proxy {parts.scheme}://{parts.hostname} cannot be used",
            why="only http:// and https:// proxies are supported",
            hint="set HTTPS_PROXY=http://host:port",
        )
    headers = None
    if parts.username:
        from urllib.parse import unquote

        login = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        headers = make_headers(proxy_basic_auth=login)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return urllib3.ProxyManager(
        f"{parts.scheme}://{parts.hostname}:{port}",
        proxy_headers=headers,
        ssl_context=context,
        proxy_ssl_context=context,
        maxsize=connections,
    )


def _followed(url: str, target: str) -> str:
    try:
        following = urljoin(url, target)
        scheme = urlsplit(following).scheme
    except ValueError as error:
        raise HubProtocolError(
            f"{url} redirects to no usable address", why=str(error), hint="check HF_ENDPOINT"
        ) from error
    if scheme not in {"http", "https"}:
        raise HubProtocolError(
            f"{url} redirects to something that is not HTTP", why=following[:80],
            hint="check HF_ENDPOINT",
        )  # fmt: skip
    if url.startswith("https:") and not following.startswith("https:"):
        raise HubProtocolError(
            f"{url} redirects to an unencrypted address", why=following[:80],
            hint="check HF_ENDPOINT, and what answers in the Hub's place",
        )  # fmt: skip
    return following


@contextlib.contextmanager
def _translated(url: str) -> Iterator[None]:
    import urllib3

    shown = url.partition("?")[0]  # what follows may be a signature
    hint = "check the network, HF_ENDPOINT and the proxy settings; without a network: --offline"
    try:
        yield
    except urllib3.exceptions.ProxyError as error:
        raise HubUnavailable(
            f"the proxy did not let us through to {shown}", why=_root(error),
            hint="check HTTPS_PROXY, HTTP_PROXY and NO_PROXY",
        ) from error  # fmt: skip
    except urllib3.exceptions.SSLError as error:
        raise HubUnavailable(
            f"no trusted connection to {shown}", why=_root(error),
            hint="if a company proxy re-signs traffic: SSL_CERT_FILE=/path/to/its-ca.pem",
        ) from error  # fmt: skip
    except urllib3.exceptions.NewConnectionError as error:
        raise HubUnavailable(f"no connection to {shown}", why=_root(error), hint=hint) from error
    except urllib3.exceptions.TimeoutError as error:
        raise HubUnavailable(f"no answer from {shown}", why=_root(error), hint=hint) from error
    except (urllib3.exceptions.HTTPError, OSError) as error:
        raise HubUnavailable(
            f"the connection to {shown} failed", why=_root(error), hint=hint
        ) from error
    except ValueError as error:
        raise HubProtocolError(f"{shown} cannot be used", why=str(error), hint=hint) from error


def _root(error: BaseException) -> str:
    seen = error
    while (deeper := seen.__cause__ or seen.__context__) is not None:
        seen = deeper
    text = str(seen) or type(seen).__name__
    return text.partition("?")[0][:200]


def within(seconds: float, work: Callable[[], T], *, what: str) -> T:
    """Run ``work`` and return its result, or give it up after ``seconds``.

    A thread is the only way to put a limit on name resolution and on servers that dribble. A
    work that is given up ends by its own limits, in the background.

    Raises:
        HubUnavailable: the limit passed; ``what`` names what was waited for.
    """
    outcome: list[T] = []
    failure: list[BaseException] = []

    def run() -> None:
        try:
            outcome.append(work())
        except BaseException as error:  # noqa: BLE001 - carried over to the waiting thread
            failure.append(error)

    thread = threading.Thread(target=run, name="holdfast-metadata", daemon=True)
    thread.start()
    thread.join(seconds)
    if failure:
        raise failure[0]
    if outcome:
        return outcome[0]
    raise HubUnavailable(
        f"no answer about {what} within {seconds:.1f} s",
        why="the endpoint accepts, resolves or answers too slowly",
        hint="check the network and HF_ENDPOINT, or work offline: holdfast --offline ...",
    )
