"""Settings: from the file, the environment and the caller, in this order."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest

import holdfast
import holdfast.doctor
from holdfast.config import ModelSettings, Settings, configuration, unknown_variables
from holdfast.errors import ConfigInvalid

FILE = """
profile = "standard"
[hub]
home = "/data/models"
layers = ["/a", "/b"]
offline = true
[server]
port = 8080
[runtime]
memory_budget_mb = 4000
wait_s = 2.5
[language]
url = "http://127.0.0.1:8001/v1"
[models.silero-vad]
isolate = true
device = "cpu"
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "holdfast.toml"
    path.write_text(FILE)
    return path


def test_the_file_says_what_holds(file: Path) -> None:
    found = configuration({}, file=file)
    assert found.path == file
    assert found.settings.home == Path("/data/models")
    assert found.settings.layers == (Path("/a"), Path("/b"))
    assert found.settings.offline
    assert (found.service.profile, found.service.port) == ("standard", 8080)
    assert found.service.models == {"silero-vad": ModelSettings(isolate=True, device="cpu")}
    assert found.service.language_url == "http://127.0.0.1:8001/v1"
    how = found.service.of_model("silero-vad", threads=3)
    assert how == {
        "threads": 3, "isolate": True, "device": "cpu", "wait_s": 2.5, "deadline_s": 300.0,
        "queue_limit": 64,
    }  # fmt: skip


def test_variables_win_over_the_file_and_the_caller_over_both(file: Path) -> None:
    env = {"HOLDFAST_CONFIG": str(file), "HOLDFAST_PORT": "1234", "HF_HUB_OFFLINE": "0"}
    found = configuration(env, home="/mine", host="::1")
    assert (found.service.port, found.service.host) == (1234, "::1")
    assert (found.settings.offline, found.settings.home) == (False, Path("/mine"))
    assert configuration(env, port=99).service.port == 99


def test_a_file_in_the_present_folder_is_found(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert configuration({}).path is None
    monkeypatch.chdir(file.parent)
    assert configuration({}).service.port == 8080


def test_a_file_that_was_only_found_gets_no_token_to_send_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "holdfast.toml"
    file.write_text('[hub]\nendpoint = "https://elsewhere.example"\n')
    monkeypatch.chdir(tmp_path)
    env = {"HF_TOKEN": "hf_secret"}
    assert configuration(env).settings.token is None
    assert configuration(env, file=file).settings.token == "hf_secret"
    assert configuration(env, endpoint="https://huggingface.co").settings.token == "hf_secret"


def test_all_that_is_unknown_is_named_at_once(tmp_path: Path) -> None:
    file = tmp_path / "holdfast.toml"
    file.write_text('profil = "gpu"\n[server]\nprot = 1\n[models.a]\nthread = 2\n[what]\n')
    with pytest.raises(ConfigInvalid, match="mean nothing") as caught:
        configuration({}, file=file)
    assert caught.value.facts["unknown"] == [
        "profil in the top (did you mean profile?)",
        "what in the top",
        "prot in [server] (did you mean port?)",
        "thread in [models.a] (did you mean threads?)",
    ]


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[server]\nport = 70000", "[server] port"),
        ("[server]\nport = {}", "[server] port"),
        ("[server]\nport = true", "[server] port"),
        ('[server]\napi_key = "x"', "does not belong in a file"),
        ('[hub]\ntoken = "x"', "does not belong in a file"),
        ('[voiceprint]\ndatabase = "postgresql://a:x@h/d"', "does not belong in a file"),
        ('[voiceprint]\ndatabase = "postgresql://a@h/d?password=x"', "does not belong in a file"),
        ('[voiceprint]\ndatabase = "mysql://a@h/d"', "postgresql://"),
        ('[runtime]\nallow_licences = ","', "between its commas"),
        ('profile = "big"', "starter, standard, gpu"),
        ("[runtime]\nwait_s = nan", "wait_s"),
        ("[runtime]\nwait_s = -1", "wait_s"),
        ("[models.a]\nbatch_wait_ms = inf", "batch_wait_ms"),
        ("server = 1", "is no table"),
        ("models = 1", "is no table"),
        ("[models]\na = 1", "is no table"),
        ("port = ", "cannot be read"),
    ],
)
def test_what_cannot_be_used_is_named(tmp_path: Path, text: str, named: str) -> None:
    file = tmp_path / "holdfast.toml"
    file.write_text(text)
    with pytest.raises(ConfigInvalid) as caught:
        configuration({}, file=file)
    assert named in str(caught.value)
    assert caught.value.hint


