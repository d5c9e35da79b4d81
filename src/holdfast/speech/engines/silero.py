"""Silero's voice activity detection on onnxruntime.

Two forms of the graph are about, and both are read: the sequence form (inputs ``input``, ``h``,
``c``), which takes many frames at once, and the frame form (``input``, ``state`` and mostly
``sr``), which takes one.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from holdfast.runtime import EngineUnusable, cannot_load, onnx_session
from holdfast.speech._segments import FRAME_SAMPLES, RATE_HZ

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from holdfast.media import Waveform

__all__ = ["MODEL_FILE", "SileroEngine", "load_silero"]

MODEL_FILE = "silero_vad.onnx"
# As in the starter set, and as in onnx-community/silero-vad.
_FILES = (MODEL_FILE, "onnx/model.onnx")
# Each frame is judged with the end of the one before it in front.
_CONTEXT_SAMPLES = 64
_STATE_UNITS = 128
_FRAMES_AT_ONCE = 512


def load_silero(folder: Path, device: str = "cpu") -> SileroEngine:
    """Load ``silero_vad.onnx`` or ``onnx/model.onnx`` from ``folder``.

    Raises:
        EngineUnusable: there is no such file, it is not this model, or ``device`` is not ``cpu``.
        MissingExtra: onnxruntime is not installed.
    """
    if device != "cpu":
        raise EngineUnusable(
            f"Silero does not run on {device!r}",
            why="the model is so small that a processor is faster than the way to anything else",
            hint="set its device to 'cpu'",
        )
    path = next((folder / name for name in _FILES if (folder / name).is_file()), None)
    if path is None:
        raise EngineUnusable(
            f"{folder} is not a Silero model",
            why=f"it has none of {', '.join(_FILES)}",
            hint="holdfast repair",
        )
    # One recording uses one core; several are served side by side.
    session = onnx_session(path, device, "speech", threads=1)
    try:
        return SileroEngine(session)
    except ValueError as error:
        raise cannot_load(path, error) from error


class SileroEngine:
    """A loaded model; see `holdfast.speech.VoiceActivityEngine`."""

    def __init__(self, session: Any) -> None:
        inputs = {item.name for item in session.get_inputs()}
        self._sequence = inputs == {"input", "h", "c"}
        if not self._sequence and not {"input", "state"} <= inputs <= {"input", "state", "sr"}:
            raise ValueError(f"its inputs are {', '.join(sorted(inputs))}")
        self._wants_rate = "sr" in inputs
        self._session = session

    @property
    def frame_samples(self) -> int:
        """Samples per probability, at 16 kHz."""
        return FRAME_SAMPLES

    def start(self, held: object = None) -> _SileroStream:
        """Begin a recording, or go on with one."""
        return _SileroStream(self, held)

    def close(self) -> None:
        """Give the model's memory back."""
        self._session = None

    def run(
        self, frames: NDArray[np.float32], state: Sequence[NDArray[np.float32]]
    ) -> tuple[list[float], Sequence[NDArray[np.float32]]]:
        """Judge ``frames`` (float32, shape (frames, 576)); return probabilities and new state."""
        if self._sequence:
            feed = {"input": frames, "h": state[0], "c": state[1]}
            probabilities, hidden, cell = self._session.run(None, feed)
            return probabilities.reshape(-1).tolist(), (hidden, cell)
        import numpy as np

        found: list[float] = []
        (joined,) = state
        for frame in frames:
            feed = {"input": frame[None, :], "state": joined}
            if self._wants_rate:
                feed["sr"] = np.array(RATE_HZ, dtype=np.int64)
            probability, joined = self._session.run(None, feed)
            found.append(float(probability.reshape(-1)[0]))
        return found, (joined,)

    def empty_state(self) -> Sequence[NDArray[np.float32]]:
        """Return the state at the beginning of a recording."""
        import numpy as np

        if self._sequence:
            shape = (1, 1, _STATE_UNITS)
            return np.zeros(shape, np.float32), np.zeros(shape, np.float32)
        return (np.zeros((2, 1, _STATE_UNITS), np.float32),)


class _SileroStream:
    def __init__(self, engine: SileroEngine, held: Any) -> None:
        import numpy as np

        self._engine = engine
        # The network's state; the end of the last whole frame, then whatever has come after it.
        self._state: Sequence[NDArray[np.float32]]
        self._held: Waveform
        self._state, self._held = held or (
            engine.empty_state(),
            np.zeros(_CONTEXT_SAMPLES, np.float32),
        )

    @property
    def held(self) -> object:
        return self._state, self._held

    def feed(self, waveform: Waveform) -> list[float]:
        import numpy as np

        held = np.concatenate([self._held, waveform.astype(np.float32, copy=False)])
        whole = (len(held) - _CONTEXT_SAMPLES) // FRAME_SAMPLES
        found: list[float] = []
        for first in range(0, whole, _FRAMES_AT_ONCE):
            count = min(_FRAMES_AT_ONCE, whole - first)
            start = first * FRAME_SAMPLES
            span = held[start : start + count * FRAME_SAMPLES + _CONTEXT_SAMPLES]
            windows = np.lib.stride_tricks.sliding_window_view(
                span, FRAME_SAMPLES + _CONTEXT_SAMPLES
            )[::FRAME_SAMPLES]
            part, self._state = self._engine.run(np.ascontiguousarray(windows), self._state)
            found += part
        self._held = held[whole * FRAME_SAMPLES :].copy()
        return found

    def finish(self) -> list[float]:
        import numpy as np

        open_samples = len(self._held) - _CONTEXT_SAMPLES
        if not open_samples:
            return []
        return self.feed(np.zeros(FRAME_SAMPLES - open_samples, np.float32))
