"""Documents by their address: fetched from where a stranger may send this server, and only there.

Whoever may ask for a conversion names addresses that this machine then asks. So each name is
resolved here, each of its addresses must be one of the public network or allowed by the settings,
and the connection goes to just the address that was checked (so that another answer of the name
server changes nothing), anew after every redirect.
"""

from __future__ import annotations

import ipaddress
import logging
import mimetypes
import re
import socket
import ssl
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import SplitResult, unquote, urljoin, urlsplit

from holdfast.documents._errors import (
    DocumentAddressRefused,
    DocumentTooLarge,
    DocumentUnreachable,
)

if TYPE_CHECKING:
    import urllib3

    from holdfast.documents._model import Source

__all__ = ["Fetched", "Fetcher", "check_url", "name_of"]

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_MOST_REDIRECTS = 5
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_SILENCE_S = 20.0
_CONNECT_S = 10.0
_PIECE = 1 << 18
# IPv6 addresses that stand for IPv4 ones (RFC 6052, RFC 8215; RFC 4291, 2.5.5.1).
_TRANSLATED = tuple(map(ipaddress.IPv6Network, ("64:ff9b::/96", "64:ff9b:1::/48", "::/96")))
_log = logging.getLogger(__name__)


class Fetched(NamedTuple):
    """A document on its way: its file's name, and its content, piece by piece."""

    name: str
    pieces: Iterator[bytes]


