"""`holdfast run`, `env` and `activate`: any program's model libraries work, and it stays itself."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import holdfast
from holdfast.compat import HUB_VARIABLES, OFFLINE, SHELLS, VARIABLES
from tests.support.core import CLOSED_MACHINE, Shop, User, content_of, disk_used, stamps
from tests.support.deny import deny_prefix

INJECTED = Path(holdfast.__file__).parent / "compat" / "inject"
SHOW = (
    sys.executable,
    "-c",
    "import json, os; print(json.dumps({'env': dict(os.environ), 'pid': os.getpid()}))",
)
PULL = """
import sys
from huggingface_hub import {call}
print({call}(*sys.argv[1:]))
"""
WEIGHTS = b"w" * 3_000_000


def environment(user: User, *words: str) -> dict[str, str]:
    """Return what a program below ``run`` finds in its environment."""
    found: dict[str, str] = json.loads(user.run("run", *words, "--", *SHOW, as_json=False).out)[
        "env"
    ]
    return found


def test_every_variable_leads_into_the_home(user: User, tmp_path: Path) -> None:
    env = environment(user)
    home = user.home
    for variable in (*HUB_VARIABLES, *VARIABLES):
        if not variable.if_filled:
            assert Path(env[variable.name]).is_absolute()
    assert env["HF_HOME"] == str(home)
    assert env["HF_HUB_CACHE"] == env["SENTENCE_TRANSFORMERS_HOME"] == f"{home}/hub"
    assert env["TORCH_HOME"] == f"{home}/torch"
    # Not models: the user's own folders stay in use.
    assert env["MPLCONFIGDIR"].startswith(user.env["HOME"])
    assert "DOCLING_ARTIFACTS_PATH" not in env
    assert not {variable.name for variable in OFFLINE} & env.keys()
    (home or tmp_path).joinpath("docling", "models", "some").mkdir(parents=True)
    again = environment(user, "--offline")
    assert again["DOCLING_ARTIFACTS_PATH"] == f"{home}/docling/models"
    assert {again[variable.name] for variable in OFFLINE} == {"1"}


def test_what_the_user_has_set_wins_and_what_cannot_work_is_named(
    user: User, tmp_path: Path
) -> None:
    (tmp_path / "torch").mkdir()
    set_here = user.with_env(
        TORCH_HOME=str(tmp_path / "torch"), NLTK_DATA="/a:/b", NUMBA_CACHE_DIR="/proc/none"
    )
    done = set_here.run("run", "--", *SHOW, as_json=False)
    env = json.loads(done.out)["env"]
    assert env["TORCH_HOME"] == str(tmp_path / "torch")
    assert env["NLTK_DATA"] == "/a:/b"
    assert env["NUMBA_CACHE_DIR"].startswith(user.env["HOME"])
    assert "NUMBA_CACHE_DIR=/proc/none cannot be used" in done.err


def test_a_home_of_ones_own_keeps_the_usual_places(user: User) -> None:
    env = environment(user.but(home=None))
    cache = f"{user.env['HOME']}/.cache"
    assert env["HF_HUB_CACHE"] == f"{cache}/huggingface/hub"
    assert env["TORCH_HOME"] == f"{cache}/torch"
    assert env["EASYOCR_MODULE_PATH"] == f"{user.env['HOME']}/.EasyOCR"


def test_a_hub_cache_that_is_named_moves_nothing_else(user: User, tmp_path: Path) -> None:
    env = environment(user.but(home=None).with_env(HF_HUB_CACHE=str(tmp_path / "cache")))
    assert env["HF_HUB_CACHE"] == env["TRANSFORMERS_CACHE"] == str(tmp_path / "cache")
    assert env["HF_HOME"] == f"{user.env['HOME']}/.cache/huggingface"
    assert env["TORCH_HOME"] == f"{user.env['HOME']}/.cache/torch"


def test_a_home_folder_that_is_missing_is_made_below_the_models(user: User, tmp_path: Path) -> None:
    homeless = user.with_env(HOME="/nonexistent/home")
    env = environment(homeless)
    assert env["HOME"] == f"{user.home}/user"
    assert Path(env["HOME"]).is_dir()
    assert env["XDG_CACHE_HOME"].startswith(str(user.home))


def test_the_token_stays_in_use_where_the_home_is_another(user: User) -> None:
    token = Path(user.env["HOME"]) / ".cache" / "huggingface" / "token"
    token.parent.mkdir(parents=True)
    token.write_text("hf_secret")
    assert environment(user)["HF_TOKEN_PATH"] == str(token)
    assert "HF_TOKEN_PATH" not in environment(user.but(home=None))


def test_the_command_takes_the_process_over(user: User) -> None:
    process = user.start("run", "--", *SHOW, as_json=False)
    done = user.finish(process)
    assert json.loads(done.out)["pid"] == process.pid

    assert user.run("run", "--", "sh", "-c", "exit 37", as_json=False).code == 37
    # A pipe that closes ends it as it would alone: nothing ignores the signal any more.
    ended = user.run("run", "--", "sh", "-c", "kill -PIPE $$", as_json=False)
    assert ended.code == -signal.SIGPIPE
    sleeper = user.start("run", "--", "sleep", "60", as_json=False)
    while Path(f"/proc/{sleeper.pid}/comm").read_text().strip() != "sleep":
        time.sleep(0.01)
    sleeper.terminate()
    assert user.finish(sleeper).code == -signal.SIGTERM


@pytest.mark.parametrize(
    ("words", "code", "error"),
    [
        ([], 2, "config-invalid"),
        (["--", "no-such-command"], 127, "command-not-found"),
        (["--", "/etc/passwd"], 126, "command-not-runnable"),
        (["--", "/etc"], 126, "command-not-runnable"),
    ],
)
def test_a_command_that_cannot_run_is_named(
    user: User, words: list[str], code: int, error: str
) -> None:
    done = user.run("run", *words, as_json=False)
    assert done.code == code
    assert f"error[{error}]" in done.err
    assert "try: " in done.err


def test_another_sitecustomize_still_runs_and_so_does_a_run_in_a_run(
    user: User, tmp_path: Path
) -> None:
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "sitecustomize.py").write_text("import os; os.environ['THEIRS'] = '1'")
    theirs = user.with_env(PYTHONPATH=str(tmp_path / "theirs"))
    holdfast = [sys.executable, "-m", "holdfast"]
    done = theirs.run("run", "--", *holdfast, "run", "--", *SHOW, as_json=False)
    env = json.loads(done.out)["env"]
    assert env["THEIRS"] == "1"
    assert len(env["PYTHONPATH"].split(os.pathsep)) == 2
    assert env["HF_HOME"] == str(user.home)
    broken = user.with_env(_HOLDFAST_LINKS="x", PYTHONPATH=str(tmp_path / "theirs"))
    assert environment(broken)["THEIRS"] == "1"


def test_a_run_in_a_run_changes_nothing_more(user: User) -> None:
    once = environment(user)
    holdfast = (sys.executable, "-m", "holdfast", "run", "--")
    twice = json.loads(user.run("run", "--", *holdfast, *SHOW, as_json=False).out)["env"]
    assert twice == once


def test_two_copies_of_us_do_not_call_each_other(user: User, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(INJECTED, copy)
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "sitecustomize.py").write_text("import os; os.environ['THEIRS'] = '1'")
    path = os.pathsep.join([str(copy), str(tmp_path / "theirs")])
    done = user.with_env(PYTHONPATH=path).run("run", "--", *SHOW, as_json=False)
    assert json.loads(done.out)["env"]["THEIRS"] == "1"
    assert done.err == ""


@pytest.mark.parametrize("path", ["", ":", "/a::/b", ":/a", "/a:"])
def test_empty_entries_of_pythonpath_stay(user: User, path: str) -> None:
    env = environment(user.with_env(PYTHONPATH=path))
    assert env["PYTHONPATH"].split(os.pathsep)[1:] == (path.split(os.pathsep) if path else [])


def test_a_setting_is_read_as_its_library_reads_it(user: User, tmp_path: Path) -> None:
    env = environment(user.but(home=None).with_env(HF_HOME="$HOME/mine", TORCH_HOME="~/torches"))
    assert env["HF_HUB_CACHE"] == f"{user.env['HOME']}/mine/hub"
    assert env["TORCH_HOME"] == "~/torches"
    assert not Path("$HOME").exists()


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-"])
def test_closed_streams_keep_no_command_from_running(user: User, closed: str) -> None:
    command = user.command("run", "--", "sh", "-c", "exit 37")
    done = subprocess.run(
        ["sh", "-c", f'exec "$@" {closed}', "sh", *command], env=dict(user.env), check=False
    )
    assert done.returncode == 37


@pytest.mark.linux
def test_a_home_with_a_separator_in_its_name_has_its_links(user: User, tmp_path: Path) -> None:
    home = tmp_path / "a:b%3A"
    program = (
        "import os, pathlib, sys; h = pathlib.Path(sys.argv[1]); (h / 'f').write_text('x');"
        "os.symlink('f', h / 'l'); print((h / 'l').read_text())"
    )
    denied = user.but(home=home, prefix=tuple(deny_prefix(symlink="EPERM")))
    done = denied.run("run", "--", sys.executable, "-c", program, str(home), as_json=False)
    assert done.out == "x\n", done.err


def test_a_layer_that_is_not_there_is_named(user: User) -> None:
    done = user.with_env(HOLDFAST_LAYERS="/gone").run("run", "--", "true", as_json=False)
    assert "the layer /gone is not there" in done.err


@pytest.mark.parametrize("shell", SHELLS)
def test_env_prints_what_run_sets(user: User, shell: str) -> None:
    odd = user.but(home=Path(user.env["HOME"]) / 'it\'s $HOME "x"')
    printed = odd.run("env", "--shell", shell, as_json=False).out
    if shell == "json":
        assert json.loads(printed)["HF_HOME"] == str(odd.home)
    elif shell == "bash":
        shown = subprocess.run(
            ["bash", "-c", f'{printed}\nprintf %s "$HF_HUB_CACHE"'],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert shown.stdout == f"{odd.home}/hub"
    else:
        words = {
            "fish": "set -gx HF_HOME '", "powershell": "$env:HF_HOME = '",
            "docker": 'ENV HF_HOME="', "k8s": "- name: HF_HOME\n  value: \"",
        }  # fmt: skip
        assert words[shell] in printed


def test_sync_brings_what_is_pinned_first(shop: Shop, user: User, tmp_path: Path) -> None:
    shelf = shop.new({"config.json": b"{}"})
    project = tmp_path / "project"
    project.mkdir()
    (project / "models.toml").write_text(f'[models.one]\nrepo = "{shelf.name}"\n')
    here = user.with_env(PWD=str(project))
    assert here.run("run", "--sync", "--", "true", as_json=False).code == 8  # nothing is pinned
    here.run("lock").done()
    done = here.run(
        "run", "--sync", "--", sys.executable, "-c", PULL.format(call="snapshot_download"),
        shelf.name, as_json=False,
    )  # fmt: skip
    assert done.out.strip() == str(shelf.folder(user.home or tmp_path))


@pytest.fixture
def layered(shop: Shop, user: User, tmp_path: Path) -> tuple[User, Path]:
    """Return a user with a read-only layer below a home of their own."""
    layer = tmp_path / "layer"
    return user.with_env(HOLDFAST_LAYERS=str(layer)), layer


def test_a_layers_models_appear_in_the_home_and_nothing_is_copied(
    shop: Shop, layered: tuple[User, Path], tmp_path: Path
) -> None:
    user, layer = layered
    shelf = shop.new({"config.json": b"{}", "deep/model.safetensors": WEIGHTS})
    user.but(home=layer).run("pull", shelf.name).done()
    before = stamps(layer)
    shop.reset()
    home = user.home or tmp_path
    program = (sys.executable, "-c", PULL.format(call="snapshot_download"), shelf.name)
    done = user.run("run", "--offline", "--", *program, as_json=False)
    assert done.code == 0, done.err
    assert Path(done.out.strip()) == shelf.folder(home)
    assert content_of(shelf.folder(home))["deep/model.safetensors"] == WEIGHTS
    assert f"{shelf.name}@{shelf.commit} in {layer}/hub appears" in done.err
    assert disk_used(home) < 10_000
    assert stamps(layer) == before
    assert shop.content_bytes() == 0
    # Again: nothing is left to do, and nothing is said.
    assert "appears" not in user.run("run", "--", "true", as_json=False).err
    assert user.run("verify").json["bad"] == []

    # A newer revision finds the unchanged bytes, and lands in the home.
    newer = shelf.next({"config.json": b"[1]"})
    done = user.run("run", "--", *program, as_json=False)
    assert content_of(done.out.strip())["config.json"] == b"[1]"
    assert shop.content_bytes() == 3
    assert newer.folder(home).is_dir()
    assert stamps(layer) == before


def test_a_layer_that_was_replaced_is_followed(
    shop: Shop, layered: tuple[User, Path], tmp_path: Path
) -> None:
    user, layer = layered
    old = shop.new({"model.safetensors": WEIGHTS})
    user.but(home=layer).run("pull", old.name).done()
    user.run("run", "--", "true", as_json=False)
    subprocess.run(["rm", "-r", str(layer)], check=True)
    new = old.next({"model.safetensors": WEIGHTS[:-1]})
    user.but(home=layer).run("pull", new.name).done()
    program = (sys.executable, "-c", PULL.format(call="snapshot_download"), old.name)
    done = user.run("run", "--offline", "--", *program, as_json=False)
    assert Path(done.out.strip()) == new.folder(user.home or tmp_path)
    assert content_of(done.out.strip()) == {"model.safetensors": WEIGHTS[:-1]}


@pytest.mark.linux
@pytest.mark.parametrize("call", ["snapshot_download", "hf_hub_download"])
def test_a_branch_that_moved_is_used_as_it_was_where_nothing_can_be_written(
    shop: Shop, user: User, tmp_path: Path, call: str
) -> None:
    shelf = shop.new({"config.json": b"old"})
    cache = tmp_path / "cache"
    user.but(home=None).with_env(HF_HUB_CACHE=str(cache)).run("pull", shelf.name).done()
    shelf.next({"config.json": b"newer"})
    words = [shelf.name] + (["config.json"] if call == "hf_hub_download" else [])
    program = PULL.format(call=call).replace(
        "sys.argv[1:]", f"sys.argv[1:], cache_dir={str(cache)!r}"
    )
    closed = (
        "unshare", "--user", "--map-root-user", "--mount", "sh", "-ec",
        'mount --bind "$0" "$0"; mount -o remount,ro,bind "$0"; exec "$@"', str(cache),
    )  # fmt: skip
    command = [sys.executable, "-c", program, *words]
    env = dict(user.env) | {"HF_ENDPOINT": shop.url}
    plain = subprocess.run(
        [*closed, *command], env=env, capture_output=True, text=True, check=False
    )
    if "unshare" in plain.stderr:
        pytest.skip(f"no user namespaces here: {plain.stderr.strip()}")
    assert "Read-only file system" in plain.stderr
    below = user.but(prefix=closed).run("run", "--", *command, as_json=False)
    assert below.code == 0, below.err
    found = Path(below.out.strip())
    content = found if found.is_file() else found / "config.json"
    assert content.read_bytes() == b"old"
    assert "the last complete revision" in below.err


ACTIVATE = """
import json, os, sys
{before}
import holdfast
active = holdfast.activate(home={home!r}, offline=True)
import huggingface_hub.constants as constants
from huggingface_hub import snapshot_download
path = snapshot_download({repo!r})
told = dict(path=path, rebound=active.rebound, offline=constants.HF_HUB_OFFLINE)
active.deactivate()
told["after"] = [constants.HF_HUB_CACHE, os.environ.get("HF_HUB_CACHE"), type(os.symlink).__name__]
print(json.dumps(told))
"""


@pytest.mark.parametrize("late", [False, True])
def test_activate_does_it_inside_a_program_and_takes_it_back(
    shop: Shop, user: User, tmp_path: Path, late: bool
) -> None:
    shelf = shop.new({"config.json": b"{}"})
    user.run("pull", shelf.name).done()
    before = "import huggingface_hub.constants" if late else ""
    program = ACTIVATE.format(before=before, home=str(user.home), repo=shelf.name)
    done = subprocess.run(
        [sys.executable, "-c", program], env=dict(user.env), capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["path"] == str(shelf.folder(user.home or tmp_path))
    assert told["offline"] is True
    usual = f"{user.env['HOME']}/.cache/huggingface/hub"
    held = usual if late else f"{user.home}/hub"
    assert told["after"] == [held, None, "builtin_function_or_method"]
    assert ("HF_HUB_CACHE" in told["rebound"]) is late


def test_activations_are_taken_back_in_reverse_whatever_the_order(tmp_path: Path) -> None:
    program = f"""
