"""What a form asks of a recording, and what it cannot ask."""

from __future__ import annotations

import base64
import contextlib
import io
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.api._asked import TranscriptionAsked, asked_of
from holdfast.api._uploads import Upload, UploadInvalid
from holdfast.errors import HoldfastError
from holdfast.speech import FORMATS, RECORDING, OptionInvalid, TurnDetection

SOUND = b"RIFF, or so it says"
DATA = "data:audio/wav;base64," + base64.b64encode(SOUND).decode()
NAMES = (
    "model", "prompt", "temperature", "response_format", "language", "languages[]", "stream",
    "keywords[]", "channel", "chunking_strategy", "chunking_strategy[type]",
    "chunking_strategy[threshold]", "chunking_strategy[silence_duration_ms]",
    "timestamp_granularities[]", "include[]", "known_speaker_names[]",
    "known_speaker_references[]", "file", "nonsense",
)  # fmt: skip


def asked(*pairs: tuple[str, str], task: Any = "transcribe", **fields: str) -> TranscriptionAsked:
    given = [*fields.items(), *pairs]
    return asked_of(Upload([io.BytesIO(SOUND)], ["audio/wav"], ["a.wav"], given), task)


def test_who_asks_nothing_gets_the_usual() -> None:
    found = asked()
    assert (found.form, found.granularities, found.model) == ("json", ("segment",), "")
    assert (found.stream, found.logprobs, found.speakers) == (False, False, False)
    assert not found.known_speakers
    request = found.request
    assert (request.language, request.languages, request.cut) == ("", (), RECORDING)
    assert (request.options.task, request.options.temperature) == ("transcribe", None)
    assert not request.options.words


def test_what_is_asked_is_what_is_read() -> None:
    found = asked(
        ("timestamp_granularities[]", "word"), ("timestamp_granularities[]", "segment"),
        ("keywords[]", "Holdfast"), ("keywords[]", "Zürich"), ("languages[]", "de"),
        model="whisper-1", prompt=" Hello. ", temperature="0.4", language="german",
        response_format="verbose_json",
    )  # fmt: skip
    assert (found.model, found.form) == ("whisper-1", "verbose_json")
    assert found.granularities == ["word", "segment"]
    options = found.request.options
    assert (options.prompt, options.temperature, options.words) == (
        "Hello. Holdfast, Zürich", 0.4, True,
    )  # fmt: skip
    assert (found.request.language, found.request.languages) == ("german", ("de",))
    assert asked(("include[]", "logprobs")).request.options.words
    assert asked(task="translate").request.options.task == "translate"


@pytest.mark.parametrize(("said", "meant"), [("true", True), ("1", True), ("False", False)])
def test_a_flag_is_said_in_several_ways(said: str, meant: bool) -> None:
    assert asked(stream=said).stream is meant


CUTS: dict[str, tuple[dict[str, str], TurnDetection]] = {
    "auto": ({"chunking_strategy": "auto"}, RECORDING),
    "by name": ({"chunking_strategy": "server_vad"}, RECORDING),
    "an object": (
        {"chunking_strategy": json.dumps({"type": "server_vad", "threshold": 0.7,
                                          "silence_duration_ms": 400, "prefix_padding_ms": 50})},
        TurnDetection(0.7, 400, 50),
    ),
    "an object in fields": (
        {"chunking_strategy[type]": "server_vad", "chunking_strategy[threshold]": "0.7",
         "chunking_strategy[silence_duration_ms]": "400"},
        TurnDetection(0.7, 400, 200),
    ),
}  # fmt: skip


@pytest.mark.parametrize("how", CUTS)
def test_how_it_is_cut_may_be_said_as_clients_do(how: str) -> None:
    fields, options = CUTS[how]
    assert asked(**fields).request.cut == options


def test_a_known_speaker_has_a_name_and_a_sound() -> None:
    found = asked(
        ("known_speaker_names[]", "Ada"), ("known_speaker_references[]", DATA),
        ("known_speaker_names[]", "Bo"), ("known_speaker_references[]", DATA),
        response_format="diarized_json",
    )  # fmt: skip
    assert found.speakers
    assert [name for name, _ in found.known_speakers] == ["Ada", "Bo"]
    for _, recording in found.known_speakers:
        assert isinstance(recording.file, io.BytesIO)
        assert recording.file.getvalue() == SOUND


