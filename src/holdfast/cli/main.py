"""The command line: one parser, lazy commands, errors turned into text and exit codes."""

from __future__ import annotations

import argparse
import contextlib
import gc
import io
import os
import signal
import sys
import threading
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from holdfast._version import __version__
from holdfast.cli._context import Context, folder, render_error, shown
from holdfast.config import Settings
from holdfast.errors import HoldfastError

__all__ = ["build_parser", "entry", "main"]

# After which an interruption that would have been lost is tried again.
_AGAIN_S = 0.02

_EPILOG = """\
exit codes:
  0 done            1 a finding, or another failure   2 wrong usage or configuration
  3 no usable home  4 not found or no access          5 hub unavailable, or not here while offline
  6 wrong content   7 space, names or storage         8 models.lock is stale
  9 an unusable recording or document                10 a model that cannot be loaded
  11 a service that cannot be reached, or refuses
  130 interrupted: run the same command again and it goes on where it stopped
"""


# Which module adds which commands; a run imports the one that it needs.
_MODULES = {
    "models": ("pull", "plan", "lock", "sync", "verify", "repair", "ls", "collect"),
    "machine": ("where", "doctor", "completion"),
    "programs": ("run", "env"),
    "service": ("up", "status", "check", "test"),
    "voiceprint": ("voiceprint",),
    "speech": ("vad", "say", "transcribe"),
    "documents": ("convert",),
    "hub": ("serve-hub",),
}


