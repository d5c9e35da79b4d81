"""The conditions that other tests rely on really happen; each is shown on this machine."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import repos
from tests.support.deny import deny_prefix
from tests.support.filesystems import (
    KINDS,
    readonly_bind,
    run_in_namespace,
    squashfs,
)
from tests.support.fusefs import Rule, fuse_folder
from tests.support.powercut import PowerCutDisk
from tests.support.users import Stranger

if sys.platform != "linux":
    pytest.skip("the harness bends Linux", allow_module_level=True)
import fcntl

pytestmark = pytest.mark.linux

_TRY = """
import errno, fcntl, json, os, socket, sys
from pathlib import Path
folder = Path(sys.argv[1])
one, two = open(folder / "one", "w+"), open(folder / "two", "w+")
def attempt(call, *arguments):
    try:
        call(*arguments)
    except OSError as error:
        # The one number that has two names.
        return errno.errorcode[error.errno].replace("EOPNOTSUPP", "ENOTSUP")
    return "done"
answers = {
    "symlink": attempt(os.symlink, "one", folder / "symlink"),
    "link": attempt(os.link, folder / "one", folder / "link"),
    "chmod": attempt(os.chmod, folder / "one", 0o600),
    "fchmod": attempt(os.fchmod, one.fileno(), 0o600),
    "flock": attempt(fcntl.flock, one, fcntl.LOCK_EX | fcntl.LOCK_NB),
    "fcntl-lock": attempt(fcntl.lockf, one, fcntl.LOCK_EX | fcntl.LOCK_NB),
    "fcntl": attempt(fcntl.fcntl, one, fcntl.F_GETFL),
    "reflink": attempt(fcntl.ioctl, two, 0x40049409, one.fileno()),
    "copy-file-range": attempt(os.copy_file_range, one.fileno(), two.fileno(), 1),
    "fsync": attempt(os.fsync, one),
    "connect": attempt(socket.create_connection, ("127.0.0.1", 9)),
    "rename": attempt(os.replace, folder / "two", folder / "three"),
    "made": sorted(os.listdir(folder)),
}
print(json.dumps(answers))
"""


def _attempts(folder: Path, *before: str) -> dict[str, object]:
    """Try every operation in ``folder`` in another process and return what each answered."""
    done = subprocess.run(
        [*before, sys.executable, "-c", _TRY, str(folder)],
        capture_output=True,
        text=True,
        check=True,
    )
    answers: dict[str, object] = json.loads(done.stdout)
    return answers


def _errno_of(call: object, *arguments: object) -> str:
    try:
        call(*arguments)  # type: ignore[operator]
    except OSError as error:
        return errno.errorcode[error.errno or 0]
    return "done"


def _names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


def _locked_by_another(path: Path) -> bool:
    """Hold a lock here and return whether another process is kept from taking it too."""
    script = "import fcntl, sys; fcntl.flock(open(sys.argv[1]), fcntl.LOCK_EX | fcntl.LOCK_NB)"
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        done = subprocess.run(
            [sys.executable, "-c", script, str(path)], capture_output=True, check=False
        )
    return done.returncode != 0


@pytest.mark.usefixtures("seccomp")
def test_the_kernel_refuses_what_it_is_told_to_and_nothing_else(tmp_path: Path) -> None:
    refused = {
        "symlink": "EPERM",
        "link": "EMLINK",
        "flock": "ENOLCK",
        "fcntl-lock": "ENOSYS",
        "chmod": "ENOSYS",
        "reflink": "EXDEV",
        "copy-file-range": "EIO",
        "fsync": "EIO",
        "connect": "ENETUNREACH",
        "rename": "EACCES",
    }
    answers = _attempts(tmp_path, *deny_prefix(**refused))
    assert {name: answers[name] for name in refused} == refused
    assert answers["fchmod"] == "ENOSYS"
    assert answers["fcntl"] == "done"
    assert answers["made"] == ["one", "two"]


@pytest.mark.usefixtures("seccomp")
def test_one_refusal_leaves_the_rest_alone(tmp_path: Path) -> None:
    answers = _attempts(tmp_path, *deny_prefix(symlink="EPERM"))
    assert answers["symlink"] == "EPERM"
    for name in ("link", "chmod", "flock", "fcntl-lock", "fsync", "rename"):
        assert answers[name] == "done", name
    assert answers["connect"] == "ECONNREFUSED"


@pytest.mark.usefixtures("seccomp")
def test_a_silent_success_does_nothing(tmp_path: Path) -> None:
    answers = _attempts(tmp_path, *deny_prefix(symlink=0, flock=0))
    assert answers["symlink"] == answers["flock"] == "done"
    assert "symlink" not in answers["made"]  # type: ignore[operator]


@pytest.mark.usefixtures("seccomp")
def test_refusals_reach_children_and_survive_exec(tmp_path: Path) -> None:
    shell = ["sh", "-c", 'exec "$0" "$@"']
    assert _attempts(tmp_path, *deny_prefix(link="EPERM"), *shell)["link"] == "EPERM"


def test_a_typing_mistake_in_a_refusal_is_an_error() -> None:
    with pytest.raises(ValueError, match="symlnk"):
        deny_prefix(symlnk="EPERM")
    with pytest.raises(ValueError, match="EPREM"):
        deny_prefix(symlink="EPREM")


def test_a_plain_fuse_folder_behaves_like_a_disk(tmp_path: Path) -> None:
    with fuse_folder(tmp_path) as folder:
        answers = _attempts(folder)
        for name in ("symlink", "link", "chmod", "flock", "fcntl-lock", "fsync", "rename"):
            assert answers[name] == "done", name
        assert answers["made"] == ["link", "one", "symlink", "three"]
        content = repos.noise(3 << 20, "fuse")
        (folder / "file").write_bytes(content)
        assert (folder / "file").read_bytes() == content
        os.link(folder / "file", folder / "same")
        assert (folder / "file").samefile(folder / "same")
        assert (folder / "same").stat().st_nlink == 2
        assert _locked_by_another(folder / "lock")
        with (folder / "gone").open("w+b") as file:
            (folder / "gone").unlink()
            assert "gone" not in _names(folder)
            file.write(b"still here")
            file.flush()
            assert os.fstat(file.fileno()).st_size == 10


def test_a_fuse_folder_fails_by_rule_after_some_calls_and_for_some_paths(tmp_path: Path) -> None:
    rules = [
        Rule("symlink", "EPERM"),
        Rule("link", "ENOTSUP"),
        Rule("fsync", "EIO", after=1),
        Rule("write", "EIO", match="*/bad/*", times=1),
        Rule("flock", "ENOLCK"),
    ]
    with fuse_folder(tmp_path, rules=rules) as folder:
        answers = _attempts(folder)
        assert answers["symlink"] == "EPERM"
        assert answers["link"] == "ENOTSUP"
        assert answers["flock"] == "ENOLCK"
        assert answers["fsync"] == "done"
        assert _attempts(folder)["fsync"] == "EIO"
        (folder / "bad").mkdir()
        assert _errno_of((folder / "bad" / "file").write_bytes, b"x") == "EIO"
        assert _errno_of((folder / "bad" / "file").write_bytes, b"x") == "done"


def test_a_lock_that_locks_nothing_lets_two_processes_hold_it(tmp_path: Path) -> None:
    with fuse_folder(tmp_path, flock="nothing") as folder:
        assert not _locked_by_another(folder / "lock")


def test_a_lock_that_never_answers_waits_until_the_process_is_killed(tmp_path: Path) -> None:
    script = (
        "import fcntl, sys; file = open(sys.argv[1], 'w'); print('asking', flush=True); "
        "fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)"
    )
    with fuse_folder(tmp_path, flock="block") as folder:
        process = subprocess.Popen(
            [sys.executable, "-c", script, str(folder / "lock")], stdout=subprocess.PIPE
        )
        with process:
            assert process.stdout is not None
            assert process.stdout.readline() == b"asking\n"
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(timeout=0.5)
            process.kill()
            assert process.wait(timeout=5) == -9


def test_a_fuse_folder_renames_as_windows_does(tmp_path: Path) -> None:
    with fuse_folder(tmp_path, rename_onto_existing="EEXIST", sharing="windows") as folder:
        for name in ("a", "b"):
            (folder / name).write_text(name)
        assert _errno_of((folder / "a").replace, folder / "b") == "EEXIST"
        with (folder / "a").open():
            assert _errno_of((folder / "a").rename, folder / "c") == "EACCES"
            assert _errno_of((folder / "a").unlink) == "EACCES"
        (folder / "a").rename(folder / "c")
    with fuse_folder(tmp_path, sharing="windows") as folder:
        for name in ("a", "b"):
            (folder / name).write_text(name)
        with (folder / "b").open():
            assert _errno_of((folder / "a").replace, folder / "b") == "EACCES"
        (folder / "a").replace(folder / "b")
        assert (folder / "b").read_text() == "a"


def test_a_fuse_folder_has_its_own_rules_on_names(tmp_path: Path) -> None:
    rules = {"fold_case": True, "names": "windows", "max_name_bytes": 143}
    with fuse_folder(tmp_path, **rules) as folder:
        (folder / "Config.json").write_text("first")
        assert (folder / "CONFIG.JSON").read_text() == "first"
        (folder / "config.json").rename(folder / "config.json.new")
        assert _names(folder) == ["config.json.new"]
        for path in set(repos.names_windows_refuses()) - {"ok.txt"}:
            assert _errno_of((folder / path).write_text, "x") == "EINVAL", path
        assert _errno_of((folder / ("x" * 144)).write_text, "x") == "ENAMETOOLONG"
        assert os.statvfs(folder).f_namemax == 143


@pytest.mark.parametrize(("name", "shown"), [("ENOSPC", True), ("EDQUOT", False)])
def test_a_fuse_folder_is_full_after_so_many_bytes(tmp_path: Path, name: str, shown: bool) -> None:
    limit = 1 << 20
    with fuse_folder(tmp_path, space_bytes=limit, space_errno=name) as folder:
        assert _errno_of((folder / "large").write_bytes, bytes(limit + 1)) == name
        (folder / "large").write_bytes(bytes(limit - 4096))
        info = os.statvfs(folder)
        assert (info.f_bavail * info.f_frsize <= limit) is shown
        (folder / "large").unlink()
        assert _errno_of((folder / "again").write_bytes, bytes(limit)) == "done"


def test_a_fuse_folder_reports_what_it_is_told_about_space(tmp_path: Path) -> None:
    with fuse_folder(tmp_path, statfs={"f_bavail": 7, "f_ffree": 3}) as folder:
        assert (os.statvfs(folder).f_bavail, os.statvfs(folder).f_favail) == (7, 3)


_EXPECTED = {
    "exfat": {"symlink": "ENOSYS", "link": "EPERM", "chmod": "done"},
    "fat32": {"symlink": "ENOSYS", "link": "EPERM", "chmod": "ENOSYS"},
    "ntfs": {"symlink": "done", "link": "done", "chmod": "done"},
    "btrfs": {"symlink": "done", "link": "done", "reflink": "done"},
    "xfs": {"symlink": "done", "link": "done", "reflink": "done"},
    "tmpfs": {"symlink": "done", "link": "done", "reflink": "ENOTSUP"},
}
_CASE_BLIND = {"exfat", "fat32", "ntfs"}


@pytest.mark.root
@pytest.mark.parametrize("kind", sorted(KINDS))
def test_each_file_system_is_what_it_says(kind: str, tmp_path: Path) -> None:
    with KINDS[kind](tmp_path) as disk:
        answers = _attempts(disk)
        assert {name: answers[name] for name in _EXPECTED[kind]} == _EXPECTED[kind]
        assert (disk / "ONE").exists() is (kind in _CASE_BLIND)
    assert _names(disk) == []


@pytest.mark.root
def test_tmpfs_runs_out_of_bytes_and_of_inodes(tmp_path: Path) -> None:
    with KINDS["tmpfs"](tmp_path, size=1 << 20) as disk:  # type: ignore[call-arg]
        assert _errno_of((disk / "file").write_bytes, bytes(2 << 20)) == "ENOSPC"
    with KINDS["tmpfs"](tmp_path, nr_inodes=3) as disk:  # type: ignore[call-arg]
        answers = [_errno_of((disk / str(number)).touch) for number in range(3)]
        assert answers == ["done", "done", "ENOSPC"]


@pytest.mark.root
def test_read_only_means_root_too(tmp_path: Path) -> None:
    content = repos.write(repos.small_files(3), tmp_path / "content")
    with readonly_bind(content) as folder:
        assert _errno_of((folder / "new").touch) == "EROFS"
    (content / "new").touch()
    with squashfs(tmp_path, content) as folder:
        assert _errno_of((folder / "new").unlink) == "EROFS"
        assert (folder / "part-0/file-0000.json").read_bytes() == repos.small_files(3)[
            "part-0/file-0000.json"
        ]


def test_a_namespace_gives_any_user_a_disk_and_takes_the_network_away(tmp_path: Path) -> None:
    script = f"""
    mount -t tmpfs -o size=1m tmpfs {tmp_path}
    ! head -c 2000000 /dev/zero >{tmp_path}/file
    wc -c <{tmp_path}/file
    grep -c : /proc/net/dev
    """
    done = run_in_namespace(script, network=False)
    assert done.stdout.split() == ["1048576", "1"], done.stderr
    assert _names(tmp_path) == []


@pytest.mark.root
def test_a_stranger_has_no_name_and_no_home_and_can_import_holdfast(stranger: Stranger) -> None:
    script = (
        "import os, pwd, sys\n"
        "import holdfast.errors, urllib3\n"
        "named = any(entry.pw_uid == os.getuid() for entry in pwd.getpwall())\n"
        "print(os.getuid(), os.getgid(), os.environ.get('HOME'), named, os.access('/', os.W_OK))"
    )
    assert stranger.run("-c", script).stdout.split() == ["12345", "0", "None", "False", "False"]
    assert stranger.run("-c", script, home="/").stdout.split()[2] == "/"
    assert stranger.run("-c", "open('mine', 'w')").returncode == 0


@pytest.mark.root
def test_a_power_cut_loses_what_was_not_synced_and_keeps_what_was(power_cut: PowerCutDisk) -> None:
    content = repos.noise(1 << 20, "power")
    (power_cut.folder / "careless").write_bytes(content)
    with (power_cut.folder / "careful").open("wb") as file:
        file.write(content)
        os.fsync(file)
    assert (power_cut.folder / "careless").read_bytes() == content
    with power_cut.after_cut() as folder:
        assert (folder / "careful").read_bytes() == content
        careless = folder / "careless"
        assert not careless.exists() or careless.read_bytes() != content
    os.sync()
    with power_cut.after_cut() as folder:
        assert (folder / "careless").read_bytes() == content


def test_the_repositories_are_what_they_are_called() -> None:
    sizes = [len(content) for content in repos.model(scale=0.001).values()]
    assert len(sizes) == 20
    first = repos.model(scale=0.001)
    second = repos.second_revision(first)
    assert len([path for path in second if second[path] != first.get(path)]) == 2
    assert len(repos.small_files()) == 300
    assert max(len(os.fsencode(p)) for path in repos.long_names() for p in path.split("/")) == 255
    assert repos.noise(5_000_000, "a") == b"".join(repos.chunks(5_000_000, "a"))
    assert repos.noise(2 << 20, "a")[: 1 << 20] != repos.noise(2 << 20, "a")[1 << 20 :]
