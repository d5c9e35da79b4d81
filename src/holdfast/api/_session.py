"""What a live session is told by its client, as OpenAI's interface has it. Rules only; no I/O."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from holdfast.api._errors import in_words
from holdfast.media import LineCode
from holdfast.speech import OptionInvalid, TurnDetection

__all__ = ["LiveSession", "updated"]

_PCM_RATE_HZ = 24_000
_TELEPHONE_HZ = 8_000
_CODES: dict[str, LineCode] = {"audio/pcm": "pcm", "audio/pcmu": "pcmu", "audio/pcma": "pcma"}
_USUAL = TurnDetection()


class _Said(BaseModel):
    """Of what a client says, that which means nothing here has no effect."""

    model_config = ConfigDict(extra="ignore", strict=True)

    @model_validator(mode="before")
    @classmethod
    def as_usual(cls, given: Any) -> Any:
        """Take null for what is usual, where nothing else can be meant by it."""
        if not isinstance(given, dict):
            raise ValueError("it is to be an object")
        nullable = {"transcription", "turn_detection", "include", "rate", "language", "prompt"}
        return {key: value for key, value in given.items() if value is not None or key in nullable}


class Format(_Said):
    """How samples are written, and how many a second; telephones have 8000."""

    type: Literal["audio/pcm", "audio/pcmu", "audio/pcma"] = "audio/pcm"
    rate: int | None = Field(default=None, ge=8_000, le=48_000)

    @model_validator(mode="after")
    def with_rate(self) -> "Format":
        """Fill in the rate that is meant."""
        telephone = self.type != "audio/pcm"
        if telephone and self.rate not in (None, _TELEPHONE_HZ):
            raise ValueError(f"{self.type} has a rate of {_TELEPHONE_HZ}")
        self.rate = self.rate or (_TELEPHONE_HZ if telephone else _PCM_RATE_HZ)
        return self


class Wanted(_Said):
    """What is asked of the reading."""

    model: str = ""
    language: str | None = None
    prompt: str | None = None


class Detection(_Said):
    """How turns are found; ``semantic_vad`` is answered by the same means."""

    type: Literal["server_vad", "semantic_vad"] = "server_vad"
    threshold: float = _USUAL.threshold
    prefix_padding_ms: int = _USUAL.prefix_padding_ms
    # With less every breath would end a turn.
    silence_duration_ms: int = Field(default=_USUAL.silence_duration_ms, ge=100)


class Input(_Said):
    """What comes, and what is done with it."""

    format: Format = Format()
    transcription: Wanted | None = Wanted()
    turn_detection: Detection | None = Detection()


class Audio(_Said):
    """The one direction that there is."""

    input: Input = Input()


class LiveSession(_Said):
    """A session, as it is."""

    type: Literal["transcription"] = "transcription"
    audio: Audio = Audio()
    include: list[Literal["item.input_audio_transcription.logprobs"]] | None = None

    @property
    def wanted(self) -> Wanted:
        """What is asked of the reading."""
        return self.audio.input.transcription or Wanted()

    @property
    def logprobs(self) -> bool:
        """Whether it is to be said how sure the model is of each word."""
        return bool(self.include)

    @property
    def code(self) -> LineCode:
        """How samples are written."""
        return _CODES[self.audio.input.format.type]

    @property
    def rate_hz(self) -> int:
        """How many samples a second come."""
        return self.audio.input.format.rate or _PCM_RATE_HZ

    def detection(self) -> TurnDetection | None:
        """Return how turns are found; None where the client says when one ends.

        Raises:
            OptionInvalid: a value is outside its limits.
        """
        said = self.audio.input.turn_detection
        if said is None:
            return None

        return TurnDetection(
            said.threshold, said.silence_duration_ms, said.prefix_padding_ms
        ).checked("session.audio.input.turn_detection")


def updated(session: LiveSession, said: Any) -> LiveSession:
    """Return a session with what a client says of it; what it does not say stays.

    Raises:
        OptionInvalid: it cannot be so.
    """
    try:
        changed = LiveSession.model_validate(_merged(session.model_dump(), said))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(("session", *map(str, first["loc"])))
        raise OptionInvalid(
            "the session cannot be so", why=f"{where}: {in_words(first['msg'])}", param=where
        ) from error
    changed.detection()
    return changed


def _merged(before: Any, said: Any) -> Any:
    if not isinstance(before, dict) or not isinstance(said, dict):
        return said
    return before | {
        # Another format is another one altogether.
        name: value if name == "format" else _merged(before.get(name), value)
        for name, value in said.items()
    }
