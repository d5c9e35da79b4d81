"""A folder of the user's choice holds the revision that was brought to it, and nothing older."""

from __future__ import annotations

from pathlib import Path

from tests.support.core import Shop, User, content_of, peer


def test_a_folder_leaves_the_revision_before_behind(shop: Shop, user: User, tmp_path: Path) -> None:
    old = shop.new({"config.json": b"{}", "old.bin": b"o" * 5000, "edited.txt": b"as it came"})
    folder = tmp_path / "folder"
    assert user.run("pull", old.name, "--local-dir", folder).code == 0
    (folder / "edited.txt").write_bytes(b"by hand")
    (folder / "mine.txt").write_bytes(b"not from a hub")

    files = {"old.bin": None, "edited.txt": None, "new.bin": b"n" * 7000}
    new = old.next(files)
    done = user.run("pull", new.name, "--local-dir", folder).json
    assert (done["commit"], done["bytes_fetched"]) == (new.commit, 7000)

    kept = {k: v for k, v in content_of(folder).items() if not k.startswith(".cache/")}
    assert kept == {
        "config.json": b"{}",
        "new.bin": b"n" * 7000,
        "edited.txt": b"by hand",
        "mine.txt": b"not from a hub",
    }
    assert user.run("verify", new.name, "--local-dir", folder).code == 0


def test_narrower_patterns_take_nothing_away(shop: Shop, user: User, tmp_path: Path) -> None:
    shelf = shop.new({"a.json": b"{}", "b.bin": b"b" * 4000})
    folder = tmp_path / "folder"
    assert user.run("pull", shelf.name, "--local-dir", folder).code == 0
    newer = shelf.next({"a.json": b"[]"})
    done = user.run("pull", newer.name, "--local-dir", folder, "--include", "*.json")
    assert done.json["files"] == 1
    assert (folder / "a.json").read_bytes() == b"[]"
    assert (folder / "b.bin").read_bytes() == b"b" * 4000


def test_what_somebody_wrote_is_set_aside_and_never_lost(
    shop: Shop, user: User, tmp_path: Path
) -> None:
    old = shop.new({"config.json": b"{}", "model.safetensors": b"w" * 5000, "same.txt": b"same"})
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "same.txt").write_bytes(b"here before any model was")
    first = user.run("pull", old.name, "--local-dir", folder)
    assert (folder / "same.txt.orig").read_bytes() == b"here before any model was"
    assert f"now {folder / 'same.txt.orig'}" in first.err

    (folder / "config.json").write_bytes(b'{"mine": 1}')
    (folder / "model.safetensors").write_bytes(b"t" * 5000)
    newer = old.next({"config.json": b"[]", "model.safetensors": b"n" * 6000})
    done = user.run("pull", newer.name, "--local-dir", folder)
    assert done.json["commit"] == newer.commit
    assert (folder / "config.json").read_bytes() == b"[]"
    assert (folder / "config.json.orig").read_bytes() == b'{"mine": 1}'
    assert (folder / "model.safetensors").read_bytes() == b"n" * 6000
    assert (folder / "model.safetensors.orig").read_bytes() == b"t" * 5000

    (folder / "config.json").write_bytes(b'{"mine": 2}')
    user.run("pull", newer.name, "--local-dir", folder).done()
    assert (folder / "config.json.orig1").read_bytes() == b'{"mine": 2}'

    # Whoever repairs wants what is wrong replaced; a newer revision replaces what it brought.
    (folder / "config.json").write_bytes(b'{"mine": 3}')
    user.run("repair", newer.name, "--local-dir", folder).done()
    user.run("pull", newer.next({"config.json": b"3"}).name, "--local-dir", folder).done()
    kept = {path.name for path in folder.glob("*.orig*")}
    assert kept == {"same.txt.orig", "config.json.orig", "config.json.orig1"} | {
        "model.safetensors.orig"
    }


def test_an_update_of_what_huggingface_hub_brought_sets_nothing_aside(
    shop: Shop, user: User, tmp_path: Path
) -> None:
    old = shop.new({"config.json": b"{}", "model.safetensors": b"w" * 5000})
    folder = tmp_path / "folder"
    peer(user, old.name, online=True, local_dir=str(folder))
    newer = old.next({"config.json": b"[]", "model.safetensors": b"n" * 6000})
    user.run("pull", newer.name, "--local-dir", folder).done()
    assert (folder / "config.json").read_bytes() == b"[]"
    assert not list(folder.glob("*.orig*"))
