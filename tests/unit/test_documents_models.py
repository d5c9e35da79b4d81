"""Which models documents are read with, and what is known of their files before they are loaded."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from holdfast.config import ServiceSettings
from holdfast.config._service import Profile
from holdfast.documents import (
    HERON,
    LAYOUT_FILES,
    SET_FILE,
    TABLE_FILES,
    TABLE_FOLDER,
    ModelSet,
    Part,
    check_content,
    check_present,
    folder_of,
)
from holdfast.errors import ConfigInvalid, EntryNotFound, HoldfastError
from holdfast.runtime import EngineUnusable
from holdfast.wiring._document_models import chosen_document_models
from holdfast.wiring._documents import KeptJobs, documents_description

TABLES = "docling-project/docling-models"


def of(
    profile: Profile = "standard", layout: str | None = None, tables: str | None = None
) -> ServiceSettings:
    return ServiceSettings(
        profile=profile, documents_layout_model=layout, documents_table_model=tables
    )


def test_the_profile_chooses_the_layout_and_a_setting_another_one() -> None:
    assert chosen_document_models(ServiceSettings()) is None
    profiles: tuple[Profile, ...] = ("standard", "gpu")
    for profile in profiles:
        found = chosen_document_models(of(profile=profile))
        assert found is not None
        assert (str(found.layout.repo), found.layout.revision, found.tables) == (
            HERON, "main", None,
        )  # fmt: skip
        assert found.licence == "Apache-2.0"
    assert chosen_document_models(of(layout="geometry")) is None
    own = chosen_document_models(of(profile="starter", layout="acme/heron@v2", tables="none"))
    assert own is not None
    assert (str(own.layout), own.licence) == ("acme/heron@v2", "see its model card")


def test_a_table_model_goes_with_a_layout_model() -> None:
    found = chosen_document_models(of(tables=f"{TABLES}@v2.3.0"))
    assert found is not None
    assert str(found.tables) == f"{TABLES}@v2.3.0"
    assert set(TABLE_FILES) < set(found.files[found.tables.repo])  # type: ignore[union-attr]
    assert set(LAYOUT_FILES) < set(found.files[found.layout.repo])
    with pytest.raises(ConfigInvalid, match="HOLDFAST_DOCUMENTS_TABLE_MODEL") as told:
        chosen_document_models(of(tables=TABLES, layout="geometry"))
    assert "HOLDFAST_DOCUMENTS_LAYOUT_MODEL=" in told.value.hint


@pytest.mark.parametrize("text", ["no repository", "a/b/c", "acme/heron#folder", "acme/heron#../x"])
def test_what_is_no_repository_is_said_with_the_setting(text: str) -> None:
    with pytest.raises(ConfigInvalid, match="HOLDFAST_DOCUMENTS_LAYOUT_MODEL"):
        chosen_document_models(of(layout=text))


def test_models_run_on_a_gpu_where_the_profile_says_so() -> None:
    def described(service: ServiceSettings) -> dict[str, object]:
        jobs = KeptJobs(service, {})
        return documents_description(service, jobs, chosen_document_models(service), None)

    assert described(of(profile="gpu"))["device"] == "cuda"
    assert "device" not in described(of(profile="standard"))
    assert "device" not in described(of(profile="gpu", layout="geometry"))


def safetensors(size: int, promised: int) -> bytes:
    header = {"a": {"dtype": "U8", "shape": [promised], "data_offsets": [0, promised]}}
    text = json.dumps(header | {"__metadata__": {"format": "pt"}}).encode()
    return len(text).to_bytes(8, "little") + text + bytes(size)


def written(folder: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


GOOD = {
    "config.json": b"{}", "preprocessor_config.json": b"{}",
    "model.safetensors": safetensors(40, 40),
}  # fmt: skip


def test_every_file_that_is_missing_is_named(tmp_path: Path) -> None:
    written(tmp_path, {"config.json": b"{}"})
    with pytest.raises(EntryNotFound) as told:
        check_present(HERON, tmp_path, LAYOUT_FILES)
    assert told.value.facts["files"] == ["preprocessor_config.json", "model.safetensors"]
    assert HERON in str(told.value)
    written(tmp_path, GOOD)
    check_present(HERON, tmp_path, LAYOUT_FILES)
    check_content(HERON, tmp_path, LAYOUT_FILES)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("config.json", b"<html>"),
        ("config.json", b"[]"),
        ("config.json", b"\xff"),
        ("model.safetensors", b""),
        ("model.safetensors", b"version https://git-lfs.github.com/spec/v1"),
        ("model.safetensors", safetensors(39, 40)),
        ("model.safetensors", safetensors(41, 40)),
        ("model.safetensors", b"\x02" + bytes(7) + b"[]"),
        ("model.safetensors", b"\x02" + bytes(7) + b"{}"),
        ("model.safetensors", b"\x09" + bytes(7) + b'{"a":"b"}'),
    ],
)
def test_a_file_that_is_another_is_named(tmp_path: Path, name: str, content: bytes) -> None:
    written(tmp_path, GOOD | {name: content})
    with pytest.raises(EngineUnusable, match=f"{name} of {HERON}") as told:
        check_content(HERON, tmp_path, LAYOUT_FILES)
    assert isinstance(told.value, HoldfastError)
    assert told.value.why
    assert told.value.hint


def test_a_folder_says_what_it_has(tmp_path: Path) -> None:
    assert ModelSet.read(tmp_path) is None
    (tmp_path / folder_of(HERON)).mkdir()
    found = ModelSet.read(tmp_path)  # as docling's own tools leave it
    assert found is not None
    assert (found.layout.repository, found.tables) == (HERON, None)
    (tmp_path / TABLE_FOLDER).mkdir()
    assert ModelSet.read(tmp_path) != found
    own = ModelSet(Part("acme/heron", "0" * 40, "acme--heron"), None, Part("a/b", "1", "RapidOcr"))
    own.write(tmp_path)
    assert (tmp_path / SET_FILE).is_file()
    assert ModelSet.read(tmp_path) == own
