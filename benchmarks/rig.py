"""A hub that is never the bottleneck: nginx over a generated, static configuration.

It answers what a client needs to download: the repository, its revision and its tree as JSON;
``resolve`` with ETag and X-Repo-Commit for plain files; a redirect to a second port, a second
origin, for large files. Its access log is where requests and bytes are counted.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from benchmarks.corpus import File, Repository

__all__ = ["Hub", "NginxHub", "Traffic", "nginx_hub"]

_MAIN = """\
worker_processes 2;
daemon off;
{user}
pid {folder}/nginx.pid;
error_log {folder}/error.log warn;
events {{ worker_connections 1024; }}
http {{
  log_format count '$request_method $status $body_bytes_sent $request_uri';
  access_log {folder}/access.log count;
  client_body_temp_path {folder}/tmp; proxy_temp_path {folder}/tmp; fastcgi_temp_path {folder}/tmp;
  uwsgi_temp_path {folder}/tmp; scgi_temp_path {folder}/tmp;
  sendfile on; tcp_nopush on; tcp_nodelay on;
  keepalive_requests 1000000; keepalive_timeout 60s;
  etag off; server_tokens off; default_type application/octet-stream;
  server_names_hash_bucket_size 128; variables_hash_bucket_size 128;
  server {{
    listen 127.0.0.1:{hub_port} reuseport;
    include {folder}/locations.conf;
    location /api/ {{ add_header X-Error-Code RepoNotFound always; return 404; }}
    location / {{ add_header X-Error-Code EntryNotFound always; return 404; }}
  }}
  server {{
    listen 127.0.0.1:{blob_port} reuseport;
    location ~ "^/(?<digest>[0-9a-f]{{64}})$" {{ root {blobs}; add_header ETag '"$digest"'; }}
  }}
}}
"""
_PLAIN = """\
location = "/{repo}/resolve/{revision}/{path}" {{
  alias {blob};
  add_header X-Repo-Commit {commit};
  add_header ETag '"{etag}"';
}}
"""
_LARGE = """\
location = "/{repo}/resolve/{revision}/{path}" {{
  add_header X-Repo-Commit {commit} always;
  add_header X-Linked-Size {size} always;
  add_header X-Linked-Etag '"{etag}"' always;
  add_header Accept-Ranges bytes always;
  return 302 http://127.0.0.1:{blob_port}/{sha256};
}}
"""
_JSON = 'location = "{url}" {{ default_type application/json; alias {file}; }}\n'
# With ?blobs=true a revision's description tells sizes and digests, as the Hub's does.
_INFO = """\
location = "{url}" {{
  default_type application/json;
  if ($arg_blobs = "true") {{ rewrite ^ "/described/{name}/{commit}-blobs.json" last; }}
  alias {file};
}}
"""
_DESCRIBED = (
    "location /described/ {{ internal; default_type application/json; alias {folder}/; }}\n"
)


@dataclass(frozen=True)
class Traffic:
    """What the hub saw: requests by method, and the bytes it sent, headers not counted."""

    requests: int
    heads: int
    bytes_sent: int


class Hub(Protocol):
    """A running hub with a branch that can be moved and a log that can be counted."""

    endpoint: str

    def move_main(self, repository: Repository, commit: str) -> None:
        """Let the branch ``main`` of a repository stand at another commit."""

    def reset_log(self) -> None:
        """Start counting from here."""

    def traffic(self) -> Traffic:
        """Return what was served since :meth:`reset_log`."""


class NginxHub:
    """A hub made of files and of nginx."""

    def __init__(
        self, folder: Path, repositories: list[Repository], ports: tuple[int, int]
    ) -> None:
        self._folder, self._repositories = folder, repositories
        self._hub_port, self._blob_port = ports
        self._process: subprocess.Popen[bytes] | None = None
        self.endpoint = f"http://127.0.0.1:{self._hub_port}"

    def start(self) -> None:
        """Write the configuration, start nginx and wait until it answers."""
        (self._folder / "tmp").mkdir(parents=True)
        first = next(iter(self._repositories[0].revisions.values()))[0]
        main = _MAIN.format(
            user="user root;" if os.geteuid() == 0 else "",
            folder=self._folder,
            hub_port=self._hub_port,
            blob_port=self._blob_port,
            blobs=first.blob.parent,
        )
        (self._folder / "nginx.conf").write_text(main)
        self._configure()
        self._process = subprocess.Popen(self._command(), stderr=subprocess.DEVNULL)
        self._wait()

    def stop(self) -> None:
        """Stop nginx."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(timeout=10)

    def move_main(self, repository: Repository, commit: str) -> None:
        """Let the branch ``main`` of a repository stand at another commit."""
        if repository.main == commit:
            return
        repository.main = commit
        self._configure()
        subprocess.run([*self._command(), "-s", "reload"], check=True, capture_output=True)
        self._wait()

    def reset_log(self) -> None:
        """Start counting from here."""
        os.truncate(self._folder / "access.log", 0)

    def traffic(self) -> Traffic:
        """Return what was served since :meth:`reset_log`."""
        lines = (self._folder / "access.log").read_text().splitlines()
        entries = [line.split(" ", 3) for line in lines]
        return Traffic(
            requests=len(entries),
            heads=sum(entry[0] == "HEAD" for entry in entries),
            bytes_sent=sum(int(entry[2]) for entry in entries),
        )

    def _command(self) -> list[str]:
        nginx = _nginx() or "nginx"
        return [nginx, "-p", str(self._folder), "-c", str(self._folder / "nginx.conf")]

    def _configure(self) -> None:
        text = _DESCRIBED.format(folder=self._folder / "json")
        text += "".join(self._locations(repository) for repository in self._repositories)
        (self._folder / "locations.conf").write_text(text)

    def _locations(self, repository: Repository) -> str:
        folder = self._folder / "json" / repository.name
        folder.mkdir(parents=True, exist_ok=True)
        parts = []
        for commit, files in repository.revisions.items():
            names = [commit, "main"] if commit == repository.main else [commit]
            info, tree = folder / f"{commit}.json", folder / f"{commit}-tree.json"
            info.write_text(json.dumps(_info(repository, commit, files)))
            described = folder / f"{commit}-blobs.json"
            described.write_text(json.dumps(_info(repository, commit, files, blobs=True)))
            tree.write_text(json.dumps([_tree_entry(file) for file in files]))
            api = f"/api/models/{repository.name}"
            if commit == repository.main:
                parts.append(_JSON.format(url=api, file=info))
            for name in names:
                parts.append(
                    _INFO.format(
                        url=f"{api}/revision/{name}",
                        file=info,
                        name=repository.name,
                        commit=commit,
                    )
                )
                parts.append(_JSON.format(url=f"{api}/tree/{name}", file=tree))
                parts += [self._file(repository, name, commit, file) for file in files]
        return "".join(parts)

    def _file(self, repository: Repository, revision: str, commit: str, file: File) -> str:
        return (_LARGE if file.lfs else _PLAIN).format(
            repo=repository.name,
            revision=revision,
            path=file.path,
            commit=commit,
            blob=file.blob,
            size=file.size,
            etag=file.sha256 if file.lfs else file.git_sha1,
            sha256=file.sha256,
            blob_port=self._blob_port,
        )

    def _wait(self) -> None:
        """Wait until every repository's ``main`` is answered as configured."""
        deadline = time.monotonic() + 10
        for repository in self._repositories:
            url = f"{self.endpoint}/api/models/{repository.name}/revision/main"
            while _answer(url).get("sha") != repository.main:
                if time.monotonic() > deadline:
                    log = (self._folder / "error.log").read_text()[-2000:]
                    raise RuntimeError(f"nginx does not answer as configured: {log}")
                time.sleep(0.02)


