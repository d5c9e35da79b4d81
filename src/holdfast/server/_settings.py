"""Where the server listens and what it takes. Rules only; nothing here does I/O."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from holdfast.config import Secret, ServiceSettings
from holdfast.errors import ConfigInvalid

__all__ = ["ServerSettings"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """How the server is reached.

    Attributes:
        host: the address to listen on; only this machine's own unless a key is set.
        port: 0 for any free one.
        key: what clients must show, if anything.
        upload_limit_bytes: the largest request that is taken.
        shutdown_s: how long requests that are here may go on once the server was told to end.

    Raises:
        ConfigInvalid: other machines could reach the server without a key.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    key: Secret | None = None
    upload_limit_bytes: int = 200_000_000
    shutdown_s: float = 20.0

    @classmethod
    def of(cls, service: ServiceSettings) -> ServerSettings:
        """Return the server's part of the service's settings."""
        return cls(
            host=service.host,
            port=service.port,
            key=service.api_key,
            upload_limit_bytes=service.upload_limit_mb * 1_000_000,
            shutdown_s=service.shutdown_s,
        )

    def __post_init__(self) -> None:
        if self.key is not None and not self.key.strip():
            raise ConfigInvalid(
                "the server's key is empty",
                why="a key of nothing keeps nobody out",
                hint="export HOLDFAST_API_KEY=$(openssl rand -hex 32)",
            )
        if self.key is None and not _loopback(self.host):
            raise ConfigInvalid(
                f"the server does not listen on {self.host} without a key",
                why="everybody who reaches this address could use it",
                hint="export HOLDFAST_API_KEY=$(openssl rand -hex 32)    (or --host 127.0.0.1)",
            )


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
