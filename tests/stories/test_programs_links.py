"""Links that the kernel refuses have a stand-in, in the model folders and nowhere else."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from holdfast.compat import LINKS_VARIABLE, Prepared, prepare
from holdfast.config import Settings
from holdfast.events import silent
from tests.support.deny import deny_prefix, unavailable

pytestmark = [
    pytest.mark.linux,
    pytest.mark.skipif(unavailable() is not None, reason=unavailable() or ""),
]

INJECT = Path(__file__).resolve().parents[2] / "src" / "holdfast" / "compat" / "inject"
_START = f"""
import errno, json, logging, os, sys
from pathlib import Path
sys.path.insert(0, {str(INJECT)!r})
import _holdfast_links
logging.basicConfig(format="%(levelname)s %(message)s", level="INFO")
fallback = _holdfast_links.LinkFallback([sys.argv[1]])
fallback.install()
home = Path(sys.argv[1]); blob = home / "blob"; blob.write_bytes(b"x" * 5000)
def outcome(act):
    try:
        act()
    except OSError as error:
        return errno.errorcode[error.errno]
    return "done"
"""


def told(program: str, folder: Path, **refusals: str | int) -> tuple[Any, str]:
    """Run a program in a folder with calls refused; return what it prints, and its log."""
    folder.mkdir(exist_ok=True)
    prefix = deny_prefix(**refusals) if refusals else []
    done = subprocess.run(
        [*prefix, sys.executable, "-c", _START + program, str(folder)],
        capture_output=True, text=True, check=False, cwd=folder.parent, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout), done.stderr


SHOWN = """
link = home / "snapshot" / "file"; link.parent.mkdir()
link.symlink_to("../blob")
print(json.dumps([link.is_symlink(), link.samefile(blob), blob.stat().st_nlink]))
"""


@pytest.mark.parametrize("refusal", ["EPERM", "EACCES", "ENOSYS", "EOPNOTSUPP", 0])
def test_a_refused_link_is_a_hard_link(refusal: str | int, tmp_path: Path) -> None:
    # 0: reported as made, and not there, as under Wine.
    found, log = told(SHOWN, tmp_path / "home", symlink=refusal)
    assert found == [False, True, 2]
    assert "symbolic links are refused here" in log


def test_a_link_that_works_stays_a_link(tmp_path: Path) -> None:
    found, log = told(SHOWN, tmp_path / "home")
    assert found == [True, True, 1]
    assert log == ""


def test_where_no_link_works_the_bytes_are_copied_at_once_and_that_is_said(tmp_path: Path) -> None:
    program = """
link = home / "link"; os.symlink("blob", link)
link2 = home / "link2"; os.symlink(b"blob", os.fsencode(link2))
print(json.dumps([link.read_bytes() == blob.read_bytes(), link2.exists(), os.listdir(home)]))
"""
    found, log = told(program, tmp_path / "home", symlink="EPERM", link="EPERM", reflink="EPERM")
    assert found[:2] == [True, True]
    assert sorted(found[2]) == ["blob", "link", "link2"]
    assert "is a copy of" in log
    assert "(5000 bytes)" in log


def test_huggingface_hub_has_its_own_way_without_links_and_is_left_to_it(tmp_path: Path) -> None:
    program = """
space = {"__name__": "huggingface_hub.file_download", "os": os}
exec("def link(a, b): os.symlink(a, b)", space)
print(json.dumps([outcome(lambda: space["link"]("blob", home / "link")), os.listdir(home)]))
"""
    found, _ = told(program, tmp_path / "home", symlink="EPERM", link="EPERM", reflink="EPERM")
    assert found == ["EPERM", ["blob"]]


def test_links_elsewhere_are_none_of_its_business(tmp_path: Path) -> None:
    program = """
away = home.parent / "away"; away.mkdir(); (away / "a").write_text("a")
print(json.dumps([
    outcome(lambda: os.symlink("a", away / "b")),
    outcome(lambda: os.symlink(home / "blob", away / "model")),
    (away / "model").samefile(blob),
    outcome(lambda: os.symlink("nothing", home / "dangling")),
    outcome(lambda: os.symlink("blob", "link", dir_fd=os.open(home, os.O_RDONLY))),
]))
"""
    found, _ = told(program, tmp_path / "home", symlink="EPERM")
    # What leads to a model is a model's link, wherever it lies: SpeechBrain's savedir.
    assert found == ["EPERM", "done", True, "EPERM", "EPERM"]


def test_a_folder_is_a_folder_of_links(tmp_path: Path) -> None:
    program = """
