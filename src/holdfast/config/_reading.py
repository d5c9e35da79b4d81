"""How one setting is read from text. Rules only; nothing here does I/O."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from holdfast.errors import ConfigInvalid

__all__ = [
    "Reading",
    "Secret",
    "count",
    "database",
    "flag",
    "folder",
    "from_variables",
    "given",
    "name",
    "names",
    "paths",
    "read",
    "seconds",
    "secret",
    "url",
    "whole",
]

_TRUE = {"1", "on", "yes", "true"}
_FALSE = {"", "0", "off", "no", "false"}


class Secret(str):
    """Text that never shows in ``repr``."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'***'"


def flag(text: str) -> bool:
    """Read 1 or 0."""
    lowered = text.strip().lower()
    if lowered not in _TRUE | _FALSE:
        raise ValueError("must be 1 or 0")
    return lowered in _TRUE


def seconds(text: str) -> float:
    """Read a time in seconds."""
    value = float(text)
    if not 0 < value < 86_400:
        raise ValueError("must be more than 0 and less than 86400 seconds")
    return value


def count(text: str) -> int:
    """Read a small number of things."""
    value = int(text)
    if not 1 <= value <= 64:
        raise ValueError("must be between 1 and 64")
    return value


def paths(text: str) -> tuple[Path, ...]:
    """Read folders separated like PATH."""
    return tuple(Path(part) for part in text.split(os.pathsep) if part)


def one_of(*words: str) -> Callable[[str], str]:
    """Return what reads one of some words."""

    def parse(text: str) -> str:
        if text not in words:
            raise ValueError(f"must be one of {', '.join(words)}")
        return text

    return parse


def whole(least: int, most: int) -> Callable[[str], int]:
    """Return what reads a whole number between two."""

    def parse(text: str) -> int:
        value = int(text)
        if not least <= value <= most:
            raise ValueError(f"must be between {least} and {most}")
        return value

    return parse


def name(text: str) -> str:
    """Read a name, which is not empty."""
    if not text.strip():
        raise ValueError("must not be empty")
    return text


def names(text: str) -> tuple[str, ...]:
    """Read names or patterns separated by commas."""
    found = tuple(part.strip() for part in text.split(",") if part.strip())
    if text and not found:
        raise ValueError("must name something between its commas")
    return found


def networks(text: str) -> tuple[str, ...]:
    """Read networks or addresses separated by commas."""
    found = names(text)
    for each in found:
        ipaddress.ip_network(each)  # raises a ValueError that says what is wrong
    return found


def secret(text: str) -> Secret:
    """Read a key or token."""
    if not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError("it has characters that cannot be sent")
    return Secret(text)


def folder(text: str) -> Path:
    """Read a folder."""
    if not text:
        raise ValueError("must not be empty")
    return Path(text)


def url(text: str) -> str:
    """Read the address of a hub or service."""
    from urllib.parse import urlsplit

    parts = urlsplit(text)  # which refuses malformed addresses too
    if parts.username is not None or parts.password is not None:
        raise ValueError("must carry no user name or password; a token goes into HF_TOKEN")
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("must be http:// or https:// and a host")
    if parts.port == 0:
        raise ValueError("must not name port 0")
    return text.rstrip("/")


def database(text: str) -> Secret:
    """Read the address of a database, which may carry a password."""
    from urllib.parse import urlsplit

    if urlsplit(text).scheme not in {"postgresql", "postgres"}:
        raise ValueError("must be postgresql://user@host/database")
    return Secret(text)


class Reading(NamedTuple):
    """How a setting is read, and what it means."""

    parse: Callable[[str], Any]
    variables: tuple[str, ...]
    doc: str
    unit: str = ""


def read(variable: str, text: str, reading: Reading) -> Any:
    """Return the value that ``text`` means.

    Raises:
        ConfigInvalid: it means none; ``variable`` is named, and what it is for.
    """
    try:
        return reading.parse(text)
    except ValueError as error:
        # Addresses may carry a password too.
        shown = "***" if reading.parse in (secret, database) or "@" in text else repr(text)
        cure = "correct" if variable.startswith(("-", "[")) else "unset"
        raise ConfigInvalid(
            f"the setting {variable}={shown} cannot be used",
            why=str(error),
            hint=f"{cure} {variable}    (it means: {reading.doc})",
        ) from error


def given(name: str, value: Any, reading: Reading) -> Any:
    """Return what a program gave as a setting, checked as if it had been text.

    Raises:
        ConfigInvalid: it cannot be used.
    """
    if isinstance(value, bool):
        text = "1" if value else "0"
    elif isinstance(value, (list, tuple)) and reading.parse is paths:
        return tuple(Path(item) for item in value)
    elif isinstance(value, (list, tuple)):
        text = ",".join(map(str, value))
    else:
        text = str(value)
    return read(name, text, reading)


def from_variables(readings: Mapping[str, Reading], env: Mapping[str, str]) -> dict[str, Any]:
    """Return what the environment says, by setting; an empty variable counts as unset.

    Raises:
        ConfigInvalid: a variable's value cannot be read.
    """
    values: dict[str, Any] = {}
    for name, reading in readings.items():
        variable = next((v for v in reading.variables if env.get(v)), None)
        if variable is not None:
            values[name] = read(variable, env[variable], reading)
    return values
