"""What a form asks of a recording. Rules only; nothing here does I/O."""

import base64
import contextlib
import io
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from holdfast.api._recordings import CHANNEL
from holdfast.api._uploads import Upload, UploadInvalid
from holdfast.media import Recording
from holdfast.speech import (
    FORMATS,
    RECORDING,
    UNKNOWN_SPEAKER,
    Format,
    OptionInvalid,
    ReadingRequest,
    ReadOptions,
    Task,
    TurnDetection,
)

__all__ = ["DIARIZED", "MOST_FIELD_BYTES", "TranscriptionAsked", "asked_of"]

DIARIZED: Format = "diarized_json"
_GRANULARITIES = ("word", "segment")
_CHUNKING = "chunking_strategy"
_MOST_SPEAKERS = 16
_LONGEST_NAME = 200
_MOST_REFERENCE_BYTES = 10_000_000
# In base64, with its head.
MOST_FIELD_BYTES = 14_000_000
# These may come several times, and with [] behind them.
_LISTS = ("timestamp_granularities", "include", "known_speaker_names", "known_speaker_references",
          "keywords", "languages")  # fmt: skip
_FIELDS = frozenset({
    "model", "prompt", "temperature", "response_format", "language", "stream", _CHUNKING, CHANNEL,
    *(f"{_CHUNKING}[{name}]" for name in ("type", *TurnDetection._fields)),
    *_LISTS, *(f"{name}[]" for name in _LISTS),
})  # fmt: skip
_NOT_TRANSLATED = frozenset(
    {"language", "stream", "include", "include[]", "languages[]", "languages"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TranscriptionAsked:
    """A form, read.

    Attributes:
        request: what is asked of the reading.
        form: what the answer is to be.
        granularities: of ``verbose_json`` and ``diarized_json``.
        model: as the client says it; "" for the usual one.
        stream: whether the answer is wanted as it comes.
        logprobs: whether it is to be said how sure the model is of each word.
        known_speakers: names, and a recording of each.
    """

    request: ReadingRequest
    form: Format
    granularities: Sequence[str] = ("segment",)
    model: str = ""
    stream: bool = False
    logprobs: bool = False
    known_speakers: Sequence[tuple[str, Recording]] = ()

    @property
    def speakers(self) -> bool:
        """Whether it is asked who speaks."""
        return self.form == DIARIZED


def asked_of(upload: Upload, task: Task) -> TranscriptionAsked:
    """Read a form.

    Raises:
        UploadInvalid: a field is not known, comes twice, or is in no form that is read.
        OptionInvalid: what it asks cannot be had.
    """
    fields = upload.fields
    _check_names(upload, task)
    form = _one_of(fields, "response_format", FORMATS, "json")
    granularities = upload.all_of("timestamp_granularities")
    for each in granularities:
        _known(each, _GRANULARITIES, "timestamp_granularities")
    if granularities and form not in ("verbose_json", DIARIZED):
        raise OptionInvalid(
            f"timestamp_granularities belongs to verbose_json and {DIARIZED}",
            why=f"response_format is {form}", param="timestamp_granularities",
        )  # fmt: skip
    stream = _flag(fields, "stream")
    if stream and form not in ("json", "text", DIARIZED):
        raise OptionInvalid(
            f"{form} is not streamed", why="it is made of the whole",
            hint="stream json, text or diarized_json", param="stream",
        )  # fmt: skip
    included = upload.all_of("include")
    for each in included:
        _known(each, ("logprobs",), "include")
    if included and form != "json":
        raise OptionInvalid(
            "log-probabilities of words belong to json", why=f"response_format is {form}",
            hint="verbose_json has each segment's avg_logprob", param="include",
        )  # fmt: skip
    known = _known_speakers(upload, form)
    options = ReadOptions(
        task=task,
        prompt=_prompt(fields.get("prompt", ""), upload.all_of("keywords")),
        temperature=_temperature(fields),
        words="word" in granularities or bool(included),
    )
    return TranscriptionAsked(
        request=ReadingRequest(
            options=options,
            language=fields.get("language", ""),
            cut=_cutting(fields),
            languages=tuple(upload.all_of("languages")),
        ),
        form=form,
        granularities=granularities or ("segment",),
        model=fields.get("model", ""),
        stream=stream,
        logprobs=bool(included),
        known_speakers=known,
    )


def _prompt(prompt: str, keywords: Sequence[str]) -> str:
    """Return a prompt in which words are named that may come."""
    return " ".join(part for part in (prompt.strip(), ", ".join(keywords)) if part)


def _check_names(upload: Upload, task: Task) -> None:
    known = _FIELDS if task == "transcribe" else _FIELDS - _NOT_TRANSLATED
    for name in upload.fields:
        if name not in known:
            raise UploadInvalid(
                f"there is no field {name[:40]!r}", why=f"there are {', '.join(sorted(known))}",
                param=name[:40],
            )  # fmt: skip
    twice = sorted(name for name in upload.repeated if name.removesuffix("[]") not in _LISTS)
    if twice:
        raise UploadInvalid(
            f"there is more than one field {twice[0]!r}", why="it is not clear which counts",
            param=twice[0],
        )  # fmt: skip


def _one_of(fields: dict[str, str], name: str, known: Sequence[Any], usual: Any) -> Any:
    value = fields.get(name, usual)
    _known(value, known, name)
    return value


def _known(value: str, known: Sequence[str], name: str) -> None:
    if value not in known:
        raise OptionInvalid(
            f"{name} cannot be {value[:40]!r}", why=f"it is one of {', '.join(known)}", param=name
        )


def _flag(fields: dict[str, str], name: str) -> bool:
    value = fields.get(name, "false").lower()
    if value not in {"true", "false", "1", "0"}:
        raise OptionInvalid(
            f"{name} must be true or false", why=f"it is {value[:40]!r}", param=name
        )
    return value in {"true", "1"}


def _number(text: str, name: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise OptionInvalid(f"{name} must be a number", why=f"it is {text[:40]!r}", param=name)
    return value


def _temperature(fields: dict[str, str]) -> float | None:
    if "temperature" not in fields:
        return None
    value = _number(fields["temperature"], "temperature")
    if not 0 <= value <= 1:
        raise OptionInvalid(
            "the temperature cannot be used", why=f"{value} is not between 0 and 1",
            param="temperature",
        )  # fmt: skip
    # Zero is what clients send who say nothing; the model may then try others where it fails.
    return value or None


def _cutting(fields: dict[str, str]) -> TurnDetection:
    """Read ``chunking_strategy``: ``auto``, or an object, as JSON or spread over fields."""
    said: dict[str, Any] = {
        name.partition("[")[2].rstrip("]"): value
        for name, value in fields.items() if name.startswith(f"{_CHUNKING}[")
    }  # fmt: skip
    text = fields.get(_CHUNKING, "auto")
    if text.lstrip().startswith("{"):
        try:
            said |= json.loads(text)
        except (ValueError, RecursionError) as error:
            raise OptionInvalid(
                f"{_CHUNKING} cannot be read", why="it is no JSON object", param=_CHUNKING
            ) from error
    elif text not in ("auto", "server_vad"):
        _known(text, ("auto", "server_vad"), _CHUNKING)
    if str(said.pop("type", "server_vad")) != "server_vad":
        raise OptionInvalid(
            f"{_CHUNKING} is of no known type", why="there is server_vad", param=_CHUNKING
        )
    values: dict[str, Any] = {}
    for name, value in said.items():
        _known(name, TurnDetection._fields, _CHUNKING)
        number = _number(str(value), f"{_CHUNKING}.{name}")
        values[name] = number if name == "threshold" else int(number)
    return RECORDING._replace(**values).checked(_CHUNKING)


def _known_speakers(upload: Upload, form: Format) -> list[tuple[str, Recording]]:
    names = upload.all_of("known_speaker_names")
    references = upload.all_of("known_speaker_references")
    if not names and not references:
        return []
    if form != DIARIZED:
        raise OptionInvalid(
            f"known speakers belong to {DIARIZED}", why=f"response_format is {form}",
            param="known_speaker_names",
        )  # fmt: skip
    if len(names) != len(references) or len(names) > _MOST_SPEAKERS:
        raise OptionInvalid(
            "every known speaker needs a name and a reference",
            why=f"there are {len(names)} and {len(references)}, of at most {_MOST_SPEAKERS}",
            param="known_speaker_references",
        )  # fmt: skip
    for name in names:
        wrong = _wrong_with(name) or ("it comes twice" if names.count(name) > 1 else "")
        if wrong:
            raise OptionInvalid(
                f"a known speaker cannot be called {name[:40]!r}", why=wrong,
                hint="give each a name of its own", param="known_speaker_names",
            )  # fmt: skip
    return [
        (name, Recording(io.BytesIO(_content(text))))
        for name, text in zip(names, references, strict=True)
    ]


def _wrong_with(name: str) -> str:
    if not name.strip() or len(name) > _LONGEST_NAME:
        return f"a name has 1 to {_LONGEST_NAME} characters"
    if not name.isprintable():
        return "it has characters that cannot be shown"
    return "so is called who is not known" if name == UNKNOWN_SPEAKER else ""


def _content(text: str) -> bytes:
    """Return what a data URL holds (RFC 2397): ``data:audio/wav;base64,...``."""
    head, _, data = text.partition(",")
    content = b""
    if head.startswith("data:") and head.endswith(";base64"):
        with contextlib.suppress(ValueError):  # binascii.Error is one; so is what is not ASCII
            content = base64.b64decode(data, validate=True)
    if not content:
        raise OptionInvalid(
            "a known speaker's reference cannot be read", why="it is no data: URL in base64",
            hint="data:audio/wav;base64,...", param="known_speaker_references",
        )  # fmt: skip
    if len(content) > _MOST_REFERENCE_BYTES:
        raise OptionInvalid(
            "a known speaker's reference is too large",
            why=f"it has {len(content)} of at most {_MOST_REFERENCE_BYTES} bytes",
            param="known_speaker_references",
        )  # fmt: skip
    return content