def test_a_named_file_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigInvalid, match="No such file"):
        configuration({"HOLDFAST_CONFIG": str(tmp_path / "none.toml")})


def test_unknown_variables_are_known_by_their_absence() -> None:
    env = {"HOLDFAST_PORT": "1", "HOLDFAST_CONFIG": "x", "HOLDFAST_HOEM": "y", "PATH": "z"}
    assert unknown_variables(env) == ["HOLDFAST_HOEM"]


@pytest.mark.parametrize(
    ("given", "is_then"),
    [
        ({"connections": "8"}, 8),
        ({"offline": "0"}, False),
        ({"offline": True}, True),
        ({"layers": "x"}, (Path("x"),)),
        ({"layers": ["x", Path("y")]}, (Path("x"), Path("y"))),
        ({"home": "h"}, Path("h")),
    ],
)
def test_what_a_program_gives_is_read_like_text(given: dict[str, Any], is_then: object) -> None:
    (name,) = given
    assert getattr(Settings.from_env({}, **given), name) == is_then


@pytest.mark.parametrize(
    "given",
    [{"connections": 0}, {"connections": 1.5}, {"stall_timeout_s": 0}, {"token": "a b"},
     {"home": ""}, {"endpoint": "ftp://x"}, {"offline": "maybe"}],
)  # fmt: skip
def test_what_a_program_gives_is_refused_like_text(given: dict[str, Any]) -> None:
    with pytest.raises(ConfigInvalid):
        Settings.from_env({}, **given)


@pytest.mark.parametrize(
    ("text", "patterns"),
    [
        ('"mit, cc-by-*,"', ("mit", "cc-by-*")),
        ('["mit", "apache-2.0"]', ("mit", "apache-2.0")),
        ('""', ()),
        ("[]", ()),
    ],
)
def test_licences_are_a_list_or_a_text_with_commas(
    tmp_path: Path, text: str, patterns: tuple[str, ...]
) -> None:
    file = tmp_path / "holdfast.toml"
    file.write_text(f"[runtime]\nallow_licences = {text}\n")
    assert configuration({}, file=file).service.allow_licences == patterns
    env = {"HOLDFAST_ALLOW_LICENCES": "gpl-3.0"}
    assert configuration(env, file=file).service.allow_licences == ("gpl-3.0",)


def test_a_setting_that_there_is_not_is_a_mistake_in_the_program() -> None:
    with pytest.raises(TypeError, match="conections"):
        holdfast.pull("a/b", conections=3)


def test_a_token_never_shows_however_it_came() -> None:
    given = Settings.from_env({}, token="hf_secret")
    assert "hf_secret" not in repr(given)
    assert pickle.loads(pickle.dumps(given)) == given


def test_doctor_can_be_called_again_and_whatever_was_imported(tmp_path: Path) -> None:
    for _ in range(2):
        assert holdfast.doctor(home=tmp_path, offline=True)


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ({"profile": "foo"}, "--profile"),
        ({"profile": "Starter"}, "--profile"),
        ({"port": 70_000}, "--port"),
    ],
)
def test_what_a_command_was_told_is_checked_too(override: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigInvalid, match=told):
        configuration({}, **override)


def test_a_file_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "holdfast.toml"
    path.write_bytes(b"\xef\xbb\xbf[server]\nport = 8123\n")
    assert configuration({}, file=path).service.port == 8123
