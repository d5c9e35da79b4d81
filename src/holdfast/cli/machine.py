"""Commands about this machine: where, doctor, completion."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from holdfast.cli._context import Context
from holdfast.errors import ConfigInvalid
from holdfast.events import size_text

if TYPE_CHECKING:
    from holdfast.places import Home

__all__ = ["add_commands"]

_SHELLS = ("bash", "zsh", "fish", "powershell")


def add_commands(commands: Any) -> None:
    """Add this module's commands to the parser."""
    where = commands.add_parser("where", help="the home, and why it was chosen")
    where.set_defaults(run=_where)

    doctor = commands.add_parser("doctor", help="look for what will break, with the cure")
    doctor.add_argument("--log", metavar="FILE",
                        help="explain what went wrong by a program's log (-: a pipe)")  # fmt: skip
    doctor.set_defaults(run=_doctor)

    completion = commands.add_parser("completion", help="print a shell's completion script")
    completion.add_argument("shell", choices=_SHELLS)
    completion.set_defaults(run=_completion)


def _where(args: argparse.Namespace, context: Context) -> int:
    del args
    places = context.provisioner().places
    home = places.home
    if context.json:
        context.result_json(_where_json(home, [str(hub) for hub in places.below(home)]))
        return 0
    probe = home.probe
    context.result(str(home.root))
    context.result(f"  named by      {home.source}")
    context.result(f"  hub cache     {home.hub}")
    context.result(f"  files appear  by {probe.strategy} (works: {', '.join(probe.links) or '-'})")
    context.result(f"  locks         {probe.lock}")
    inodes = "" if probe.free_inodes is None else f", {probe.free_inodes} inodes"
    context.result(f"  free          {size_text(probe.free_bytes)}{inodes}")
    context.result(f"  file system   {probe.filesystem or 'unknown'}, names to {probe.name_max} B")
    for hub in places.below(home):
        context.result(f"  layer below   {hub}")
    context.result("tried, in this order:")
    for entry in home.considered:
        mark = "*" if entry.chosen else "-"
        place = entry.candidate.path or "-"
        context.result(f"  {mark} {entry.candidate.source}: {place}: {entry.verdict}")
    for name, why in sorted(probe.denied.items()):
        context.result(f"  no {name} here: {why}")
    return 0


def _where_json(home: Home, layers: list[str]) -> dict[str, Any]:
    probe = home.probe
    return {
        "home": str(home.root),
        "hub": str(home.hub),
        "source": home.source,
        "strategy": probe.strategy,
        "links": list(probe.links),
        "lock": probe.lock,
        "denied": probe.denied,
        "case_sensitive": probe.case_sensitive,
        "name_max": probe.name_max,
        "free_bytes": probe.free_bytes,
        "free_inodes": probe.free_inodes,
        "filesystem": probe.filesystem,
        "probe_seconds": round(probe.seconds, 4),
        "layers": layers,
        "considered": [
            {
                "source": entry.candidate.source,
                "path": str(entry.candidate.path) if entry.candidate.path else None,
                "verdict": entry.verdict,
                "chosen": entry.chosen,
            }
            for entry in home.considered
        ],
    }


def _doctor(args: argparse.Namespace, context: Context) -> int:
    if args.log is not None:
        return _explain(args.log, context)
    from holdfast.checks import worst
    from holdfast.doctor import examine

    findings = examine(context.settings, context.env)
    failing = worst(findings) == "error"
    if context.json:
        shown = [finding.to_dict() for finding in findings]
        context.result_json({"healthy": not failing, "findings": shown})
    else:
        for finding in findings:
            context.result(f"{finding.severity:<8}{finding.check:<12} {finding.message}")
            if finding.cure:
                context.result(f"{'':<21}try: {finding.cure}")
    return 1 if failing else 0


def _explain(name: str, context: Context) -> int:
    from holdfast.doctor import explain, read_log

    try:
        # Where standard input is closed, opening the descriptor says so.
        with open(0 if name == "-" else name, "rb", closefd=name != "-") as stream:
            told = explain(read_log(stream))
    except OSError as error:
        raise ConfigInvalid(
            f"the log {name} cannot be read", why=error.strerror or str(error),
            hint="holdfast doctor --log FILE, or: YOUR COMMAND 2>&1 | holdfast doctor --log -",
        ) from error  # fmt: skip
    failing = any(item.known.severity == "error" for item in told)
    if context.json:
        context.result_json({"healthy": not failing, "findings": [t.to_dict() for t in told]})
        return 1 if failing else 0
    for item in told:
        times = "" if item.count == 1 else f", {item.count} times"
        context.result(f"{item.known.severity:<8}{item.known.code}  (line {item.line}{times})")
        context.result(f"{'':<8}{item.excerpt}")
        context.result(f"{'':<8}why: {item.known.why}")
        context.result(f"{'':<8}try: {item.known.cure}")
    if not told:
        context.say("no failure that is known here; what this machine lacks: holdfast doctor")
    return 1 if failing else 0


def _completion(args: argparse.Namespace, context: Context) -> int:
    from argcomplete.shell_integration import shellcode

    context.result(shellcode(["holdfast"], shell=args.shell))
    return 0
