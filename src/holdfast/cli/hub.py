"""The command of the hub: serve-hub."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from holdfast.cli._context import Context
from holdfast.cli.service import extra
from holdfast.errors import ConfigInvalid

if TYPE_CHECKING:
    from holdfast.mirror import RunningHub

__all__ = ["add_commands"]


def add_commands(commands: Any) -> None:
    """Add this module's commands to the parser."""
    hub = commands.add_parser("serve-hub", help="serve a folder of repositories as a hub")
    hub.add_argument("folder", type=Path, metavar="DIR",
                     help="holds [datasets/|spaces/]OWNER/NAME/ folders")  # fmt: skip
    hub.add_argument("--host", default="127.0.0.1", help="address to listen on (127.0.0.1)")
    hub.add_argument("--port", type=int, default=8090, help="port to listen on, 0 for any (8090)")
    hub.add_argument("--storage-port", type=int, default=0,
                     help="port that large files come from (any)")  # fmt: skip
    hub.add_argument("--storage-url", default="", metavar="URL",
                     help="where another server has the large files, by digest")  # fmt: skip
    hub.set_defaults(run=_serve_hub)


def _serve_hub(args: argparse.Namespace, context: Context) -> int:
    with extra("server"):
        from holdfast.mirror import HubSettings, Repositories, serve_hub

    if not args.folder.is_dir():
        raise ConfigInvalid(
            f"{args.folder} is not a folder",
            why="it has to hold OWNER/NAME folders",
            hint=f"mkdir -p {args.folder}/OWNER/NAME",
        )
    repositories = Repositories(args.folder)

    def started(hub: RunningHub) -> None:
        if context.json:
            context.result_json({"url": hub.url, "storage_url": hub.storage_url})
        else:
            context.result(hub.url)
        context.out.flush()
        names = ", ".join(str(repo) for repo in repositories.list()) or "no repository yet"
        context.say(f"serving {names}")
        context.say(f"a client:  HF_ENDPOINT={hub.url} hf download OWNER/NAME")

    serve_hub(
        repositories,
        HubSettings(storage_url=args.storage_url),
        host=args.host,
        port=args.port,
        storage_port=args.storage_port,
        on_start=started,
    )
    return 0
