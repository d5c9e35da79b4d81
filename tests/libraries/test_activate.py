"""`holdfast.activate()` in a program that imports Holdfast, before and after the libraries."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.libraries.conditions import CONDITIONS, Machine, Setting
from tests.libraries.conftest import Models

pytestmark = [pytest.mark.libraries, pytest.mark.linux]

SOURCE = Path(__file__).resolve().parents[2] / "src"
PROGRAMS = (
    "hub", "models", "sentences", "speaker_fetch", "speaker_pretrainer", "speaker_classifier",
    "documents", "documents_tool", "rows", "weights",
)  # fmt: skip


def able_to_import(machine: Machine) -> Machine:
    path = f"{SOURCE}:{machine.env['PYTHONPATH']}"
    return replace(machine, env={**machine.env, "PYTHONPATH": path})


@pytest.mark.parametrize("when", ["activate", "activate_late"])
@pytest.mark.parametrize(
    "condition", ["symlinks-EPERM", pytest.param("foreign-cache", marks=pytest.mark.root)]
)
def test_every_library_works_in_a_program_that_activates(
    setting: Setting, tiny: Models, condition: str, when: str
) -> None:
    with CONDITIONS[condition](setting) as machine:
        ended = able_to_import(machine).run([when, *PROGRAMS], holdfast=False)
    assert ended.ended == dict.fromkeys([when, *PROGRAMS], "works"), ended.err
    content = sum(tiny.sizes.values())
    assert content < ended.disk_bytes < 1.02 * content
