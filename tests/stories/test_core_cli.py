"""The command line itself: streams, options, exit codes, terminals, and what it never shows."""

from __future__ import annotations

import os
import pty
import subprocess
from pathlib import Path

import pytest

from tests.support import repos
from tests.support.core import Shop, User, content_of

FILES = {"w.bin": repos.noise(300_000, "cli"), "config.json": b"{}"}


@pytest.mark.parametrize(
    "words",
    [
        ["no such repository!"],
        ["../../etc"],
        ["acme/model@a..b"],
        ["acme/model@one", "--revision", "two"],
        ["acme/one", "acme/two", "--local-dir", "/nowhere"],
    ],
    ids=lambda words: words[0],
)
def test_wrong_names_are_refused_before_anything_is_asked(user: User, words: list[str]) -> None:
    done = user.but(endpoint="http://127.0.0.1:9").run("pull", *words)
    assert (done.code, done.error["code"]) == (2, "reference-invalid")
    assert done.error["hint"]
    assert done.seconds < 3


@pytest.mark.parametrize("words", [["frobnicate"], ["pull"], ["pull", "a/b", "--nonsense"], []])
def test_wrong_usage_is_exit_code_2(user: User, words: list[str]) -> None:
    done = user.run(*words, as_json=False)
    assert done.code == 2
    assert "usage: holdfast" in done.err
    assert done.out == ""


def test_help_lists_commands_and_exit_codes(user: User) -> None:
    done = user.run("--help", as_json=False)
    assert done.code == 0
    for word in ("pull", "plan", "lock", "sync", "verify", "repair", "ls", "collect", "where",
                 "doctor", "completion", "exit codes"):  # fmt: skip
        assert word in done.out


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish", "powershell"])
def test_every_shell_gets_its_completion(user: User, shell: str) -> None:
    done = user.run("completion", shell, as_json=False)
    assert done.code == 0
    assert "holdfast" in done.out


def test_options_may_stand_before_the_command_or_after_it(shop: Shop, user: User) -> None:
    shelf = shop.new(FILES)
    plain = user.but(home=None, endpoint="")
    before = plain.run("--home", user.home or "", "--endpoint", shop.url, "pull", shelf.name)
    after = plain.run("pull", shelf.name, "--endpoint", shop.url, "--home", user.home or "")
    assert before.json["path"] == after.json["path"]


def test_quiet_says_nothing_and_verbose_names_every_file(shop: Shop, user: User) -> None:
    shelf = shop.new(FILES)
    loud = user.run("--verbose", "pull", shelf.name, as_json=False)
    assert loud.code == 0
    assert all(name in loud.err for name in FILES)
    quiet = user.run("--quiet", "pull", shelf.name, as_json=False)
    assert quiet.err == ""
    assert quiet.out == loud.out


def test_every_command_speaks_json(shop: Shop, user: User) -> None:
    shelf = shop.new(FILES)
    user.run("pull", shelf.name).done()
    for words in (["plan", shelf.name], ["verify"], ["repair"], ["ls"], ["where"], ["doctor"],
                  ["collect", "--dry-run"]):  # fmt: skip
        assert isinstance(user.run(*words).json, dict)


def test_people_get_the_error_the_reason_and_the_cure(shop: Shop, user: User) -> None:
    done = user.run("pull", "acme/no-such-model", as_json=False)
    assert done.code == 4
    assert done.out == ""
    assert done.err.startswith("error[repo-not-found]: ")
    assert "\n  why: " in done.err
    assert "\n  try: " in done.err
    assert "Traceback" not in done.err


def test_a_reader_that_goes_away_is_no_failure_with_a_traceback(shop: Shop, user: User) -> None:
    shelf = shop.new({f"file-{n:04}.txt": b"%d" % n for n in range(400)})
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as broken:
        done = subprocess.run(
            user.command("plan", shelf.name),
            stdout=broken,
            stderr=subprocess.PIPE,
            text=True,
            env=dict(user.env),
            check=False,
        )
    assert "Traceback" not in done.stderr
    assert done.returncode == 1


@pytest.mark.linux
def test_a_terminal_gets_bars_and_the_folder_stays_on_standard_output(
    shop: Shop, user: User
) -> None:
    shelf = shop.new({"model.bin": repos.noise(3_000_000, "bars")})
    shop.hub.set_faults("slow:rate=2M,where=storage")
    terminal, theirs = pty.openpty()
    process = subprocess.Popen(
        user.command("pull", shelf.name),
        stdout=subprocess.PIPE,
        stderr=theirs,
        text=True,
        env={**user.env, "TERM": "xterm", "COLUMNS": "120"},
    )
    os.close(theirs)
    shown = b""
    while True:
        try:
            more = os.read(terminal, 65536)
        except OSError:
            break
        if not more:
            break
        shown += more
    out = process.communicate(timeout=30)[0]
    os.close(terminal)
    assert process.returncode == 0
    assert content_of(out.strip()) == {"model.bin": repos.noise(3_000_000, "bars")}
    text = shown.decode()
    assert "model.bin" in text
    assert "MB/s" in text


def test_lines_tell_of_progress_where_there_is_no_terminal(shop: Shop, user: User) -> None:
    shelf = shop.new({"model.bin": repos.noise(3_000_000, "lines")})
    shop.hub.set_faults("slow:rate=2M,where=storage")
    script = (
        "from holdfast.cli import _context; _context._PLAIN_EVERY_S = 0.3; "
        "from holdfast.cli.main import entry; entry()"
    )
    done = subprocess.run(
        user.command("pull", shelf.name, program=("-c", script)),
        capture_output=True,
        text=True,
        env=dict(user.env),
        check=True,
    )
    lines = [line for line in done.stderr.splitlines() if "MB/s" in line]
    assert len(lines) >= 2
    assert "of 3.0 MB" in lines[0]
    assert "s left" in lines[-1]
    assert "\x1b" not in done.stderr


def test_names_from_the_hub_cannot_write_to_the_terminal(shop: Shop, user: User) -> None:
    shelf = shop.new({"evil\x1b[2Jname.txt": b"x", "config.json": b"{}"})
    for words in (["pull", "--verbose"], ["plan"]):
        done = user.run(*words, shelf.name, as_json=False)
        assert "\x1b" not in done.out + done.err


def test_the_interpreter_needs_no_home_folder_or_locale(shop: Shop, user: User) -> None:
    shelf = shop.new({"модель.txt": b"x"})
    bare = user.but(env={"PATH": user.env["PATH"], "LC_ALL": "C"})
    done = bare.run("pull", shelf.name)
    assert done.code == 0, done.err
    assert content_of(Path(done.json["path"])) == {"модель.txt": b"x"}
    assert "модель.txt" in bare.run("plan", shelf.name, as_json=False).out
