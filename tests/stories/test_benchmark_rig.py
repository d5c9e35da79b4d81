"""The benchmarks measure what they say: the hub is right, and the figures are counted right."""

from __future__ import annotations

import hashlib
import json
import sys
from contextlib import closing
from pathlib import Path

import pytest
from benchmarks.corpus import build
from benchmarks.figures import Row
from benchmarks.measure import MeasurementError, clean_environment, disk_bytes, run
from benchmarks.mirror_rig import mirror_hub
from benchmarks.rig import nginx_hub
from benchmarks.sides import HubSide
from benchmarks.voiceprint_search import of_gallery, opened

if sys.platform != "linux":
    pytest.skip("the benchmarks take their figures from Linux", allow_module_level=True)

pytestmark = pytest.mark.linux


@pytest.mark.parametrize("kind", ["nginx", "mirror"])
def test_the_peer_downloads_every_byte_from_the_rig(kind: str, tmp_path: Path) -> None:
    corpus = build(tmp_path / "blobs", scale=0.005)
    make = nginx_hub if kind == "nginx" else mirror_hub
    with make(tmp_path / "hub", corpus.repositories) as hub:
        if hub is None:
            pytest.skip("nginx is missing (Debian: nginx-light; .ci/prepare installs it)")
        peer = HubSide(tmp_path / "home", hub)
        model = corpus.model
        first, second = model.revisions
        hub.move_main(model, first)
        pull = peer.pull(model.name, "main")
        assert pull.path.name == first
        assert (pull.requests, pull.heads) == (2 + 2 * 20, 20)
        assert model.size(first) < pull.fetched_mb * 1e6 < model.size(first) * 1.02
        hub.move_main(model, second)
        pull = peer.pull(model.name, "main")
        assert pull.path.name == second
        assert pull.fetched_mb * 1e6 < 30_000
        for file in model.revisions[second]:
            content = (pull.path / file.path).read_bytes()
            assert hashlib.sha256(content).hexdigest() == file.sha256, file.path
        small = peer.pull(corpus.small.name, "main")
        assert small.requests == 2 + 2 * 300


def test_a_process_is_charged_for_what_it_does(tmp_path: Path) -> None:
    script = (
        "import time; block = bytearray(b'x') * 60_000_000; "
        f"open({str(tmp_path / 'file')!r}, 'wb').write(block[:20_000_000]); time.sleep(0.2)"
    )
    cost = run([sys.executable, "-c", script], clean_environment())
    assert cost.wall_s >= 0.2
    # Until it has become another program, a child counts with the memory of its parent: the tests.
    import resource

    parent_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
    assert 60 <= cost.peak_mb <= max(150, 1.1 * parent_mb)
    assert 19 <= cost.written_mb <= 25


def test_a_failing_command_yields_no_figures(tmp_path: Path) -> None:
    with pytest.raises(MeasurementError, match="exited with 3"):
        run([sys.executable, "-c", "raise SystemExit(3)"], clean_environment(), settle=False)


def test_linked_files_are_counted_once(tmp_path: Path) -> None:
    (tmp_path / "one").write_bytes(bytes(1 << 20))
    alone = disk_bytes(tmp_path)
    (tmp_path / "two").hardlink_to(tmp_path / "one")
    (tmp_path / "three").symlink_to("one")
    assert disk_bytes(tmp_path) == alone


def test_a_target_is_judged_by_the_medians() -> None:
    row = Row("time", "s", ours=[1.0, 9.0, 1.0], peer=[2.0, 2.0, 0.1], target=1.9)
    assert (row.value, row.reached) == (2.0, True)
    assert Row("time", "s", ours=[], peer=[2.0], target=1.9).reached is None
    assert Row("memory", "MB", ours=[90.0], peer=[], target=80.0, compare="ours").reached is False
    assert Row("requests", "", ours=[3.0], peer=[9.0], target=0.5, compare="share").reached is True
    json.dumps(row.to_dict())


def test_a_gallery_made_quickly_is_one_like_any_other(tmp_path: Path) -> None:
    section = of_gallery(count=200, rounds=3, folder=tmp_path / "gallery")
    figures = [row.ours for row in section.rows]
    assert [len(values) for values in figures] == [1, 1, 3, 3, 3]
    with closing(opened(tmp_path / "gallery")) as gallery:
        assert gallery.count() == 203
        assert [line["action"] for line in gallery.audit()] == ["create", "enrol"] * 3
