"""The master key in the system's keyring: made there, found there, and nowhere else."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.stories.test_apps import bare, holdfast
from tests.support.keyrings import Session

SPEAKERS = (sys.executable, "-m", "holdfast", "voiceprint", "speakers")
PUT = """
import os, sys
from pathlib import Path
from holdfast.config import configuration
from holdfast.voiceprint.gallery import Profile
from holdfast.wiring import KeptVoices
voices = KeptVoices(configuration(os.environ).service, os.environ)
voices.open().put(Profile(id=sys.argv[1]))
voices.close()
"""


def env_of(home: Path) -> dict[str, str]:
    return bare(home, HOLDFAST_DATA=str(home / "data"), HOLDFAST_VOICEPRINT_KEYRING="1")


@pytest.fixture
def session(tmp_path: Path) -> Session:
    return Session(tmp_path)


def test_the_key_is_made_in_the_keyring_and_found_there(tmp_path: Path, session: Session) -> None:
    env = env_of(tmp_path)
    first = session.run(sys.executable, "-c", PUT, "ada", env=env)
    assert first.returncode == 0, first.stderr
    again = session.run(*SPEAKERS, env=env)  # another session of the same person
    assert (again.returncode, again.stdout.split()[0]) == (0, "ada"), again.stderr
    assert not list(tmp_path.rglob("voiceprint.key"))
    # A machine whose keyring has no key of these voices makes none.
    for kept in (tmp_path / ".local/share/keyrings").iterdir():
        kept.unlink()
    lost = session.run(*SPEAKERS, env=env)
    assert lost.returncode == 2
    assert "error[vault-key-missing]" in lost.stderr
    assert "keyring set holdfast voiceprint" in lost.stderr


def test_processes_that_begin_at_once_have_one_key(tmp_path: Path, session: Session) -> None:
    program = f'for name in a b c; do "{sys.executable}" -c "$1" $name & done; wait'
    done = session.run("sh", "-c", f"set -e; {program}", "sh", PUT, env=env_of(tmp_path))
    assert done.returncode == 0, done.stderr
    listed = session.run(*SPEAKERS, env=env_of(tmp_path))
    assert [line.split()[0] for line in listed.stdout.splitlines()] == ["a", "b", "c"]


def test_a_keyring_that_stays_locked_is_said_in_time(tmp_path: Path, session: Session) -> None:
    env = env_of(tmp_path)
    assert session.run(sys.executable, "-c", PUT, "ada", env=env).returncode == 0
    locked = session.run(*SPEAKERS, env=env, password="")
    assert locked.returncode == 2
    assert "error[keyring-unusable]" in locked.stderr


@pytest.mark.parametrize("backend", ["fail", "null"])
def test_where_there_is_no_keyring_no_file_stands_in(tmp_path: Path, backend: str) -> None:
    env = env_of(tmp_path) | {"PYTHON_KEYRING_BACKEND": f"keyring.backends.{backend}.Keyring"}
    done = holdfast("voiceprint", "speakers", env=env)
    assert done.returncode == 2
    assert "error[keyring-unusable]" in done.stderr
    assert "this system has none" in done.stderr
    assert not list(tmp_path.rglob("voiceprint*"))


def test_a_database_is_given_no_key_that_others_lack(tmp_path: Path, session: Session) -> None:
    env = env_of(tmp_path) | {"HOLDFAST_VOICEPRINT_DATABASE": "postgresql://ada@127.0.0.1:1/g"}
    done = session.run(*SPEAKERS, env=env)
    assert done.returncode == 2
    assert "none in this system's keyring" in done.stderr
    # With a key it goes on to the database, which is not there.
    assert session.run(
        sys.executable, "-c",
        "import keyring; from holdfast.voiceprint.gallery import new_key;"
        "keyring.set_password('holdfast', 'voiceprint', new_key())",
    ).returncode == 0  # fmt: skip
    assert "error[gallery-unusable]" in session.run(*SPEAKERS, env=env).stderr
