"""The environment of the libraries: where it is, why it is not, and running programs in it."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = [
    "DRIVER",
    "HOLDFAST",
    "PYTHON",
    "STUBS",
    "Ended",
    "made_by",
    "missing",
    "models",
    "run",
]

_ROOT = Path(__file__).resolve().parents[2]
_HERE = Path(__file__).resolve().parent
_FOLDER = _ROOT / ".venv-libraries"
PYTHON = _FOLDER / "bin/python"
HOLDFAST: tuple[str, ...] = (sys.executable, "-m", "holdfast", "run", "--")
STUBS = _HERE / "stubs"
DRIVER = _HERE / "run_programs.py"


@dataclass(frozen=True)
class Ended:
    """What became of programs that ran in one process.

    Attributes:
        ended: for each, ``works`` or the error that ended it.
        disk_bytes: what the measured folders held on the disk afterwards.
        err: all that was said on standard error.
    """

    ended: Mapping[str, str]
    disk_bytes: int
    err: str


def missing() -> str | None:
    """Return why the libraries cannot be run here, or None when they can."""
    if sys.platform != "linux":
        return "the conditions are made by Linux"
    wanted = hashlib.sha256((_ROOT / "requirements/libraries.txt").read_bytes()).hexdigest()
    stamp = _FOLDER / "installed-libraries"
    if stamp.exists() and stamp.read_text() == wanted:
        return None
    why = _FOLDER / "why-not"
    reason = why.read_text().strip() if why.exists() else "bootstrap.py test has not made it"
    return f"no environment with the libraries ({_FOLDER.name}): {reason}"


def models() -> Path:
    """Return the folder with the tiny models; they are made once, not for each session."""
    program = _HERE / "make_models.py"
    folder = _FOLDER / f"models-{hashlib.sha256(program.read_bytes()).hexdigest()[:12]}"
    if not folder.exists():
        with tempfile.TemporaryDirectory(dir=_FOLDER) as place:
            made = Path(place, "models")
            done = subprocess.run(
                [PYTHON, program, made],
                env={**os.environ, "PYTHONPATH": str(STUBS), "HOME": place, "HF_HUB_OFFLINE": "1"},
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, done.stderr
            try:
                made.rename(folder)
            except OSError:
                assert folder.exists(), "another session was first"
    return folder


def made_by(program: str, folder: Path, *more: object) -> Path:
    """Return ``folder`` once a program of this package has filled it.

    It runs with the libraries, and behind them with what only this Python has.
    """
    import ctranslate2

    own = str(Path(ctranslate2.__file__).parents[1])
    words = ["", str(folder), *map(str, more)]
    code = (
        f"import runpy, sys; sys.path.append({own!r}); sys.argv = {words!r}; "
        f"runpy.run_path({str(_HERE / program)!r}, run_name='__main__')"
    )
    done = subprocess.run(
        [PYTHON, "-c", code],
        env={"PATH": os.environ["PATH"], "HOME": str(folder), "HF_HUB_OFFLINE": "1",
             "PYTHONPATH": str(_ROOT / "src")},
        cwd=folder, capture_output=True, text=True, check=False, timeout=240,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return folder


def run(
    names: Sequence[str],
    *,
    env: Mapping[str, str],
    cwd: Path,
    before: Sequence[str] = (),
    measured: Sequence[Path] = (),
    python: Path = PYTHON,
    timeout_s: float = 150.0,
) -> Ended:
    """Run programs of ``programs/``, one after the other in one process."""
    done = subprocess.run(
        [*map(str, before), str(python), str(DRIVER), *names],
        capture_output=True,
        text=True,
        env={**env, "MEASURE": ":".join(map(str, measured))},
        cwd=cwd,
        timeout=timeout_s,
        check=False,
    )
    assert done.stdout.strip(), f"exit {done.returncode}\n{done.stderr}"
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return Ended(found["ended"], found["disk_bytes"], done.stderr)