class Fetcher:
    """Fetches documents by HTTP and HTTPS; no proxy is used, which would not be bound by what is
    checked here.

    Args:
        allowed: networks that may be asked although they are not public, such as ``10.1.0.0/16``.
        most_bytes: that a document may have.
        within_s: seconds that it may take to come.
    """

    def __init__(
        self,
        allowed: Sequence[str] = (),
        most_bytes: int = 200_000_000,
        within_s: float = 120.0,
    ) -> None:
        self._allowed = [ipaddress.ip_network(each) for each in allowed]
        self._most_bytes = most_bytes
        self._within_s = within_s

    def fetch(self, source: Source, told: Callable[[], None] = lambda: None) -> Fetched:
        """Ask for a document; its content is read as the pieces are taken.

        Args:
            source: with an address.
            told: called now and then; what it raises ends the fetching.

        Raises:
            DocumentAddressRefused: it, or where it leads, may not be asked.
            DocumentUnreachable: no answer, or none that is a document; so the pieces.
            DocumentTooLarge: it has more bytes than are taken; so the pieces.
        """
        deadline = time.monotonic() + self._within_s
        url, headers = source.url, dict(source.headers)
        for _ in range(_MOST_REDIRECTS + 1):
            told()
            response = self._asked("GET", url, headers, deadline)
            target = response.headers.get("Location")
            if response.status not in _REDIRECTS or not target:
                name = _name(source.name, response.headers)
                return Fetched(name, self._pieces(url, response, deadline, told))
            response.close()
            following = urljoin(url, target)
            if _origin(check_url(following)) != _origin(check_url(url)):
                headers = {}  # they were meant for the first server
            url = following
        raise _unreachable(source.url, f"{_MOST_REDIRECTS} redirects led nowhere")

    def post(self, url: str, headers: Mapping[str, str], body: bytes) -> None:
        """Tell an address something; a redirect is not followed.

        Raises:
            DocumentAddressRefused: it may not be asked.
            DocumentUnreachable: it did not say that it has taken it.
        """
        response = self._asked("POST", url, headers, time.monotonic() + self._within_s, body)
        response.close()
        if response.status >= 300:
            raise _unreachable(url, f"its server answers {response.status}")

    def _asked(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        deadline: float,
        body: bytes | None = None,
    ) -> urllib3.BaseHTTPResponse:
        import urllib3

        parts = check_url(url)
        sent = {
            "User-Agent": "holdfast", "Accept-Encoding": "identity", **headers, "Host": parts.netloc
        }  # fmt: skip
        path = parts._replace(scheme="", netloc="", fragment="", path=parts.path or "/").geturl()
        last = "it has no address"
        for address in self._checked(url, parts):
            left = deadline - time.monotonic()
            if left <= 0:
                raise _unreachable(url, f"no answer within {self._within_s:.0f} s")
            pool = _pool(parts, str(address))
            timeout = urllib3.Timeout(connect=min(left, _CONNECT_S), read=min(left, _SILENCE_S))
            try:
                response = pool.urlopen(
                    method, path, body, sent, timeout=timeout, redirect=False, retries=False,
                    preload_content=False, decode_content=False, assert_same_host=False,
                )  # fmt: skip
            except (urllib3.exceptions.HTTPError, OSError, UnicodeError) as error:
                last = _reason(error)
                continue
            if response.status >= 400:
                response.close()
                raise _unreachable(url, f"its server answers {response.status}")
            return response
        raise _unreachable(url, last)

    def _checked(self, url: str, parts: SplitResult) -> list[Address]:
        """Return the addresses of a server, if all may be asked."""
        host = parts.hostname or ""
        try:
            found = socket.getaddrinfo(host, _port(parts), type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise _unreachable(url, f"{host} has no address: {error}") from error
        addresses = list(dict.fromkeys(ipaddress.ip_address(each[4][0]) for each in found))
        for address in addresses:
            if not self._may_ask(address):
                # What an inner name means is for the log: not everybody may know.
                _log.info("%s is %s, which is not public: it is not asked", host, address)
                raise DocumentAddressRefused(
                    f"{_shown(url)} is not asked", why="its server is not of the public network",
                    hint="HOLDFAST_DOCUMENTS_ALLOW_ADDRESSES, if it is meant",
                )  # fmt: skip
        return addresses

    def _may_ask(self, address: Address) -> bool:
        inner = _embedded(address)
        if any(each in network for network in self._allowed for each in {address, inner}):
            return True
        return all(
            each.is_global and not each.is_multicast and not getattr(each, "is_site_local", False)
            for each in (address, inner)
        )

    def _pieces(
        self,
        url: str,
        response: urllib3.BaseHTTPResponse,
        deadline: float,
        told: Callable[[], None],
    ) -> Iterator[bytes]:
        import urllib3

        taken = 0
        try:
            while piece := response.read1(_PIECE):
                told()
                taken += len(piece)
                if taken > self._most_bytes:
                    raise DocumentTooLarge(
                        f"{_shown(url)} is too large",
                        why=f"at most {self._most_bytes} B are taken",
                        hint="HOLDFAST_UPLOAD_LIMIT_MB, if it is meant",
                    )  # fmt: skip
                if time.monotonic() > deadline:
                    raise _unreachable(url, f"not all of it came within {self._within_s:.0f} s")
                yield piece
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise _unreachable(url, _reason(error)) from error
        finally:
            response.close()


def check_url(url: str) -> SplitResult:
    """Return the parts of an address that may be tried.

    Raises:
        DocumentAddressRefused: it is none of HTTP, or holds a password.
    """
    try:
        url.encode()
        parts = urlsplit(url)
        _port(parts)
    except ValueError as error:
        raise _refused(ascii(url), "it is no address") from error
    if parts.scheme not in {"http", "https"}:
        raise _refused(url, "only http:// and https:// are fetched")
    if not parts.hostname or any(character.isspace() for character in url):
        raise _refused(url, "it names no server")
    if "@" in parts.netloc:
        raise _refused(url, "it holds a name or a password, which belong into the source's headers")
    return parts


def _refused(url: str, why: str) -> DocumentAddressRefused:
    return DocumentAddressRefused(
        f"{_shown(url)} cannot be fetched", why=why, hint="https://SERVER/DOCUMENT.pdf"
    )


def _unreachable(url: str, why: str) -> DocumentUnreachable:
    return DocumentUnreachable(
        f"{_shown(url)} could not be fetched", why=why, hint=f"curl -I '{_shown(url)}'"
    )


def _reason(error: Exception) -> str:
    """Return what went wrong with a connection, in a few words."""
    _log.info("a document could not be fetched: %r", error)
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    text = type(error).__name__.removesuffix("Error")
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", text).lower()


def _shown(url: str) -> str:
    """Return an address without what may be a secret in it."""
    shown = url.partition("?")[0].partition("#")[0]
    scheme, separator, rest = shown.partition("://")
    server, slash, path = rest.partition("/")
    return f"{scheme}{separator}{server.rpartition('@')[2]}{slash}{path}"[:200]


def _port(parts: SplitResult) -> int:
    return parts.port or (443 if parts.scheme == "https" else 80)


def _origin(parts: SplitResult) -> tuple[str, str | None, int]:
    return parts.scheme, parts.hostname, _port(parts)


def _embedded(address: Address) -> Address:
    """Return the IPv4 address that an IPv6 one stands for; else the address itself."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if any(address in network for network in _TRANSLATED):
        return ipaddress.IPv4Address(address.packed[-4:])
    teredo = address.teredo[1] if address.teredo else None
    return address.ipv4_mapped or address.sixtofour or teredo or address


def _pool(parts: SplitResult, address: str) -> urllib3.HTTPConnectionPool:
    """Return what connects to an address, and takes whoever answers for the server named."""
    import truststore
    import urllib3

    if parts.scheme == "http":
        return urllib3.HTTPConnectionPool(address, _port(parts), maxsize=1)
    return urllib3.HTTPSConnectionPool(
        address, _port(parts), maxsize=1,
        ssl_context=truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT),
        server_hostname=parts.hostname, assert_hostname=parts.hostname,
    )  # fmt: skip


def _name(name: str, headers: Mapping[str, str]) -> str:
    """Return a name for a document whose suffix says what it is, if its server does."""
    kind = headers.get("Content-Type", "").partition(";")[0].strip().lower()
    suffix = mimetypes.guess_extension(kind) or ""
    known = mimetypes.guess_type(name)[0]
    if not suffix or suffix == ".bin" or known is not None:
        return name
    return f"{name}{suffix}"


def name_of(url: str) -> str:
    """Return the last part of an address, as a file's name."""
    return PurePosixPath(unquote(urlsplit(url).path)).name or "document"
