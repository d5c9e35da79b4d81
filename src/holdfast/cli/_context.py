"""What every command is given, and how it speaks: results to one stream, the rest to the other."""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import re
import sys
import time
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from holdfast.config import Settings
from holdfast.errors import HoldfastError
from holdfast.events import Event, FileDone, Notice, Progress

if TYPE_CHECKING:
    from rich.progress import Progress as Bars
    from rich.progress import TaskID

    from holdfast.config import ServiceSettings
    from holdfast.provision import Provisioner

__all__ = ["Context", "folder", "one_line", "render_error", "shown"]

_PLAIN_EVERY_S = 5.0
_UTF8 = {"utf-8", "utf8"}
_NOT_PLAIN = re.compile(r"[^ -~\n]")


class Context:
    """Settings and streams of one run of the command line."""

    def __init__(
        self,
        settings: Settings,
        env: Mapping[str, str],
        config: Path | None = None,
        *,
        json: bool = False,
        quiet: bool = False,
        verbose: bool = False,
    ) -> None:
        self.settings = settings
        self.env = env
        self._config = config
        self.json = json
        self.quiet = quiet
        self.verbose = verbose
        self.out: TextIO = sys.stdout
        self.err: TextIO = sys.stderr

    def service(self, **overrides: Any) -> ServiceSettings:
        """Return the settings of the service; ``overrides`` that are not None win."""
        from holdfast.config import configuration

        return configuration(self.env, file=self._config, **overrides).service

    def result(self, text: str) -> None:
        """Print a line of the result."""
        print(shown(text), file=self.out)

    def result_path(self, path: Path) -> None:
        """Print a path exactly as it is, for programs."""
        print(path, file=self.out)

    def result_exact(self, text: str) -> None:
        """Print a text for programs, with paths in the bytes that the system knows them by."""
        self.out.flush()
        if isinstance(self.out, io.TextIOWrapper):
            self.out.buffer.write(os.fsencode(text + "\n"))
            self.out.buffer.flush()
        else:
            print(text, file=self.out)

    def result_json(self, value: object) -> None:
        """Print the result as JSON: on one line, unless a person is reading."""
        print(self._json(value, 2 if self.out.isatty() else None), file=self.out)

    def result_json_line(self, value: object) -> None:
        """Print one of several results as JSON, each on a line."""
        print(self._json(value, None), file=self.out)

    def result_json_document(self, value: object) -> None:
        """Print what will be kept in a file as JSON, over several lines."""
        print(self._json(value, 2), file=self.out)

    def _json(self, value: object, indent: int | None) -> str:
        import json

        # What a stream's character set lacks would be escaped in another way than JSON's.
        ascii_only = (getattr(self.out, "encoding", None) or "utf-8").lower() not in _UTF8
        return _NOT_PLAIN.sub(_escaped, json.dumps(value, indent=indent, ensure_ascii=ascii_only))

    def say(self, text: str) -> None:
        """Print a remark, unless quiet."""
        if not self.quiet:
            self.tell(shown(text))

    def tell(self, text: str) -> None:
        """Print to standard error; where that cannot be written, the command goes on."""
        with contextlib.suppress(OSError):
            print(text, file=self.err)

    @cached_property
    def reporter(self) -> ProgressReporter:
        """What operations report to."""
        return ProgressReporter(self)

    def provisioner(self) -> Provisioner:
        """Return what brings models, with these settings."""
        from holdfast.provision import Provisioner

        return Provisioner(self.settings, self.env, self.reporter)


class ProgressReporter:
    """Shows events: bars on a terminal, a plain line now and then elsewhere."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._bars: Bars | None = None
        self._overall: TaskID | None = None
        self._tasks: dict[str, TaskID] = {}
        self._last = time.monotonic()

    def __call__(self, event: Event) -> None:
        """Show one event."""
        if isinstance(event, Notice):
            self._notice(event)
        elif self._context.quiet:
            return
        elif isinstance(event, Progress):
            if self._context.err.isatty():
                self._bar(event)
            else:
                self._line(event)
        elif isinstance(event, FileDone):
            self._done(event)

    def close(self) -> None:
        """Take the bars off the screen."""
        if self._bars is not None:
            self._bars.stop()
            self._bars = None
            self._tasks.clear()

    def _notice(self, event: Notice) -> None:
        wanted = not self._context.quiet and not self._context.json
        if event.level == "debug":
            wanted = wanted and self._context.verbose
        if event.level != "warning" and not wanted:
            return
        text = shown(f"{'warning' if event.level == 'warning' else 'note'}: {event.message}")
        if self._bars is not None:
            self._bars.console.print(text, markup=False, highlight=False, soft_wrap=True)
        else:
            self._context.tell(text)

    def _bar(self, event: Progress) -> None:
        if self._bars is None:
            self._bars = _make_bars(self._context.err)
            self._bars.start()
            self._overall = self._bars.add_task("all", total=event.total)
        if event.path not in self._tasks:
            self._tasks[event.path] = self._bars.add_task(event.path, total=event.file_total)
        self._bars.update(self._tasks[event.path], completed=event.file_done)
        if self._overall is not None:
            self._bars.update(self._overall, completed=event.done, total=event.total)

    def _line(self, event: Progress) -> None:
        now = time.monotonic()
        if now - self._last < _PLAIN_EVERY_S:
            return
        self._last = now
        left = "" if event.seconds_left is None else f", {event.seconds_left:.0f} s left"
        self._context.tell(
            f"{event.done / 1e6:.1f} of {event.total / 1e6:.1f} MB, "
            f"{event.rate / 1e6:.1f} MB/s{left} ({shown(event.path)})"
        )

    def _done(self, event: FileDone) -> None:
        task = self._tasks.pop(event.path, None)
        if self._bars is not None and task is not None:
            self._bars.remove_task(task)
        if self._context.verbose:
            self._context.tell(shown(f"{event.path}: {event.size} bytes from {event.source}"))


def _make_bars(stream: TextIO) -> Bars:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )
    from rich.progress import Progress as Bars

    return Bars(
        TextColumn("{task.description:<28.28}", markup=False),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        console=Console(file=stream),
        transient=True,
    )


def render_error(error: HoldfastError, *, as_json: bool) -> str:
    """Return an error for standard error: code and what, then why, then what to do."""
    if as_json:
        import json

        return json.dumps({"error": error.to_dict()}, indent=2, default=_plain)
    lines = [f"error[{error.code}]: {error.what}"]
    if error.why:
        lines.append(f"  why: {error.why}")
    if error.hint:
        lines.append(f"  try: {error.hint}")
    return shown("\n".join(lines))


def shown(text: str) -> str:
    """Return text that does nothing to a terminal: what a hub or a file name says is only shown."""
    return "".join(c if c.isprintable() or c in "\n\t" else f"\\x{ord(c):02x}" for c in text)


def one_line(text: str) -> str:
    """Return text that stays within its line: what is listed line by line says no other lines."""
    return " ".join(text.splitlines())


def _escaped(found: re.Match[str]) -> str:
    """Return a character of a JSON text as JSON writes it where a terminal would act on it."""
    import json

    return found[0] if found[0].isprintable() else json.dumps(found[0])[1:-1]


def folder(text: str) -> Path:
    """Read a folder off the command line.

    Raises:
        ArgumentTypeError: it is empty, which would mean the present folder.
    """
    if not text:
        raise argparse.ArgumentTypeError("a folder's name must not be empty")
    return Path(text)


def _plain(value: Any) -> str:
    return str(value)
