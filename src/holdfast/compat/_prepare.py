"""Choosing what each variable is set to here: the user's own where it works, else what does."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from holdfast.compat._variables import HUB_VARIABLES, OFFLINE, VARIABLES, Variable
from holdfast.compat.inject import _holdfast_links
from holdfast.config import DEFAULT_ENDPOINT, Settings, token_file
from holdfast.errors import NoUsableHome
from holdfast.events import Notice, Reporter
from holdfast.places import Home, SearchPath, is_folder, surroundings

__all__ = ["INJECTED", "LINKS_VARIABLE", "Prepared", "prepare", "show_layers"]

# What every Python below imports at its start; see inject/sitecustomize.py.
INJECTED = Path(__file__).parent / "inject"
LINKS_VARIABLE = "_HOLDFAST_LINKS"
_LISTS = {"NLTK_DATA"}


class Prepared(NamedTuple):
    """What a program is given so that its libraries work here.

    Attributes:
        root: the home its models live in.
        hub: the Hugging Face cache in it.
        home: the same in full; None where nothing can be written, and a cache is only read.
        places: the home and what lies below it.
        values: the variables to set.
        own: variables of the user's that stay as they are.
        folders: where links are stood in for; empty where that is switched off.
    """

    root: Path
    hub: Path
    home: Home | None
    places: SearchPath
    values: dict[str, str]
    own: dict[str, str]
    folders: tuple[str, ...]


def prepare(settings: Settings, env: Mapping[str, str], report: Reporter) -> Prepared:
    """Find the home and decide every variable; only the folders of the home are made.

    Where nothing can be written, a cache that can be read takes the home's place, and that is said.

    Raises:
        NoUsableHome: models can live nowhere here, and there are none.
        OSError: the home has changed since it was probed.
    """
    around = surroundings(env)
    places = SearchPath(settings, around)
    root, hub, home = _place(places, report)
    for layer in places.missing_layers:
        report(Notice("warning", f"the layer {layer} is not there: what it held is missing"))
    choice = _Choice(root, hub, home, env, report)
    choice.user_folder(around.user_home)
    for variable in HUB_VARIABLES:
        choice.hub(variable)
    for variable in VARIABLES:
        choice.other(variable)
    choice.token()
    if settings.offline:
        choice.values |= {variable.name: "1" for variable in OFFLINE}
    if settings.endpoint != DEFAULT_ENDPOINT:
        choice.values["HF_ENDPOINT"] = settings.endpoint
    if around.temporary is None and home is not None:
        choice.folder("TMPDIR", choice.base / "tmp")
    if home is not None and root != hub:
        choice.values["HOLDFAST_HOME"] = str(root)  # for one `run` below another
    folders = _link_folders(settings, [root, hub, *(places.below(home) if home else [])])
    if folders:
        before = _holdfast_links.unpacked(env.get(LINKS_VARIABLE, ""))
        folders = tuple(dict.fromkeys([*folders, *before]))
        choice.values[LINKS_VARIABLE] = _holdfast_links.packed(folders)
    choice.values["PYTHONPATH"] = _first(str(INJECTED), env.get("PYTHONPATH", ""))
    return Prepared(root, hub, home, places, choice.values, choice.own, folders)


def _place(places: SearchPath, report: Reporter) -> tuple[Path, Path, Home | None]:
    """Return the home, its cache, and the home in full unless it can only be read."""
    home: Home | None = None
    try:
        home = places.choose(try_lock=False)
    except NoUsableHome as error:
        hub = next(iter(places.readable()), None)
        if hub is None:
            raise
        root = hub.parent if hub.name == "hub" else hub
        text = f"{error.what}: models are read from {hub}, and none can be added"
        report(Notice("warning", text))
    else:
        root, hub = home.root, home.hub
        for entry in home.passed_over:
            text = f"{entry.candidate.source} cannot hold models: {entry.verdict}"
            report(Notice("warning", f"{text}; using {home.root} ({home.source})"))
        home.make()
        if home.source in {"temporary folder", "application folder"}:
            report(Notice("warning", f"models live in the {home.source}: {home.root}"))
    return root, hub, home


def show_layers(prepared: Prepared, report: Reporter) -> None:
    """Show what lies below the home in it, for libraries that know one cache."""
    if prepared.home is not None and prepared.places.below(prepared.home):
        from holdfast.provision import overlay

        for shown in overlay(prepared.places, prepared.home, report):
            text = f"{shown.revision} in {shown.layer} appears in {prepared.hub} by"
            report(Notice("info", f"{text} {shown.way}"))


class _Choice:
    def __init__(
        self, root: Path, hub: Path, home: Home | None, env: Mapping[str, str], report: Reporter
    ) -> None:
        self.root = root
        self.cache = hub
        self.home = home
        self.env = env
        self.report = report
        self.values: dict[str, str] = {}
        self.own: dict[str, str] = {}
        self.user: Path | None = None
        # Where a variable names the hub cache itself, other models go beside it if they can.
        beside = hub.parent if _can_be_made(hub.parent) else hub
        self.base = root if root != hub else beside

    def user_folder(self, found: Path | None) -> None:
        """Make HOME usable: many libraries fail at import without one."""
        variable = "USERPROFILE" if sys.platform == "win32" else "HOME"
        if found is not None and found.is_absolute() and _writable(found):
            self.user = found
            if self.env.get(variable) == "":
                self.values[variable] = str(found)  # set to nothing, it stands for the root folder
            return
        if self.home is None:
            self.report(Notice("warning", f"{variable}={found} cannot be written"))
            return
        why = f"{variable}={found} cannot be written" if found else f"there is no {variable}"
        self.report(Notice("info", f"{why}: it is {self.base / 'user'} below"))
        self.folder(variable, self.base / "user")

    def folder(self, name: str, path: Path) -> None:
        """Set a variable to a folder that must exist."""
        path.mkdir(parents=True, exist_ok=True)
        self.values[name] = str(path)

    def hub(self, variable: Variable) -> None:
        """Set one of those that are chosen with the home."""
        if variable.name == "HF_HOME":
            value = self.root
            if self.root == self.cache:
                # Only the hub cache was named: the token and all else stay where they are.
                if self._keeps_own(variable):
                    return
                value = self._usual(variable) or self.base
        else:
            value = self.cache
        own = self.env.get(variable.name)
        chosen = variable.name in {"SENTENCE_TRANSFORMERS_HOME", "TRANSFORMERS_CACHE"}
        if chosen and self._keeps_own(variable):
            return
        given = Path(os.path.expanduser(os.path.expandvars(own or "")))  # noqa: PTH111
        if own and given.absolute() != value and not self._said(variable.name):
            source = self.home.source if self.home is not None else "what can be read"
            text = f"{variable.name}={own} gives way to {source}: it is {value} below"
            self.report(Notice("info", text))
        self.values[variable.name] = str(value)

    def _said(self, name: str) -> bool:
        passed_over = self.home.passed_over if self.home is not None else []
        return any(entry.candidate.source == name for entry in passed_over)

    def other(self, variable: Variable) -> None:
        """Set one of the others: what works of the user's own, the usual place, one in the home."""
        if self._keeps_own(variable):
            return
        place = self.base / variable.place
        if variable.if_filled or self.home is None:
            if is_folder(place) and any(place.iterdir()):
                self.values[variable.name] = str(place)
            return
        # What the user already has stays in use, unless the models' home was put elsewhere.
        if _is_own(self.home) or self.root == self.cache or variable.name in _SCRATCH:
            place = self._usual(variable) or place
        self.values[variable.name] = str(place)

    def _usual(self, variable: Variable) -> Path | None:
        standard = self._standard(variable)
        return standard if standard is not None and _can_be_made(standard) else None

    def _keeps_own(self, variable: Variable) -> bool:
        own = self.env.get(variable.name)
        if not own:
            return False
        path = Path(os.path.expanduser(os.path.expandvars(own)))  # noqa: PTH111 - as libraries do
        if variable.name in _LISTS or _filled(path) or _makes(path):
            self.own[variable.name] = own
            return True
        why = "it does not exist and cannot be made"
        if os.path.lexists(path):
            why = "it is empty and cannot be written" if is_folder(path) else "it is no folder"
        text = f"{variable.name}={own} cannot be used: {why}; another folder is used below"
        self.report(Notice("warning", text))
        return False

    def _standard(self, variable: Variable) -> Path | None:
        if not variable.standard or self.user is None:
            return None
        xdg = {
            key: Path(value) if (value := self.env.get(name)) and Path(value).is_absolute() else
            self.user / default
            for key, name, default in (
                ("cache", "XDG_CACHE_HOME", ".cache"), ("config", "XDG_CONFIG_HOME", ".config"),
            )
        }  # fmt: skip
        return Path(variable.standard.format(user=self.user, **xdg))

    def token(self) -> None:
        """Keep the user's token in use where HF_HOME, which it lies in, is another now."""
        before = token_file(self.env)
        if self.env.get("HF_TOKEN_PATH") or before is None or "HF_HOME" not in self.values:
            return
        if before.parent != Path(self.values["HF_HOME"]) and os.access(before, os.R_OK):
            self.values["HF_TOKEN_PATH"] = str(before)


