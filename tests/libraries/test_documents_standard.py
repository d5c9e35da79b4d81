"""The profile `standard` reads documents with docling's layout model: from a hub, without links."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import urllib3

from holdfast.client import Client
from holdfast.documents import HERON, LAYOUT_FILES, TABLE_FILES
from holdfast.refs import RepoRef
from holdfast.wiring import DOCUMENTS_MODEL, VAD_MODEL, VOICE_MODEL
from tests.libraries import environment
from tests.support.core import Shop, opened_shop
from tests.support.deny import deny_prefix

pytestmark = [pytest.mark.libraries]

ROOT = Path(__file__).resolve().parents[2]
PDF = ROOT / "corpus/files/notice.pdf"
TABLES = "docling-project/docling-models"
# Each has one file that is not what it is to be.
WITHOUT, CUT, OTHER, ODD = "acme/without", "acme/cut", "acme/other", "acme/odd"
# In points; the regions of the page are some hundred wide.
TOLERANCE = 0.05
ALONE = {"connect": "ENETUNREACH"}
NOWHERE = "http://127.0.0.1:9"
NO_LINKS = {"symlink": "EPERM", "link": "EPERM"}


@pytest.fixture(scope="module")
def made(libraries: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The models, and what docling finds with them; see layout_models.py."""
    return environment.made_by("layout_models.py", tmp_path_factory.mktemp("layout"), PDF)


