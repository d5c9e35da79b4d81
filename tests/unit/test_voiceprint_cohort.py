"""Adaptive s-norm, against cases worked out by hand and a second way to compute it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.voiceprint import Cohort, CohortInvalid, alike


def people(count: int, dimension: int = 16, seed: int = 0) -> Any:
    rows = np.random.default_rng(seed).normal(size=(count, dimension)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_a_case_by_hand() -> None:
    # The cohort scores 0.6, 0.8 with the first voice and 0.0, 1.0 with the second: means 0.7 and
    # 0.5, deviations 0.1 and 0.5.
    cohort = Cohort("m", np.array([[0.6, 0.8], [0.8, 0.6]], np.float32))
    first, second = np.array([1.0, 0.0]), np.array([0.6, 0.8])
    one = (0.6 - 0.7) / 0.1
    scores = np.array([1.0, 0.96])
    other = (0.6 - scores.mean()) / scores.std()
    assert cohort.normalised(0.6, first, second) == pytest.approx((one + other) / 2, rel=1e-5)


def test_only_those_who_sound_most_alike_count() -> None:
    rows = people(1000)
    cohort = Cohort("m", rows)
    enrolled, probe = people(2, seed=9)
    score = alike(enrolled, probe)

    def standard(voice: Any) -> float:
        nearest = np.sort(rows.astype(float) @ voice)[-300:]
        return float((score - nearest.mean()) / nearest.std())

    expected = (standard(enrolled) + standard(probe)) / 2
    assert cohort.normalised(score, enrolled, probe) == pytest.approx(expected, rel=1e-4)


@given(st.integers(0, 1000), st.floats(0.1, 50), st.floats(0.1, 50))
def test_it_is_symmetric_and_blind_to_loudness(seed: int, loud: float, soft: float) -> None:
    cohort = Cohort("m", people(40))
    one, other = people(2, seed=seed + 5000)
    score = alike(one, other)
    found = cohort.normalised(score, one, other)
    assert cohort.normalised(score, other, one) == pytest.approx(found, rel=1e-4, abs=1e-4)
    assert cohort.normalised(score, loud * one, soft * other) == pytest.approx(
        found, rel=1e-3, abs=1e-3
    )
    assert cohort.normalised(score + 0.1, one, other) > found


def test_a_voice_that_everybody_sounds_like_is_brought_down() -> None:
    middle = np.ones(16) / 4
    near = people(50, seed=3) * 0.3 + middle
    cohort = Cohort("m", (near / np.linalg.norm(near, axis=1, keepdims=True)).astype(np.float32))
    far = people(2, seed=77)
    assert cohort.normalised(0.6, middle, middle) < cohort.normalised(0.6, far[0], far[1])


def test_it_is_read_as_it_was_written_and_nothing_else_is() -> None:
    cohort = Cohort("0123456789abcdef", people(25))
    again = Cohort.from_bytes(cohort.to_bytes())
    assert (again.model, again.digest) == (cohort.model, cohort.digest)
    assert np.array_equal(again.rows, cohort.rows)
    assert Cohort("0123456789abcdef", people(25, seed=1)).digest != cohort.digest
    for harmed in (b"", b"rubbish", cohort.to_bytes()[:-4], b"\n".join([b"x", b"m 1 1", b"1234"])):
        with pytest.raises(CohortInvalid) as refused:
            Cohort.from_bytes(harmed)
        assert "calibrate" in refused.value.hint
