"""Lists of trials in the forms they are published in, and what is kept while they are scored."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.cli.main import build_parser
from holdfast.voiceprint import SpoofVerdict
from holdfast.voiceprint.evaluation import (
    FORMS,
    LinesInvalid,
    Measured,
    ScoreFile,
    Scores,
    Trial,
    TrialsInvalid,
    WorkFile,
    enrolment_of,
    pair_scores,
    parse,
    read_trials,
)

ABOUT = {"model": "m", "detector": "", "list": "d", "audio": "/a", "reading": "all"}
# Lines as they stand in the published lists.
LINES = {
    "voxceleb": ("1 id10270/5r0dWxy17C8/00001.wav id10270/8jEAjG6SegY/00008.wav",
                 Trial("target", "id10270/5r0dWxy17C8/00001.wav", "id10270/8jEAjG6SegY/00008.wav")),
    "asvspoof2019-cm": ("LA_0039 LA_E_2834763 - A11 spoof",
                        Trial("spoof", "LA_0039", "LA_E_2834763", "A11")),
    "asvspoof2019-asv": ("LA_0015 LA_E_1103494 bonafide target",
                         Trial("target", "LA_0015", "LA_E_1103494")),
    "asvspoof2021-cm": ("LA_0009 LA_E_9332881 alaw ita_tx A07 spoof notrim eval",
                        Trial("spoof", "LA_0009", "LA_E_9332881", "A07")),
    "asvspoof5-cm": ("D_4461 D_0000000169 F - - - AC1 A14 spoof -",
                     Trial("spoof", "D_4461", "D_0000000169", "A14")),
    "asvspoof5-asv": ("D_0062 D_0000000001 F A11 spoof",
                      Trial("spoof", "D_0062", "D_0000000001", "A11")),
}  # fmt: skip
MORE = [
    ("asvspoof2019-cm", "PA_0079 PA_T_0000001 aaa - bonafide", "bonafide", ""),
    ("asvspoof2021-cm",
     "LA_0023 DF_E_2000011 nocodec asvspoof A14 spoof notrim progress traditional_vocoder - - - -",
     "spoof", "A14"),
    ("asvspoof5-cm", "D_0461 D_0000000190 M - - - - bonafide bonafide -", "bonafide", ""),
    ("voxceleb", "spoof a.wav b.wav", "spoof", ""),
]  # fmt: skip
WORDS = st.text(st.characters(codec="utf-8", exclude_categories=["Z", "C"]), min_size=1).filter(
    lambda text: text.split() == [text] and not text.startswith("#")
)


@pytest.mark.parametrize("name", FORMS)
def test_a_published_line_is_recognised(name: str) -> None:
    line, trial = LINES[name]
    found = parse(["# a comment\n", "\n", line + "\n"])
    assert (found.form.name, found.trials) == (name, [trial])


@pytest.mark.parametrize(("name", "line", "label", "attack"), MORE)
def test_variants_of_a_form_are_recognised(name: str, line: str, label: str, attack: str) -> None:
    found = parse([line])
    assert found.form.name == name
    assert (found.trials[0].label, found.trials[0].attack) == (label, attack)


def test_the_command_line_knows_every_form() -> None:
    given = build_parser(["voiceprint"]).parse_args
    for name in FORMS:
        chosen = given(["voiceprint", "evaluate", "x", "--form", name])
        assert chosen.form == name


@pytest.mark.parametrize("name", FORMS)
@given(data=st.data())
def test_what_a_form_says_is_read_back(name: str, data: Any) -> None:
    form = FORMS[name]
    width = data.draw(st.sampled_from(form.widths))
    parts = data.draw(st.lists(WORDS, min_size=width, max_size=width))
    said = data.draw(st.sampled_from(sorted(form.labels)))
    if form.gendered is not None:
        parts[2] = data.draw(st.sampled_from("FM")) if form.gendered else "-"
    parts[form.key] = said
    if parts[0].startswith("#"):
        return
    found = parse([" ".join(parts)])
    assert found.form == form
    (trial,) = found.trials
    assert (trial.enrol, trial.test) == (parts[form.enrol], parts[form.test])
    assert trial.label == form.labels[said]


@given(st.lists(st.text(), max_size=6))
def test_any_lines_are_a_list_or_say_which_line_is_not(lines: list[str]) -> None:
    said = ""
    try:
        assert parse(lines).trials
    except LinesInvalid as error:
        said = str(error)
    assert not said or "line " in said or "no trials" in said


def test_the_first_line_that_does_not_fit_is_named(tmp_path: Path) -> None:
    path = tmp_path / "list"
    path.write_text("1 a b\n0 a c\nLA_1 F - A1 spoof\nx\n")
    with pytest.raises(TrialsInvalid, match=r"line 3 is not of it .*'LA_1 F - A1 spoof'"):
        read_trials(path)
    with pytest.raises(TrialsInvalid, match="line 1 is not of it"):
        read_trials(path, "asvspoof5-cm")


def test_models_need_what_is_enrolled_for_them(tmp_path: Path) -> None:
    trials, enrolled, more = (tmp_path / name for name in ("trl", "trn", "trn2"))
    trials.write_text("S1 f1 bonafide target\nS2 f2 bonafide nontarget\nS1 f3 A07 spoof\n")
    enrolled.write_text("S1 e1,e2\n")
    more.write_text("S2 e3\n")
    with pytest.raises(TrialsInvalid, match="nothing says what is enrolled for S1, S2"):
        read_trials(trials)
    with pytest.raises(TrialsInvalid, match="enrolled for S2"):
        read_trials(trials, enrolment=[enrolled])
    found = read_trials(trials, enrolment=[enrolled, more])
    assert found.recordings() == ["e1", "e2", "f1", "e3", "f2", "f3"]
    assert found.digest != read_trials(trials, enrolment=[more, enrolled]).digest
    with pytest.raises(TrialsInvalid, match="S2 is in another enrolment list too"):
        read_trials(trials, enrolment=[enrolled, more, more])
    pairs = tmp_path / "pairs"
    pairs.write_text("1 a b\n")
    with pytest.raises(TrialsInvalid, match="has no models"):
        read_trials(pairs, enrolment=[enrolled])


@pytest.mark.parametrize("lines", [["a"], ["a b c"], ["a ,"], ["a b", "a c"]])
def test_an_enrolment_list_that_is_none_is_refused(lines: list[str]) -> None:
    with pytest.raises(LinesInvalid, match=f"line {len(lines)} "):
        enrolment_of(lines)


def test_a_model_is_the_mean_of_its_recordings_directions(tmp_path: Path) -> None:
    trials, enrolled = tmp_path / "trl", tmp_path / "trn"
    trials.write_text("S f bonafide target\nS g bonafide nontarget\nT f A1 spoof\n")
    enrolled.write_text("S a,b,lost\nT lost\n")
    found = read_trials(trials, enrolment=[enrolled])
    vectors = {"a": [3.0, 0.0], "b": [0.0, 0.5], "f": [2.0, 0.0]}
    known = {name: Measured(np.array(each, np.float32)) for name, each in vectors.items()}
    scores = pair_scores(found, found.trials, known)
    assert scores[0] == pytest.approx(np.sqrt(0.5))  # both count alike, whatever their length
    assert np.isnan(scores[1:]).all()


TRIALS = [Trial("target", "a", "b"), Trial("nontarget", "a", "c"), Trial("spoof", "a", "d", "A1")]


def test_scores_are_read_back_with_what_a_detector_said(tmp_path: Path) -> None:
    kept = ScoreFile(tmp_path / "scores")
    values = np.array([0.1, np.nan, -1 / 3])
    said = {"b": SpoofVerdict("bona_fide", 2.5), "d": SpoofVerdict("not_evaluated")}
    kept.write(ABOUT, TRIALS, Scores(values, said))
    found = kept.read(TRIALS)
    assert np.array_equal(found.values, values, equal_nan=True)
    assert found.spoof == said
    kept.check(ABOUT)


@pytest.mark.parametrize("name", ABOUT)
def test_scores_of_something_else_are_refused(tmp_path: Path, name: str) -> None:
    kept = ScoreFile(tmp_path / "scores")
    kept.check(ABOUT)  # nothing is there yet
    kept.write(ABOUT, TRIALS, Scores(np.zeros(3)))
    with pytest.raises(TrialsInvalid, match=r"scores is of another .*'other'"):
        kept.check(ABOUT | {name: "other"})


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda text: text.replace("\tb\t", "\tx\t"), "line 3 is damaged"),
        (lambda text: text.replace("0.0", "zero"), "line 3 is damaged"),
        (lambda text: "1 a b\n" + text, "does not begin with"),
        (lambda text: text.replace("{", "[", 1), "line 1 is damaged"),
    ],
)
def test_damaged_scores_are_refused(tmp_path: Path, change: Any, why: str) -> None:
    kept = ScoreFile(tmp_path / "scores")
    kept.write(ABOUT, TRIALS, Scores(np.zeros(3)))
    kept.path.write_text(change(kept.path.read_text()))

    def used() -> None:
        kept.check(ABOUT)
        kept.read(TRIALS)

    with pytest.raises(TrialsInvalid, match=why):
        used()


@given(cut=st.integers(0, 1400))
def test_work_that_was_cut_off_anywhere_goes_on(
    tmp_path_factory: pytest.TempPathFactory, cut: int
) -> None:
    path = tmp_path_factory.mktemp("work") / "work"
    random = np.random.default_rng(1)
    found = {
        name: Measured(
            random.normal(size=24).astype(np.float32), SpoofVerdict("spoof", -1.0, model="m")
        )
        for name in ("a", "b/ü.wav", "c")
    } | {"d": Measured(None, SpoofVerdict("bona_fide", 0.5))}
    with WorkFile(path, ABOUT) as work:
        assert work.read() == {}
        for name, each in found.items():
            work.add(name, each)
    whole = path.read_bytes()
    path.write_bytes(whole[:cut])
    with WorkFile(path, ABOUT) as work:
        again = work.read()
        assert list(again) == list(found)[: len(again)]
        for name, each in again.items():
            assert np.array_equal(each.vector, found[name].vector)  # type: ignore[arg-type]
            assert each.spoof == found[name].spoof
        for name in list(found)[len(again) :]:
            work.add(name, found[name])
    assert path.read_bytes() == whole
    with pytest.raises(TrialsInvalid, match="another model"):
        WorkFile(path, ABOUT | {"model": "n"}).read()
    work.remove()
    assert not path.exists()
