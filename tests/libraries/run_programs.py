"""Run programs in this process, one after the other, and print what became of each as JSON.

    python run_programs.py NAME...       names in programs/; runs in .venv-libraries

One process, because the import of these libraries takes longer than all that the tests do with
them. ``MEASURE`` names folders, whose weight on the disk is added: they may be gone afterwards.
"""

from __future__ import annotations

import json
import os
import runpy
import sys
import time
from pathlib import Path

PROGRAMS = Path(__file__).resolve().parent / "programs"


def main(names: list[str]) -> dict[str, object]:
    ended: dict[str, str] = {}
    took: dict[str, float] = {}
    for name in names:
        started = time.monotonic()
        try:
            runpy.run_path(str(PROGRAMS / f"{name}.py"), run_name="__main__")
            ended[name] = "works"
        except BaseException as error:  # noqa: BLE001 - what it is, is the result
            number = f"[{error.errno}] " if isinstance(error, OSError) and error.errno else ""
            ended[name] = f"{type(error).__name__}: {number}{error}"
        took[name] = round(time.monotonic() - started, 2)
    folders = [Path(folder) for folder in os.environ.get("MEASURE", "").split(":") if folder]
    return {"ended": ended, "seconds": took, "disk_bytes": blocks(folders)}


def blocks(folders: list[Path]) -> int:
    """Return the bytes that the files below some folders take, each file once."""
    files = {}
    for folder in folders:
        for path in folder.rglob("*"):
            if path.is_file() and not path.is_symlink():
                status = path.stat()
                files[status.st_dev, status.st_ino] = status.st_blocks * 512
    return sum(files.values())


if __name__ == "__main__":
    found = main(sys.argv[1:])
    sys.stdout.flush()
    print("\n" + json.dumps(found), flush=True)
