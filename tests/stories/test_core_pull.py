"""A pull in good conditions: what arrives, what it costs, and what is asked of the hub."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support import repos
from tests.support.core import Shop, User, content_of, disk_used, leftovers, peer


def size_of(files: dict[str, bytes]) -> int:
    return sum(map(len, files.values()))


def test_a_cold_pull_brings_every_byte_and_asks_for_each_file_once(
    shop: Shop, user: User, tmp_path: Path
) -> None:
    files = repos.model(scale=0.02)
    shelf = shop.new(files)

    pulled = user.run("pull", shelf.name).json

    assert pulled["bytes_fetched"] == shop.content_bytes() == size_of(files)
    assert pulled["commit"] == shelf.commit
    assert pulled["files"] == len(files)
    assert not pulled["stale"]
    assert Path(pulled["path"]) == shelf.folder(tmp_path / "home")
    assert content_of(pulled["path"]) == files
    assert len(shop.metadata_requests()) <= 2
    assert len(shop.requests("/resolve/")) == len(files)
    assert not shop.requests("HEAD")
    assert leftovers(tmp_path) == []
    assert disk_used(shelf.cache(tmp_path / "home")) <= size_of(files) + 64_000


def test_a_warm_pull_asks_once_for_a_branch_and_never_for_a_commit(shop: Shop, user: User) -> None:
    shelf = shop.new(repos.model(scale=0.005))
    user.run("pull", shelf.name)

    shop.reset()
    branch = user.run("pull", shelf.name).json
    assert branch["bytes_fetched"] == 0
    assert branch["strategy"] == "present"
    assert len(shop.requests()) == 1

    shop.reset()
    commit = user.run("pull", shelf.pinned).json
    assert commit["path"] == branch["path"]
    assert not commit["stale"]
    assert shop.requests() == []


def test_the_folder_is_the_only_line_on_standard_output(shop: Shop, user: User) -> None:
    shelf = shop.new({"config.json": b"{}", "deep/er/file.txt": b"text"})

    done = user.run("pull", shelf.name, as_json=False)

    assert done.code == 0, done.err
    assert done.out == f"{shelf.folder(user.home or Path())}\n"
    assert content_of(done.out.strip()) == {"config.json": b"{}", "deep/er/file.txt": b"text"}


def test_a_second_revision_fetches_only_what_changed(shop: Shop, user: User) -> None:
    assert user.home is not None
    first_files = repos.model(scale=0.01)
    first = shop.new(first_files)
    user.run("pull", first.name)
    second_files = repos.second_revision(first_files)
    second = first.next({k: v for k, v in second_files.items() if first_files.get(k) != v})

    shop.reset()
    pulled = user.run("pull", first.name).json

    changed = len(second_files["generation_config.json"]) + len(second_files["CHANGES.md"])
    assert pulled["bytes_fetched"] == shop.content_bytes() == changed
    assert pulled["bytes_reused"] == size_of(second_files) - changed
    assert content_of(second.folder(user.home)) == second_files
    assert content_of(first.folder(user.home)) == first_files
    extra = disk_used(first.cache(user.home)) - size_of(first_files) - changed
    assert extra < 64_000
    assert user.run("verify").json["bad"] == []


@pytest.mark.parametrize("kind", ["datasets/", "spaces/"])
def test_datasets_and_spaces_are_brought_and_read_by_the_peer(
    shop: Shop, user: User, kind: str
) -> None:
    files = {"README.md": b"# hello", "data/train.bin": repos.noise(70_000, kind)}
    shelf = shop.new(files, name=f"{kind}acme/thing-{os.getpid()}")

    pulled = user.run("pull", shelf.name).json

    assert content_of(pulled["path"]) == files
    assert content_of(peer(user, shelf.name)) == files


def test_a_repository_without_an_owner_is_brought(shop: Shop, user: User) -> None:
    shelf = shop.new({"config.json": b"{}"}, name=f"alone-{os.getpid()}")
    assert content_of(user.run("pull", shelf.name).json["path"]) == {"config.json": b"{}"}


def test_patterns_choose_files_and_the_rest_can_follow_later(shop: Shop, user: User) -> None:
    files = {
        "model.safetensors": repos.noise(50_000, "m"),
        "model.bin": repos.noise(60_000, "b"),
        "onnx/model.onnx": repos.noise(70_000, "o"),
        "config.json": b"{}",
    }
    shelf = shop.new(files)

    some = user.run("pull", shelf.name, "--include", "*.safetensors", "--include", "*.json").json
    assert set(content_of(some["path"])) == {"model.safetensors", "config.json"}
    less = user.run("pull", shelf.name, "--exclude", "*.bin", "--exclude", "onnx/").json
    assert less["bytes_fetched"] == 0

    shop.reset()
    everything = user.run("pull", shelf.name).json
    assert everything["bytes_fetched"] == shop.content_bytes() == 130_000
    assert content_of(everything["path"]) == files


def test_patterns_that_match_nothing_are_an_error_that_names_the_files(
    shop: Shop, user: User
) -> None:
    shelf = shop.new({"config.json": b"{}"})
    done = user.run("pull", shelf.name, "--include", "*.gguf")
    assert done.code == 4
    assert done.error["code"] == "entry-not-found"
    assert "config.json" in done.error["why"]


def test_three_hundred_small_files_arrive_with_one_request_each(shop: Shop, user: User) -> None:
    files = repos.small_files()
    shelf = shop.new(files)

    pulled = user.run("pull", shelf.name).json

    assert content_of(pulled["path"]) == files
    assert len(shop.requests()) <= len(files) + 2
    assert user.run("verify", shelf.name).json["files"] == 300


def test_the_same_content_under_several_names_is_fetched_once(shop: Shop, user: User) -> None:
    big = repos.noise(300_000, "twin")
    files = {"a.bin": big, "sub/b.bin": big, "c.txt": b"", "d.txt": b"", "e/f/g.txt": b""}
    shelf = shop.new(files)

    pulled = user.run("pull", shelf.name).json

    assert pulled["bytes_fetched"] == shop.content_bytes() == len(big)
    assert content_of(pulled["path"]) == files


def test_a_large_file_comes_in_ranges_and_is_whole(shop: Shop, user: User) -> None:
    files = {"model.safetensors": repos.noise(45_000_000, "large"), "config.json": b"{}"}
    shelf = shop.new(files)

    pulled = user.run("pull", shelf.name).json

    assert content_of(pulled["path"]) == files
    assert shop.content_bytes() == size_of(files)


def test_a_plan_says_what_a_pull_would_do_and_does_nothing(
    shop: Shop, user: User, tmp_path: Path
) -> None:
    files = repos.model(scale=0.01)
    shelf = shop.new(files)

    plan = user.run("plan", shelf.name).json
    dry = user.run("pull", "--dry-run", shelf.name).json

    assert plan == dry
    assert plan["bytes_fetched"] == size_of(files)
    assert {f["path"]: f["source"] for f in plan["files"]} == dict.fromkeys(files, "network")
    assert plan["requests"] == len(files)
    assert shop.content_bytes() == 0
    assert not (tmp_path / "home").exists()

    user.run("pull", shelf.name)
    after = user.run("plan", shelf.name).json
    assert {f["source"] for f in after["files"]} == {"here"}
    assert after["space_needed"] == 0


def test_several_repositories_are_brought_by_one_command(shop: Shop, user: User) -> None:
    one, two = shop.new({"a": b"1"}), shop.new({"b": b"22"})
    models = user.run("pull", one.name, two.name).json["models"]
    assert [m["repo"] for m in models] == [one.name, two.name]
    assert [content_of(m["path"]) for m in models] == [{"a": b"1"}, {"b": b"22"}]


def test_a_branch_a_tag_and_a_commit_each_give_their_own_files(shop: Shop, user: User) -> None:
    first = shop.new({"a.txt": b"one"})
    shop.repositories.tag(first.repo, "v1", first.commit)
    second = first.next({"a.txt": b"two"})
    shop.repositories.branch(first.repo, "feature/x", second.commit)

    def text(revision: str) -> bytes:
        pulled = user.run("pull", first.name, "--revision", revision).json
        return Path(pulled["path"], "a.txt").read_bytes()

    assert [text(r) for r in ("v1", "feature/x", "main", first.commit)] == [
        b"one", b"two", b"two", b"one",
    ]  # fmt: skip
    assert content_of(peer(user, f"{first.name}@v1")) == {"a.txt": b"one"}


def test_what_is_listed_is_what_is_stored(shop: Shop, user: User) -> None:
    files = repos.voiceprint(scale=0.002)
    shelf = shop.new(files)
    user.run("pull", shelf.name)

    (row,) = user.run("ls").json["models"]

    assert row["repo"] == shelf.name
    assert row["refs"] == ["main"]
    assert row["complete"]
    assert (row["files"], row["bytes"]) == (len(files), size_of(files))


def test_other_tools_caches_in_the_environment_are_used_as_they_are(
    shop: Shop, user: User, tmp_path: Path
) -> None:
    shelf = shop.new({"config.json": b"{}"})
    plain = user.but(home=None)

    hub = plain.with_env(HF_HUB_CACHE=str(tmp_path / "elsewhere")).run("pull", shelf.name).json
    assert Path(hub["path"]).is_relative_to(tmp_path / "elsewhere" / shelf.repo.folder_name)

    home = plain.with_env(HF_HOME=str(tmp_path / "hf")).run("pull", shelf.name).json
    assert Path(home["path"]).is_relative_to(tmp_path / "hf" / "hub")

    cache = plain.run("pull", shelf.name).json
    assert Path(cache["path"]).is_relative_to(tmp_path / "user" / ".cache" / "huggingface" / "hub")


def test_python_programs_use_the_same_functions(
    shop: Shop, user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    import holdfast

    files = {"config.json": b"{}", "w.bin": repos.noise(40_000, "api")}
    shelf = shop.new(files)
    monkeypatch.setenv("HOLDFAST_HOME", str(user.home))
    monkeypatch.setenv("HF_ENDPOINT", shop.url)

    assert holdfast.plan(shelf.name).bytes_fetched == 40_002
    folder = holdfast.pull(shelf.name, revision="main")
    assert content_of(folder) == files
    assert holdfast.verify(shelf.name).bad == ()
    (folder / "config.json").resolve().write_bytes(b"[]")
    report, brought = holdfast.repair(shelf.name)
    assert report.bad == ()
    assert [pulled.bytes_fetched for pulled in brought] == [2]
    with pytest.raises(holdfast.HoldfastError, match="was not found"):
        holdfast.pull("acme/no-such-thing")
