"""A file on its way: its digest is right in any order, and never taken on trust."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from holdfast.hub import Partial, _partial, claimed
from holdfast.places import Modes
from holdfast.refs import Digest
from tests.support.repos import noise

MODES = Modes()
STEP = 64 << 10  # small parts here, so that a file of a few hundred kB has several
SIZES = [0, 1, STEP - 1, STEP, STEP + 1, 4 * STEP, 5 * STEP - 7]
CONTENT = {size: noise(size, f"partial {size}") for size in SIZES}
quick = settings(max_examples=60, derandomize=True, deadline=None, database=None)


@pytest.fixture(autouse=True, scope="module")
def small_parts() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_partial, "PART_SIZE", STEP)
        patch.setattr(_partial, "_JOURNALED_FROM", STEP)
        yield


def digest_of(content: bytes, kind: str) -> Digest:
    if kind == "sha256":
        return Digest("sha256", hashlib.sha256(content).hexdigest())
    return Digest("git-sha1", hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest())


def begun(folder: Path, content: bytes, kind: str = "sha256", *, adopt: bool = False) -> Partial:
    return Partial(folder / "part", len(content), digest_of(content, kind), MODES, adopt=adopt)


def fill(partial: Partial, content: bytes, order: random.Random, *, only: int = -1) -> None:
    """Write what is missing in pieces, the parts interleaved; stop after ``only`` bytes."""
    left = only
    while (missing := partial.missing()) and left:
        index = order.choice(missing)
        start = partial.offset(index)
        end = partial.starts[index] + partial.length(index)
        count = min(end - start, order.randrange(1, STEP))
        count = count if left < 0 else min(count, left)
        partial.write(start, content[start : start + count])
        left -= count if left > 0 else 0


def completed(partial: Partial, content: bytes, seed: int = 1) -> bool:
    """Bring the rest; return whether the digest was found to fit."""
    fill(partial, content, random.Random(seed))
    fits = partial.verify() is None
    partial.finish(durable=False)
    return fits


@quick
@given(st.sampled_from(SIZES), st.sampled_from(["sha256", "git-sha1"]), st.integers(0, 10_000))
def test_parts_in_any_order_give_the_digest_of_the_whole(size: int, kind: str, seed: int) -> None:
    with TemporaryDirectory() as folder:
        partial = begun(Path(folder), CONTENT[size], kind)
        assert completed(partial, CONTENT[size], seed)
        assert partial.path.read_bytes() == CONTENT[size]


@quick
@given(st.sampled_from(SIZES[1:]), st.integers(0, 10_000), st.data())
def test_one_wrong_byte_is_always_found(size: int, seed: int, data: st.DataObject) -> None:
    content = CONTENT[size]
    where = data.draw(st.integers(0, size - 1))
    sent = content[:where] + bytes([content[where] ^ 1]) + content[where + 1 :]
    with TemporaryDirectory() as folder:
        partial = begun(Path(folder), content)
        fill(partial, sent, random.Random(seed))
        assert partial.verify() == hashlib.sha256(sent).hexdigest()
        partial.restart()
        assert partial.received == partial.inherited == 0
        assert completed(partial, content, seed)
        assert partial.path.read_bytes() == content


@quick
@given(st.sampled_from(SIZES[1:]), st.integers(0, 10_000), st.floats(0, 1))
def test_what_was_left_is_gone_on_with_and_not_fetched_again(
    size: int, seed: int, share: float
) -> None:
    content = CONTENT[size]
    held = int(size * share)
    with TemporaryDirectory() as folder:
        first = begun(Path(folder), content)
        fill(first, content, random.Random(seed), only=held)
        first.close()
        assert claimed(first.path, size) == held
        second = begun(Path(folder), content, adopt=True)
        assert second.inherited == second.received == held
        assert completed(second, content, seed + 1)
        assert second.path.read_bytes() == content


damages = st.one_of(
    st.tuples(st.just("cut"), st.floats(0, 1)),
    st.tuples(st.just("flip"), st.floats(0, 1)),
    st.tuples(st.just("zero"), st.floats(0, 1)),
    st.tuples(st.just("grow"), st.floats(0, 1)),
)


def damage(path: Path, how: str, share: float) -> None:
    data = bytearray(path.read_bytes())
    where = min(int(len(data) * share), max(len(data) - 1, 0))
    if how == "cut":
        del data[where:]
    elif how == "grow":
        data += bytes(int(200 * share) + 1)
    elif how == "zero":
        data[where:] = bytes(len(data) - where)
    elif data:
        data[where] ^= 0x40
    path.write_bytes(data)


@settings(quick, max_examples=150)
@given(
    st.sampled_from(SIZES[1:]), st.integers(0, 10_000), st.floats(0, 1),
    st.lists(damages, min_size=1, max_size=3),
)  # fmt: skip
@example(5 * STEP - 7, 1, 1.0, [("zero", 0.99)])
def test_whatever_happens_to_the_file_left_wrong_bytes_never_pass(
    size: int, seed: int, share: float, damaged: list[tuple[str, float]]
) -> None:
    content = CONTENT[size]
    with TemporaryDirectory() as folder:
        first = begun(Path(folder), content)
        fill(first, content, random.Random(seed), only=int(size * share))
        first.close()
        for how, where in damaged:
            damage(first.path, how, where)
        assert claimed(first.path, size) >= 0
        second = begun(Path(folder), content, adopt=True)
        assert 0 <= second.inherited <= size
        fill(second, content, random.Random(seed + 1))
        if second.verify() is not None:  # then all of it comes once more, and that is enough
            second.restart()
            fill(second, content, random.Random(seed + 2))
            assert second.verify() is None
        second.finish(durable=False)
        assert second.path.read_bytes() == content


@quick
@given(
    st.one_of(
        st.binary(max_size=400),
        st.builds(lambda tail: bytes(STEP) + b"HOLDPRT1" + tail, st.binary(max_size=200)),
    ),
    st.sampled_from([0, 1, 100, STEP, STEP + 1, 1 << 40]),
)
@example(bytes(STEP) + b"HOLDPRT1" + b"\xff" * 16, STEP)
def test_a_claim_is_read_out_of_anything_and_is_at_most_the_size(data: bytes, size: int) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder, "left")
        path.write_bytes(data)
        assert 0 <= claimed(path, size) <= max(size, 0)


def test_the_journal_is_cut_off_when_the_file_is_done(tmp_path: Path) -> None:
    content = CONTENT[4 * STEP]
    partial = begun(tmp_path, content)
    fill(partial, content, random.Random(1), only=STEP)
    assert partial.path.stat().st_size > len(content)
    assert completed(partial, content)
    assert partial.path.stat().st_size == len(content)


def test_discarding_leaves_nothing(tmp_path: Path) -> None:
    partial = begun(tmp_path, CONTENT[STEP])
    partial.write(0, CONTENT[STEP][:10])
    partial.discard()
    partial.discard()
    assert list(tmp_path.iterdir()) == []
