"""models.toml and models.lock: what is named is pinned, and what is pinned is brought."""

from __future__ import annotations

import hashlib
import os
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import tomli_w

from tests.support import repos
from tests.support.core import Ran, Shop, User, content_of, holds, peer

FILES = {
    "config.json": b"{}",
    "weights.bin": repos.noise(120_000, "sync"),
    "onnx/model.onnx": repos.noise(50_000, "onnx"),
}
SIZE = sum(map(len, FILES.values()))


@dataclass
class Project:
    """A folder with a models.toml, and somebody who works in it."""

    folder: Path
    user: User

    @property
    def manifest(self) -> Path:
        return self.folder / "models.toml"

    @property
    def lock_path(self) -> Path:
        return self.folder / "models.lock"

    @property
    def locked(self) -> dict[str, Any]:
        return tomllib.loads(self.lock_path.read_text("utf-8"))

    def asks(self, **models: dict[str, Any]) -> Project:
        self.manifest.write_text(tomli_w.dumps({"models": models}))
        return self

    def run(self, *words: str) -> Ran:
        return self.user.run(*words, "--manifest", self.manifest)

    def elsewhere(self, name: str) -> Project:
        """The same files with an empty home: another machine."""
        assert self.user.home is not None
        return Project(self.folder, self.user.but(home=self.user.home.with_name(name)))


@pytest.fixture
def project(user: User, tmp_path: Path) -> Project:
    folder = tmp_path / "project"
    folder.mkdir()
    return Project(folder, user)


def test_a_lock_pins_commit_and_digests_and_brings_nothing(shop: Shop, project: Project) -> None:
    shelf = shop.new(FILES)
    done = project.asks(tiny={"repo": shelf.name}).run("lock").json

    assert done["models"] == [
        {"name": "tiny", "repo": shelf.name, "commit": shelf.commit, "files": 3, "bytes": SIZE}
    ]
    (model,) = project.locked["model"]
    assert (model["name"], model["revision"], model["commit"]) == ("tiny", "main", shelf.commit)
    digests = {file["path"]: (file["size"], file["digest"]) for file in model["file"]}
    weights = hashlib.sha256(FILES["weights.bin"]).hexdigest()
    config = hashlib.sha1(b"blob 2\0{}").hexdigest()
    assert digests["weights.bin"] == (120_000, f"sha256:{weights}")
    assert digests["config.json"] == (2, f"git-sha1:{config}")
    assert shop.content_bytes() == 0
    assert shop.requests()

    shop.reset()
    text = project.lock_path.read_bytes()
    project.run("lock").done()
    assert project.lock_path.read_bytes() == text
    assert shop.requests() == []


def test_an_empty_home_gets_exactly_the_locked_files_by_file_requests_alone(
    shop: Shop, project: Project
) -> None:
    shelf = shop.new(FILES)
    project.asks(tiny={"repo": shelf.name}).run("lock")
    shop.reset()

    (model,) = project.run("sync", "--frozen").json["models"]

    assert (model["name"], model["commit"]) == ("tiny", shelf.commit)
    assert model["bytes_fetched"] == shop.content_bytes() == SIZE
    assert content_of(model["path"]) == FILES
    assert shop.metadata_requests() == []
    assert len(shop.requests("/resolve/")) == len(FILES)
    assert project.user.run("verify").json["files"] == len(FILES)

    shop.reset()
    (again,) = project.run("sync", "--frozen").json["models"]
    assert (again["strategy"], again["bytes_fetched"]) == ("present", 0)
    assert shop.requests() == []
    (offline,) = project.run("--offline", "sync", "--frozen").json["models"]
    assert offline["path"] == model["path"]


def test_a_branch_that_has_moved_changes_nothing_until_it_is_upgraded(
    shop: Shop, project: Project
) -> None:
    first = shop.new(FILES)
    project.asks(tiny={"repo": first.name}).run("lock")
    second = first.next({"config.json": b'{"new": 1}', "weights.bin": None})

    (model,) = project.run("sync", "--frozen").json["models"]
    assert model["commit"] == first.commit
    assert content_of(model["path"]) == FILES
    assert project.run("lock").json["models"][0]["commit"] == first.commit

    (upgraded,) = project.run("lock", "--upgrade").json["models"]
    assert (upgraded["commit"], upgraded["files"]) == (second.commit, 2)
    shop.reset()
    (model,) = project.run("sync", "--frozen").json["models"]
    assert model["commit"] == second.commit
    assert model["bytes_fetched"] == shop.content_bytes() == 10
    assert set(content_of(model["path"])) == {"config.json", "onnx/model.onnx"}