(home / "model" / "deep").mkdir(parents=True)
(home / "model" / "a").write_text("a"); (home / "model" / "deep" / "b").write_text("b")
os.symlink("model", home / "alias", target_is_directory=True)
os.symlink("model", home / "alias")
files = sorted(str(p.relative_to(home)) for p in (home / "alias").rglob("*") if p.is_file())
print(json.dumps([files, (home / "alias/deep/b").samefile(home / "model/deep/b")]))
"""
    found, _ = told(program, tmp_path / "home", symlink="EPERM")
    assert found == [["alias/a", "alias/deep/b"], True]


@pytest.mark.parametrize("refusals", [{}, {"symlink": "EPERM"}])
def test_the_same_link_made_by_many_at_once_is_made_once(
    refusals: dict[str, str], tmp_path: Path
) -> None:
    program = """
import threading
results = []
def link(n):
    for name in range(50):
        results.append(outcome(lambda: os.symlink("blob", home / f"link{name}")))
threads = [threading.Thread(target=link, args=(n,)) for n in range(8)]
[t.start() for t in threads]; [t.join() for t in threads]
other = home / "other"; other.write_bytes(b"y" * 5000)
taken = outcome(lambda: os.symlink("other", home / "link0"))
in_the_way = outcome(lambda: os.symlink("blob", other))
print(json.dumps([sorted(set(results)), [taken, in_the_way], other.read_bytes()[:5].decode()]))
"""
    found, _ = told(program, tmp_path / "home", **refusals)
    # Something else in the link's place is still an error.
    assert found == [["done"], ["EEXIST", "EEXIST"], "yyyyy"]


def test_a_link_that_others_remove_and_make_anew_all_the_time_is_there_or_in_the_way(
    tmp_path: Path,
) -> None:
    program = """
import threading
link = home / "link"; stop = threading.Event(); found = set()
def churn():
    while not stop.is_set():
        link.unlink(missing_ok=True)
        outcome(lambda: fallback._original("blob", link))
others = [threading.Thread(target=churn) for _ in range(2)]
sys.setswitchinterval(1e-5)
for other in others: other.start()
for _ in range(4000):
    found.add(outcome(lambda: os.symlink("blob", link)))
stop.set()
for other in others: other.join()
print(json.dumps(sorted(found - {"done", "EEXIST"})))
"""
    found, _ = told(program, tmp_path / "home")
    assert found == []


def test_a_relative_link_begins_where_its_folder_really_lies(tmp_path: Path) -> None:
    home = tmp_path / "home"
    (home / "real" / "x" / "y").mkdir(parents=True)
    (home / "real" / "x" / "blob").write_text("real")
    (home / "via").symlink_to("real/x/y")
    program = """
os.symlink("../blob", home / "via" / "link")
print(json.dumps((home / "via" / "link").read_text()))
"""
    assert told(program, home, symlink="EPERM")[0] == "real"


def test_what_is_no_twin_of_the_link_stays_in_its_way(tmp_path: Path) -> None:
    program = """
twin = home / "twin"; twin.write_bytes(blob.read_bytes())
os.symlink("blob", home / "link")
print(json.dumps([
    outcome(lambda: os.symlink("blob", twin)),
    outcome(lambda: os.symlink("blob", blob)),
    outcome(lambda: os.symlink("blob", home / "link")),
    outcome(lambda: os.symlink("twin", home / "link")),
    sorted(os.listdir(home)), os.symlink in os.supports_dir_fd,
]))
"""
    found, _ = told(program, tmp_path / "home")
    # Only the very same link counts as made: another process may have been first.
    assert found == ["EEXIST", "EEXIST", "done", "EEXIST", ["blob", "link", "twin"], True]


def test_it_is_taken_back_and_leaves_wrappers_of_others_alone(tmp_path: Path) -> None:
    program = """
original = fallback._original
fallback.remove()
first = os.symlink is original
fallback.install(); ours = os.symlink
def others(*a, **k): return ours(*a, **k)
os.symlink = others
fallback.remove()
print(json.dumps([first, os.symlink is others, outcome(lambda: os.symlink("blob", home / "l"))]))
"""
    found, _ = told(program, tmp_path / "home", symlink="EPERM")
    assert found == [True, True, "EPERM"]


def test_a_setting_switches_it_off(tmp_path: Path) -> None:
    env = {"HOME": str(tmp_path), "HOLDFAST_HOME": str(tmp_path / "home")}

    def prepared(**variables: str) -> Prepared:
        merged = env | variables
        return prepare(Settings.from_env(merged), merged, silent)

    on, off = prepared(), prepared(HOLDFAST_LINK_FALLBACK="0")
    assert on.folders[0] == str(tmp_path / "home")
    assert on.values["PYTHONPATH"] == str(INJECT)
    assert off.folders == ()
    assert LINKS_VARIABLE not in off.values
    named = prepared(HOLDFAST_LINK_FOLDERS=f"/srv/a{os.pathsep}/srv/b")
    assert named.folders[-2:] == ("/srv/a", "/srv/b")
