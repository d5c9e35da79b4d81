"""GNOME's keyring on a D-Bus of its own, without a screen, for programs that are run there."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

__all__ = ["Session"]

# The daemon ends with the session; what it keeps is in the home folder.
_SCRIPT = """
set -eu
if [ -n "$PASSWORD" ]; then
  printf %s "$PASSWORD" | gnome-keyring-daemon --foreground --unlock --components=secrets \
    >/dev/null 2>&1 &
else
  gnome-keyring-daemon --foreground --components=secrets >/dev/null 2>&1 &
fi
daemon=$!
trap 'kill $daemon' EXIT
while ! dbus-send --session --print-reply --dest=org.freedesktop.DBus / \
  org.freedesktop.DBus.GetNameOwner string:org.freedesktop.secrets >/dev/null 2>&1
do sleep 0.02; done
"$@"
"""


class Session:
    """Somebody's desktop, without the desktop.

    Args:
        home: their home folder; the keyring lies in it.
    """

    def __init__(self, home: Path) -> None:
        for program in ("dbus-run-session", "dbus-send", "gnome-keyring-daemon"):
            if shutil.which(program) is None:
                pytest.skip(f"{program} is missing (Debian: gnome-keyring, dbus)")
        self.env = {"PATH": os.environ["PATH"], "HOME": str(home), "XDG_RUNTIME_DIR": str(home)}

    def run(
        self, *words: str, env: Mapping[str, str] | None = None, password: str = "swordfish"
    ) -> subprocess.CompletedProcess[str]:
        """Run a program where the keyring is open; it stays locked where ``password`` is empty."""
        return subprocess.run(
            ["dbus-run-session", "--", "sh", "-c", _SCRIPT, "sh", *words],
            env={**self.env, "PASSWORD": password, **(env or {})},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
