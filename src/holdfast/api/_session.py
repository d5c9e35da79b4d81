"""What a live session is told by its client, as OpenAI's interface has it. Rules only; no I/O."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from holdfast.media import LineCode
from holdfast.speech import OptionInvalid, TurnDetection

__all__ = ["LiveSession", "updated"]

_PCM_RATE_HZ = 24_000
_TELEPHONE_HZ = 8_000
_CODES: dict[str, LineCode] = {"audio/pcm": "pcm", "audio/pcmu": "pcmu", "audio/pcma": "pcma"}
_DEFAULTS = TurnDetection()


class _Said(BaseModel):
    """Of what a client says, that which means nothing here has no effect."""

    model_config = ConfigDict(extra="ignore")


class Format(_Said):
    """How samples are written; telephones' have 8 kHz."""

    type: Literal["audio/pcm", "audio/pcmu", "audio/pcma"] = "audio/pcm"
    rate: int | None = Field(default=None, ge=8_000, le=48_000)


class Wanted(_Said):
    """What is asked of the reading."""

    model: str = ""
    language: str | None = None
    prompt: str | None = None


class Detection(_Said):
    """How turns are found; ``semantic_vad`` is answered by the same means."""

    type: Literal["server_vad", "semantic_vad"] = "server_vad"
    threshold: float | None = None
    prefix_padding_ms: int | None = None
    silence_duration_ms: int | None = None


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
        usual = _PCM_RATE_HZ if self.code == "pcm" else _TELEPHONE_HZ
        return self.audio.input.format.rate or usual

    def detection(self) -> TurnDetection | None:
        """Return how turns are found; None where the client says when one ends.

        Raises:
            OptionInvalid: a value is outside its limits.
        """
        said = self.audio.input.turn_detection
        if said is None:
            return None

        def given(value: Any, usual: Any) -> Any:
            return usual if value is None else value

        return TurnDetection(
            given(said.threshold, _DEFAULTS.threshold),
            given(said.silence_duration_ms, _DEFAULTS.silence_ms),
            given(said.prefix_padding_ms, _DEFAULTS.prefix_ms),
        ).checked()


def updated(session: LiveSession, said: Any) -> LiveSession:
    """Return a session with what a client says of it; what it does not say stays.

    Raises:
        OptionInvalid: it cannot be so.
    """
    if not isinstance(said, dict):
        raise OptionInvalid(
            "the session cannot be so", why="'session' is to be an object", param="session"
        )
    try:
        changed = LiveSession.model_validate(_merged(session.model_dump(), said))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise OptionInvalid(
            "the session cannot be so", why=f"{where}: {first['msg']}", param=f"session.{where}"
        ) from error
    changed.detection()
    return changed


def _merged(before: Any, said: Any) -> Any:
    if not isinstance(before, dict) or not isinstance(said, dict):
        return said
    return before | {name: _merged(before.get(name), value) for name, value in said.items()}
