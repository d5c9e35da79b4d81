"""Choosing the home: the first candidate that works, and what lies below it."""

from __future__ import annotations

import functools
import os
from pathlib import Path
from typing import NamedTuple

from holdfast.config import Settings
from holdfast.errors import NoUsableHome
from holdfast.places._atomic import Modes, make_folder
from holdfast.places._candidates import Candidate, Surroundings, absolute, candidates
from holdfast.places._probe import Probe, probe
from holdfast.places._system import is_folder

__all__ = ["Considered", "Home", "SearchPath"]


class Considered(NamedTuple):
    """A candidate and what became of it. ``probe`` is None where it was not worth one."""

    candidate: Candidate
    verdict: str
    probe: Probe | None = None
    chosen: bool = False


class Home(NamedTuple):
    """The writable home: where it is, what it can do, and why it was chosen.

    Attributes:
        root: the home folder; equal to ``hub`` where a variable names the cache itself.
        hub: the Hugging Face cache in it.
        source: what named it.
        probe: what the folder can do.
        modes: permission bits for what is made in it.
        considered: every candidate up to this one, with its verdict.
    """

    root: Path
    hub: Path
    source: str
    probe: Probe
    modes: Modes
    considered: tuple[Considered, ...]
    private: bool = False

    def make(self) -> None:
        """Make the home's folders; until then nothing has been written.

        Raises:
            OSError: the place has changed since it was probed.
        """
        if self.private:
            # Made private at birth, so that nobody can prepare what will be found in it.
            self.root.mkdir(0o700, exist_ok=True)
        make_folder(self.hub, self.modes)

    @property
    def passed_over(self) -> list[Considered]:
        """The candidates that somebody named, by option or variable, and that were refused."""
        return [e for e in self.considered if not e.chosen and e.candidate.named]

    @property
    def refused(self) -> list[Path]:
        """The hub caches of refused candidates: readable at best, they lie below this home."""
        hubs = [entry.candidate.hub for entry in self.considered if not entry.chosen]
        return [hub for hub in hubs if hub is not None and is_folder(hub)]


class SearchPath:
    """Homes to look in, and the one to write to; candidates are probed only when needed."""

    def __init__(self, settings: Settings, around: Surroundings) -> None:
        self._settings = settings
        self._around = around
        self._modes = Modes(settings.shared)
        self.candidates = candidates(settings, around)

    @property
    def layers(self) -> list[Path]:
        """The hub caches of the configured read-only layers that exist, upper first."""
        found = []
        for named in self._settings.layers:
            layer = absolute(named, self._around)
            hub = layer / "hub" if is_folder(layer / "hub") else layer
            if is_folder(hub):
                found.append(hub)
        return found

    @property
    def missing_layers(self) -> list[Path]:
        """The configured layers that are not there."""
        named = [absolute(layer, self._around) for layer in self._settings.layers]
        return [layer for layer in named if not is_folder(layer)]

    def readable(self, *, certain: bool = False, to_write: bool = False) -> list[Path]:
        """Return the hub caches to look in, upper first, without writing to any.

        Quickly, they are the existing candidates down to the first that looks writable, then the
        layers; that guess is right unless the folder refuses what its permissions promise. To be
        ``certain``, or once it is known, the home itself is found first, by probing; all that
        is to be known of it at once, if it is to be written next (``to_write``).
        """
        if certain or "home" in self.__dict__:
            try:
                known = to_write or "home" in self.__dict__
                home = self.home if known else self.choose(try_lock=False)
            except NoUsableHome:
                open_to_all = [c.hub for c in self.candidates if c.hub and not c.private]
                return list(dict.fromkeys([*filter(is_folder, open_to_all), *self.layers]))
            return [hub for hub in (home.hub, *self.below(home)) if is_folder(hub)]
        found: list[Path] = []
        for candidate in self.candidates:
            if candidate.hub is None or candidate.path is None:
                continue
            if is_folder(candidate.hub) and not candidate.private:
                found.append(candidate.hub)
            if candidate.must_exist and not is_folder(candidate.path.parent):
                continue
            if _looks_writable(candidate.path):
                break
        return list(dict.fromkeys([*found, *self.layers]))

    def below(self, home: Home) -> list[Path]:
        """Return the hub caches that lie below a home, upper first."""
        found = dict.fromkeys([*home.refused, *self.layers])
        return [hub for hub in found if hub != home.hub]

    @functools.cached_property
    def home(self) -> Home:
        """The home, as `choose` finds it the first time."""
        return self.choose()

    def choose(self, *, try_lock: bool = True) -> Home:
        """Return the first candidate that passes the probe, found anew.

        Without ``try_lock`` it is the same one in a quarter of the time, its lock untried.

        Raises:
            NoUsableHome: none does; each is listed with its reason.
        """
        considered: list[Considered] = []
        for candidate in self.candidates:
            entry = self._consider(candidate, try_lock=try_lock)
            considered.append(entry)
            if entry.chosen and entry.probe is not None:
                return self._settle(candidate, entry.probe, considered)
        listing = "\n".join(
            f"  {e.candidate.source}: {e.candidate.path or '-'}: {e.verdict}" for e in considered
        )
        raise NoUsableHome(
            "there is no folder here that models can live in",
            why=f"every candidate was refused:\n{listing}",
            hint="HOLDFAST_HOME=/a/folder/you/can/write holdfast where",
            candidates=[
                {"source": e.candidate.source, "path": str(e.candidate.path), "why": e.verdict}
                for e in considered
            ],
        )

    def _consider(self, candidate: Candidate, *, try_lock: bool) -> Considered:
        if candidate.path is None:
            return Considered(candidate, candidate.missing)
        if candidate.must_exist and not is_folder(candidate.path.parent):
            return Considered(candidate, f"there is no {candidate.path.parent}")
        for place in (candidate.path, candidate.hub):
            # Not the method of the same name, which raises where access is denied.
            if place is not None and os.path.isfile(place):  # noqa: PTH113
                return Considered(candidate, f"{place} is a file, not a folder")
        # A home that other users' files could be slipped into must be private before anything
        # is made in it; elsewhere the hub folder itself is what gets written to.
        result = probe(
            _probe_target(candidate), self._modes, private=candidate.private, try_lock=try_lock
        )
        if not result.usable:
            return Considered(candidate, result.refusal, result)
        return Considered(candidate, f"works; files appear by {result.strategy}", result, True)

    def _settle(self, candidate: Candidate, found: Probe, considered: list[Considered]) -> Home:
        if candidate.path is None or candidate.hub is None:  # pragma: no cover - see _consider
            raise AssertionError(candidate)
        return Home(
            candidate.path, candidate.hub, candidate.source, found, self._modes,
            tuple(considered), candidate.private,
        )  # fmt: skip


def _probe_target(candidate: Candidate) -> Path:
    if candidate.path is None or candidate.hub is None:  # pragma: no cover - see _consider
        raise AssertionError(candidate)
    return candidate.hub if is_folder(candidate.hub) and not candidate.private else candidate.path


def _looks_writable(path: Path) -> bool:
    """Return whether a folder, or the nearest that exists above it, can be written to."""
    while not os.path.lexists(path) and path.parent != path:
        path = path.parent
    return is_folder(path) and os.access(path, os.W_OK | os.X_OK)
