"""`holdfast convert` as people run it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.documents import MADE, PARAGRAPHS, encrypted_pdf, many_pages

COMMAND = [sys.executable, "-m", "holdfast", "convert"]


class Desk:
    """A folder with documents, and somebody at work in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "tmp").mkdir()
        self.env = {"PATH": os.environ["PATH"], "HOME": str(folder), "TMPDIR": str(folder / "tmp")}

    def put(self, *names: str, under: str = "") -> None:
        (self.folder / under).mkdir(exist_ok=True)
        for name in names:
            (self.folder / under / name).write_bytes(MADE[name]())

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*COMMAND, *words], env=self.env, cwd=self.folder, capture_output=True, text=True,
            timeout=120, check=False,
        )  # fmt: skip

    def read(self, name: str) -> str:
        return (self.folder / name).read_text("utf-8")


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path)
    yield made
    assert [*(tmp_path / "tmp").iterdir()] == []  # whatever happened


def test_one_document_goes_to_the_terminal_or_where_it_is_sent(desk: Desk) -> None:
    desk.put("light.docx")
    shown = desk.run("light.docx")
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.startswith("# The light\n")
    assert "layout by geometry, no model" in shown.stderr
    into = desk.run("light.docx", "-o", "made.html")
    assert into.stdout == "made.html\n"
    assert "<h1>The light</h1>" in desk.read("made.html")
    as_json = json.loads(desk.run("light.docx", "--json").stdout)
    assert as_json["md"].startswith("# The light")


def test_folders_are_converted_beside_or_below_in_every_form_and_once(desk: Desk) -> None:
    desk.put("light.docx", "ships.xlsx", under="in")
    desk.put("invoice.pdf", under="in/deep")
    first = desk.run("in", "--to", "md,json", "-o", "out", "--workers", "2")
    assert first.returncode == 0, first.stderr
    assert sorted(first.stdout.split()) == [
        "out/deep/invoice.json", "out/deep/invoice.md", "out/light.json", "out/light.md",
        "out/ships.json", "out/ships.md",
    ]  # fmt: skip
    assert "| Lamp oil |" in desk.read("out/deep/invoice.md")
    assert json.loads(desk.read("out/light.json"))["schema_name"] == "DoclingDocument"
    again = desk.run("in", "--to", "md,json", "-o", "out")
    assert (again.returncode, again.stdout) == (0, "")
    assert "3 of 3 are converted already" in again.stderr
    os.utime(desk.folder / "in/ships.xlsx", (1, 1))
    changed = desk.run("in", "--to", "md,json", "-o", "out")
    assert sorted(changed.stdout.split()) == ["out/ships.json", "out/ships.md"]
    beside = desk.run("in", "in/*.md")
    assert "in/light.md" in beside.stdout.split()
    # What was made is Markdown, and is not converted in its turn.
    assert desk.run("in").stdout == ""


def test_the_only_document_of_a_folder_is_written_beside_as_several_are(desk: Desk) -> None:
    desk.put("light.docx", under="in")
    done = desk.run("in")
    assert done.stdout == "in/light.md\n"
    assert desk.read("in/light.md").startswith("# The light")


def test_what_somebody_wrote_is_left_alone(desk: Desk) -> None:
    desk.put("light.docx", "ships.xlsx")
    (desk.folder / "light.md").write_text("mine")
    refused = desk.run("light.docx", "ships.xlsx")
    assert refused.returncode == 2
    assert "light.md would be written over" in refused.stderr
    assert desk.read("light.md") == "mine"
    assert refused.stdout == "ships.md\n"  # it stops no other
    assert desk.run("light.docx", "ships.xlsx", "--again").returncode == 0
    assert desk.read("light.md").startswith("# The light")


def test_one_bad_document_stops_nobody_and_is_reported(desk: Desk) -> None:
    desk.put("light.docx", "ships.xlsx")
    (desk.folder / "locked.pdf").write_bytes(encrypted_pdf())
    (desk.folder / "torn.docx").write_bytes(MADE["light.docx"]()[:5_000])
    done = desk.run("light.docx", "locked.pdf", "torn.docx", "ships.xlsx", "gone.pdf", "-o", "out")
    assert done.returncode == 9
    assert sorted(done.stdout.split()) == ["out/light.md", "out/ships.md"]
    for told in (
        "error[document-encrypted]: locked.pdf",
        "error[document-damaged]: torn.docx",
        "there is no document gone.pdf",
        "2 of 4 converted; not: locked.pdf, torn.docx",
    ):
        assert told in done.stderr
    assert done.stderr.count("  try: ") == 3
    alone = desk.run("locked.pdf")
    assert alone.returncode == 9
    assert "Traceback" not in alone.stderr
    assert "WARNING" not in done.stderr + alone.stderr  # what libraries say of it is for --verbose
    assert "WARNING" in desk.run("locked.pdf", "--verbose").stderr


def test_pages_and_pictures_are_read_as_asked(desk: Desk) -> None:
    (desk.folder / "many.pdf").write_bytes(many_pages(30))
    text = desk.run("many.pdf", "--pages", "4-6").stdout
    assert [f"page {number}." in text for number in (3, 4, 6, 7)] == [False, True, True, False]


def test_an_interrupted_run_goes_on_where_it_was(desk: Desk) -> None:
    desk.put("light.docx", "ships.xlsx", "report.pdf", under="in")
    for number in range(12):
        (desk.folder / f"in/many{number}.pdf").write_bytes(many_pages(60))
    with subprocess.Popen(
        [*COMMAND, "in", "-o", "out"], env=desk.env, cwd=desk.folder, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        first = process.stdout.readline().strip()
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "interrupted" in told
    before = {path: path.stat().st_mtime_ns for path in (desk.folder / "out").rglob("*.md")}
    assert desk.folder / first in before
    assert len(before) < 15
    done = desk.run("in", "-o", "out")
    assert done.returncode == 0, done.stderr
    assert len([*(desk.folder / "out").rglob("*.md")]) == 15
    assert all(path.stat().st_mtime_ns == when for path, when in before.items())
    assert PARAGRAPHS[0] in desk.read("out/report.md").replace("\n", " ")


WRONG = {
    "no such form": (("light.docx", "--to", "docx"), "is none of md, json"),
    "no range": (("light.docx", "--pages", "7-3"), "no range of pages"),
    "no number": (("light.docx", "--workers", "0"), "no number from 1 to 64"),
    "two forms on the terminal": (
        ("light.docx", "--to", "md,json", "-o", "-"),
        "one form at a time",
    ),
    "two forms in a file": (("light.docx", "--to", "md,json", "-o", "a.md"), "takes one form"),
    "another suffix": (("light.docx", "-o", "a.docm"), "no form that can be written"),
    "nothing there": (("none",), "there is no document none"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_cannot_be_done_is_told_at_once(desk: Desk, wrong: str) -> None:
    desk.put("light.docx")
    words, told = WRONG[wrong]
    begun = time.monotonic()
    done = desk.run(*words)
    assert (done.returncode, done.stdout) == (2, "")
    assert told in done.stderr
    assert time.monotonic() - begun < 60
