"""Settings: read once from the environment, frozen, with units in their names.

Every setting has a row with its variables and its documentation, so that ``docs/settings.md`` and
the ``doctor`` can be checked against it. Only `read_token` does I/O: it reads one file.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from holdfast.errors import ConfigInvalid

__all__ = [
    "DEFAULT_ENDPOINT",
    "HUB_VARIABLES",
    "Secret",
    "Settings",
    "read_token",
    "setting_docs",
    "token_file",
    "unknown_variables",
]

DEFAULT_ENDPOINT = "https://huggingface.co"
# Variables of other tools that say where models live, in the order in which they are honoured.
HUB_VARIABLES = ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HOME")
_TRUE = {"1", "on", "yes", "true"}
_FALSE = {"", "0", "off", "no", "false"}


class Secret(str):
    """Text that never shows in ``repr``."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'***'"


def _flag(text: str) -> bool:
    lowered = text.strip().lower()
    if lowered not in _TRUE | _FALSE:
        raise ValueError("must be 1 or 0")
    return lowered in _TRUE


def _seconds(text: str) -> float:
    value = float(text)
    if not 0 < value < 86_400:
        raise ValueError("must be more than 0 and less than 86400 seconds")
    return value


def _count(text: str) -> int:
    value = int(text)
    if not 1 <= value <= 64:
        raise ValueError("must be between 1 and 64")
    return value


def _paths(text: str) -> tuple[Path, ...]:
    return tuple(Path(part) for part in text.split(os.pathsep) if part)


def _secret(text: str) -> Secret:
    if not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError("it has characters that cannot be sent")
    return Secret(text)


def _folder(text: str) -> Path:
    if not text:
        raise ValueError("must not be empty")
    return Path(text)


def _url(text: str) -> str:
    from urllib.parse import urlsplit

    parts = urlsplit(text)  # which refuses malformed addresses too
    if parts.username is not None or parts.password is not None:
        raise ValueError("must carry no user name or password; a token goes into HF_TOKEN")
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("must be http:// or https:// and a host")
    if parts.port == 0:
        raise ValueError("must not name port 0")
    return text.rstrip("/")


class Reading(NamedTuple):
    """How a setting is read, and what it means."""

    parse: Callable[[str], Any]
    variables: tuple[str, ...]
    doc: str
    unit: str = ""


_READINGS: Mapping[str, Reading] = {
    "home": Reading(
        _folder,
        ("HOLDFAST_HOME",),
        "Folder that models live in; the Hugging Face cache is its `hub/`. Found by trying when "
        "unset.",
    ),
    "layers": Reading(
        _paths,
        ("HOLDFAST_LAYERS",),
        "Read-only homes (or hub caches) to look in below the writable one, separated like PATH.",
    ),
    "link_fallback": Reading(
        _flag,
        ("HOLDFAST_LINK_FALLBACK",),
        "Let a hard link, a reflink or a copy stand in where the system refuses other programs' "
        "symbolic links (`holdfast run`, `holdfast.activate`).",
    ),
    "link_folders": Reading(
        _paths,
        ("HOLDFAST_LINK_FOLDERS",),
        "Folders besides the homes in which links are stood in for, separated like PATH.",
    ),
    "shared": Reading(
        _flag,
        ("HOLDFAST_SHARED",),
        "Make what is written writable by the folder's group (files 0664, folders 2775).",
    ),
    "endpoint": Reading(
        _url,
        ("HF_ENDPOINT",),
        "The Hub to talk to.",
        unit="URL",
    ),
    "token": Reading(
        _secret,
        ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"),
        "Access token; else the standard token file (HF_TOKEN_PATH, HF_HOME/token, "
        "~/.cache/huggingface/token).",
    ),
    "api_key": Reading(
        _secret,
        ("HOLDFAST_API_KEY",),
        "Key that clients of `holdfast up` must send; needed to listen beyond loopback.",
    ),
    "offline": Reading(
        _flag,
        ("HOLDFAST_OFFLINE", "HF_HUB_OFFLINE"),
        "Use only what is here: not one network call.",
    ),
    "connections": Reading(
        _count,
        ("HOLDFAST_CONNECTIONS",),
        "Most parallel connections while downloading: they are added while somebody waits.",
    ),
    "connect_timeout_s": Reading(
        _seconds,
        ("HOLDFAST_CONNECT_TIMEOUT_S",),
        "Limit for making one connection.",
        unit="s",
    ),
    "stall_timeout_s": Reading(
        _seconds,
        ("HOLDFAST_STALL_TIMEOUT_S",),
        "A connection that delivers no byte for this long is given up and tried again.",
        unit="s",
    ),
    "metadata_timeout_s": Reading(
        _seconds,
        ("HOLDFAST_METADATA_TIMEOUT_S",),
        "Limit for finding out what a revision holds, retries included, when nothing usable is "
        "here.",
        unit="s",
    ),
    "warm_timeout_s": Reading(
        _seconds,
        ("HOLDFAST_WARM_TIMEOUT_S",),
        "The same limit when a complete earlier revision is here; it is then used instead.",
        unit="s",
    ),
    "patience_s": Reading(
        _seconds,
        ("HOLDFAST_PATIENCE_S",),
        "How long a download is tried again without a single new byte before it fails.",
        unit="s",
    ),
    "lock_stall_s": Reading(
        _seconds,
        ("HOLDFAST_LOCK_STALL_S",),
        "How long to wait for another process that makes no visible progress on the same "
        "repository.",
        unit="s",
    ),
}


