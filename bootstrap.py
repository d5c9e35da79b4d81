#!/usr/bin/env python3
"""Two commands on a fresh machine that has only Python 3.11 or newer.

    python3 bootstrap.py up   [ARGS of `holdfast up`]     install, then run the main job
    python3 bootstrap.py test [ARGS of pytest]            install, then run every check and test

Uses the standard library only. What is installed is pinned with hashes in requirements/, and goes
into .venv beside this file; a second run installs nothing. The libraries that Holdfast is tested
with, unchanged, go into .venv-libraries (pinned, not hashed: torch differs by where it comes from);
where that fails their tests skip, unless HOLDFAST_REQUIRE_ALL=1.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
SCRIPTS = VENV / ("Scripts" if os.name == "nt" else "bin")
PYTHON = SCRIPTS / ("python.exe" if os.name == "nt" else "python")
LIBRARIES = ROOT / ".venv-libraries"
SYSTEM_PYTHON = Path("/usr/bin/python3")
CPU_WHEELS = "https://download.pytorch.org/whl/cpu"
CHECKS = (
    ("ruff", "check", "."),
    ("ruff", "format", "--check", "."),
    ("mypy",),
    ("lint-imports",),
)


def main(arguments: list[str]) -> int:
    """Install what the command needs, run it, and return its exit code."""
    if sys.version_info < (3, 11):
        print(f"Holdfast needs Python 3.11 or newer; this is {sys.version.split()[0]}")
        return 2
    if not arguments or arguments[0] not in {"up", "test"}:
        print(__doc__)
        return 0 if arguments[:1] in (["-h"], ["--help"]) else 2
    command, rest = arguments[0], arguments[1:]
    try:
        install("dev" if command == "test" else "starter")
        return up(rest) if command == "up" else test(rest)
    except subprocess.CalledProcessError as error:
        print(f"failed ({error.returncode}): {' '.join(map(str, error.cmd))}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def install(lock: str) -> None:
    """Make .venv and install a lock and this checkout into it, unless that has been done."""
    pinned = ROOT / "requirements" / f"{lock}.lock"
    wanted = hashlib.sha256(pinned.read_bytes() + (ROOT / "pyproject.toml").read_bytes())
    stamp = VENV / f"installed-{lock}"
    if stamp.exists() and stamp.read_text() == wanted.hexdigest() and PYTHON.exists():
        return
    if not PYTHON.exists():
        say(f"making {VENV}")
        venv.create(VENV, with_pip=True)
    say(f"installing {pinned.relative_to(ROOT)} (once)")
    pip = [PYTHON, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    run([*pip, "--require-hashes", "-r", pinned])
    run([*pip, "--no-deps", "--no-build-isolation", "-e", ROOT])
    stamp.write_text(wanted.hexdigest())


def install_libraries() -> str | None:
    """Make .venv-libraries unless that has been done; return why it cannot be had, if so."""
    if sys.platform != "linux":
        return None  # its tests make their conditions with Linux
    pinned = ROOT / "requirements/libraries.txt"
    wanted = hashlib.sha256(pinned.read_bytes()).hexdigest()
    stamp, why = LIBRARIES / "installed-libraries", LIBRARIES / "why-not"
    if stamp.exists() and stamp.read_text() == wanted:
        return None
    say(f"installing {pinned.relative_to(ROOT)} into {LIBRARIES.name} (once, 1.7 GB)")
    try:
        run([_python_for_all(), "-m", "venv", "--clear", "--without-pip", LIBRARIES])
        _fill_libraries(pinned)
    except subprocess.CalledProcessError as error:
        lines = [line for line in (error.stderr or "").splitlines() if line.startswith("ERROR")]
        reason = lines[-1] if lines else str(error)
        if LIBRARIES.is_dir():
            why.write_text(reason)
        say(f"no libraries to test with: {reason}")
        return reason
    stamp.write_text(wanted)
    return None


def _fill_libraries(pinned: Path) -> None:
    def pip(*words: str | Path) -> None:
        command = [str(PYTHON), "-m", "pip", "--python", str(LIBRARIES / "bin/python"), "install"]
        command += ["--quiet", "--disable-pip-version-check", "--no-deps", *map(str, words)]
        subprocess.run(command, check=True, capture_output=True, text=True)

    try:
        pip("-r", pinned)
    except subprocess.CalledProcessError:
        # The registry has no CPU build of torch; some machines have it in a folder that pip knows.
        pip(
            "--index-url", CPU_WHEELS, next(x for x in pinned.read_text().split() if "torch==" in x)
        )
        pip("-r", pinned)


def _python_for_all() -> Path:
    """Return a Python that other users can read as well, if there is one: root's often cannot."""
    ask = [str(SYSTEM_PYTHON), "-c", "import sys, venv; print(sys.version_info[:2])"]
    if SYSTEM_PYTHON.exists():
        done = subprocess.run(ask, capture_output=True, text=True, check=False)
        if done.stdout.strip() == str(sys.version_info[:2]):
            return SYSTEM_PYTHON
    return PYTHON


def up(arguments: list[str]) -> int:
    """Run the main job."""
    return subprocess.call([PYTHON, "-m", "holdfast", "up", *arguments])


def test(arguments: list[str]) -> int:
    """Run the checks, then the tests: three at a time, for each waits for processes of its own."""
    failed = []
    for check in CHECKS:
        say(" ".join(check))
        if subprocess.call([SCRIPTS / check[0], *check[1:]], cwd=ROOT):
            failed.append(" ".join(check))
    if not arguments or any("libraries" in word for word in arguments):
        reason = install_libraries()
        if reason and os.environ.get("HOLDFAST_REQUIRE_ALL") == "1":
            failed.append(f"the libraries to test with ({reason})")
    workers = [] if arguments else ["-n", "3", "--dist", "loadfile", "--no-loadscope-reorder"]
    say("pytest")
    if subprocess.call([PYTHON, "-m", "pytest", *workers, *arguments], cwd=ROOT):
        failed.append("pytest")
    print(f"failed: {', '.join(failed)}" if failed else "all checks and tests passed")
    return 1 if failed else 0


def run(command: list[str | Path]) -> None:
    """Run a command that must succeed."""
    subprocess.run(command, check=True, cwd=ROOT)


def say(text: str) -> None:
    """Tell what happens now."""
    print(f"bootstrap: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
