"""Pauses differ, and whose program it is notices nothing."""

from __future__ import annotations

import random

from holdfast.chance import chance, jittered


def test_pauses_differ_within_bounds() -> None:
    found = [jittered(10.0) for _ in range(500)]
    assert 8.0 <= min(found) < 8.5
    assert 11.5 < max(found) <= 12.0
    assert all(0.0 <= chance() < 1.0 for _ in range(100))


def test_the_numbers_of_a_program_that_seeded_them_stay_as_they_are() -> None:
    random.seed(7)
    expected = [random.random() for _ in range(3)]
    random.seed(7)
    found = []
    for _ in range(3):
        jittered(1.0)
        chance()
        found.append(random.random())
    assert found == expected
