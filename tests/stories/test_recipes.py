"""The recipes without containers, run from their pages: CI's cache, Windows, no network."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
import yaml

from tests.support.core import Shelf, Shop, User, content_of, disk_used, peer
from tests.support.deny import deny_prefix
from tests.support.filesystems import KINDS, ntfs, run_in_namespace
from tests.support.recipes import (
    FILES,
    NAME,
    RECIPES,
    SIZE,
    WANTED,
    commands,
    examples_missing_from,
    page_files,
    page_text,
    written,
)

pytestmark = pytest.mark.linux

BIN = Path(sys.executable).parent


@pytest.fixture
def shelf(shop: Shop) -> Shelf:
    return shop.new(FILES, name=NAME)


def test_the_index_names_every_recipe_and_each_says_what_goes_wrong_without() -> None:
    index = page_text("README")
    pages = {path.name for path in RECIPES.glob("*.md")} - {"README.md"}
    assert set(re.findall(r"\]\(([\w-]+\.md)\)", index)) == pages
    for page in pages:
        assert "\nWhat goes wrong without\n- " in page_text(page.removesuffix(".md")), page


@dataclass
class Shell:
    """Runs lines as a script would; lines that install stand for the environment of the tests."""

    folder: Path
    env: Mapping[str, str]
    prefix: tuple[str, ...] = ()
    log: list[str] = field(default_factory=list)

    def run(self, *words: str, code: int = 0) -> str:
        done = subprocess.run(
            [*self.prefix, *words],
            cwd=self.folder, env=dict(self.env), capture_output=True, text=True, timeout=60,
            check=False,
        )  # fmt: skip
        said = done.stderr + done.stdout
        self.log.append(said)
        assert done.returncode == code, f"{words}\n{said}"
        return said

    def script(self, lines: list[str]) -> str:
        return self.run("bash", "-euc", "\n".join(lines))

    @property
    def said(self) -> str:
        return "".join(self.log)


def shell(user: User, folder: Path, **env: str) -> Shell:
    path = f"{BIN}{os.pathsep}{user.env['PATH']}"
    variables = {**user.env, "PATH": path, "HF_ENDPOINT": user.endpoint, **env}
    del variables["PWD"]
    return Shell(folder, variables)


def flip(path: Path) -> None:
    """Change a byte, and neither size nor time."""
    status = path.stat()
    with path.open("r+b") as file:
        file.seek(1000)
        byte = file.read(1)[0]
        file.seek(1000)
        file.write(bytes([byte ^ 4]))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


# -- GitHub Actions


@dataclass(frozen=True)
class Job:
    """The page's job: its variables, its cache, and its lines in their order."""

    env: dict[str, str]
    cache: dict[str, str]
    lines: list[str]

    def run(self, user: User, checkout: Path) -> Shell:
        env = {k: v.replace("${{ github.workspace }}", str(checkout)) for k, v in self.env.items()}
        runner = shell(user, checkout, **env)
        for line in self.lines:
            runner.script([line])
        return runner


@pytest.fixture
def job() -> Job:
    (workflow,) = (text for name, text in page_files("github-actions").items() if "yml" in name)
    (job,) = yaml.safe_load(workflow)["jobs"].values()
    steps = job["steps"]
    cache = next(step["with"] for step in steps if step.get("uses", "").startswith("actions/cache"))
    lines = [step["run"] for step in steps if "run" in step]
    installing, *others = lines
    assert installing.startswith("pip install ./holdfast")
    assert [line.split()[0] for line in others] == ["holdfast"] * len(others)
    return Job(job["env"], cache, others)


def test_a_second_ci_run_with_the_same_lock_asks_the_hub_nothing(
    shop: Shop, shelf: Shelf, user: User, tmp_path: Path, job: Job
) -> None:
    first = written("github-actions", tmp_path / "first")
    shell(user, first).script(["holdfast lock"])
    assert job.env["HOLDFAST_HOME"] == "${{ github.workspace }}/" + job.cache["path"]
    assert "hashFiles('models.lock')" in job.cache["key"]
    job.run(user, first)
    assert content_of(shelf.folder(first / job.cache["path"])) == WANTED

    second = written("github-actions", tmp_path / "second")
    (second / "models.lock").write_bytes((first / "models.lock").read_bytes())
    # What actions/cache does to a folder on its way.
    pack = f"tar --posix -cf - -C {first} {job.cache['path']} | tar -xpf - -C {second}"
    subprocess.run(["sh", "-c", pack], check=True)
    shop.reset()
    said = job.run(user, second).said
    assert shop.requests() == []
    assert examples_missing_from(said, "github-actions") == []
    assert disk_used(second / job.cache["path"]) < SIZE + 30_000


