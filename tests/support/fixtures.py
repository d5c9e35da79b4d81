"""The harness as pytest fixtures; ``tests/conftest.py`` loads them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.deny import unavailable
from tests.support.filesystems import KINDS
from tests.support.powercut import PowerCutDisk, power_cut_disk
from tests.support.users import Stranger, stranger_user


@pytest.fixture(params=sorted(KINDS))
def any_disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """Run the test once on each file system; ``indirect`` parametrisation picks some."""
    with KINDS[request.param](tmp_path) as disk:
        yield disk


@pytest.fixture
def power_cut(tmp_path: Path) -> Iterator[PowerCutDisk]:
    """A disk that can be looked at as a power cut would leave it."""
    with power_cut_disk(tmp_path) as disk:
        yield disk


@pytest.fixture(scope="session")
def stranger() -> Iterator[Stranger]:
    """User 12345 of group 0, without a passwd entry, with a Python that can import holdfast."""
    with stranger_user() as someone:
        yield someone


@pytest.fixture
def seccomp() -> None:
    """Skip where the kernel cannot be asked to refuse system calls (``tests.support.deny``)."""
    reason = unavailable()
    if reason:
        pytest.skip(reason)
