"""What every test gets: a scrubbed environment, and no network but this machine."""

from __future__ import annotations

import ipaddress
import os
import socket
from typing import Any

import hypothesis
import pytest

pytest_plugins = ["tests.support.fixtures"]

_FOREIGN = ("HF_", "HUGGINGFACE_", "HOLDFAST_", "TRANSFORMERS_", "DOCLING_", "TORCH_", "SENTENCE_")
_FOREIGN_NAMES = {"XDG_CACHE_HOME", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"}


# No test fails for being slow: machines have other things to do.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")


def pytest_configure(config: pytest.Config) -> None:
    """Take out of the environment whatever would change where models live or come from."""
    for name in list(os.environ):
        if name.upper().startswith(_FOREIGN) or name.upper() in _FOREIGN_NAMES:
            del os.environ[name]


# What lasts longest begins first: nothing is left alone at the end.
_FIRST = frozenset({"test_service_load.py", "test_service_schema.py", "test_documents_survive.py"})


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the files whose few tests take minutes before those with many."""
    items.sort(key=lambda item: item.path.name not in _FIRST)


@pytest.fixture(autouse=True, scope="session")
def loopback_only() -> Any:
    """Fail a test that talks to another machine."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: Any) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6) and not _is_here(address[0]):
            raise AssertionError(f"a test tried to reach {address}")
        connect(self, address)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", guarded)
        yield


def _is_here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
