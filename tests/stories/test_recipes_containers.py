"""The recipes for containers, run from their pages: Dockerfile, hosted Space."""

from __future__ import annotations

import socket
import subprocess
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import urllib3
import yaml

from tests.support.container import Image, needs_containers, run, serving, volume
from tests.support.core import Shelf, Shop, User, content_of, disk_used, leftovers, stamps
from tests.support.recipes import (
    FILES,
    NAME,
    SIZE,
    WANTED,
    examples_missing_from,
    project_of,
)

pytestmark = [pytest.mark.linux, pytest.mark.root]


@pytest.fixture(autouse=True)
def _containers() -> None:
    needs_containers()


@pytest.fixture
def shelf(shop: Shop) -> Shelf:
    return shop.new(FILES, name=NAME)


def loaded(done: subprocess.CompletedProcess[str]) -> Path:
    """Return the folder that a program printed, as it is called inside."""
    assert done.returncode == 0, done.stdout + done.stderr
    return Path(done.stdout.splitlines()[-1])


# -- Dockerfile


@pytest.fixture
def baked(shop: Shop, shelf: Shelf, user: User, tmp_path: Path) -> Image:
    """The image of the Dockerfile's page; from here on the hub knows of no request."""
    made = project_of("dockerfile", user, tmp_path).image()
    shop.reset()
    return made


@pytest.mark.parametrize("who", ["", "54321", "1000:1000"])
@pytest.mark.parametrize("home", ["/", ""], ids=["home-is-the-root", "no-home"])
def test_the_image_serves_its_models_to_any_user_id_without_network_or_copy(
    shop: Shop, shelf: Shelf, baked: Image, tmp_path: Path, who: str, home: str
) -> None:
    temporary = volume(tmp_path / "tmp", "/tmp")
    before = stamps(baked.root / "models")

    done = run(baked, user=who, env={"HOME": home}, volumes=[temporary])

    folder = loaded(done)
    assert examples_missing_from(done.stderr + done.stdout, "dockerfile") == []
    uid = (who or baked.user).partition(":")[0]
    assert folder.is_relative_to(f"/tmp/holdfast-{uid}/hub")
    assert folder.name == shelf.commit
    # Links into the image are all that is there: nothing of a model's size.
    assert disk_used(temporary.source) < 20_000
    assert stamps(baked.root / "models") == before
    assert shop.requests() == []
    shown = ["sh", "-c", f"sha256sum {folder}/* && ! touch /models/x && ! touch /x"]
    looked = run(baked, shown, user=who, volumes=[temporary])
    assert looked.returncode == 0, looked.stderr
    assert len(looked.stdout.splitlines()) == len(WANTED)
    assert "Read-only file system" in looked.stderr


def test_what_the_image_carries_is_what_the_lock_pins_and_open_to_read(
    shelf: Shelf, baked: Image
) -> None:
    models = baked.root / "models"
    assert content_of(shelf.folder(models)) == WANTED
    assert disk_used(models) < SIZE + 20_000
    assert leftovers(models) == []
    for path in models.rglob("*"):
        mode = path.lstat().st_mode
        assert path.is_symlink() or mode & 0o004, path
        assert path.is_symlink() or not mode & 0o002, path
    assert baked.user == "12345:0"


def test_a_volume_at_data_is_taken_before_the_temporary_folder(
    shop: Shop, baked: Image, tmp_path: Path
) -> None:
    volumes = [volume(tmp_path / "tmp", "/tmp"), volume(tmp_path / "data", "/data")]
    assert loaded(run(baked, volumes=volumes)).is_relative_to("/data/huggingface/hub")
    # Again, in a new container on the same volume; and then the models as the image has them.
    assert loaded(run(baked, volumes=volumes)).is_relative_to("/data/huggingface/hub")
    assert run(baked, ["holdfast", "verify"], volumes=volumes).returncode == 0
    assert list(volumes[0].source.iterdir()) == []
    assert shop.requests() == []


def test_without_any_volume_the_models_are_read_where_the_image_has_them(
    shop: Shop, shelf: Shelf, baked: Image
) -> None:
    before = stamps(baked.root / "models")
    done = run(baked)
    assert loaded(done) == shelf.folder(Path("/models"))
    assert "models are read from /models/hub, and none can be added" in done.stderr
    assert stamps(baked.root / "models") == before
    assert shop.requests() == []


def test_without_the_layer_or_holdfast_the_program_finds_nothing(
    baked: Image, tmp_path: Path
) -> None:
    volumes = [volume(tmp_path / "tmp", "/tmp")]
    bare = run(baked, list(baked.command), volumes=volumes, env={"HF_HUB_OFFLINE": "1"})
    assert bare.returncode != 0
    unlayered = replace(baked, env={**baked.env, "HOLDFAST_LAYERS": ""})
    assert run(unlayered, volumes=volumes).returncode != 0


def test_a_program_that_is_started_plainly_fails_at_its_own_cache(
    shop: Shop, baked: Image, tmp_path: Path
) -> None:
    done = run(
        baked, list(baked.command), env={"HF_ENDPOINT": shop.url},
        volumes=[volume(tmp_path / "tmp", "/tmp")], network=True,
    )  # fmt: skip
    assert done.returncode == 1
    assert "'/.cache'" in done.stderr


def test_a_stale_lock_fails_the_build(shop: Shop, shelf: Shelf, user: User, tmp_path: Path) -> None:
    project = project_of("dockerfile", user, tmp_path)
    manifest = project.folder / "models.toml"
    manifest.write_text(manifest.read_text().replace('"*.json", ', ""))
    with pytest.raises(AssertionError, match="lock-stale"):
        project.image()


# -- hosted Space


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


def fetched(port: int, path: str) -> bytes:
    deadline = time.monotonic() + 10
    while True:
        try:
            answer = urllib3.request("GET", f"http://127.0.0.1:{port}/{path}", retries=False)
        except urllib3.exceptions.HTTPError:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        else:
            assert answer.status == 200
            return answer.data


@pytest.mark.parametrize("storage", [True, False], ids=["data", "no-data"])
def test_a_space_brings_its_models_once_to_its_volume(
    shop: Shop, shelf: Shelf, user: User, tmp_path: Path, storage: bool
) -> None:
    project = project_of("hosted-space", user, tmp_path)
    front = next(yaml.safe_load_all(project.files["README.md"]))
    assert front["sdk"] == "docker"
    image = project.image()
    assert image.user == "1000"
    port = free_port()
    data = volume(tmp_path / "data", "/data") if storage else volume(tmp_path / "tmp", "/tmp")
    env = {"HF_ENDPOINT": shop.url, "PORT": str(port)}
    options: dict[str, Any] = {"env": env, "volumes": [data], "network": True, "read_only": False}
    for expected in (SIZE, 0):
        shop.reset()
        with serving(image, **options) as server:
            assert fetched(port, "config.json") == WANTED["config.json"]
            assert fetched(port, "model.safetensors") == WANTED["model.safetensors"]
        place = "/data/huggingface/hub" if storage else "/tmp/holdfast-1000/hub"
        assert server.folder.startswith(place)
        assert shop.content_bytes() == expected
    assert shop.requests() == [], "a restart needs no hub"
    if storage:
        assert examples_missing_from(server.said, "hosted-space") == []
    assert f"EXPOSE {front['app_port']}" in project.files["Dockerfile"]
    assert f'"{front["app_port"]}"' in project.files["app.py"], "where the Space waits"