def _answer(url: str) -> dict[str, object]:
    try:
        with urllib.request.urlopen(url, timeout=5) as response:
            answer: dict[str, object] = json.load(response)
            return answer
    except (urllib.error.URLError, ConnectionError):
        return {}


def _info(
    repository: Repository, commit: str, files: list[File], *, blobs: bool = False
) -> dict[str, object]:
    siblings = [_sibling(file, blobs=blobs) for file in files]
    fixed = {"private": False, "gated": False, "disabled": False, "tags": [], "downloads": 0}
    names = {"_id": commit[:24], "id": repository.name, "modelId": repository.name}
    return {**names, "sha": commit, **fixed, "siblings": siblings}


def _sibling(file: File, *, blobs: bool) -> dict[str, object]:
    if not blobs:
        return {"rfilename": file.path}
    entry = _tree_entry(file)
    described = {"rfilename": file.path, "size": file.size, "blobId": entry["oid"]}
    if file.lfs:
        described["lfs"] = {"sha256": file.sha256, "size": file.size}
    return described


def _tree_entry(file: File) -> dict[str, object]:
    entry = {"type": "file", "oid": file.git_sha1, "size": file.size, "path": file.path}
    if not file.lfs:
        return entry
    # Git itself holds a pointer in place of a large file.
    version = "version https://git-lfs.github.com/spec/v1"
    pointer = f"{version}\noid sha256:{file.sha256}\nsize {file.size}\n".encode()
    blob = hashlib.sha1(b"blob %d\0" % len(pointer) + pointer, usedforsecurity=False)
    lfs = {"oid": file.sha256, "size": file.size, "pointerSize": len(pointer)}
    return {**entry, "oid": blob.hexdigest(), "lfs": lfs}


def _nginx() -> str | None:
    return shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")


def _free_ports() -> tuple[int, int]:
    with socket.socket() as one, socket.socket() as two:
        for each in (one, two):
            each.bind(("127.0.0.1", 0))
        return one.getsockname()[1], two.getsockname()[1]


@contextlib.contextmanager
def nginx_hub(folder: Path, repositories: list[Repository]) -> Iterator[NginxHub | None]:
    """Serve the repositories; yields None where nginx is not installed."""
    if _nginx() is None:
        yield None
        return
    hub = NginxHub(folder, repositories, _free_ports())
    try:
        hub.start()
        yield hub
    finally:
        hub.stop()
