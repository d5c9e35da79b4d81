# ruff: noqa: PTH103, PTH113, PTH118, PTH208
"""What a faulty folder refuses: by counted rules, by names, by space. Paths are FUSE's texts."""

from __future__ import annotations

import errno
import os
import re
import threading
from fnmatch import fnmatchcase
from pathlib import Path

from tests.support.fusefs import Faults, Rule

__all__ = ["HIDDEN", "Names", "Refusals", "Space", "fail"]

# What libfuse calls a file that was unlinked while open. Kept in one folder that no listing shows,
# so that the file's own folder is as empty as it looks.
HIDDEN = ".fuse_hidden"

_WINDOWS_CHARACTERS = re.compile(r'[<>:"|?*\\\x00-\x1f]')
_WINDOWS_NAMES = re.compile(r"(con|prn|aux|nul|com[1-9]|lpt[1-9])(\..*)?", re.IGNORECASE)


def fail(name: str) -> OSError:
    """Return the exception for an errno's name."""
    number = getattr(errno, name)
    return OSError(number, os.strerror(number))


class Refusals:
    """Counts the calls of each rule and says when one fails."""

    def __init__(self, rules: tuple[Rule, ...]) -> None:
        self._rules = rules
        self._calls = [0] * len(rules)
        self._lock = threading.Lock()

    def check(self, operation: str, path: str) -> None:
        for index, rule in enumerate(self._rules):
            if rule.operation not in (operation, "*") or not fnmatchcase(path, rule.match):
                continue
            with self._lock:
                refused = self._calls[index] - rule.after
                self._calls[index] += 1
            if refused >= 0 and (rule.times is None or refused < rule.times):
                raise fail(rule.errno)


class Space:
    """Keeps what is stored below a limit."""

    def __init__(self, root: str, limit: int | None, name: str) -> None:
        self.limit, self._name = limit, name
        self._lock = threading.Lock()
        files = (p for p in Path(root).rglob("*") if p.is_file() and not p.is_symlink())
        self.used = sum(p.stat().st_size for p in files)

    def change(self, difference: int) -> None:
        """Account for growth or shrinkage; growth beyond the limit is refused."""
        with self._lock:
            full = self.limit is not None and self.used + difference > self.limit
            if full and difference > 0:
                raise fail(self._name)
            self.used += difference

    def freed_by_removing(self, real: str) -> int:
        """Return the bytes that go when this name goes."""
        try:
            info = os.lstat(real)
        except FileNotFoundError:
            return 0
        return info.st_size if info.st_nlink == 1 and os.path.isfile(real) else 0


class Names:
    """Turns a path below the mount into the backing path, by this folder's rules on names."""

    def __init__(self, root: str, faults: Faults) -> None:
        self._root, self._faults = root, faults

    def real(self, path: str, *, creates: bool = False) -> str:
        """Return the backing path; ``creates`` says that the last name may be new."""
        parts = [part for part in path.split("/") if part]
        if parts and parts[-1].startswith(HIDDEN):
            os.makedirs(os.path.join(self._root, HIDDEN), exist_ok=True)
            return os.path.join(self._root, HIDDEN, parts[-1])
        limit = self._faults.max_name_bytes
        if limit is not None and any(len(os.fsencode(part)) > limit for part in parts):
            raise fail("ENAMETOOLONG")
        if creates and parts and self._faults.names == "windows" and _refused(parts[-1]):
            raise fail("EINVAL")
        real = self._root
        for part in parts:
            real = os.path.join(real, self._stored_name(real, part))
        return real

    def _stored_name(self, folder: str, name: str) -> str:
        if not self._faults.fold_case or os.path.lexists(os.path.join(folder, name)):
            return name
        try:
            present = os.listdir(folder)
        except OSError:
            return name
        folded = name.casefold()
        return next((other for other in present if other.casefold() == folded), name)


def _refused(name: str) -> bool:
    """Return whether Windows cannot hold this name."""
    reserved = _WINDOWS_CHARACTERS.search(name) or _WINDOWS_NAMES.fullmatch(name)
    return reserved is not None or name[-1] in ". "
