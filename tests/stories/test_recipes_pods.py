"""The recipes for clusters, run from their pages: Kubernetes, OpenShift."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass, replace
from pathlib import Path
from stat import filemode
from typing import Any

import pytest
import yaml

from tests.support.container import Image, Volume, needs_containers, run, serving, volume
from tests.support.core import Shelf, Shop, User, disk_used, stamps
from tests.support.recipes import (
    FILES,
    NAME,
    SIZE,
    Project,
    examples_missing_from,
    page_files,
    page_text,
    project_of,
)

pytestmark = [pytest.mark.linux, pytest.mark.root]
NEWER = {"config.json": b'{"hidden_size": 16}'}


@pytest.fixture(autouse=True)
def _containers() -> None:
    needs_containers()


@pytest.fixture
def shelf(shop: Shop) -> Shelf:
    return shop.new(FILES, name=NAME)


@dataclass(frozen=True)
class Pod:
    """A pod of a page's Deployment: who it runs as, and its volumes on this machine."""

    spec: dict[str, Any]
    image: Image
    user: str
    groups: tuple[int, ...]
    volumes: dict[str, Path]

    def options(self, container: dict[str, Any]) -> dict[str, Any]:
        """Translate a container's part of the manifest."""
        rights = container["securityContext"]
        assert rights["allowPrivilegeEscalation"] is False
        assert rights["capabilities"] == {"drop": ["ALL"]}
        assert self.spec["securityContext"]["runAsNonRoot"]
        assert not self.user.startswith("0")
        return {
            "user": self.user,
            "groups": self.groups,
            # What comes from a secret that is optional is not there.
            "env": {e["name"]: e["value"] for e in container.get("env", ()) if "value" in e},
            "read_only": rights["readOnlyRootFilesystem"],
            "volumes": [
                Volume(self.volumes[m["name"]], m["mountPath"], not m.get("readOnly", False))
                for m in container["volumeMounts"]
            ],
        }

    def init(self, endpoint: str) -> subprocess.CompletedProcess[str]:
        """Run the init container, on the network."""
        (container,) = self.spec["initContainers"]
        options = self.options(container)
        options["env"]["HF_ENDPOINT"] = endpoint
        return run(self.image, container["command"], network=True, **options)

    def app(self) -> Any:
        """Start the program's container, with no network."""
        (container,) = self.spec["containers"]
        command = container["command"] + container["args"]
        return serving(self.image, command, **self.options(container))


def pod_of(
    project: Project,
    image: Image,
    tmp_path: Path,
    shared: Path,
    *,
    user: str,
    group: int,
    name: str,
) -> Pod:
    """Make a pod with its own empty folders, as a node does; the claim's volume is given."""
    documents = list(yaml.safe_load_all(page_files(project.page)["app.yaml"]))
    kinds = {document["kind"]: document for document in documents}
    spec = kinds["Deployment"]["spec"]["template"]["spec"]
    volumes = {}
    for item in spec["volumes"]:
        if "emptyDir" in item:
            path = tmp_path / name / item["name"]
            volumes[item["name"]] = volume(path, "", mode=0o2777, gid=group).source
        else:
            claim = item["persistentVolumeClaim"]["claimName"]
            assert claim == kinds["PersistentVolumeClaim"]["metadata"]["name"]
            volumes[item["name"]] = shared
    return Pod(spec, image, user, (group,), volumes)


def open_to_all(folder: Path) -> list[Path]:
    found = (path for path in folder.rglob("*") if not path.is_symlink())
    return [path for path in found if path.stat().st_mode & 0o002]


