"""Settings: read once from the environment, frozen, with units in their names.

Every field carries its variable and its documentation, so that ``docs/settings.md`` and the
``doctor`` can be checked against it. Nothing here does I/O but `read_token`, which reads one file.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

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


def _setting(
    default: Any, parse: Callable[[str], Any], *variables: str, doc: str, unit: str = ""
) -> Any:
    return field(
        default=default,
        metadata={"parse": parse, "variables": variables, "doc": doc, "unit": unit},
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What Holdfast was told. ``Settings()`` is the defaults; `from_env` reads the variables."""

    home: Path | None = _setting(
        None, _folder, "HOLDFAST_HOME",
        doc="Folder that models live in; the Hugging Face cache is its `hub/`. Found by trying "
        "when unset.",
    )  # fmt: skip
    layers: tuple[Path, ...] = _setting(
        (), _paths, "HOLDFAST_LAYERS",
        doc="Read-only homes (or hub caches) to look in below the writable one, separated like "
        "PATH.",
    )  # fmt: skip
    link_fallback: bool = _setting(
        True, _flag, "HOLDFAST_LINK_FALLBACK",
        doc="Let a hard link, a reflink or a copy stand in where the system refuses other "
        "programs' symbolic links (`holdfast run`, `holdfast.activate`).",
    )  # fmt: skip
    link_folders: tuple[Path, ...] = _setting(
        (), _paths, "HOLDFAST_LINK_FOLDERS",
        doc="Folders besides the homes in which links are stood in for, separated like PATH.",
    )  # fmt: skip
    shared: bool = _setting(
        False, _flag, "HOLDFAST_SHARED",
        doc="Make what is written writable by the folder's group (files 0664, folders 2775).",
    )  # fmt: skip
    endpoint: str = _setting(
        DEFAULT_ENDPOINT, _url, "HF_ENDPOINT", doc="The Hub to talk to.", unit="URL"
    )
    token: Secret | None = _setting(
        None, _secret, "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN",
        doc="Access token; else the standard token file (HF_TOKEN_PATH, HF_HOME/token, "
        "~/.cache/huggingface/token).",
    )  # fmt: skip
    api_key: Secret | None = _setting(
        None,
        _secret,
        "HOLDFAST_API_KEY",
        doc="Key that clients of `holdfast up` must send; needed to listen beyond loopback.",
    )  # fmt: skip
    offline: bool = _setting(
        False, _flag, "HOLDFAST_OFFLINE", "HF_HUB_OFFLINE",
        doc="Use only what is here: not one network call.",
    )  # fmt: skip
    connections: int = _setting(
        8, _count, "HOLDFAST_CONNECTIONS", doc="Parallel connections while downloading."
    )
    connect_timeout_s: float = _setting(
        10.0, _seconds, "HOLDFAST_CONNECT_TIMEOUT_S",
        doc="Limit for making one connection.", unit="s",
    )  # fmt: skip
    stall_timeout_s: float = _setting(
        20.0, _seconds, "HOLDFAST_STALL_TIMEOUT_S",
        doc="A connection that delivers no byte for this long is given up and tried again.",
        unit="s",
    )  # fmt: skip
    metadata_timeout_s: float = _setting(
        30.0, _seconds, "HOLDFAST_METADATA_TIMEOUT_S",
        doc="Limit for finding out what a revision holds, retries included, when nothing usable "
        "is here.", unit="s",
    )  # fmt: skip
    warm_timeout_s: float = _setting(
        2.0, _seconds, "HOLDFAST_WARM_TIMEOUT_S",
        doc="The same limit when a complete earlier revision is here; it is then used instead.",
        unit="s",
    )  # fmt: skip
    patience_s: float = _setting(
        90.0, _seconds, "HOLDFAST_PATIENCE_S",
        doc="How long a download is tried again without a single new byte before it fails.",
        unit="s",
    )  # fmt: skip
    lock_stall_s: float = _setting(
        30.0, _seconds, "HOLDFAST_LOCK_STALL_S",
        doc="How long to wait for another process that makes no visible progress on the same "
        "repository.", unit="s",
    )  # fmt: skip

    @classmethod
    def from_env(cls, env: Mapping[str, str], **overrides: Any) -> Settings:
        """Read the variables; ``overrides`` that are not None win.

        Raises:
            ConfigInvalid: a variable's value cannot be read; it is named with its unit.
        """
        values: dict[str, Any] = {}
        for item in dataclasses.fields(cls):
            for variable in item.metadata["variables"]:
                text = env.get(variable, "")
                if text == "":
                    continue
                values[item.name] = _read(variable, text, item.metadata)
                break
        values.update({name: value for name, value in overrides.items() if value is not None})
        for name in ("endpoint", "home"):
            if overrides.get(name) is not None:
                metadata = cls.__dataclass_fields__[name].metadata
                values[name] = _read(f"--{name}", str(overrides[name]), metadata)
        if "token" not in values:
            values["token"] = read_token(env)
        return cls(**values)


def _read(variable: str, text: str, metadata: Mapping[str, Any]) -> Any:
    try:
        return metadata["parse"](text)
    except ValueError as error:
        # Addresses may carry a password too.
        shown = "***" if metadata["parse"] is _secret or "@" in text else repr(text)
        cure = "correct" if variable.startswith("-") else "unset"
        raise ConfigInvalid(
            f"the setting {variable}={shown} cannot be used",
            why=str(error),
            hint=f"{cure} {variable}    (it means: {metadata['doc']})",
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
    return _read("the token file", text, {"parse": _secret, "doc": str(path)}) if text else None


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
    known = {v for item in dataclasses.fields(Settings) for v in item.metadata["variables"]}
    return sorted(v for v in env if v.startswith("HOLDFAST_") and v not in known)


def setting_docs() -> list[tuple[str, str, str, str]]:
    """Return ``(variables, default, unit, documentation)`` of every setting."""
    rows = []
    for item in dataclasses.fields(Settings):
        variables = ", ".join(item.metadata["variables"])
        default = "" if item.default in (None, ()) else str(item.default)
        rows.append((variables, default, item.metadata["unit"], item.metadata["doc"]))
    return rows
