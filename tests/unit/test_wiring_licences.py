"""Licences that the settings allow, and those that they do not."""

from __future__ import annotations

import pytest

from holdfast.config._reading import names
from holdfast.runtime import LicenceRefused
from holdfast.wiring import _provide
from holdfast.wiring._licences import UNSTATED, check_licence


@pytest.mark.parametrize(
    ("licence", "allowed"),
    [
        ("cc-by-nc-4.0", ""),
        (UNSTATED, ""),
        ("Apache-2.0", "apache-2.0"),
        ("mit", "MIT"),
        ("cc-by-4.0", "mit cc-by-*"),
        ("mit, apache-2.0", "apache-* mit"),
        (UNSTATED, "*"),
    ],
)
def test_what_is_allowed_is_not_spoken_of(licence: str, allowed: str) -> None:
    check_licence("tts", licence, allowed.split())


@pytest.mark.parametrize(
    ("licence", "allowed"),
    [
        ("cc-by-nc-4.0", "mit"),
        ("cc-by-nc-4.0", "cc-by-4.0 nc-4.0"),
        ("mit, cc-by-nc-4.0", "mit*"),
        ("apache-2", "apache-2.0"),
    ],
)
def test_what_is_not_allowed_is_refused_with_the_setting_that_would(
    licence: str, allowed: str
) -> None:
    with pytest.raises(LicenceRefused) as caught:
        check_licence("tts", licence, allowed.split())
    error = caught.value
    assert f"tts is under the licence {licence}" in str(error)
    assert error.facts == {"licence": licence, "setting": "allow_licences"}
    cure = error.hint.partition("HOLDFAST_ALLOW_LICENCES=")[2].strip("'")
    check_licence("tts", licence, names(cure))


def test_a_model_that_states_nothing_is_not_taken_for_an_allowed_one() -> None:
    with pytest.raises(LicenceRefused, match="states no licence") as caught:
        check_licence("tts", UNSTATED, ["mit"])
    assert caught.value.facts["licence"] is None


def test_the_card_comes_along_with_every_model() -> None:
    for patterns in (*_provide._FILES.values(), _provide._DETECTOR_FILES):
        assert "README.md" in patterns
