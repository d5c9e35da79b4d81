"""The cure inside a running program: the same variables, links and overlay as `holdfast run`."""

from __future__ import annotations

import contextlib
import os
import sys
from _thread import RLock  # threading itself takes a millisecond to import
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from holdfast.compat._prepare import Prepared, prepare, show_layers
from holdfast.compat._variables import HUB_VARIABLES, OFFLINE, VARIABLES, Held, Variable
from holdfast.compat.inject import _holdfast_hub, _holdfast_links
from holdfast.config import Settings
from holdfast.errors import TooLate
from holdfast.events import Notice, Reporter

__all__ = ["Activation", "activate"]


# Those in effect, in their order; one at a time is made or taken back.
_active: list[Activation] = []
_turn = RLock()


class Activation:
    """What `activate` did; also a context manager that takes it back at its end.

    Attributes:
        home: the home that models live in now.
        variables: what was set in ``os.environ``.
        rebound: the variables that a library had read already, and was told anew.
    """

    def __init__(self, prepared: Prepared) -> None:
        self.home: Path = prepared.root
        self.variables: dict[str, str] = dict(prepared.values)
        self.rebound: list[str] = []
        self._undo: list[Callable[[], object]] = []
        self._ended = False

    def deactivate(self) -> None:
        """Take everything back. What libraries read meanwhile is theirs.

        An activation that others followed is taken back with the last of them: in reverse.
        """
        with _turn:
            self._ended = True
            while _active and _active[-1]._ended:
                last = _active.pop()
                while last._undo:
                    last._undo.pop()()

    def __enter__(self) -> Activation:
        return self

    def __exit__(self, *failure: object) -> None:
        self.deactivate()

    def _later(self, undo: Callable[[], object]) -> None:
        self._undo.append(undo)


def activate(settings: Settings, env: Mapping[str, str], report: Reporter) -> Activation:
    """Make the libraries of this process work here, and those of processes it starts.

    Raises:
        NoUsableHome: models can live nowhere here.
        TooLate: a library has read its variable, and giving it another value is not known to work;
            nothing was changed.
    """
    with _turn:
        prepared = prepare(settings, env, report)
        late = _late(prepared)
        _refuse(late)
        show_layers(prepared, report)
        active = Activation(prepared)
        for name, value in prepared.values.items():
            active._later(_restore_variable(name))
            os.environ[name] = value
        for variable, held, owner, wanted in late:
            attribute = held.name.rpartition(".")[2]
            active._later(_restore_attribute(owner, attribute))
            setattr(owner, attribute, wanted)
            if variable.name not in active.rebound:
                active.rebound.append(variable.name)
                text = f"{held.module} had read {variable.name} already; it uses {wanted} now"
                report(Notice("info", text))
        if prepared.folders:
            _stand_in(prepared, active)
        if _holdfast_hub.install():
            active._later(_holdfast_hub.remove)
        _active.append(active)
    return active


def _stand_in(prepared: Prepared, active: Activation) -> None:
    present = _holdfast_links.installed()
    if present is None:
        fallback = _holdfast_links.LinkFallback(prepared.folders)
        fallback.install()
        active._later(fallback.remove)
    else:
        # Already there, from `holdfast run` or an earlier call: it only learns more folders.
        before = present.folders
        present.add(prepared.folders)
        active._later(lambda: present.keep(before))


_Late = tuple[Variable, Held, Any, object]


def _late(prepared: Prepared) -> list[_Late]:
    """Return what imported libraries hold that differs from what they should."""
    found: list[_Late] = []
    wanted = {**prepared.own, **prepared.values}
    for variable in (*HUB_VARIABLES, *VARIABLES, *OFFLINE):
        for held in variable.held:
            module = sys.modules.get(held.module)
            if module is None or variable.name not in wanted:
                continue
            owner, present = _held(module, held)
            value = _as(held, wanted[variable.name])
            if owner is not None and _differs(present, value):
                found.append((variable, held, owner, value))
    return found


def _held(module: ModuleType, held: Held) -> tuple[Any, object]:
    owner: Any = module
    *way, name = held.name.split(".")
    try:
        for part in way:
            owner = getattr(owner, part)
        return owner, getattr(owner, name)
    except AttributeError:
        return None, None  # another version, which keeps it elsewhere


def _as(held: Held, text: str) -> object:
    if held.form == "flag":
        return text == "1"
    return Path(text) if held.form == "path" else text


def _differs(present: object, value: object) -> bool:
    if isinstance(value, bool) or present is None:
        return present != value
    return os.path.normpath(str(present)) != os.path.normpath(str(value))


def _refuse(late: list[_Late]) -> None:
    stuck = [(variable, held, value) for variable, held, _, value in late if not held.rebinds]
    if stuck:
        listing = "; ".join(
            f"{held.module} has read {variable.name}, and keeps it" for variable, held, _ in stuck
        )
        raise TooLate(
            "holdfast.activate() was called after the libraries it is for",
            why=listing,
            hint="call it before their import, or start the program with: holdfast run -- ...",
            variables=[variable.name for variable, _, _ in stuck],
        )


def _restore_variable(name: str) -> Callable[[], object]:
    before = os.environ.get(name)

    def restore() -> None:
        if before is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = before

    return restore


def _restore_attribute(owner: Any, name: str) -> Callable[[], object]:
    before = getattr(owner, name)

    def restore() -> None:
        with contextlib.suppress(AttributeError):
            setattr(owner, name, before)

    return restore
