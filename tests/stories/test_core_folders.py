"""A folder of the user's choice holds the revision that was brought to it, and nothing older."""

from __future__ import annotations

from pathlib import Path

from tests.support.core import Shop, User, content_of


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
