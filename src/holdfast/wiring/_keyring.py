"""The system's keyring by ``keyring``: Secret Service, Keychain, Credential Manager."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from holdfast.errors import HoldfastError, MissingExtra

if TYPE_CHECKING:
    from holdfast.voiceprint.gallery import KeyringUnusable

__all__ = ["keep_in_keyring", "key_in_keyring"]

T = TypeVar("T")
_SERVICE, _NAME = "holdfast", "voiceprint"
_WAIT_S = 20.0


def key_in_keyring() -> str | None:
    """Return the key that is in the keyring, if any.

    Raises:
        KeyringUnusable: there is no keyring, it is locked, or it does not answer.
    """
    return _asked(lambda backend: _text(backend.get_password(_SERVICE, _NAME)))


def keep_in_keyring(text: str) -> None:
    """Put a key into the keyring, and make sure that it is there.

    Raises:
        KeyringUnusable: as `key_in_keyring`.
    """

    def keep(backend: Any) -> str | None:
        backend.set_password(_SERVICE, _NAME, text)
        return _text(backend.get_password(_SERVICE, _NAME))

    if _asked(keep) != text:
        raise _unusable("it took the key and does not give it back")


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def _asked(question: Callable[[Any], T]) -> T:
    """Ask the backend in a thread of its own: one that is locked may wait for a person."""
    answers: list[T] = []
    errors: list[Exception] = []

    def ask() -> None:
        try:
            answers.append(question(_backend()))
        except Exception as error:  # noqa: BLE001 - backends raise what their systems do
            errors.append(error)

    thread = threading.Thread(target=ask, name="keyring", daemon=True)
    thread.start()
    thread.join(_WAIT_S)
    if answers:
        return answers[0]
    if not errors:
        raise _unusable(f"no answer within {_WAIT_S:.0f} s; it may be waiting for its password")
    if isinstance(errors[0], HoldfastError):
        raise errors[0]
    raise _unusable(f"{type(errors[0]).__name__}: {errors[0]}") from errors[0]


def _backend() -> Any:
    try:
        import keyring
        from keyring.backends import chainer, fail, null
    except ImportError as error:
        raise MissingExtra(
            "the voiceprints' key cannot come from the keyring here",
            why="the library keyring is not installed",
            hint="pip install 'holdfast[keyring]'",
        ) from error
    backend = keyring.get_keyring()
    # What keyring falls back to where there is none: one refuses, one forgets, one asks nobody.
    empty = isinstance(backend, chainer.ChainerBackend) and not backend.backends
    if empty or isinstance(backend, (fail.Keyring, null.Keyring)):
        raise _unusable("this system has none that can be used from here")
    return backend


def _unusable(why: str) -> KeyringUnusable:
    from holdfast.voiceprint.gallery import KeyringUnusable

    return KeyringUnusable(
        "the system's keyring cannot hold the voiceprints' key", why=why,
        hint="keyring diagnose    (or give the key by HOLDFAST_VOICEPRINT_KEY or a key file)",
    )  # fmt: skip
