"""The starter set's service, run beside a test, and what speech is asked about."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from holdfast.config import configuration
from holdfast.server import ServerSettings, running_server
from holdfast.wiring import Services, configured_services
from tests.support.serving import NO_DOCUMENTS

__all__ = ["SpeechService", "plain", "speech_service"]


@dataclass(frozen=True)
class SpeechService:
    """A service that answers at ``url``; its models are in ``models``."""

    url: str
    services: Services
    models: Path


@contextmanager
def speech_service(
    home: Path, more: Mapping[str, str] | None = None, upload_limit_bytes: int = 50_000_000
) -> Iterator[SpeechService]:
    """Serve the starter set from this process, with its models in ``home``; ready when entered."""
    env = {
        "PATH": os.environ["PATH"], "HOME": str(home), "HOLDFAST_HOME": str(home / "models"),
        "HOLDFAST_DATA": str(home / "data"), **NO_DOCUMENTS, **(more or {}),
    }  # fmt: skip
    found = configuration(env)
    services = configured_services(found.settings, found.service, env)
    settings = ServerSettings(
        port=0, upload_limit_bytes=upload_limit_bytes, key=found.service.api_key, shutdown_s=5
    )
    with running_server(services, settings) as server:
        waiting = [status.id for status in services.supervisor.not_ready()]
        assert services.supervisor.wait_ready(90), waiting
        yield SpeechService(server.url, services, home / "models")


def plain(text: str) -> str:
    """Return words without signs, as a reader without punctuation gives them."""
    return " ".join("".join(c for c in text.lower() if c.isalpha() or c in " '").split())