@pytest.fixture(scope="module")
def hub(made: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """The repository that the profile names, with a small model in it, and some that are wrong."""
    heron = {path.name: path.read_bytes() for path in (made / "heron").iterdir()}
    weights = heron["model.safetensors"]
    files = {
        HERON: heron | {"model.onnx": b"in another form", "docling_heron_400.png": b"a picture"},
        WITHOUT: {name: heron[name] for name in heron if name != "preprocessor_config.json"},
        CUT: heron | {"model.safetensors": weights[: len(weights) // 2]},
        OTHER: {path.name: path.read_bytes() for path in (made / "other").iterdir()},
        ODD: {path.name: path.read_bytes() for path in (made / "odd").iterdir()},
        TABLES: {TABLE_FILES[0]: b"{}", TABLE_FILES[1]: weights, "README.md": _CARD.encode()},
    }
    with opened_shop(tmp_path_factory.mktemp("shop")) as shop:
        for name, content in files.items():
            shop.repositories.commit(RepoRef(name), content)
        yield shop


_CARD = "---\nlicense: cdla-permissive-2.0\n---\n"


def surroundings(hub: Shop, home: Path, **more: str) -> dict[str, str]:
    libraries = next((environment.PYTHON.parent.parent / "lib").glob("python3*/site-packages"))
    # Of the profile's models only the one that is asked about.
    others = (VAD_MODEL, VOICE_MODEL)
    tables = "\n".join(f'[models."{model}"]\npreload = false' for model in others)
    (home / "holdfast.toml").write_text(tables)
    return {
        "PATH": os.environ["PATH"], "HOME": str(home), "HOLDFAST_HOME": str(home / "models"),
        "HOLDFAST_DATA": str(home / "data"), "HF_ENDPOINT": hub.url,
        "HOLDFAST_VOICEPRINT_SPOOF_MODEL": "none",
        "HOLDFAST_SPEECH_TRANSCRIPTION_MODEL": "none", "HOLDFAST_SPEECH_SYNTHESIS_MODEL": "none",
        # What runs the service has no torch of its own.
        "PYTHONPATH": str(libraries), **more,
    }  # fmt: skip


@contextmanager
def service(
    env: Mapping[str, str], home: Path, refused: Mapping[str, str] = NO_LINKS
) -> Iterator[str]:
    """Run the service where the kernel refuses what is named."""
    command = [*deny_prefix(**refused), sys.executable, "-m", "holdfast", "up",
               "--profile", "standard", "--port", "0", "--json"]  # fmt: skip
    log = home / "log"
    with log.open("w") as said, subprocess.Popen(
        command, env=dict(env), cwd=home, stdout=subprocess.PIPE, stderr=said, text=True
    ) as process:  # fmt: skip
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line, log.read_text()
            yield str(json.loads(line)["url"])
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)


def model_of(url: str) -> dict[str, Any]:
    listed = urllib3.request("GET", f"{url}/models").json()["models"]
    (found,) = [each for each in listed if each["id"] == DOCUMENTS_MODEL]
    return dict(found)


def failure(env: Mapping[str, str], home: Path) -> tuple[dict[str, Any], set[str]]:
    """Return why the model failed, and the states that it was seen in until then."""
    states = set()
    with service(env, home) as url:
        deadline = time.monotonic() + 90
        while time.monotonic() < deadline:
            model = model_of(url)
            states.add(model["state"])
            if model["error"] is not None:
                return dict(model["error"]), states
            time.sleep(0.02)
    raise AssertionError(f"it did not fail: {states}, {(home / 'log').read_text()[-3000:]}")


def items(document: Mapping[str, Any]) -> list[tuple[str, str, list[float]]]:
    """Return what a document has on its page outside of tables: label, text, and box."""
    return sorted(
        (each["label"], each["text"], [each["prov"][0]["bbox"][side] for side in "ltrb"])
        for each in document["texts"]
        if not each["parent"]["$ref"].startswith("#/groups") or each["label"] == "list_item"
    )


def from_above(box: Mapping[str, float], height: float) -> list[float]:
    return [box["l"], height - box["t"], box["r"], height - box["b"]]


def test_documents_are_read_with_the_layout_model_where_nothing_can_be_linked(
    made: Path, hub: Shop, tmp_path: Path
) -> None:
    answers = json.loads((made / "answers.json").read_text())
    env = surroundings(hub, tmp_path)
    with service(env, tmp_path) as url, Client(url, timeout_s=120) as client:
        ready = client.wait_ready(200)
        assert ready.ready, (ready.message, (tmp_path / "log").read_text()[-3000:])
        model = model_of(url)
        found = client.convert(PDF, ("json", "md"))
    commit = hub.repositories.at(RepoRef(HERON), "main").id
    assert (model["repository"], model["revision"]) == (HERON, commit)
    assert model["licence"] == "apache-2.0"
    about = model["about"]
    assert (about["layout"], about["tables"]) == (HERON, "by rules")
    assert about["models"]["layout"]["revision"] == commit
    assert about["models"]["scans"]["revision"]
    assert list(about["missing"]) == ["table model"]
    home = tmp_path / "models"
    (snapshot,) = home.glob("hub/models--docling-project--docling-layout-heron/snapshots/*")
    assert {path.name for path in snapshot.iterdir()} == {*LAYOUT_FILES, "README.md"}

    # What docling's own pipeline makes with these weights, and what its layout stage says.
    document = found.outputs["json"]
    expected = items(answers["document"])
    assert [each[:2] for each in items(document)] == [each[:2] for each in expected]
    for one, other in zip(items(document), expected, strict=True):
        assert one[2] == pytest.approx(other[2], abs=TOLERANCE)
    raw = [each for each in answers["raw"] if each[0] == "table"]
    height = document["pages"]["1"]["size"]["height"]
    (table,) = document["tables"]
    assert from_above(table["prov"][0]["bbox"], height) == pytest.approx(raw[0][2], abs=TOLERANCE)
    kinds = sorted(each["label"] for each in (*document["texts"], *document["tables"]))
    assert kinds == sorted(label for label, _, _ in answers["raw"])
    # No model of tables: what the rules see at that place.
    assert (table["data"]["num_rows"], table["data"]["num_cols"]) == (4, 3)
    assert "| First" in found.outputs["md"]
    assert "| 9 to 13" in found.outputs["md"]

    # One folder as docling wants it, of files of its own: nothing else can be had here.
    assert not [path for path in home.rglob("*") if path.is_symlink()]
    (artifacts,) = home.rglob("derived/*-docling-artifacts-*")
    placed = artifacts / "docling-project--docling-layout-heron"
    assert {path.name for path in placed.iterdir()} == set(LAYOUT_FILES)
    assert list((artifacts / "RapidOcr").glob("*.onnx"))
    kept = (placed / "model.safetensors").stat()

    # Without the hub, where not even this machine can be asked for anything.
    again = env | {"HF_HUB_OFFLINE": "1", "HF_ENDPOINT": "http://127.0.0.1:9"}
    with service(again, tmp_path, NO_LINKS | ALONE) as url, Client(url) as client:
        assert client.wait_ready(120).ready
        assert items(client.convert(PDF, ("json",)).outputs["json"]) == items(document)
    assert (placed / "model.safetensors").stat().st_mtime_ns == kept.st_mtime_ns

    # A file that is gone, or is another one, is known before anything is loaded.
    weights = snapshot / "model.safetensors"
    content = weights.read_bytes()
    weights.write_bytes(content[:-4] + b"abcd")
    os.utime(weights, ns=(kept.st_atime_ns, kept.st_mtime_ns))
    error, states = failure(again, tmp_path)
    assert error["code"] == "corrupt-files"
    assert "model.safetensors" in error["message"]
    assert "loading" not in states
    weights.unlink()
    error, states = failure(again, tmp_path)
    assert error["code"] == "not-here"
    assert "model.safetensors" in error["message"]
    assert "loading" not in states


@pytest.mark.parametrize(
    ("repository", "code", "file"),
    [
        (WITHOUT, "entry-not-found", "preprocessor_config.json"),
        (CUT, "engine-unusable", "model.safetensors"),
        (OTHER, "engine-unusable", "model.safetensors"),
        (ODD, "engine-unusable", "pot_plant"),
    ],
)
def test_a_repository_that_lacks_a_file_or_has_a_wrong_one_is_said(
    hub: Shop, tmp_path: Path, repository: str, code: str, file: str
) -> None:
    env = surroundings(hub, tmp_path, HOLDFAST_DOCUMENTS_LAYOUT_MODEL=repository)
    error, states = failure(env, tmp_path)
    assert error["code"] == code, error
    assert file in error["message"]
    assert error["hint"]
    if repository in {WITHOUT, CUT}:
        assert "loading" not in states


def test_a_table_model_comes_along_and_what_it_needs_is_said(hub: Shop, tmp_path: Path) -> None:
    env = surroundings(hub, tmp_path, HOLDFAST_DOCUMENTS_TABLE_MODEL=TABLES)
    with service(env, tmp_path) as url:
        deadline = time.monotonic() + 90
        while (model := model_of(url))["error"] is None and time.monotonic() < deadline:
            time.sleep(0.1)
    assert model["licence"] == "apache-2.0, cdla-permissive-2.0"
    (artifacts,) = tmp_path.rglob("derived/*-docling-artifacts-*")
    for name in TABLE_FILES:
        assert (artifacts / "docling-project--docling-models" / name).is_file()
    error = model["error"]
    assert error["code"] == "missing-extra"
    assert "torchvision" in error["message"]
    assert "holdfast[documents-tables]" in error["hint"]
    assert "HOLDFAST_DOCUMENTS_TABLE_MODEL=none" in error["hint"]


def test_without_torch_the_extra_is_named(hub: Shop, tmp_path: Path) -> None:
    env = surroundings(hub, tmp_path)
    del env["PYTHONPATH"]
    error, _ = failure(env, tmp_path)
    assert error["code"] == "missing-extra"
    assert "torch is not installed" in error["message"]
    assert "holdfast[documents-models]" in error["hint"]


def test_a_torchvision_for_another_torch_does_no_harm(
    made: Path, hub: Shop, tmp_path: Path
) -> None:
    answers = json.loads((made / "answers.json").read_text())
    broken = tmp_path / "broken/torchvision"
    broken.mkdir(parents=True)
    (broken / "__init__.py").write_text(
        "raise RuntimeError('operator torchvision::nms does not exist')"
    )
    env = surroundings(hub, tmp_path)
    env["PYTHONPATH"] = f"{broken.parent}{os.pathsep}{env['PYTHONPATH']}"
    with service(env, tmp_path) as url, Client(url, timeout_s=120) as client:
        assert client.wait_ready(120).ready
        found = items(client.convert(PDF, ("json",)).outputs["json"])
    assert [each[:2] for each in found] == [each[:2] for each in items(answers["document"])]
    assert "torchvision is not used: RuntimeError" in (tmp_path / "log").read_text()


@pytest.mark.parametrize("refused", [{}, {"symlink": "EPERM"}], ids=["symlinks", "hard links"])
def test_where_links_work_the_folder_is_made_of_them(
    hub: Shop, tmp_path: Path, refused: dict[str, str]
) -> None:
    with service(surroundings(hub, tmp_path), tmp_path, refused) as url, Client(url) as client:
        assert client.wait_ready(120).ready
    (weights,) = tmp_path.rglob("docling-project--docling-layout-heron/model.safetensors")
    assert weights.is_symlink() != bool(refused)
    assert weights.stat().st_nlink >= (2 if refused else 1)
    (blob,) = tmp_path.rglob(f"blobs/{weights.resolve().name}") if not refused else [weights]
    assert blob.samefile(weights)


def converted(env: Mapping[str, str], home: Path, *more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*deny_prefix(**NO_LINKS, **ALONE if env["HF_ENDPOINT"] == NOWHERE else {}),
         sys.executable, "-m", "holdfast", "convert", str(PDF), "-o", str(home / "out"), *more],
        env=dict(env), cwd=home, capture_output=True, text=True, timeout=180, check=False,
    )  # fmt: skip


def test_the_command_reads_with_the_models_of_its_profile_and_again_without_network(
    made: Path, hub: Shop, tmp_path: Path
) -> None:
    (tmp_path / "out").mkdir()
    answers = json.loads((made / "answers.json").read_text())
    first = converted(
        surroundings(hub, tmp_path), tmp_path, "--profile", "standard", "--to", "json"
    )
    assert first.returncode == 0, first.stderr
    assert HERON in first.stderr
    found = items(json.loads((tmp_path / "out/notice.json").read_text()))
    assert [each[:2] for each in found] == [each[:2] for each in items(answers["document"])]
    # Done is done for these models; by geometry it is another document.
    alone = surroundings(hub, tmp_path, HF_ENDPOINT=NOWHERE)
    again = converted(alone, tmp_path, "--profile", "standard", "--to", "json")
    assert "1 of 1 are converted already" in again.stderr
    anew = converted(alone, tmp_path, "--profile", "standard", "--to", "json", "--again")
    assert anew.returncode == 0, anew.stderr
    assert items(json.loads((tmp_path / "out/notice.json").read_text())) == found
    other = converted(alone, tmp_path, "--to", "json")
    assert other.returncode == 0, other.stderr
    assert "layout by geometry" in other.stderr
    assert "converted already" not in other.stderr


def test_what_is_read_with_the_model_is_scored_as_what_is_read_without(
    hub: Shop, tmp_path: Path
) -> None:
    scored = {}
    for profile in ("starter", "standard"):
        ended = subprocess.run(
            [sys.executable, "-m", "benchmarks.document_scores", PDF.name, "--profile", profile,
             "--json", str(tmp_path / profile)],
            env=surroundings(hub, tmp_path), cwd=ROOT, capture_output=True, text=True,
            timeout=180, check=False,
        )  # fmt: skip
        assert ended.returncode == 0, ended.stderr
        scored[profile] = json.loads((tmp_path / profile).read_text())[PDF.name]
    # The model was made to find exactly what is on this page, so that here it is as good.
    for what in ("text", "words", "order", "headings", "items", "tables"):
        assert scored["starter"][what] > 0.99, what
        assert scored["standard"][what] > 0.99, what


def test_the_command_says_what_the_models_need(hub: Shop, tmp_path: Path) -> None:
    env = surroundings(hub, tmp_path)
    refused = converted(env | {"HOLDFAST_ALLOW_LICENCES": "mit"}, tmp_path, "--profile", "standard")
    assert refused.returncode != 0
    assert "[licence-refused]" in refused.stderr
    assert not list(tmp_path.rglob("model.safetensors"))
    del env["PYTHONPATH"]
    without = converted(env, tmp_path, "--profile", "standard")
    assert without.returncode != 0
    assert "[missing-extra]" in without.stderr
    assert "holdfast[documents-models]" in without.stderr
    assert not (tmp_path / "out").exists()