def test_ci_fails_on_a_stale_lock_and_on_a_damaged_cache(
    shelf: Shelf, user: User, tmp_path: Path, job: Job
) -> None:
    checkout = written("github-actions", tmp_path / "checkout")
    shell(user, checkout).script(["holdfast lock"])
    job.run(user, checkout)
    flip((shelf.folder(checkout / job.cache["path"]) / "model.safetensors").resolve())
    with pytest.raises(AssertionError, match=r"(?s)holdfast verify.*: wrong-content"):
        job.run(user, checkout)
    manifest = checkout / "models.toml"
    manifest.write_text(manifest.read_text().replace('"*.json", ', ""))
    with pytest.raises(AssertionError, match="lock-stale"):
        job.run(user, checkout)


# -- Windows


def powershell(lines: list[str], folder: Path, env: Mapping[str, str]) -> Iterator[list[str] | str]:
    """Yield the lines that run something, and set what the others set: as far as that goes here."""
    known = dict(env)

    def expanded(text: str) -> str:
        text = re.sub(r"\$env:(\w+)", lambda match: known[match[1]], text)
        return text.replace("$PWD", str(folder)).replace("\\", "/")

    for line in lines:
        if setting := re.fullmatch(r'\$env:(\w+) = "(.*)"', line):
            known[setting[1]] = expanded(setting[2])
            if setting[1] != "Path":
                yield f"{setting[1]}={known[setting[1]]}"
        elif line.startswith("holdfast "):
            yield shlex.split(line)
        else:
            assert re.match(r"py -3\.\d+ -m venv |pip install ", line), line


@pytest.mark.root
@pytest.mark.usefixtures("seccomp")
def test_without_the_right_to_link_a_program_that_links_gets_its_model_once(
    shop: Shop, shelf: Shelf, user: User, tmp_path: Path
) -> None:
    with ntfs(tmp_path) as disk:
        profile = disk / "Users/ada"
        folder = written("windows", profile / "work")
        console = shell(user, folder, HOME=str(profile), USERPROFILE=str(profile))
        console.prefix = tuple(deny_prefix(symlink="EPERM"))
        lines = commands("windows", language="powershell")
        assert lines[-1] == "holdfast run --offline -- python app.py"
        env = {**console.env, "Path": ""}
        for step in powershell(lines, folder, env):
            if isinstance(step, str):
                name, _, value = step.partition("=")
                console.env = {**console.env, name: value}
            else:
                shop.reset()
                console.run(*step)

        assert shop.requests() == [], "what ran last was offline"
        assert "hardlink" in console.said
        home = Path(console.env["HOLDFAST_HOME"])
        assert home == profile / "m"
        stored = shelf.folder(home)
        assert content_of(stored) == FILES
        link = folder / "savedir/model.safetensors"
        assert link.samefile(stored / link.name)
        assert not link.is_symlink()
        assert disk_used(disk) < sum(map(len, FILES.values())) + 40_000
        # The same program as its author would start it.
        bare = {"HF_HUB_CACHE": str(home / "hub"), "HF_HUB_OFFLINE": "1"}
        stopped = replace(console, env={**console.env, **bare}).run("python", "app.py", code=1)
        assert "PermissionError: [Errno 1]" in stopped


# -- air-gapped


