"""Looking at what is mounted, by the kernel's own list."""

from __future__ import annotations

import re
from pathlib import Path

__all__ = ["is_mounted"]

_ESCAPE = re.compile(r"\\([0-7]{3})")


def is_mounted(folder: Path) -> bool:
    """Return whether something is mounted on ``folder``, without touching what is mounted.

    ``Path.is_mount`` misses bind mounts within one disk, and fails on a dead FUSE mount.
    """
    wanted = str(folder.absolute())
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        if _ESCAPE.sub(lambda match: chr(int(match[1], 8)), line.split(" ")[4]) == wanted:
            return True
    return False