import os, threading, holdfast
before, link = dict(os.environ), os.symlink
one = holdfast.activate(home={str(tmp_path / "one")!r})
two = holdfast.activate(home={str(tmp_path / "two")!r})
one.deactivate(); one.deactivate()
assert os.environ["HF_HOME"] == {str(tmp_path / "two")!r}
two.deactivate()
assert (dict(os.environ), os.symlink) == (before, link)
def turn():
    with holdfast.activate(home={str(tmp_path / "many")!r}): pass
threads = [threading.Thread(target=turn) for _ in range(8)]
[t.start() for t in threads]; [t.join() for t in threads]
assert (dict(os.environ), os.symlink) == (before, link)
"""
    env = {"HOME": str(tmp_path), "PATH": os.environ["PATH"]}
    done = subprocess.run(
        [sys.executable, "-c", program], env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_activate_refuses_when_a_library_cannot_be_told_anew(user: User, tmp_path: Path) -> None:
    stand_in = tmp_path / "keras" / "src" / "backend"
    stand_in.mkdir(parents=True)
    (stand_in / "config.py").write_text("_KERAS_DIR = '/read/before'")
    program = f"""
import os, keras.src.backend.config, holdfast
try:
    holdfast.activate(home={str(user.home)!r})
except holdfast.HoldfastError as error:
    print(error.code, error, "HF_HOME" in os.environ)
"""
    env = dict(user.env) | {"PYTHONPATH": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", program], env=env, capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("too-late holdfast.activate() was called after")
    assert "keras.src.backend.config has read KERAS_HOME" in done.stdout
    assert done.stdout.rstrip().endswith("False")


@pytest.mark.root
def test_where_nothing_can_be_written_what_is_there_is_read(
    shop: Shop, user: User, tmp_path: Path
) -> None:
    shelf = shop.new({"config.json": b"{}"})
    user.run("pull", shelf.name).done()
    shelf.next({"config.json": b"[]"})
    program = (sys.executable, "-c", PULL.format(call="snapshot_download"), shelf.name)
    closed = user.but(home=None, prefix=CLOSED_MACHINE).with_env(HF_HOME=str(user.home))
    done = closed.run("run", "--", *program, as_json=False)
    assert done.code == 0, done.err
    assert Path(done.out.strip()) == shelf.folder(user.home or tmp_path)
    assert "none can be added" in done.err
    assert "the last complete revision" in done.err
    nothing = user.but(home=None, prefix=CLOSED_MACHINE).run("run", "--", "true", as_json=False)
    assert nothing.code == 3
    assert "error[no-usable-home]" in nothing.err
