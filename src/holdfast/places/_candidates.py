"""Where a model home could be, in the order in which the places are tried.

Rules only; nothing here does I/O: the caller passes what it read from the system.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from holdfast.config import Settings

__all__ = ["Candidate", "Surroundings", "absolute", "candidates"]


class Surroundings(NamedTuple):
    """What the candidates depend on besides the settings.

    Attributes:
        env: the environment's variables.
        user_home: the user's home folder, None where the system knows none.
        user: how to call the user in messages, such as ``user id 12345``.
        application: the folder the program was started in.
        temporary: the system's folder for temporary files, None where there is none.
        uid: the numeric user id, None on Windows.
        volume: a hosted container's persistent volume.
    """

    env: Mapping[str, str]
    user_home: Path | None
    user: str
    application: Path
    temporary: Path | None
    uid: int | None
    volume: Path = Path("/data")


class Candidate(NamedTuple):
    """One place to try. ``path`` is None where the place does not exist at all, with the reason.

    Attributes:
        source: what named it, such as ``HOLDFAST_HOME`` or ``user cache``.
        path: the home folder that would be probed.
        hub: the Hugging Face cache in it.
        missing: why there is no such place.
        must_exist: the folder is used only where someone else has made it (a mounted volume).
        private: other users must not be able to write to it (the shared temporary folder).
    """

    source: str
    path: Path | None
    hub: Path | None = None
    missing: str = ""
    must_exist: bool = False
    private: bool = False

    @property
    def named(self) -> bool:
        """Whether somebody named this place, by an option or a variable."""
        return self.source.isupper() or "--home" in self.source


def candidates(settings: Settings, around: Surroundings) -> list[Candidate]:
    """Return the places to try, first choice first, each folder once."""
    found = [*_named(settings, around), *_customary(around)]
    seen: set[Path] = set()
    distinct = []
    for candidate in found:
        if candidate.hub is not None and candidate.hub in seen:
            continue
        if candidate.hub is not None:
            seen.add(candidate.hub)
        distinct.append(candidate)
    return distinct


def _home(source: str, path: Path, around: Surroundings, *, private: bool = False) -> Candidate:
    root = absolute(path, around)
    return Candidate(source, root, root / "hub", private=private)


def _named(settings: Settings, around: Surroundings) -> list[Candidate]:
    env = around.env
    result = []
    if settings.home is not None:
        from_env = env.get("HOLDFAST_HOME") == str(settings.home)
        source = "HOLDFAST_HOME" if from_env else "setting --home"
        result.append(_home(source, settings.home, around))
    if env.get("HOLDFAST_HOME") and env["HOLDFAST_HOME"] != str(settings.home):
        result.append(_home("HOLDFAST_HOME", Path(env["HOLDFAST_HOME"]), around))
    for variable in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        if env.get(variable):
            hub = absolute(_expanded(env[variable], env), around)
            result.append(Candidate(variable, hub, hub))
    if env.get("HF_HOME"):
        result.append(_home("HF_HOME", absolute(_expanded(env["HF_HOME"], env), around), around))
    return result


def _expanded(text: str, env: Mapping[str, str]) -> Path:
    # huggingface_hub puts variables into its own: what it means by a setting is what we mean.
    def put_in(found: re.Match[str]) -> str:
        return env.get(found[1].strip("{}"), found[0])

    return Path(re.sub(r"\$(\w+|\{[^}]*\})", put_in, text))


def _customary(around: Surroundings) -> list[Candidate]:
    volume = around.volume / "huggingface"
    result = [
        Candidate("persistent volume", volume, volume / "hub", must_exist=True),
        _user_cache(around),
        _home("application folder", around.application / ".holdfast", around),
    ]
    if around.temporary is None:
        result.append(Candidate("temporary folder", None, missing="the system has no usable one"))
    else:
        name = "holdfast" if around.uid is None else f"holdfast-{around.uid}"
        result.append(_home("temporary folder", around.temporary / name, around, private=True))
    return result


def _user_cache(around: Surroundings) -> Candidate:
    # The very folder that huggingface_hub defaults to, so that nothing is downloaded twice.
    xdg = around.env.get("XDG_CACHE_HOME")
    if xdg and Path(xdg).is_absolute():
        return _home("user cache (XDG_CACHE_HOME)", Path(xdg) / "huggingface", around)
    if around.user_home is None:
        why = f"HOME is not set and {around.user} has no home folder"
        return Candidate("user cache", None, missing=why)
    return _home("user cache", around.user_home / ".cache" / "huggingface", around)


def absolute(path: Path, around: Surroundings) -> Path:
    """Return a path that somebody named, with ``~`` and what it is relative to put in."""
    if path.parts[:1] == ("~",) and around.user_home is not None:
        path = around.user_home.joinpath(*path.parts[1:])
    return path if path.is_absolute() else around.application / path
