"""Models by the names that clients ask for them."""

import re
from collections.abc import Sequence

from holdfast.runtime import UnknownModel
from holdfast.speech import Reading, Speaking
from holdfast.wiring import STT_MODEL, TTS_MODEL, Services

__all__ = ["check_reader", "check_voice"]

# OpenAI's names may end in one.
_DATE = re.compile(r"-\d{4}-\d{2}-\d{2}$")


def check_reader(services: Services, named: str) -> Reading:
    """Return what reads speech, if that is what is asked for and it will be there.

    Raises:
        UnknownModel: there is none, or none of that name.
        HoldfastError: it cannot answer; see `Supervisor.expect`.
    """
    reading = services.reading
    if reading is None:
        raise UnknownModel(
            "nothing here reads speech", why="no such model is mounted",
            hint="unset HOLDFAST_SPEECH_TRANSCRIPTION_MODEL", param="model",
        )  # fmt: skip
    _check(services, STT_MODEL, services.service.speech_transcription_aliases, named)
    services.supervisor.expect(reading.voice_activity)
    services.supervisor.expect(reading.model)
    return reading


def check_voice(services: Services, named: str) -> Speaking:
    """Return what speaks, if that is what is asked for and it will be there.

    Raises:
        UnknownModel: there is none, or none of that name.
        HoldfastError: it cannot answer; see `Supervisor.expect`.
    """
    speaking = services.speaking
    if speaking is None:
        raise UnknownModel(
            "nothing here speaks", why="no such model is mounted",
            hint="unset HOLDFAST_SPEECH_SYNTHESIS_MODEL", param="model",
        )  # fmt: skip
    _check(services, TTS_MODEL, services.service.speech_synthesis_aliases, named)
    services.supervisor.expect(speaking.model)
    return speaking


def _check(services: Services, model: str, aliases: Sequence[str], named: str) -> None:
    known = (model, services.supervisor.status(model).repository, *aliases)
    if named and named not in known and _DATE.sub("", named) not in aliases:
        raise UnknownModel(
            f"there is no model {named[:60]!r} here that does this",
            why=f"there are {', '.join(known)}", param="model",
        )  # fmt: skip
