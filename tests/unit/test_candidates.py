"""Where a home is looked for, in which order, and which folders lie below it."""

from __future__ import annotations

from pathlib import Path

import pytest

from holdfast.config import Settings
from holdfast.places import Candidate, SearchPath, Surroundings, candidates


def around(home: Path | None = Path("/home/ada"), **env: str) -> Surroundings:
    return Surroundings(
        env=env,
        user_home=home,
        user="user id 12345",
        application=Path("/app"),
        temporary=Path("/tmp"),
        uid=12345,
    )


def tried(found: list[Candidate]) -> list[tuple[str, str]]:
    return [(c.source, str(c.path)) for c in found]


def test_without_any_setting_the_customary_places_are_tried_in_order() -> None:
    assert tried(candidates(Settings(), around())) == [
        ("persistent volume", "/data/huggingface"),
        ("user cache", "/home/ada/.cache/huggingface"),
        ("application folder", "/app/.holdfast"),
        ("temporary folder", "/tmp/holdfast-12345"),
    ]


def test_what_is_named_comes_first_the_nearest_naming_before_the_others() -> None:
    env = {
        "HOLDFAST_HOME": "/srv/models",
        "HF_HUB_CACHE": "/cache/hub",
        "HUGGINGFACE_HUB_CACHE": "/older/hub",
        "HF_HOME": "/hf",
    }
    found = candidates(Settings(home=Path("/chosen")), around(**env))
    assert tried(found)[:5] == [
        ("setting --home", "/chosen"),
        ("HOLDFAST_HOME", "/srv/models"),
        ("HF_HUB_CACHE", "/cache/hub"),
        ("HUGGINGFACE_HUB_CACHE", "/older/hub"),
        ("HF_HOME", "/hf"),
    ]
    assert [str(c.hub) for c in found[:5]] == [
        "/chosen/hub",
        "/srv/models/hub",
        "/cache/hub",
        "/older/hub",
        "/hf/hub",
    ]


def test_a_folder_that_is_named_twice_is_tried_once() -> None:
    same = Settings(home=Path("/srv/models"))
    found = candidates(same, around(HOLDFAST_HOME="/srv/models", HF_HOME="/srv/models"))
    assert [c.source for c in found if str(c.path) == "/srv/models"] == ["HOLDFAST_HOME"]


def test_relative_and_shortened_names_are_made_whole() -> None:
    found = candidates(Settings(home=Path("models")), around(HF_HOME="~/hf", XDG_CACHE_HOME="rel"))
    assert tried(found)[:2] == [("setting --home", "/app/models"), ("HF_HOME", "/home/ada/hf")]
    assert ("user cache", "/home/ada/.cache/huggingface") in tried(found)
    absolute = candidates(Settings(), around(XDG_CACHE_HOME="/xdg"))
    assert ("user cache (XDG_CACHE_HOME)", "/xdg/huggingface") in tried(absolute)


def test_places_that_do_not_exist_at_all_are_named_with_the_reason() -> None:
    nowhere = Surroundings(
        env={},
        user_home=None,
        user="user id 12345",
        application=Path("/app"),
        temporary=None,
        uid=12345,
    )
    missing = {c.source: c.missing for c in candidates(Settings(), nowhere) if c.path is None}
    assert "user id 12345 has no home folder" in missing["user cache"]
    assert missing["temporary folder"]


def test_a_persistent_volume_is_used_only_where_somebody_mounted_one(tmp_path: Path) -> None:
    volume = tmp_path / "data"
    place = Surroundings(
        env={},
        user_home=tmp_path / "user",
        user="me",
        application=tmp_path,
        temporary=tmp_path,
        uid=1,
        volume=volume,
    )
    before = SearchPath(Settings(), place).home
    assert before.source == "user cache"
    assert before.considered[0].verdict == f"there is no {volume}"
    volume.mkdir()
    after = SearchPath(Settings(), place).home
    assert (after.source, after.hub) == ("persistent volume", volume / "huggingface" / "hub")


def test_refused_homes_and_configured_layers_lie_below_the_chosen_one(tmp_path: Path) -> None:
    refused, layer, cache = tmp_path / "a-file", tmp_path / "layer", tmp_path / "cache"
    refused.write_text("not a folder")
    (layer / "hub").mkdir(parents=True)
    cache.mkdir()
    settings = Settings(home=refused, layers=(layer, cache, tmp_path / "gone"))
    places = SearchPath(settings, around(home=tmp_path / "user"))
    home = places.home
    assert home.hub == tmp_path / "user" / ".cache" / "huggingface" / "hub"
    assert places.below(home) == [layer / "hub", cache]
    assert [entry.candidate.source for entry in home.passed_over] == ["setting --home"]


@pytest.mark.parametrize("shared", [False, True])
def test_probing_leaves_no_trace_and_says_what_it_cost(tmp_path: Path, shared: bool) -> None:
    from holdfast.places import Modes, probe

    found = probe(tmp_path / "a" / "b" / "home", Modes(shared))
    assert list(tmp_path.iterdir()) == []
    assert found.usable
    assert found.strategy in found.links
    assert found.free_bytes > 0
    assert 0 < found.seconds < 10
