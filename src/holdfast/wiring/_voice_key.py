"""The voiceprints' master key: from a variable, the system's keyring or a file, in this order.

Whichever of them is meant, no other stands in for it: a key in the wrong place is a key that leaks.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from holdfast.config import ServiceSettings
from holdfast.wiring._keyring import keep_in_keyring, key_in_keyring

__all__ = ["local_key", "shared_key"]

_KEY_FILE = "voiceprint.key"
_BACK = "bring the key file back, or set HOLDFAST_VOICEPRINT_KEY"
_SET = "openssl rand -base64 32    (once; then give it as HOLDFAST_VOICEPRINT_KEY to each server)"


def local_key(service: ServiceSettings, folder: Path) -> bytes:
    """Return the master key of voices in a folder; it is made with the first of them.

    Raises:
        VaultKeyMissing: there are voices, and no key.
        VaultKeyWrong: what is there is no key.
        KeyringUnusable: it was to be in the keyring.
    """
    from holdfast.voiceprint.gallery import read_key

    if service.voiceprint_key is not None:
        return read_key(service.voiceprint_key)
    if service.voiceprint_keyring:
        return read_key(_own_in_keyring(folder))
    return _own_in_file(service.voiceprint_key_file or folder / _KEY_FILE, folder)


def shared_key(service: ServiceSettings) -> bytes:
    """Return the master key of voices in a database. None is made: every server needs the same.

    Raises:
        VaultKeyMissing: none was given.
        VaultKeyWrong: what was given is no key.
        KeyringUnusable: it was to be in the keyring.
    """
    from holdfast.voiceprint.gallery import VaultKeyMissing, read_key

    if service.voiceprint_key is not None:
        return read_key(service.voiceprint_key)
    why = "no key was given, and one that this server makes would be no other's"
    if service.voiceprint_keyring:
        kept = key_in_keyring()
        if kept is not None:
            return read_key(kept)
        why = "there is none in this system's keyring"
    elif service.voiceprint_key_file is not None:
        path = service.voiceprint_key_file
        try:
            return read_key(path.read_text("ascii"))
        except (OSError, UnicodeDecodeError) as error:
            why = f"there is none in {path}: {getattr(error, 'strerror', '') or 'it is no text'}"
    raise VaultKeyMissing("the voices in the database have no key here", why=why, hint=_SET)


def _own_in_keyring(folder: Path) -> str:
    from holdfast.voiceprint.gallery import VaultKeyMissing, new_key

    kept = key_in_keyring()
    if kept is not None:
        return kept
    with _alone(folder):
        kept = key_in_keyring()
        if kept is not None:
            return kept  # another process was quicker
        if (folder / "voiceprint.sqlite").exists():
            raise VaultKeyMissing(
                "the enrolled voices cannot be opened",
                why="the system's keyring has no key of theirs",
                hint="keyring set holdfast voiceprint    (and give it the key, such as "
                f"{folder / _KEY_FILE} has it)",
            )
        made = new_key()
        keep_in_keyring(made)
    return made


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Keep other processes waiting: a second key would be put over the first."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    # SQLite's locks work on every system, and go with a process that is killed.
    db = sqlite3.connect(folder / "voiceprint.making-key", timeout=60, isolation_level=None)
    try:
        db.execute("BEGIN EXCLUSIVE")
        yield
    finally:
        db.close()


def _own_in_file(path: Path, folder: Path) -> bytes:
    from holdfast.voiceprint.gallery import VaultKeyMissing, new_key, read_key

    try:
        found = _in_file(path)
        if found is None and (folder / "voiceprint.sqlite").exists():
            raise VaultKeyMissing(
                "the enrolled voices cannot be opened", why=f"there is no key in {path}", hint=_BACK
            )
        if found is None:
            with _alone(folder):
                found = _in_file(path)  # another process may have been quicker
                if found is None:
                    found = _made(path, new_key())
    except (OSError, sqlite3.Error, UnicodeDecodeError) as error:
        why = "it is no text" if isinstance(error, UnicodeDecodeError) else str(error)
        raise VaultKeyMissing(
            "the enrolled voices cannot be opened",
            why=f"there is no key in {path}: {why}",
            hint=_BACK,
        ) from error
    return read_key(found)


def _in_file(path: Path) -> str | None:
    try:
        return path.read_text("ascii")
    except FileNotFoundError:
        return None


def _made(path: Path, text: str) -> str:
    """Write a new key's file, for its owner only."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="ascii") as file:
        file.write(text + "\n")
        file.flush()
        os.fsync(file.fileno())
    return text