# No models: they may stay in the user's own folders, wherever the models go.
_SCRATCH = {"XDG_CACHE_HOME", "MPLCONFIGDIR", "NUMBA_CACHE_DIR", "TRITON_HOME"}


def _is_own(home: Home | None) -> bool:
    return home is not None and home.source.startswith("user cache")


def _link_folders(settings: Settings, folders: list[Path]) -> tuple[str, ...]:
    if not settings.link_fallback:
        return ()
    found = (*folders, *settings.link_folders)
    return tuple(dict.fromkeys(str(path.absolute()) for path in found))


def _first(folder: str, others: str) -> str:
    if not others:
        return folder
    # An empty entry stands for the present folder: it stays where it was.
    rest = [path for path in others.split(os.pathsep) if path != folder]
    return os.pathsep.join([folder, *rest])


def _writable(path: Path) -> bool:
    return is_folder(path) and os.access(path, os.W_OK | os.X_OK)


def _can_be_made(path: Path) -> bool:
    while not os.path.lexists(path) and path.parent != path:
        path = path.parent
    return _writable(path)


def _makes(path: Path) -> bool:
    """Return whether a folder can be had and written, by making it: its library would too."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return _writable(path)


def _filled(path: Path) -> bool:
    try:
        return any(path.iterdir())
    except OSError:
        return False
