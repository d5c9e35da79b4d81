"""The checks: each looks at one thing that breaks downloads or loading, before it does."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator, Mapping
from email.utils import parsedate_to_datetime

from holdfast.checks import Finding
from holdfast.config import Settings, unknown_variables
from holdfast.errors import HoldfastError, NoUsableHome
from holdfast.events import size_text
from holdfast.hub import HubClient
from holdfast.places import Home, Probe, SearchPath, is_folder, surroundings

__all__ = ["Examination"]

_LITTLE_BYTES = 2 << 30
_LITTLE_INODES = 2_000
_SKEW_S = 300.0
_LONG_HOME = 140  # bytes: below it a snapshot's own path of some 110 still fits 260 on Windows
_NETWORK_LIMIT_S = 5.0


class Examination:
    """Everything that is looked at, for one set of settings.

    Args:
        settings: what would be used.
        env: the environment's variables.
    """

    def __init__(self, settings: Settings, env: Mapping[str, str]) -> None:
        self._settings = settings
        self._env = env
        self._places = SearchPath(settings, surroundings(env))

    def run(self) -> Iterator[Finding]:
        """Run every check; one that finds nothing wrong says so."""
        yield from self.settings()
        try:
            home = self._places.home
        except NoUsableHome as error:
            yield Finding("home", "error", str(error), error.hint)
        else:
            yield from self.home(home)
            yield from self.links(home.probe)
            yield from self.locks(home.probe)
            yield from self.names(home)
            yield from self.space(home.probe)
        yield from self.layers()
        yield from self.network()

    def settings(self) -> Iterator[Finding]:
        """Variables that mean nothing, and ones that cannot both be meant."""
        for name in unknown_variables(self._env):
            yield Finding(
                "settings", "warning", f"{name} is set and means nothing to this version",
                f"unset {name}",
            )  # fmt: skip
        if self._env.get("TRANSFORMERS_CACHE"):
            yield Finding(
                "settings", "info",
                "TRANSFORMERS_CACHE is set; current libraries no longer read it",
                "unset TRANSFORMERS_CACHE    (HF_HOME does its work)",
            )  # fmt: skip

    def home(self, home: Home) -> Iterator[Finding]:
        """Which home, and which named ones were refused."""
        for entry in home.considered:
            if entry.chosen:
                continue
            named = entry.candidate.named
            yield Finding(
                "home", "warning" if named else "info",
                f"{entry.candidate.source} ({entry.candidate.path or '-'}) was refused: "
                f"{entry.verdict}",
                f"make it writable for this user, or unset {entry.candidate.source}"
                if named and entry.candidate.source.isupper() else "",
            )  # fmt: skip
        yield Finding("home", "ok", f"models live in {home.root} ({home.source})")

    def links(self, probe: Probe) -> Iterator[Finding]:
        """How one stored file can appear in several places."""
        if probe.links:
            ways = ", ".join(probe.links)
            yield Finding("links", "ok", f"files are shared by {probe.strategy} (works: {ways})")
        else:
            yield Finding(
                "links", "warning",
                "no kind of link works here: files are moved into place, and two revisions that "
                "are both kept need their shared files twice",
                "choose a home on another file system: HOLDFAST_HOME=/other/disk/models",
            )  # fmt: skip
        if "symlink" in probe.denied:
            yield Finding(
                "links", "info",
                f"symbolic links are refused ({probe.denied['symlink']}): Holdfast does without; "
                "other libraries may fail or copy",
            )  # fmt: skip

    def locks(self, probe: Probe) -> Iterator[Finding]:
        """Whether processes can take turns."""
        if probe.lock == "proven":
            yield Finding("locks", "ok", "a lock keeps other processes out (tried with one)")
            return
        yield Finding(
            "locks", "warning",
            f"the system's locks do not work here ({probe.denied.get('lock', probe.lock)}): "
            "processes take turns by owner files, and at worst work is done twice",
            "choose a home on a local disk if several processes share it",
        )  # fmt: skip

    def names(self, home: Home) -> Iterator[Finding]:
        """Path length, and names that this file system cannot tell apart or hold."""
        probe = home.probe
        length = len(os.fsencode(home.hub))
        if sys.platform == "win32" and length > _LONG_HOME:
            yield Finding(
                "path-length", "warning",
                f"{home.hub} is {length} bytes long; libraries without long-path support fail "
                "beyond 260",
                "choose a short home: set HOLDFAST_HOME=C:\\models",
            )  # fmt: skip
        else:
            yield Finding("path-length", "ok", f"the home's own path takes {length} bytes")
        if not probe.case_sensitive:
            yield Finding(
                "names", "info", "this file system does not tell a from A; repositories whose "
                "names differ only in that are refused before anything is downloaded",
            )  # fmt: skip
        if probe.name_max < 255:
            yield Finding("names", "info", f"names here have at most {probe.name_max} bytes")

    def space(self, probe: Probe) -> Iterator[Finding]:
        """Free bytes and inodes for this user."""
        shown = f"{size_text(probe.free_bytes)} are free at {probe.folder}"
        if probe.free_bytes < _LITTLE_BYTES:
            yield Finding("space", "warning", shown, "holdfast collect --old-revisions")
        else:
            yield Finding("space", "ok", shown)
        if probe.free_inodes is not None and probe.free_inodes < _LITTLE_INODES:
            yield Finding(
                "space", "warning", f"only {probe.free_inodes} inodes are free",
                "remove small files, or choose another home",
            )  # fmt: skip

    def layers(self) -> Iterator[Finding]:
        """Read-only layers that were named and are not there."""
        for layer in self._settings.layers:
            if not is_folder(layer):
                yield Finding(
                    "layers", "error", f"the layer {layer} is not a folder",
                    "correct HOLDFAST_LAYERS",
                )  # fmt: skip
        for hub in self._places.layers:
            yield Finding("layers", "ok", f"models are also looked for in {hub}")

    def network(self) -> Iterator[Finding]:
        """The Hub: reachable, and does it know the token; is our clock right."""
        if self._settings.offline:
            yield Finding("network", "info", "offline: the network is not used")
            return
        client = HubClient(self._settings, self._env)
        try:
            status, date = client.ping(limit_s=_NETWORK_LIMIT_S)
        except HoldfastError as error:
            yield Finding(
                "network", "warning", f"{error}: only models that are here can be used", error.hint
            )
            return
        yield Finding("network", "ok", f"{self._settings.endpoint} answers")
        yield from self._token(status)
        yield from self._clock(date)

    def _token(self, status: int) -> Iterator[Finding]:
        if self._settings.token is None:
            yield Finding("token", "info", "no token: private and gated models are out of reach")
        elif status in {401, 403}:
            yield Finding(
                "token", "error", "the Hub does not accept the token",
                "set HF_TOKEN to a valid one, or unset it and remove the token file",
            )  # fmt: skip
        else:
            yield Finding("token", "ok", "the Hub accepts the token")

    @staticmethod
    def _clock(date: str | None) -> Iterator[Finding]:
        try:
            skew = time.time() - parsedate_to_datetime(date or "").timestamp()
        except (ValueError, TypeError):
            return
        if abs(skew) > _SKEW_S:
            yield Finding(
                "clock", "error",
                f"this machine's clock is {skew:+.0f} s off: certificates and signed addresses "
                "are refused",
                "sudo timedatectl set-ntp true",
            )  # fmt: skip
        else:
            yield Finding("clock", "ok", f"the clock is right to within {abs(skew):.0f} s")