def test_pods_share_models_that_an_init_container_brought(
    shop: Shop, shelf: Shelf, user: User, tmp_path: Path
) -> None:
    project = project_of("kubernetes", user, tmp_path)
    image = project.image()
    rights = yaml.safe_load_all(project.files["app.yaml"])
    context = list(rights)[-1]["spec"]["template"]["spec"]["securityContext"]
    who, group = f"{context['runAsUser']}:{context['runAsGroup']}", context["fsGroup"]
    # What a node does to a fresh volume for fsGroup.
    shared = volume(tmp_path / "claim", "", mode=0o2775, gid=group).source
    pods = [
        pod_of(project, image, tmp_path, shared, user=who, group=group, name=f"pod-{number}")
        for number in range(2)
    ]
    shop.reset()
    for pod, expected in zip(pods, (SIZE, SIZE), strict=True):
        done = pod.init(shop.url)
        assert done.returncode == 0, done.stderr
        assert shop.content_bytes() == expected, "the second pod finds what the first has brought"
    shop.reset()
    before = stamps(shared)
    for pod in pods:
        with pod.app() as server:
            assert server.folder.startswith("/home/app/.cache/huggingface/hub/")
            assert server.folder.endswith(shelf.commit)
        assert examples_missing_from(done.stderr + done.stdout + server.said, project.page) == []
        assert disk_used(*pod.volumes.values()) < SIZE + 40_000
        assert disk_used(pod.volumes["home"]) < 20_000
    assert stamps(shared) == before
    assert shop.requests() == []
    assert open_to_all(shared) == []


def test_without_the_group_of_the_volume_the_init_container_says_so(
    shelf: Shelf, user: User, tmp_path: Path
) -> None:
    project = project_of("kubernetes", user, tmp_path)
    shared = volume(tmp_path / "claim", "", mode=0o755).source
    pod = pod_of(
        project, project.image(), tmp_path, shared, user="12345:12345", group=2000, name="pod"
    )
    done = pod.init(user.endpoint)
    assert done.returncode == 3, done.stdout + done.stderr
    assert "HOLDFAST_HOME: /models: EACCES" in done.stderr


def test_any_user_id_of_the_group_updates_what_another_made_and_others_never_may(
    shop: Shop, shelf: Shelf, user: User, tmp_path: Path
) -> None:
    project = replace(project_of("kubernetes", user, tmp_path), page="openshift")
    recipe = replace(project, page="kubernetes")  # whose image it is
    shared = volume(tmp_path / "claim", "", mode=0o2770).source
    newer = shelf
    for turn, uid in enumerate((1000680000, 1000690000, 1000680000)):
        if turn:
            newer = newer.next({**NEWER, "turn.json": b"%d" % turn})
            recipe.lock("--upgrade")
        shop.reset()
        pod = pod_of(
            project, recipe.image(f"image-{turn}"), tmp_path, shared,
            user=f"{uid}:0", group=1000680000, name=f"pod-{turn}",
        )  # fmt: skip
        assert "runAsUser" not in pod.spec["securityContext"]
        done = pod.init(shop.url)
        assert done.returncode == 0, done.stderr
        assert shop.content_bytes() < SIZE or turn == 0, "only what changed is fetched"
        with pod.app() as server:
            assert server.folder.endswith(newer.commit)
        assert open_to_all(shared) == []
        for path in shared.rglob("*"):
            if path.is_dir() and not path.is_symlink():
                assert path.stat().st_mode & 0o7777 == 0o2775, path
        checked = run(
            pod.image, ["holdfast", "verify"], user=f"{uid}:0",
            volumes=[Volume(shared, "/models")], env={"HOLDFAST_HOME": "/models"},
        )  # fmt: skip
        assert checked.returncode == 0, checked.stderr
    owners = {path.lstat().st_uid for path in shared.rglob("*")}
    assert owners == {1000680000, 1000690000}
    assert filemode((shared / "hub").stat().st_mode) in page_text("openshift")


def test_unshared_models_cannot_be_updated_by_another_user_id(
    shelf: Shelf, user: User, tmp_path: Path
) -> None:
    recipe = project_of("kubernetes", user, tmp_path)
    shared = volume(tmp_path / "claim", "", mode=0o2770).source
    for turn, uid in enumerate((1000680000, 1000690000)):
        if turn:
            shelf.next(NEWER)
            recipe.lock("--upgrade")
        pod = pod_of(
            replace(recipe, page="openshift"), recipe.image(f"image-{turn}"), tmp_path, shared,
            user=f"{uid}:0", group=1000680000, name=f"pod-{turn}",
        )  # fmt: skip
        env = pod.spec["initContainers"][0]["env"]
        env.remove({"name": "HOLDFAST_SHARED", "value": "1"})
        assert pod.init(user.endpoint).returncode == (3 if turn else 0)