@pytest.mark.parametrize(
    "change", [{"revision": "v1"}, {"include": ["*.json"]}, {"local-dir": "here"}, None],
    ids=["revision", "patterns", "folder", "removed"],
)  # fmt: skip
def test_a_frozen_sync_refuses_a_lock_that_does_not_answer_the_manifest(
    shop: Shop, project: Project, change: dict[str, Any] | None
) -> None:
    shelf, other = shop.new(FILES), shop.new({"a": b"1"})
    shop.repositories.tag(shelf.repo, "v1", shelf.commit)
    both = {"tiny": {"repo": shelf.name}, "other": {"repo": other.name}}
    project.asks(**both).run("lock")
    text = project.lock_path.read_bytes()
    if change is None:
        del both["tiny"]
    else:
        both["tiny"] |= change
    project.asks(**both)
    shop.reset()

    done = project.run("sync", "--frozen")

    assert (done.code, done.error["code"]) == (8, "lock-stale")
    (reason,) = done.error["facts"]["reasons"]
    assert reason.startswith("tiny ")
    assert shop.requests() == []
    assert project.lock_path.read_bytes() == text

    thawed = project.run("sync").json["models"]
    assert {model["name"] for model in thawed} == set(both)
    assert project.run("sync", "--frozen").code == 0


def test_without_a_lock_a_frozen_sync_fails_and_a_plain_one_makes_it(
    shop: Shop, project: Project
) -> None:
    shelf = shop.new(FILES)
    project.asks(tiny={"repo": shelf.name})
    assert project.run("sync", "--frozen").code == 8
    assert not project.lock_path.exists()

    (model,) = project.run("sync").json["models"]
    assert holds(model["path"], FILES)
    assert project.locked["model"][0]["commit"] == shelf.commit


def test_fields_of_newer_versions_survive_locking(shop: Shop, project: Project) -> None:
    first = shop.new(FILES)
    project.asks(tiny={"repo": first.name}).run("lock")
    lock = project.locked
    lock["signed-by"] = {"name": "someone", "keys": [1, 2]}
    lock["model"][0]["licence"] = "apache-2.0"
    for file in lock["model"][0]["file"]:
        file["blake3"] = "of " + file["path"]
    project.lock_path.write_text(tomli_w.dumps(lock))

    project.run("lock").done()
    assert project.locked == lock
    assert project.run("sync", "--frozen").code == 0

    second = first.next({"config.json": b'{"new": 1}'})
    project.run("lock", "--upgrade").done()
    after = project.locked
    assert after["signed-by"] == lock["signed-by"]
    assert (after["model"][0]["commit"], after["model"][0]["licence"]) == (
        second.commit, "apache-2.0",
    )  # fmt: skip
    # What was said of a file is kept for as long as the file is the same.
    assert {f["path"]: f.get("blake3") for f in after["model"][0]["file"]} == {
        "config.json": None,
        "weights.bin": "of weights.bin",
        "onnx/model.onnx": "of onnx/model.onnx",
    }  # fmt: skip


@pytest.mark.parametrize("command", ["lock", "sync"])
def test_keys_that_mean_nothing_are_named(shop: Shop, project: Project, command: str) -> None:
    shelf = shop.new(FILES)
    project.manifest.write_text(
        f'[models.tiny]\nrepo = "{shelf.name}"\nincluded = ["*.json"]\n[model]\nx = 1\n'
    )
    done = project.run(command)
    assert done.code == 0
    assert "models.tiny.included means nothing" in done.err
    assert "models.toml: model means nothing" in done.err


