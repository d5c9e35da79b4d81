"""A hub that offers the tiny models, and settings for machines; all of it for the whole session."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from holdfast.refs import parse_ref
from tests.libraries import environment
from tests.libraries.conditions import CONDITIONS, Setting
from tests.libraries.environment import Ended
from tests.support.core import Shop, User, opened_shop


@dataclass(frozen=True)
class Models:
    """The tiny models on a hub of their own."""

    shop: Shop
    names: tuple[str, ...]
    sizes: dict[str, int]


@pytest.fixture(scope="session")
def libraries() -> None:
    """Skip, with the reason, where there is no environment with the libraries."""
    if reason := environment.missing():
        pytest.skip(reason)


@pytest.fixture(scope="session")
def tiny(libraries: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Models]:
    """The tiny models, served."""
    root = environment.models()
    found: dict[str, dict[str, bytes]] = {}
    for path in sorted(path for path in root.rglob("*") if path.is_file()):
        parts = path.relative_to(root).parts
        own = 3 if parts[0] == "datasets" else 2
        files = found.setdefault("/".join(parts[:own]), {})
        files["/".join(parts[own:])] = path.read_bytes()
    with opened_shop(tmp_path_factory.mktemp("tiny")) as shop:
        for name, content in found.items():
            shop.repositories.commit(parse_ref(name).repo, content)
        sizes = {name: sum(map(len, content.values())) for name, content in found.items()}
        yield Models(shop, tuple(found), sizes)


@pytest.fixture(scope="session")
def layer(tiny: Models, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home that holds every tiny model, as a container's image brings it."""
    base = tmp_path_factory.mktemp("image")
    home = base / "home"
    env = {"PATH": "/usr/bin:/bin", "HOME": str(base)}
    User(home, tiny.shop.url, env).run("pull", *tiny.names).done()
    return home


@pytest.fixture(scope="session")
def new_setting(
    tiny: Models, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[], Setting]:
    """Makes what machines are made from, each time in a folder of its own."""

    def make() -> Setting:
        return Setting(
            tmp_path_factory.mktemp("machine"),
            tiny.shop.url,
            lambda: request.getfixturevalue("stranger"),
            lambda: request.getfixturevalue("layer"),
        )

    return make


@pytest.fixture
def setting(new_setting: Callable[[], Setting]) -> Setting:
    """What machines are made from."""
    return new_setting()


@dataclass(frozen=True)
class Pair:
    """The same programs on two machines alike: as they are, and below `holdfast run`."""

    condition: str
    plain: Ended
    held: Ended


def pair(condition: str, names: Sequence[str], new_setting: Callable[[], Setting]) -> Pair:
    """Run programs both ways."""
    ended = []
    for holdfast in (False, True):
        with CONDITIONS[condition](new_setting()) as machine:
            ended.append(machine.run(names, holdfast=holdfast))
    return Pair(condition, *ended)
