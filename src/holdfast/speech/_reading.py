"""Reading a recording: find the speech, cut it into clips, read them, a few at a time.

Memory holds a clip or two, however long the recording.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from holdfast.runtime import Batch, Steps, Supervisor
from holdfast.speech._clips import RECORDING, Clip, ClipCutter, TurnDetection
from holdfast.speech._formats import Transcript
from holdfast.speech._languages import language_code
from holdfast.speech._segments import RATE_HZ
from holdfast.speech._transcript import Passage, ReadOptions, Word
from holdfast.speech._turns import Turn, VoiceNaming, turns_of

if TYPE_CHECKING:
    from holdfast.media import Waveform
    from holdfast.speech._engine import VoiceActivityEngine
    from holdfast.speech._transcript import Task, TranscriptionEngine

__all__ = ["Reading", "ReadingRequest"]

Heard: TypeAlias = Callable[[Passage, str], None]
# The first alone, so that something is read soon; then as many as a processor likes at once.
_CLIPS_AT_ONCE = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadingRequest:
    """What is asked of a recording.

    Attributes:
        options: of the engine.
        language: a code or a name; "" for finding out.
        cut: how the recording is cut into what is read at once.
        languages: codes or names of those that it can be; any where empty.
    """

    options: ReadOptions = ReadOptions()
    language: str = ""
    cut: TurnDetection = RECORDING
    languages: Sequence[str] = ()


class _Able(NamedTuple):
    """What a loaded engine can do."""

    languages: Sequence[str]
    tasks: Sequence[Task]


class _Asked(NamedTuple):
    clips: Sequence[Waveform]
    language: str
    options: ReadOptions


class Reading:
    """Reads recordings with the models that a supervisor has loaded.

    Args:
        supervisor: has the models.
        model: id of what reads.
        voice_activity: id of what finds speech.
    """

    def __init__(self, supervisor: Supervisor, model: str, voice_activity: str) -> None:
        self._supervisor = supervisor
        self.model = model
        self.voice_activity = voice_activity

    def read(
        self,
        blocks: Iterator[Waveform],
        request: ReadingRequest,
        heard: Heard = lambda *_: None,
        voices: VoiceNaming | None = None,
    ) -> Steps[Transcript]:
        """Read a recording.

        Args:
            blocks: float32, shape (samples,), mono, 16 kHz, in order; read as they are needed.
            request: what is asked.
            heard: told every passage as soon as it is read, and who says it; "" where nobody asked.
            voices: names who speaks; passages then end where somebody else begins.

        Raises:
            OptionInvalid: the model cannot do that.
            MediaError: the recording cannot be used.
        """
        options = request.options if voices is None else replace(request.options, words=True)
        able: _Able = yield self._supervisor.submit(self.model, _able, options)
        language = language_code(request.language, able.languages) if request.language else ""
        among = [language_code(named, able.languages) for named in request.languages]
        turns: list[Turn] = []
        waiting: list[Clip] = []
        listening = _Listening(self._supervisor, self.voice_activity, blocks, request.cut)
        ended = False
        while not ended:
            clips, ended = yield from listening.more()
            waiting += clips
            while len(waiting) >= (_CLIPS_AT_ONCE if turns else 1) or (ended and waiting):
                part, waiting = waiting[:_CLIPS_AT_ONCE], waiting[_CLIPS_AT_ONCE:]
                if not language:
                    language = yield self._supervisor.submit(
                        self.model, _language, part[0].waveform, among
                    )
                found: Sequence[Sequence[Passage]] = yield self._supervisor.submit(
                    self.model, Batch(_read),
                    _Asked([clip.waveform for clip in part], language, options),
                )  # fmt: skip
                for clip, own in zip(part, found, strict=True):
                    said = (
                        [Turn(passage, "") for passage in own] if voices is None
                        else (yield from turns_of(voices, clip, own))
                    )  # fmt: skip
                    for passage, speaker in said:
                        placed = _later(passage, clip.start_s)
                        turns.append(Turn(placed, speaker))
                        heard(placed, speaker)
        return Transcript(
            task=request.options.task,
            language=language or able.languages[0],
            duration_s=listening.samples / RATE_HZ,
            passages=[turn.passage for turn in turns],
            speakers=[turn.speaker for turn in turns] if voices is not None else (),
        )


class _Listening:
    """A recording on its way through voice activity detection, which may be another process."""

    def __init__(
        self, supervisor: Supervisor, model: str, blocks: Iterator[Waveform], cut: TurnDetection
    ) -> None:
        self._supervisor = supervisor
        self._model = model
        self._blocks = blocks
        self._cutter = ClipCutter(cut)
        self._held: object = None
        self.samples = 0

    def more(self) -> Steps[tuple[list[Clip], bool]]:
        """Go on to the next block; return the clips that it completes, and whether it was the last.

        Raises:
            MediaError: the recording cannot be used.
        """
        block = next(self._blocks, None)
        if block is None:
            probabilities = yield self._supervisor.submit(self._model, judge_last, self._held)
            return self._cutter.finish(probabilities), True
        self.samples += len(block)
        probabilities, self._held = yield self._supervisor.submit(
            self._model, judge, self._held, block
        )
        return self._cutter.feed(block, probabilities), False


def judge(
    engine: VoiceActivityEngine, held: object, block: Waveform
) -> tuple[Sequence[float], object]:
    stream = engine.start(held)
    return stream.feed(block), stream.held


def judge_last(engine: VoiceActivityEngine, held: object) -> Sequence[float]:
    return engine.start(held).finish()


def _able(engine: TranscriptionEngine, options: ReadOptions) -> _Able:
    engine.read([], [], options)  # it refuses what it cannot do, before anything is listened to
    return _Able(tuple(engine.languages), tuple(engine.tasks))


def _language(engine: TranscriptionEngine, clip: Waveform, among: Sequence[str]) -> str:
    return engine.detect_language(clip, among)[0]


def _read(engine: TranscriptionEngine, asked: list[_Asked]) -> list[Sequence[Sequence[Passage]]]:
    """Read the clips of several recordings; those that are asked for alike go together."""
    found: list[Any] = [None] * len(asked)
    for options in {each.options for each in asked}:
        numbers = [number for number, each in enumerate(asked) if each.options == options]
        clips = [clip for number in numbers for clip in asked[number].clips]
        languages = [asked[number].language for number in numbers for _ in asked[number].clips]
        read = iter(engine.read(clips, languages, options))
        for number in numbers:
            found[number] = [next(read) for _ in asked[number].clips]
    return found


def _later(passage: Passage, seconds: float) -> Passage:
    """Return a passage of a clip with times of the recording."""
    words = tuple(
        Word(word.text, word.start_s + seconds, word.end_s + seconds, word.probability)
        for word in passage.words
    )
    return replace(
        passage,
        start_s=passage.start_s + seconds,
        end_s=passage.end_s + seconds,
        words=words,
    )