def build_parser(arguments: Sequence[str] = ()) -> argparse.ArgumentParser:
    """Return the parser of all commands. Each sets ``run(args, context) -> exit code``.

    Where ``arguments`` begin with a command's name, only the commands of its module are in it.
    """
    parser = argparse.ArgumentParser(
        prog="holdfast",
        description="Machine-learning models from the Hub to loaded and answering, on any machine.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"holdfast {__version__}")
    _add_common(parser, suppress=False)
    common = argparse.ArgumentParser(add_help=False)
    _add_common(common, suppress=True)

    class Command(argparse.ArgumentParser):
        """A command's parser: it takes what every command takes."""

        def __init__(self, **options: Any) -> None:
            super().__init__(**{**options, "parents": [common]})

    commands = parser.add_subparsers(
        title="commands", metavar="COMMAND", required=True, parser_class=Command
    )
    named = [
        module for module, names in _MODULES.items() if arguments[:1] and arguments[0] in names
    ]
    for module in named or _MODULES:
        import_module(f"holdfast.cli.{module}").add_commands(commands)
    return parser


def _add_common(parser: argparse.ArgumentParser, *, suppress: bool) -> None:
    def default(value: object) -> object:
        # Given before the command or after it: the later parser must not undo the earlier.
        return argparse.SUPPRESS if suppress else value

    group = parser.add_argument_group("everywhere")
    group.add_argument("--home", type=folder, metavar="DIR", default=default(None),
                       help="folder that models live in")  # fmt: skip
    group.add_argument("--config", type=Path, metavar="FILE", default=default(None),
                       help="settings (HOLDFAST_CONFIG, or ./holdfast.toml)")  # fmt: skip
    group.add_argument("--endpoint", metavar="URL", default=default(None),
                       help="the Hub to talk to (HF_ENDPOINT)")  # fmt: skip
    group.add_argument("--offline", action="store_true", default=default(False),
                       help="use only what is here: no network call")  # fmt: skip
    group.add_argument("--json", action="store_true", default=default(False),
                       help="results as JSON on standard output")  # fmt: skip
    group.add_argument("-q", "--quiet", action="store_true", default=default(False),
                       help="no progress, no notes; warnings and errors stay")  # fmt: skip
    group.add_argument("-v", "--verbose", action="store_true", default=default(False),
                       help="say more, and show tracebacks of failures")  # fmt: skip


def _context(args: argparse.Namespace, env: Mapping[str, str]) -> Context:
    overrides = {
        "home": args.home,
        "endpoint": args.endpoint or None,
        "offline": True if args.offline else None,
    }
    if args.config or env.get("HOLDFAST_CONFIG") or os.path.exists("holdfast.toml"):  # noqa: PTH110
        from holdfast.config import configuration

        settings = configuration(env, file=args.config, **overrides).settings
    else:
        settings = Settings.from_env(env, **overrides)
    return Context(
        settings, env, args.config, json=args.json, quiet=args.quiet, verbose=args.verbose
    )


def main(arguments: Sequence[str], env: Mapping[str, str]) -> int:
    """Run one command and return its exit code."""
    completing = "_ARGCOMPLETE" in env
    parser = build_parser(() if completing else arguments)
    if completing:
        import argcomplete

        argcomplete.autocomplete(parser)
    args = parser.parse_args(arguments)
    if args.verbose:
        _log_everything()
    context: Context | None = None
    try:
        context = _context(args, env)
        code: int = args.run(args, context)
        sys.stdout.flush()
    except HoldfastError as error:
        _close(context)
        _tell_where(args)
        print(render_error(error, as_json=args.json), file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        _close(context)
        print("interrupted: run the same command again to go on", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # Whoever read our output has gone; what is left to say has no reader.
        _no_more_output()
        return 1
    except OSError as error:
        # What a command does about the system's refusals is its own; this is the output's disk
        # being full, or a file named by the user that cannot be read.
        _close(context)
        _no_more_output()
        where = f"{error.filename}: " if error.filename else ""
        with contextlib.suppress(OSError):
            print(f"error: {shown(where)}{error.strerror or error}", file=sys.stderr)
        _tell_where(args)
        return 1
    _close(context)
    return code


def _log_everything() -> None:
    import logging

    logging.basicConfig(level=logging.DEBUG, format="%(levelname)s %(name)s: %(message)s")
    logging.getLogger("urllib3").setLevel(logging.WARNING)  # its lines may carry signed addresses
    # Of websockets every frame would be told: the key, what is said, and what was read of it.
    for name in ("uvicorn", "uvicorn.error", "websockets", "httpx2", "httpcore2"):
        logging.getLogger(name).setLevel(logging.INFO)


def _tell_where(args: argparse.Namespace) -> None:
    if args.verbose:
        import logging

        logging.getLogger(__name__).debug("the failure came from here", exc_info=True)


def _no_more_output() -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _close(context: Context | None) -> None:
    if context is not None:
        context.reporter.close()


def entry() -> None:
    """Run as the program ``holdfast``."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by whoever started us; a command of `run` goes on
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: PTH123, SIM115
    for stream in (sys.stdout, sys.stderr):
        # What a terminal's character set lacks is escaped, never a reason to fail.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    interrupted: list[int] = []

    def on_interrupt(number: int, frame: FrameType | None) -> None:
        interrupted.append(number)
        if _is_lost(frame):
            threading.Timer(_AGAIN_S, signal.raise_signal, [number]).start()
            return
        raise KeyboardInterrupt

    # In the background of a shell it is ignored, and stays so.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, on_interrupt)
    try:
        code = main(sys.argv[1:], os.environ)
    except (KeyboardInterrupt, ImportError):
        # An interruption in the middle of an import can come out as an error of the import.
        if not interrupted:
            raise
        print("interrupted: run the same command again to go on", file=sys.stderr)
        code = 130
    if "soxr" in sys.modules:
        gc.collect()  # it tells the terminal of every resampler that is left in a cycle
    gc.freeze()  # the process ends: no search for cycles in all it imported (28 ms where measured)
    _end(code)


def _is_lost(frame: FrameType | None) -> bool:
    """Return whether what is raised here would end in a native library that calls Python."""
    while frame is not None:
        if frame.f_globals.get("__name__") == "holdfast.media._lasting":
            return True
        frame = frame.f_back
    return False


def _end(code: int) -> NoReturn:
    """End the process.

    A thread that is left behind may be inside a native library, which crashes when the interpreter
    is taken down around it (seen: SIGSEGV at one end in sixteen during a start of `up`).
    """
    if any(thread.daemon for thread in threading.enumerate()):
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
        os._exit(code)
    sys.exit(code)