@pytest.fixture(params=["folder", "exfat", "fat32"])
def medium(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    with ExitStack() as stack:
        if request.param == "folder":
            (tmp_path / "medium").mkdir()
            yield tmp_path / "medium"
        else:
            yield stack.enter_context(KINDS[request.param](tmp_path))


def carried(user: User, tmp_path: Path, medium: Path) -> Path:
    """Do what the page does outside and on the way; return the project as it is inside."""
    outside = written("air-gapped", tmp_path / "outside")
    sender = shell(user, outside, MEDIUM=str(medium))
    sender.script(commands("air-gapped", "Outside"))
    kind = "disk with links" if medium.name == "medium" else "stick without links"
    sender.script(commands("air-gapped", f"Carry on a {kind}"))
    inside = written("air-gapped", tmp_path / "inside")
    (inside / "models.lock").write_bytes((outside / "models.lock").read_bytes())
    return inside


@pytest.mark.root
def test_models_carried_on_any_medium_are_used_without_a_network(
    shop: Shop, shelf: Shelf, user: User, tmp_path: Path, medium: Path
) -> None:
    inside = carried(user, tmp_path, medium)
    assert disk_used(medium) < SIZE + 30_000, "once on the medium"
    shop.reset()
    env = shell(user, inside, MEDIUM=str(medium)).env
    script = "\n".join(commands("air-gapped", "Inside"))

    done = run_in_namespace(script, network=False, env=env, cwd=inside)

    assert done.returncode == 0, done.stderr
    assert examples_missing_from(done.stdout + done.stderr, "air-gapped") == []
    assert content_of(shelf.folder(inside / "inbox")) == WANTED
    assert disk_used(inside / "inbox") < SIZE + 30_000, "and once inside"
    assert shop.requests() == []

    (layers,) = re.findall(r"`(HOLDFAST_LAYERS=\S+)`", page_text("air-gapped"))
    script = f"export HOLDFAST_HOME=$PWD/other {layers}\nholdfast run --offline -- python app.py"
    direct = run_in_namespace(script, network=False, env=env, cwd=inside)
    assert direct.returncode == 0, direct.stderr
    assert direct.stdout.strip() == str(shelf.folder(inside / "other"))
    assert disk_used(inside / "other") < 20_000


def test_a_medium_that_was_damaged_or_taken_out_too_early_is_noticed(
    shelf: Shelf, user: User, tmp_path: Path
) -> None:
    medium = tmp_path / "medium"
    medium.mkdir()
    inside = carried(user, tmp_path, medium)
    env = shell(user, inside, MEDIUM=str(medium)).env
    script = "\n".join(commands("air-gapped", "Inside"))
    weights = (shelf.folder(medium / "models") / "model.safetensors").resolve()

    flip(weights)
    done = run_in_namespace(script, network=False, env=env, cwd=inside)
    assert done.returncode == 6, done.stderr

    with weights.open("r+b") as file:
        file.truncate(1000)
    again = f"rm -r inbox\n{script}"
    done = run_in_namespace(again, network=False, env=env, cwd=inside)
    assert done.returncode == 5, done.stderr
    assert "model.safetensors" in done.stderr


def test_a_hub_inside_serves_what_was_carried(
    shop: Shop, shelf: Shelf, user: User, tmp_path: Path
) -> None:
    (tmp_path / "medium").mkdir()
    inside = carried(user, tmp_path, tmp_path / "medium")
    first = shell(user, inside, MEDIUM=str(tmp_path / "medium"))
    first.script(commands("air-gapped", "Inside"))
    shop.reset()
    serving = replace(first, env={**first.env, "HOLDFAST_HOME": str(inside / "inbox")})
    bring, serve = commands("air-gapped", "A hub inside")
    serving.script([bring])
    assert disk_used(inside / "inbox", inside / "shelf") < SIZE + 30_000, "shared, not copied"
    words = shlex.split(serve.replace("--port 8090", "--port 0"))
    env = dict(serving.env)
    with subprocess.Popen(words, cwd=inside, env=env, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            port = process.stdout.readline().strip().rpartition(":")[2]
            there = user.but(home=tmp_path / "there", endpoint=f"http://127.0.0.1:{port}")
            assert content_of(there.run("pull", NAME).json["path"]) == WANTED
            assert content_of(peer(there.but(home=tmp_path / "hf"), NAME, online=True)) == WANTED
            # Whose lock is which: the page says so.
            machine = shell(there, inside, HOLDFAST_HOME=str(tmp_path / "locked"))
            machine.run("holdfast", "sync", "--frozen", code=4)
            machine.script(["holdfast lock --upgrade", "holdfast sync --frozen"])
        finally:
            process.terminate()
    assert shop.requests() == []