class Settings(NamedTuple):
    """What Holdfast was told. ``Settings()`` is the defaults; `from_env` reads the variables."""

    home: Path | None = None
    layers: tuple[Path, ...] = ()
    link_fallback: bool = True
    link_folders: tuple[Path, ...] = ()
    shared: bool = False
    endpoint: str = DEFAULT_ENDPOINT
    token: Secret | None = None
    api_key: Secret | None = None
    offline: bool = False
    connections: int = 8
    connect_timeout_s: float = 10.0
    stall_timeout_s: float = 20.0
    metadata_timeout_s: float = 30.0
    warm_timeout_s: float = 2.0
    patience_s: float = 90.0
    lock_stall_s: float = 30.0

    @classmethod
    def from_env(cls, env: Mapping[str, str], **overrides: Any) -> Settings:
        """Read the variables; ``overrides`` that are not None win.

        Raises:
            ConfigInvalid: a variable's value cannot be read; it is named with its unit.
        """
        values: dict[str, Any] = {}
        for name, reading in _READINGS.items():
            variable = next((v for v in reading.variables if env.get(v)), None)
            if variable is not None:
                values[name] = _read(variable, env[variable], reading)
        values.update({name: value for name, value in overrides.items() if value is not None})
        for name in ("endpoint", "home"):
            if overrides.get(name) is not None:
                values[name] = _read(f"--{name}", str(overrides[name]), _READINGS[name])
        if "token" not in values:
            values["token"] = read_token(env)
        return cls(**values)


def _read(variable: str, text: str, reading: Reading) -> Any:
    try:
        return reading.parse(text)
    except ValueError as error:
        # Addresses may carry a password too.
        shown = "***" if reading.parse is _secret or "@" in text else repr(text)
        cure = "correct" if variable.startswith("-") else "unset"
        raise ConfigInvalid(
            f"the setting {variable}={shown} cannot be used",
            why=str(error),
            hint=f"{cure} {variable}    (it means: {reading.doc})",
        ) from error


def read_token(env: Mapping[str, str]) -> Secret | None:
    """Return the token in the standard token file, or None when there is no readable one."""
    path = token_file(env)
    if path is None:
        return None
    try:
        text = path.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return None  # an unreadable token file is the same as none: public models need no token
    return _read("the token file", text, Reading(_secret, (), str(path))) if text else None


def token_file(env: Mapping[str, str]) -> Path | None:
    """Return where huggingface_hub keeps the token, or None where there is no such place."""
    named = env.get("HF_TOKEN_PATH")
    hf_home = env.get("HF_HOME")
    cache = env.get("XDG_CACHE_HOME") or (env["HOME"] + "/.cache" if env.get("HOME") else None)
    profile = env.get("USERPROFILE")
    if named:
        return Path(named)
    if hf_home:
        return Path(hf_home) / "token"
    if cache:
        return Path(cache) / "huggingface" / "token"
    if profile:
        return Path(profile) / ".cache" / "huggingface" / "token"
    return None


def unknown_variables(env: Mapping[str, str]) -> list[str]:
    """Return the ``HOLDFAST_*`` variables that mean nothing to this version, sorted."""
    known = {variable for reading in _READINGS.values() for variable in reading.variables}
    return sorted(v for v in env if v.startswith("HOLDFAST_") and v not in known)


def setting_docs() -> list[tuple[str, str, str, str]]:
    """Return ``(variables, default, unit, documentation)`` of every setting."""
    rows = []
    for name, reading in _READINGS.items():
        value = Settings._field_defaults[name]
        default = "" if value in (None, ()) else str(value)
        rows.append((", ".join(reading.variables), default, reading.unit, reading.doc))
    return rows
