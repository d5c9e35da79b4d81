"""The harness as pytest fixtures; ``tests/conftest.py`` loads them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.core import Shop, User, opened_shop
from tests.support.deny import unavailable
from tests.support.filesystems import KINDS
from tests.support.postgres import Postgres, running_postgres
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


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL with pgvector, shared by all tests; each makes databases of its own."""
    with running_postgres() as server:
        yield server


@pytest.fixture
def seccomp() -> None:
    """Skip where the kernel cannot be asked to refuse system calls (``tests.support.deny``)."""
    reason = unavailable()
    if reason:
        pytest.skip(reason)


@pytest.fixture(scope="session")
def open_shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """A hub in a process of its own, shared by all tests; use ``shop``."""
    with opened_shop(tmp_path_factory.mktemp("shop")) as shop:
        yield shop


@pytest.fixture
def shop(open_shop: Shop) -> Iterator[Shop]:
    """The hub without faults and with an empty log."""
    open_shop.next_test()
    yield open_shop
    open_shop.next_test()


@pytest.fixture
def user(shop: Shop, tmp_path: Path) -> User:
    """Somebody with an empty model home, an empty home folder, and nothing in the environment."""
    folder = tmp_path / "user"
    folder.mkdir()
    env = {
        "PATH": os.environ["PATH"],
        "LANG": "C.UTF-8",
        "HOME": str(folder),
        "PWD": str(folder),
        "TMPDIR": str(folder),
    }
    return User(tmp_path / "home", shop.url, env)