def test_every_problem_of_a_manifest_is_said_at_once(shop: Shop, project: Project) -> None:
    project.manifest.write_text(
        """
        [models.first]
        repo = "../evil"
        include = "*.json"
        [models.second]
        revision = 3
        type = "thing"
        [models.third]
        repo = "acme/tiny@v1"
        revision = "v2"
        local-dir = 5
        [models.good]
        repo = "acme/tiny"
        [models]
        fourth = "acme/tiny"
        """
    )
    done = project.run("lock")

    assert (done.code, done.error["code"]) == (2, "manifest-invalid")
    problems = done.error["facts"]["problems"]
    for name, part in (
        ("first", "'../evil'"), ("first", "include"), ("second", "revision"), ("second", "type"),
        ("second", "repo"), ("third", "'v2'"), ("third", "local-dir"), ("fourth", "not a table"),
    ):  # fmt: skip
        assert any(p.startswith(f"models.{name}") and part in p for p in problems), (name, part)
    assert len(problems) == 8
    assert all(problem in done.error["why"] for problem in problems)
    assert shop.requests() == []
    assert not project.lock_path.exists()


@pytest.mark.parametrize(
    "text", ["", None, "models = [", "\xff"], ids=["empty", "none", "syntax", "latin-1"]
)
def test_a_manifest_that_cannot_be_read_is_an_error_with_a_hint(
    project: Project, text: str | None
) -> None:
    if text is not None:
        project.manifest.write_bytes(text.encode("latin-1"))
    done = project.run("lock")
    if text == "":
        assert done.json["models"] == []
    else:
        assert (done.code, done.error["code"]) == (2, "manifest-invalid")
        assert "models.toml" in done.error["message"]
        assert done.error["hint"]


