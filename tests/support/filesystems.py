"""Real file systems of every kind a model may have to live on, mounted for the length of a test.

    with exfat(tmp_path) as disk:
        ...

Each yields the mount point and leaves nothing behind: mounts and loop devices go when the block
ends, lazily where a process still holds them. Where the tool or the right is missing the test
skips with the reason. ``run_in_namespace`` gives an unprivileged user mounts of its own.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from tests.support.mounts import is_mounted

__all__ = [
    "KINDS",
    "btrfs",
    "exfat",
    "fat32",
    "namespace_unavailable",
    "needs_root",
    "ntfs",
    "readonly_bind",
    "run_in_namespace",
    "squashfs",
    "tmpfs",
    "xfs",
]

_MIB = 1 << 20


def _call(*command: str | Path) -> str:
    """Run a tool and return its output; its error text is the failure's message."""
    done = subprocess.run(
        [str(word) for word in command], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(map(str, command))}: {(done.stderr or done.stdout).strip()}")
    return done.stdout.strip()


def needs_root(*tools: str, package: str = "", device: str = "/dev/loop-control") -> None:
    """Skip, with the reason, unless root may mount here and the tools are installed."""
    if sys.platform != "linux":
        pytest.skip("mounts disk images, which is done on Linux only")
    if os.geteuid() != 0:
        pytest.skip("needs root to mount a file system")
    missing = [tool for tool in tools if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"{', '.join(missing)} missing (Debian: {package}; .ci/prepare installs it)")
    if device and not Path(device).exists():
        pytest.skip(f"{device} is missing on this machine")


def _fresh(base: Path, kind: str) -> tuple[Path, Path]:
    """Return an unused image path and an existing, empty mount point below ``base``."""
    number = len(list(base.glob(f"{kind}-*.mount")))
    mount = base / f"{kind}-{number}.mount"
    mount.mkdir()
    return base / f"{kind}-{number}.img", mount


def _sparse(image: Path, size: int) -> None:
    with image.open("wb") as file:
        file.truncate(size)


def _unmount(mount: Path) -> None:
    """Unmount, waiting a moment for the last user; then detach, so that nothing stays behind."""
    for delay_s in (0.0, 0.05, 0.2, 0.5):
        time.sleep(delay_s)
        done = subprocess.run(["umount", str(mount)], capture_output=True, check=False)
        if done.returncode == 0 or not is_mounted(mount):
            return
    _call("umount", "--lazy", mount)


@contextlib.contextmanager
def _loop_device(image: Path) -> Iterator[str]:
    device = _call("losetup", "--find", "--show", image)
    try:
        yield device
    finally:
        _call("losetup", "--detach", device)


@contextlib.contextmanager
def _mounted(
    mount: Path, *command: str | Path, missing_is_skip: str = "", daemon: bool = False
) -> Iterator[Path]:
    """Run a mount command, wait until the mount is there, and unmount it at the end."""
    try:
        _call(*command)
    except RuntimeError as error:
        if missing_is_skip and "unknown filesystem type" in str(error):
            pytest.skip(f"this kernel has no {missing_is_skip}")
        raise
    deadline = time.monotonic() + (10 if daemon else 0)
    while not is_mounted(mount):
        if time.monotonic() > deadline:
            raise RuntimeError(f"{command[0]} reported success, and {mount} is not a mount")
        time.sleep(0.02)
    try:
        yield mount
    finally:
        _unmount(mount)


@contextlib.contextmanager
def exfat(base: Path, size: int = 512 * _MIB) -> Iterator[Path]:
    """ExFAT: no symbolic or hard links, case-insensitive, chmod without effect."""
    needs_root("mkfs.exfat", "mount.exfat-fuse", package="exfatprogs, exfat-fuse")
    image, mount = _fresh(base, "exfat")
    _sparse(image, size)
    _call("mkfs.exfat", image)
    # The driver has to be given a block device: on a plain file it mounts nothing.
    with (
        _loop_device(image) as device,
        _mounted(mount, "mount.exfat-fuse", device, mount, daemon=True),
    ):
        yield mount


@contextlib.contextmanager
def fat32(base: Path, size: int = 512 * _MIB) -> Iterator[Path]:
    """FAT32: no links, no chmod at all (ENOSYS), case-insensitive, files below 4 GiB."""
    needs_root("mkfs.vfat", "fusefat", package="dosfstools, fusefat", device="/dev/fuse")
    image, mount = _fresh(base, "fat32")
    _sparse(image, size)
    _call("mkfs.vfat", "-F", "32", image)
    with _mounted(mount, "fusefat", "-o", "rw+", image, mount, daemon=True):
        yield mount