Pairs = list[tuple[str, str]]
DIARIZED = ("response_format", "diarized_json")
NAMED = ("known_speaker_names[]", "Ada")
REFERENCE = ("known_speaker_references[]", DATA)
CUT = "chunking_strategy"
WRONG: dict[str, tuple[Pairs, type[HoldfastError], str]] = {
    "no such field": ([("colour", "red")], UploadInvalid, "colour"),
    "a field twice": ([("language", "en"), ("language", "de")], UploadInvalid, "language"),
    "no such form": ([("response_format", "xml")], OptionInvalid, "response_format"),
    "no such grain": (
        [("response_format", "verbose_json"), ("timestamp_granularities[]", "letter")],
        OptionInvalid, "timestamp_granularities",
    ),
    "grains of a text": (
        [("timestamp_granularities[]", "word")], OptionInvalid, "timestamp_granularities",
    ),
    "a stream of subtitles": (
        [("response_format", "srt"), ("stream", "true")], OptionInvalid, "stream",
    ),
    "perhaps a stream": ([("stream", "perhaps")], OptionInvalid, "stream"),
    "what cannot be included": ([("include[]", "item")], OptionInvalid, "include"),
    "probabilities of subtitles": (
        [("include[]", "logprobs"), ("response_format", "srt")], OptionInvalid, "include",
    ),
    "too hot": ([("temperature", "1.5")], OptionInvalid, "temperature"),
    "no number": ([("temperature", "warm")], OptionInvalid, "temperature"),
    "not a number": ([("temperature", "nan")], OptionInvalid, "temperature"),
    "another cut": ([(CUT, "fixed")], OptionInvalid, CUT),
    "half an object": ([(CUT, '{"type": ')], OptionInvalid, CUT),
    "an object without a bottom": ([(CUT, '{"a":' * 100_000)], OptionInvalid, CUT),
    "an object of another kind": ([(CUT, '{"type": "client_vad"}')], OptionInvalid, CUT),
    "no such cut": ([(CUT, '{"type": "server_vad", "colour": 1}')], OptionInvalid, CUT),
    "an endless pause": ([(CUT, '{"silence_duration_ms": 1e999}')], OptionInvalid,
                         f"{CUT}.silence_duration_ms"),
    "a pause that is too long": ([(CUT, '{"silence_duration_ms": 99999}')], OptionInvalid, CUT),
    "a name without a sound": ([DIARIZED, NAMED], OptionInvalid, "known_speaker_references"),
    "too many names": (
        [DIARIZED, *[NAMED, REFERENCE] * 17], OptionInvalid,
        "known_speaker_references",
    ),
    **{
        f"a name {how}": (
            [DIARIZED, *[("known_speaker_names[]", name), REFERENCE] * times], OptionInvalid,
            "known_speaker_names",
        )
        for how, name, times in (
            ("of nothing", "", 1), ("of space", " ", 1), ("of the unknown", "unknown", 1),
            ("that comes twice", "Ada", 2), ("with a line break", "Ada\nBo", 1),
            ("that never ends", "a" * 201, 1),
        )
    },
    "speakers of a text": (
        [NAMED, REFERENCE], OptionInvalid, "known_speaker_names",
    ),
    **{
        f"a sound that is {what}": (
            [DIARIZED, NAMED, ("known_speaker_references[]", text)], OptionInvalid,
            "known_speaker_references",
        )
        for what, text in {
            "an address": "https://example.com/a.wav", "not base64": DATA + "*",
            "not even ASCII": DATA + "ü", "empty": "data:audio/wav;base64,",
            "too large": "data:audio/wav;base64," + "AAAA" * 3_400_000,
        }.items()
    },
}  # fmt: skip


@pytest.mark.parametrize("wrong", WRONG)
def test_what_cannot_be_asked_is_told_with_the_field(wrong: str) -> None:
    pairs, kind, param = WRONG[wrong]
    with pytest.raises(kind) as refused:
        asked(*pairs)
    assert refused.value.facts["param"] == param
    assert len(str(refused.value)) < 1_000
    assert refused.value.http_status == 422


@pytest.mark.parametrize("name", ["language", "languages[]", "stream", "include[]"])
def test_a_translation_is_asked_less(name: str) -> None:
    with pytest.raises(UploadInvalid) as refused:
        asked((name, "en"), task="translate")
    assert refused.value.facts["param"] == name


VALUES = st.one_of(
    st.text(max_size=12), st.sampled_from([*FORMATS, "word", "segment", "logprobs", "true", DATA]),
    st.floats().map(str), st.from_type(dict[str, float]).map(json.dumps),
)  # fmt: skip


@given(st.lists(st.tuples(st.sampled_from(NAMES), VALUES), max_size=6),
       st.sampled_from(["transcribe", "translate"]))  # fmt: skip
def test_whatever_is_asked_is_read_or_refused(pairs: Pairs, task: str) -> None:
    with contextlib.suppress(UploadInvalid, OptionInvalid):
        found = asked(*pairs, task=task)
        assert found.form in FORMATS
        temperature = found.request.options.temperature
        assert temperature is None or 0 < temperature <= 1
        assert found.request.cut == found.request.cut.checked("chunking_strategy")
