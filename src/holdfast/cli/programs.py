"""Commands about other programs: run, env."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from holdfast.cli._context import Context

__all__ = ["add_commands"]

_SHELLS = ("bash", "fish", "powershell", "docker", "k8s", "json")


def add_commands(commands: Any) -> None:
    """Add this module's commands to the parser."""
    run = commands.add_parser(
        "run", help="start a program whose model libraries then work here",
        usage="holdfast run [--home DIR] [--offline] [--sync] -- COMMAND [ARGUMENT ...]",
    )  # fmt: skip
    run.add_argument("--sync", action="store_true",
                     help="first bring what models.lock pins")  # fmt: skip
    run.add_argument("command", nargs=argparse.REMAINDER, metavar="COMMAND",
                     help="the program and its arguments; its exit code is ours")  # fmt: skip
    run.set_defaults(run=_run)

    env = commands.add_parser("env", help="print the variables that `run` sets")
    env.add_argument("--shell", choices=_SHELLS, default="bash",
                     help="whose language to print them in (bash)")  # fmt: skip
    env.set_defaults(run=_env)


def _run(args: argparse.Namespace, context: Context) -> int:
    from holdfast.compat import become, prepare, show_layers

    command = args.command[1:] if args.command[:1] == ["--"] else args.command
    if args.sync:
        _sync(context)
    prepared = prepare(context.settings, context.env, context.reporter)
    show_layers(prepared, context.reporter)
    context.reporter.close()
    become(command, {**context.env, **prepared.values})


def _sync(context: Context) -> None:
    from holdfast.provision import sync_models

    folder = Path.cwd()
    sync_models(
        context.provisioner(),
        folder / "models.toml",
        folder / "models.lock",
        frozen=True,  # starting a program never changes what is pinned
        announce=context.say,
    )


def _env(args: argparse.Namespace, context: Context) -> int:
    from holdfast.compat import prepare, render, show_layers

    prepared = prepare(context.settings, context.env, context.reporter)
    show_layers(prepared, context.reporter)
    context.reporter.close()
    text = render(prepared.values, "json" if context.json else args.shell)
    context.result_exact(text)
    return 0
