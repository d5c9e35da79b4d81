"""A hub with fault switches: in the test's process, or as a process of its own.

    with faulty_hub(Repositories(tmp_path), "cut:at=10M,where=storage") as hub:
        ... HF_ENDPOINT=hub.url ...
        hub.faults.set("silence:where=api")
        hub.log.records

    with hub_process(tmp_path, "slow:rate=1M") as hub:   # its own interpreter, its own GIL
        hub.url; hub.set_faults(...); hub.records(); hub.clear_records(); hub.move_branch(...)

As a command: ``python -m tests.support.hub --root DIR --port-file F --fault cut:at=10M``. It writes
``{"url", "storage_url", "control_url", "pid"}`` to the port file once it answers, and ends when its
standard input does.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import os
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from holdfast.mirror import (
    Access,
    Account,
    HubSettings,
    Repositories,
    RequestLog,
    RunningHub,
    Signer,
    running_hub,
)
from holdfast.refs import parse_ref
from tests.support.faults import Fault, Faults, move_branch

_ROOT = Path(__file__).resolve().parents[2]
_START_WITHIN_S = 60.0


@dataclass(frozen=True)
class FaultyHub:
    """A running hub and its switches."""

    url: str
    storage_url: str
    log: RequestLog
    repositories: Repositories
    faults: Faults


@contextlib.contextmanager
def faulty_hub(
    repositories: Repositories | Path,
    *faults: Fault | str,
    settings: HubSettings | None = None,
    signer: Signer | None = None,
) -> Iterator[FaultyHub]:
    """Serve from a thread of this process while the block runs."""
    if not isinstance(repositories, Repositories):
        repositories = Repositories(repositories, durable=False)
    switches = Faults(faults)
    switches.on_move = lambda fault: move_branch(repositories, fault)
    with running_hub(repositories, settings, signer=signer, wrap=switches.wrap) as hub:
        yield FaultyHub(hub.url, hub.storage_url, hub.log, repositories, switches)


@dataclass(frozen=True)
class HubProcess:
    """A hub in a process of its own."""

    url: str
    storage_url: str
    control_url: str
    pid: int

    def records(self) -> list[dict[str, Any]]:
        """Return every request so far; the fields are those of ``RequestRecord``."""
        found: list[dict[str, Any]] = self._control("records", None)
        return found

    def clear_records(self) -> None:
        """Forget the requests so far."""
        self._control("clear", {})

    def set_faults(self, *faults: str) -> None:
        """Switch exactly these faults on."""
        self._control("faults", {"faults": list(faults)})

    def move_branch(self, repo: str, to: str, branch: str = "main") -> None:
        """Move a branch to another revision."""
        self._control("move", {"repo": repo, "branch": branch, "to": to})

    def _control(self, action: str, body: Mapping[str, Any] | None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.control_url}/{action}", data=data)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=10) as answer:
            return json.loads(answer.read())


@contextlib.contextmanager
def hub_process(root: Path, *faults: str, arguments: tuple[str, ...] = ()) -> Iterator[HubProcess]:
    """Serve ``root`` from another process while the block runs; ``arguments`` go to its command."""
    with tempfile.TemporaryDirectory() as folder:
        ports = Path(folder, "ports.json")
        command = [sys.executable, "-m", "tests.support.hub", "--root", str(root)]
        command += ["--port-file", str(ports), *arguments]
        for fault in faults:
            command += ["--fault", fault]
        # The environment of a test may be bent (no HOME, a denied system call); the hub's is not.
        process = subprocess.Popen(command, cwd=_ROOT, stdin=subprocess.PIPE)
        try:
            yield HubProcess(**_await_ports(process, ports))
        finally:
            assert process.stdin is not None
            process.stdin.close()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _await_ports(process: subprocess.Popen[bytes], ports: Path) -> dict[str, Any]:
    deadline = time.monotonic() + _START_WITHIN_S
    while time.monotonic() < deadline:
        if ports.exists():
            found: dict[str, Any] = json.loads(ports.read_text())
            return found
        if process.poll() is not None:
            raise RuntimeError(f"the hub's process ended with {process.returncode}")
        time.sleep(0.02)
    raise RuntimeError(f"the hub did not start within {_START_WITHIN_S} s")


class _Control(BaseHTTPRequestHandler):
    hub: RunningHub
    faults: Faults

    def do_GET(self) -> None:
        self._answer([asdict(record) for record in self.hub.log.records])

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        match self.path:
            case "/clear":
                self.hub.log.clear()
            case "/faults":
                self.faults.set(*body["faults"])
            case "/move":
                move_branch(self.hub.repositories, Fault("move", **body))
        self._answer({})

    def log_message(self, *args: Any) -> None:
        del args

    def _answer(self, data: Any) -> None:
        body = json.dumps(data).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="A hub with fault switches.")
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--port-file", type=Path, required=True)
    parser.add_argument("--fault", action="append", default=[], metavar="KIND:KEY=VALUE,...")
    parser.add_argument("--page-entries", type=int, default=1000)
    parser.add_argument("--storage-url", default="", help="serve large files from elsewhere")
    parser.add_argument("--token", action="append", default=[], metavar="TOKEN=NAME")
    parser.add_argument("--gated", action="append", default=[], metavar="REPO")
    parser.add_argument("--private", action="append", default=[], metavar="REPO")
    return parser.parse_args()


def main() -> None:
    arguments = _arguments()
    repositories = Repositories(arguments.root, durable=False)
    for name in arguments.gated:
        repositories.set_access(parse_ref(name).repo, Access(gated="manual"))
    for name in arguments.private:
        repositories.set_access(parse_ref(name).repo, Access(private=True))
    settings = HubSettings(
        page_entries=arguments.page_entries,
        accounts={
            token: Account(name)
            for token, _, name in (text.partition("=") for text in arguments.token)
        },
        storage_url=arguments.storage_url,
    )
    faults = Faults(arguments.fault)
    faults.on_move = lambda fault: move_branch(repositories, fault)
    # Connections that a fault cuts are no news here.
    logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
    with running_hub(repositories, settings, wrap=faults.wrap) as hub:
        handler = type("Control", (_Control,), {"hub": hub, "faults": faults})
        control = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        control.daemon_threads = True
        threading.Thread(target=control.serve_forever, daemon=True).start()
        ports = {
            "url": hub.url,
            "storage_url": hub.storage_url,
            "control_url": f"http://127.0.0.1:{control.server_address[1]}",
            "pid": os.getpid(),
        }
        temporary = arguments.port_file.with_suffix(".new")
        temporary.write_text(json.dumps(ports))
        temporary.replace(arguments.port_file)
        sys.stdin.read()
        control.shutdown()
        control.server_close()


if __name__ == "__main__":
    main()