@pytest.mark.parametrize(
    ("damage", "part"),
    [
        (lambda text: text.replace("format = 1", "format = 99"), "99"),
        (lambda text: text.replace("sha256:", "md5:"), "md5"),
        (lambda text: text.replace('commit = "', 'commit = "x'), "not a commit"),
        (lambda text: text[: len(text) // 2] + "\n[[[", "models.lock"),
    ],
    ids=["newer", "digest", "commit", "syntax"],
)
def test_a_broken_lock_is_an_error_and_stays_as_it_is(
    shop: Shop, project: Project, damage: Any, part: str
) -> None:
    shelf = shop.new(FILES)
    project.asks(tiny={"repo": shelf.name}).run("lock")
    project.lock_path.write_text(damage(project.lock_path.read_text()))
    text = project.lock_path.read_bytes()
    for command in (["lock"], ["sync"], ["sync", "--frozen"]):
        done = project.run(*command)
        assert (done.code, done.error["code"]) == (2, "manifest-invalid")
        assert part in done.error["message"] + done.error["why"]
        assert project.lock_path.read_bytes() == text


def test_a_model_goes_to_the_folder_that_the_manifest_names(shop: Shop, project: Project) -> None:
    first = shop.new(FILES)
    project.asks(tiny={"repo": first.name, "local-dir": "vendor/tiny"}).run("lock")
    shop.reset()

    (model,) = project.run("sync", "--frozen").json["models"]
    assert Path(model["path"]) == project.folder / "vendor" / "tiny"
    assert content_of(model["path"]) == FILES
    assert shop.metadata_requests() == []

    shop.reset()
    assert project.run("sync", "--frozen").json["models"][0]["strategy"] == "present"
    assert shop.requests() == []

    first.next({"config.json": b'{"new": 1}', "onnx/model.onnx": None})
    project.run("lock", "--upgrade")
    (model,) = project.run("sync", "--frozen").json["models"]
    assert content_of(model["path"]) == {
        "config.json": b'{"new": 1}', "weights.bin": FILES["weights.bin"],
    }  # fmt: skip


def test_patterns_choose_what_is_locked_and_brought(shop: Shop, project: Project) -> None:
    shelf = shop.new(FILES)
    project.asks(
        some={"repo": shelf.name, "include": ["*.json", "onnx/"]},
        rest={"repo": shelf.name, "exclude": ["onnx/", "*.json"], "local-dir": "rest"},
    ).run("lock")

    rest, some = project.run("sync", "--frozen").json["models"]

    assert (rest["name"], some["name"]) == ("rest", "some")
    assert set(content_of(some["path"])) == {"config.json", "onnx/model.onnx"}
    assert set(content_of(rest["path"])) == {"weights.bin"}
    assert shop.content_bytes() == SIZE


@pytest.mark.parametrize("path", ["weights.bin", "config.json"], ids=["sha256", "git-sha1"])
def test_content_that_is_not_what_was_locked_is_refused(
    shop: Shop, project: Project, path: str
) -> None:
    shelf = shop.new(FILES)
    project.asks(tiny={"repo": shelf.name}).run("lock")
    lock = project.locked
    (file,) = (f for f in lock["model"][0]["file"] if f["path"] == path)
    kind, _, digits = file["digest"].partition(":")
    file["digest"] = f"{kind}:{digits[::-1]}"
    project.lock_path.write_text(tomli_w.dumps(lock))

    done = project.run("sync", "--frozen")

    assert (done.code, done.error["code"]) == (6, "digest-mismatch")
    assert done.error["facts"]["file"] == path
    assert {done.error["facts"]["expected"], done.error["facts"]["actual"]} == {
        digits,
        digits[::-1],
    }
    assert not (shelf.folder(project.user.home or Path()) / path).exists()


def test_a_size_that_is_not_what_was_locked_is_refused(shop: Shop, project: Project) -> None:
    shelf = shop.new(FILES)
    project.asks(tiny={"repo": shelf.name}).run("lock")
    for size in (119_999, 120_001):
        lock = project.locked
        (file,) = (f for f in lock["model"][0]["file"] if f["path"] == "weights.bin")
        file["size"] = size
        project.lock_path.write_text(tomli_w.dumps(lock))
        done = project.run("sync", "--frozen")
        assert (done.code, done.error["code"]) == (6, "digest-mismatch"), size
        assert not (shelf.folder(project.user.home or Path()) / "weights.bin").exists()


def test_a_path_in_a_lock_that_would_leave_the_folder_is_refused(
    shop: Shop, project: Project, tmp_path: Path
) -> None:
    shelf = shop.new({"evil.txt": b"evil"})
    for folder in ("", "vendor/tiny"):
        asked = {"repo": shelf.name, **({"local-dir": folder} if folder else {})}
        project.asks(tiny=asked).run("lock")
        text = project.lock_path.read_text().replace("evil.txt", "../../evil.txt")
        project.lock_path.write_text(text)
        done = project.run("sync", "--frozen")
        assert (done.code, done.error["code"]) == (7, "names-impossible")
    assert list(tmp_path.rglob("evil.txt*")) == []


def test_datasets_and_spaces_are_locked_and_brought(shop: Shop, project: Project) -> None:
    number = os.getpid()
    data = shop.new({"d.csv": b"1,2"}, name=f"datasets/acme/sync-{number}")
    space = shop.new({"app.py": b"print()"}, name=f"spaces/acme/sync-{number}")
    project.asks(
        data={"repo": f"acme/sync-{number}", "type": "dataset"}, space={"repo": space.name}
    )
    project.run("lock").done()
    assert [m["repo"] for m in project.locked["model"]] == [data.name, space.name]

    found = project.elsewhere("second").run("sync", "--frozen").json["models"]

    assert [content_of(m["path"]) for m in found] == [{"d.csv": b"1,2"}, {"app.py": b"print()"}]
    assert project.run("lock").code == 0


def test_a_lock_can_be_used_by_another_machine_while_the_api_is_down(
    shop: Shop, project: Project
) -> None:
    shelf = shop.new(FILES)
    project.asks(tiny={"repo": shelf.name}).run("lock")
    shop.hub.set_faults("silence:where=api")
    done = project.elsewhere("second").run("sync", "--frozen")
    assert holds(done.json["models"][0]["path"], FILES)
    assert done.seconds < 10


def test_a_revision_that_does_not_exist_leaves_the_lock_unchanged(
    shop: Shop, project: Project
) -> None:
    shelf = shop.new(FILES)
    project.asks(tiny={"repo": shelf.name}).run("lock")
    text = project.lock_path.read_bytes()
    project.asks(tiny={"repo": shelf.name}, more={"repo": shelf.name, "revision": "v9"})
    done = project.run("lock")
    assert (done.code, done.error["code"]) == (4, "revision-not-found")
    assert project.lock_path.read_bytes() == text


def test_a_library_offline_finds_what_the_lock_pins_under_its_branch(
    project: Project, shop: Shop
) -> None:
    shelf = shop.new(FILES)
    project.asks(tiny={"repo": shelf.name}).run("lock")
    shelf.next({"config.json": b"newer"})
    project.user.run("pull", shelf.name).done()
    project.run("sync", "--frozen").done()
    assert project.user.home is not None
    assert peer(project.user, shelf.name) == shelf.folder(project.user.home)
