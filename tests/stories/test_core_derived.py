"""What is made of a model's files: once, whole, verified, and gone with the revision."""

from __future__ import annotations

import multiprocessing
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from holdfast.errors import StorageFailed
from holdfast.places import Modes
from holdfast.refs import RepoRef
from holdfast.speech import sample_recording
from holdfast.speech.engines.silero import load_silero
from holdfast.store import Derivation, RepoFolder, derived
from holdfast.wiring import starter_repositories

COMMIT = "c" * 40


@pytest.fixture
def repo(tmp_path: Path) -> RepoFolder:
    return RepoFolder(tmp_path / "hub", RepoRef("owner/model"))


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    folder.mkdir()
    (folder / "weights").write_bytes(b"w" * 100_000)
    return folder


def doubling(made: list[str], version: str = "1") -> Derivation:
    def make(source: Path, target: Path) -> None:
        made.append(version)
        (target / "deep").mkdir()
        (target / "deep" / "weights").write_bytes((source / "weights").read_bytes() * 2)
        (target / "config").write_text(version)

    return Derivation("doubled", version, make)


def test_it_is_made_once_for_a_revision_and_a_converter(repo: RepoFolder, source: Path) -> None:
    made: list[str] = []
    first = derived(repo, COMMIT, source, doubling(made), Modes())
    assert derived(repo, COMMIT, source, doubling(made), Modes()) == first
    assert (first / "deep" / "weights").stat().st_size == 200_000
    assert made == ["1"]
    newer = derived(repo, COMMIT, source, doubling(made, "2"), Modes())
    other = derived(repo, "d" * 40, source, doubling(made), Modes())
    assert len({first, newer, other}) == 3
    assert made == ["1", "2", "1"]


@pytest.mark.parametrize("harm", ["flipped", "missing", "more", "no record", "bad record"])
def test_what_is_damaged_is_made_again(repo: RepoFolder, source: Path, harm: str) -> None:
    made: list[str] = []
    folder = derived(repo, COMMIT, source, doubling(made), Modes())
    weights = folder / "deep" / "weights"
    if harm == "flipped":
        content = bytearray(weights.read_bytes())
        content[7] ^= 1
        weights.write_bytes(content)
    elif harm == "missing":
        weights.unlink()
    elif harm == "more":
        (folder / "what").write_text("is this")
    elif harm == "no record":
        (folder / "holdfast-derived.json").unlink()
    else:
        (folder / "holdfast-derived.json").write_text("[]")
    assert derived(repo, COMMIT, source, doubling(made), Modes()) == folder
    assert weights.read_bytes() == b"w" * 200_000
    assert not (folder / "what").exists()
    assert len(made) == 2


def test_a_converter_that_fails_leaves_nothing(repo: RepoFolder, source: Path) -> None:
    def make(source: Path, target: Path) -> None:
        (target / "half").write_bytes(b"x")
        raise ZeroDivisionError("in a converter")

    with pytest.raises(ZeroDivisionError):
        derived(repo, COMMIT, source, Derivation("broken", "1", make), Modes())
    assert list((repo.own / "derived").iterdir()) == []


def test_one_that_was_killed_at_it_is_cleaned_up_after(
    repo: RepoFolder, source: Path, tmp_path: Path
) -> None:
    program = f"""
import sys, time
from pathlib import Path
from holdfast.places import Modes
from holdfast.refs import RepoRef
from holdfast.store import Derivation, RepoFolder, derived
def make(source, target):
    (target / "half").write_bytes(b"x")
    print("half", flush=True)
    time.sleep(60)
repo = RepoFolder(Path({str(tmp_path / "hub")!r}), RepoRef("owner/model"))
derived(repo, "{COMMIT}", Path({str(source)!r}), Derivation("doubled", "1", make), Modes())
"""
    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "half\n"
        process.send_signal(signal.SIGKILL)
    made: list[str] = []
    folder = derived(repo, COMMIT, source, doubling(made), Modes())
    assert made == ["1"]
    assert list((repo.own / "derived").iterdir()) == [folder]


def make_slowly(source: Path, target: Path) -> None:
    with (source / "made").open("a") as file:
        file.write("x")
    time.sleep(0.3)
    (target / "weights").write_bytes(b"w")


def make_one(hub: Path, source: Path) -> None:
    what = Derivation("slow", "1", make_slowly)
    derived(RepoFolder(hub, RepoRef("owner/model")), COMMIT, source, what, Modes(), proven=True)


def test_several_processes_make_it_once(tmp_path: Path, source: Path) -> None:
    processes = [
        multiprocessing.get_context("spawn").Process(
            target=make_one, args=(tmp_path / "hub", source)
        )
        for _ in range(4)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * 4
    assert (source / "made").read_text() == "x"


def test_it_goes_with_its_revision(repo: RepoFolder, source: Path) -> None:
    folder = derived(repo, COMMIT, source, doubling([]), Modes())
    repo.snapshot(COMMIT).mkdir(parents=True)
    repo.remove_revision(COMMIT)
    assert not folder.exists()


@pytest.mark.linux
def test_a_place_that_cannot_be_written_is_said(repo: RepoFolder, source: Path) -> None:
    repo.own.parent.mkdir(parents=True)
    repo.own.write_text("a file where the folder should be")
    with pytest.raises(StorageFailed, match="cannot be kept"):
        derived(repo, COMMIT, source, doubling([]), Modes())


def test_a_real_model_in_another_form_answers_the_same(repo: RepoFolder, tmp_path: Path) -> None:
    import onnxruntime

    from holdfast.media import audio_blocks
    from holdfast.speech import detect_speech

    starter_repositories(tmp_path / "starter")
    (model,) = (tmp_path / "starter").rglob("silero_vad.onnx")

    def optimise(source: Path, target: Path) -> None:
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
        options.optimized_model_filepath = str(target / model.name)
        onnxruntime.InferenceSession(
            source / model.name, options, providers=["CPUExecutionProvider"]
        )

    what = Derivation("onnx-optimised", f"onnxruntime {onnxruntime.__version__}", optimise)
    folder = derived(repo, COMMIT, model.parent, what, Modes())
    answers = []
    for place in (model.parent, folder):
        engine = load_silero(place)
        answers.append(detect_speech(engine, audio_blocks(sample_recording())))
    assert answers[0] == answers[1] != []
    assert (folder / model.name).read_bytes() != model.read_bytes()
