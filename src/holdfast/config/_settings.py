"""Settings: read once from the environment, frozen, with units in their names.

Every setting has a row with its variables and its documentation, so that ``docs/settings.md`` and
the ``doctor`` can be checked against it. Only `read_token` does I/O: it reads one file.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from holdfast.config._reading import (
    Reading,
    Secret,
    count,
    flag,
    folder,
    from_variables,
    given,
    paths,
    read,
    seconds,
    secret,
    url,
)

__all__ = ["DEFAULT_ENDPOINT", "HUB_VARIABLES", "READINGS", "Settings", "read_token", "token_file"]

DEFAULT_ENDPOINT = "https://huggingface.co"
# Variables of other tools that say where models live, in the order in which they are honoured.
HUB_VARIABLES = ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HOME")
READINGS: Mapping[str, Reading] = {
    "home": Reading(
        folder,
        ("HOLDFAST_HOME",),
        "Folder that models live in; the Hugging Face cache is its `hub/`. Found by trying when "
        "unset.",
    ),
    "layers": Reading(
        paths,
        ("HOLDFAST_LAYERS",),
        "Read-only homes (or hub caches) to look in below the writable one, separated like PATH.",
    ),
    "link_fallback": Reading(
        flag,
        ("HOLDFAST_LINK_FALLBACK",),
        "Let a hard link, a reflink or a copy stand in where the system refuses other programs' "
        "symbolic links (`holdfast run`, `holdfast.activate`).",
    ),
    "link_folders": Reading(
        paths,
        ("HOLDFAST_LINK_FOLDERS",),
        "Folders besides the homes in which links are stood in for, separated like PATH.",
    ),
    "shared": Reading(
        flag,
        ("HOLDFAST_SHARED",),
        "Make what is written writable by the folder's group (files 0664, folders 2775).",
    ),
    "endpoint": Reading(
        url,
        ("HF_ENDPOINT",),
        "The Hub to talk to.",
        unit="URL",
    ),
    "token": Reading(
        secret,
        ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"),
        "Access token; else the standard token file (HF_TOKEN_PATH, HF_HOME/token, "
        "~/.cache/huggingface/token).",
    ),
    "offline": Reading(
        flag,
        ("HOLDFAST_OFFLINE", "HF_HUB_OFFLINE"),
        "Use only what is here: not one network call.",
    ),
    "connections": Reading(
        count,
        ("HOLDFAST_CONNECTIONS",),
        "Most parallel connections while downloading: they are added while somebody waits.",
    ),
    "connect_timeout_s": Reading(
        seconds,
        ("HOLDFAST_CONNECT_TIMEOUT_S",),
        "Limit for making one connection.",
        unit="s",
    ),
    "stall_timeout_s": Reading(
        seconds,
        ("HOLDFAST_STALL_TIMEOUT_S",),
        "A connection that delivers no byte for this long is given up and tried again.",
        unit="s",
    ),
    "metadata_timeout_s": Reading(
        seconds,
        ("HOLDFAST_METADATA_TIMEOUT_S",),
        "Limit for finding out what a revision holds, retries included, when nothing usable is "
        "here.",
        unit="s",
    ),
    "warm_timeout_s": Reading(
        seconds,
        ("HOLDFAST_WARM_TIMEOUT_S",),
        "The same limit when a complete earlier revision is here; it is then used instead.",
        unit="s",
    ),
    "patience_s": Reading(
        seconds,
        ("HOLDFAST_PATIENCE_S",),
        "How long a download is tried again without a single new byte before it fails.",
        unit="s",
    ),
    "lock_stall_s": Reading(
        seconds,
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
    offline: bool = False
    connections: int = 8
    connect_timeout_s: float = 10.0
    stall_timeout_s: float = 20.0
    metadata_timeout_s: float = 30.0
    warm_timeout_s: float = 2.0
    patience_s: float = 90.0
    lock_stall_s: float = 30.0

    @classmethod
    def from_env(
        cls, env: Mapping[str, str], file: Mapping[str, Any] | None = None, **overrides: Any
    ) -> Settings:
        """Read the variables, which win over what a ``file`` says; ``overrides`` win over both.

        Overrides that are None say nothing.

        Raises:
            ConfigInvalid: a value cannot be read; it is named with its unit.
            TypeError: there is no such setting.
        """
        values = {**(file or {}), **from_variables(READINGS, env)}
        for name, value in overrides.items():
            if name not in READINGS:
                raise TypeError(f"there is no setting {name!r}")
            if value is not None:
                values[name] = given(f"--{name}", value, READINGS[name])
        if "token" not in values:
            values["token"] = read_token(env)
        return cls(**values)


def read_token(env: Mapping[str, str]) -> Secret | None:
    """Return the token in the standard token file, or None when there is no readable one."""
    path = token_file(env)
    if path is None:
        return None
    try:
        text = path.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return None  # an unreadable token file is the same as none: public models need no token
    return read("the token file", text, Reading(secret, (), str(path))) if text else None


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