@contextlib.contextmanager
def ntfs(base: Path, size: int = 512 * _MIB) -> Iterator[Path]:
    """NTFS with the names Windows allows: case-insensitive, no reserved characters; hard links."""
    needs_root("mkntfs", "lowntfs-3g", package="ntfs-3g", device="/dev/fuse")
    image, mount = _fresh(base, "ntfs")
    _sparse(image, size)
    _call("mkntfs", "-F", "-Q", "-q", image)
    options = "ignore_case,windows_names"
    with _mounted(mount, "lowntfs-3g", image, mount, "-o", options, daemon=True):
        yield mount


@contextlib.contextmanager
def btrfs(base: Path, size: int = 1024 * _MIB) -> Iterator[Path]:
    """Btrfs: reflinks."""
    needs_root("mkfs.btrfs", package="btrfs-progs")
    image, mount = _fresh(base, "btrfs")
    _sparse(image, size)
    _call("mkfs.btrfs", "-q", image)
    with _mounted(mount, "mount", "-o", "loop", image, mount, missing_is_skip="btrfs"):
        yield mount


@contextlib.contextmanager
def xfs(base: Path, size: int = 1024 * _MIB) -> Iterator[Path]:
    """XFS: reflinks."""
    needs_root("mkfs.xfs", package="xfsprogs")
    image, mount = _fresh(base, "xfs")
    _sparse(image, size)
    _call("mkfs.xfs", "-q", "-m", "reflink=1", image)
    with _mounted(mount, "mount", "-o", "loop", image, mount, missing_is_skip="xfs"):
        yield mount


@contextlib.contextmanager
def tmpfs(base: Path, size: int | None = None, nr_inodes: int | None = None) -> Iterator[Path]:
    """Memory with a limit in bytes, in inodes, or in both."""
    needs_root("mount", package="util-linux", device="")
    _, mount = _fresh(base, "tmpfs")
    limits = {"size": size, "nr_inodes": nr_inodes, "mode": "755"}
    options = ",".join(f"{name}={value}" for name, value in limits.items() if value is not None)
    with _mounted(mount, "mount", "-t", "tmpfs", "-o", options, "tmpfs", mount):
        yield mount


@contextlib.contextmanager
def readonly_bind(folder: Path) -> Iterator[Path]:
    """The folder itself, read-only (EROFS even for root) until the block ends."""
    needs_root("mount", package="util-linux", device="")
    with _mounted(folder, "mount", "--bind", folder, folder):
        _call("mount", "-o", "remount,ro,bind", folder)
        yield folder


@contextlib.contextmanager
def squashfs(base: Path, content: Path) -> Iterator[Path]:
    """A compressed, immutable image of ``content``, as container layers are."""
    needs_root("mksquashfs", package="squashfs-tools")
    image, mount = _fresh(base, "squashfs")
    _call(
        "mksquashfs",
        content,
        image,
        "-quiet",
        "-no-progress",
        "-comp",
        "gzip",
        "-Xcompression-level",
        "1",
    )
    with _mounted(mount, "mount", "-o", "loop,ro", image, mount, missing_is_skip="squashfs"):
        yield mount


KINDS: dict[str, Callable[[Path], contextlib.AbstractContextManager[Path]]] = {
    "exfat": exfat,
    "fat32": fat32,
    "ntfs": ntfs,
    "btrfs": btrfs,
    "xfs": xfs,
    "tmpfs": tmpfs,
}
"""The file systems by name, for tests that run on every one of them."""


def namespace_unavailable(*, network: bool = False) -> str | None:
    """Return why this user cannot have namespaces of its own, or None when it can."""
    if sys.platform != "linux" or shutil.which("unshare") is None:
        return "user namespaces need Linux and unshare"
    words = ["unshare", "-Urmn" if network else "-Urm", "true"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    return None if done.returncode == 0 else f"no user namespaces here: {done.stderr.strip()}"


_LOOPBACK_UP = (
    "import fcntl, socket, struct; s = socket.socket(); "
    "fcntl.ioctl(s, 0x8914, struct.pack('16sH14x', b'lo', 0x49))"  # SIOCSIFFLAGS: IFF_UP
)


def run_in_namespace(
    script: str,
    *,
    network: bool = True,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    timeout_s: float = 120.0,
) -> subprocess.CompletedProcess[str]:
    """Run a shell script as root of its own user and mount namespace; skip where that is refused.

    It may mount tmpfs and bind mounts, which vanish with it:
    ``mount -t tmpfs -o size=150m tmpfs "$D"`` or ``mount --bind "$D" "$D"; mount -o
    remount,ro,bind "$D"``. Without ``network`` it has a loopback device and nothing else.
    The script stops at the first failing command.
    """
    reason = namespace_unavailable(network=not network)
    if reason:
        pytest.skip(reason)
    if not network:
        script = f'{sys.executable} -c "{_LOOPBACK_UP}"\n{script}'
    return subprocess.run(
        ["unshare", "-Urm" if network else "-Urmn", "sh", "-euc", script],
        capture_output=True,
        text=True,
        env=None if env is None else dict(env),
        cwd=cwd,
        timeout=timeout_s,
        check=False,
    )
