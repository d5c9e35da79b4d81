"""Detectors of spoofing as ONNX graphs: raw samples in, one number for each kind of speech out.

AASIST and RawNet-type models (Jung et al., "AASIST", ICASSP 2022, arXiv:2110.01200) are exported
like this: input (batch, 64600) at 16 kHz, output (batch, 2). A graph may also take any length, and
may want its input normalised; a ``preprocessor_config.json`` beside it then says so.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from holdfast.runtime import EngineUnusable, cannot_load, check_wanted, onnx_session

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from holdfast.media import Waveform

__all__ = ["GraphSpoofEngine", "graph_of", "load_spoof_graph"]

_RATE_HZ = 16_000
_WINDOW = 5 * _RATE_HZ
_PREPROCESSOR = "preprocessor_config.json"
_CONFIG = "config.json"


def graph_of(folder: Path) -> Path | None:
    """Return the one graph in a folder, if there is exactly one."""
    found = sorted([*folder.glob("*.onnx"), *folder.glob("onnx/*.onnx")])
    return found[0] if len(found) == 1 else None


def load_spoof_graph(path: Path, device: str, bona_fide: str) -> GraphSpoofEngine:
    """Load a graph.

    Args:
        path: the file.
        device: ``cpu``, or ``cuda:N`` where onnxruntime was built for it.
        bona_fide: the output of a person's own speech: its label in a ``config.json`` beside the
            graph, or its number where there are no labels (``1`` in AASIST's).

    Raises:
        EngineUnusable: the file is no such graph, or onnxruntime cannot use the device.
        MissingExtra: onnxruntime is not installed.
    """
    from holdfast.voiceprint.engines._spoof import chosen_output

    session = onnx_session(path, device, "voiceprint")
    try:
        (given,) = session.get_inputs()
        shape = given.shape
        if len(shape) != 2 or given.type != "tensor(float)":
            raise ValueError(f"its input is {given.name} {given.type} {shape}")  # noqa: TRY301
        length = shape[1] if isinstance(shape[1], int) else None
        answer = _last_of_two(session)
        trial = session.run([answer], {given.name: _trial(length)})[0]
        if trial.ndim != 2 or len(trial) != 1:
            raise ValueError(f"its output is {answer} {trial.shape}")  # noqa: TRY301
    except Exception as error:
        raise cannot_load(path, error) from error
    labels = _labels(path.parent, trial.shape[1])
    how = _Input(given.name, answer, length, _normalised(path))
    return GraphSpoofEngine(session, how, chosen_output(labels, bona_fide, str(path)))


class _Input(NamedTuple):
    """What a graph is given: under what names, how many samples, and whether normalised."""

    name: str
    answer: str
    length: int | None
    normalised: bool


class GraphSpoofEngine:
    """A loaded detector; see `holdfast.voiceprint.SpoofEngine`."""

    def __init__(self, session: Any, how: _Input, bona_fide: int) -> None:
        self._session = session
        self._how = how
        self._bona_fide = bona_fide

    def scores(self, waveforms: Sequence[Waveform]) -> Sequence[float]:
        """Score each recording window by window; see `SpoofEngine.scores`."""
        from holdfast.voiceprint.engines._spoof import log_odds, mean_score

        found = []
        for waveform in waveforms:
            clips = _cut(waveform, self._how.length)
            odds = []
            for clip in clips:
                check_wanted()
                given = _standardised(clip) if self._how.normalised else clip
                (logits,) = self._session.run([self._how.answer], {self._how.name: given[None]})
                odds.append(float(log_odds(logits, self._bona_fide)[0]))
            found.append(mean_score(odds, [len(clip) for clip in clips]))
        return found

    def close(self) -> None:
        """Give the model's memory back."""
        self._session = None


def _cut(waveform: Waveform, length: int | None) -> list[Waveform]:
    """Cut a recording into what a graph takes.

    Where that is of one length, a short recording is repeated until it is long enough, as AASIST's
    authors do, and the last window ends where the recording ends.
    """
    import numpy as np

    from holdfast.voiceprint._windows import windows

    if length is None:
        return list(windows([waveform], _WINDOW))
    if len(waveform) <= length:
        return [np.resize(waveform, length)]
    starts = [*range(0, len(waveform) - length, length), len(waveform) - length]
    return [waveform[start : start + length] for start in starts]


def _standardised(clip: Waveform) -> Waveform:
    """Return samples of mean 0 and variance 1, as Wav2Vec2FeatureExtractor makes them."""
    import numpy as np

    scaled: Waveform = ((clip - clip.mean()) / np.sqrt(clip.var() + 1e-7)).astype(np.float32)
    return scaled


def _last_of_two(session: Any) -> str:
    """Return the output with one number for each kind; AASIST has its hidden layer before it."""
    names = [each.name for each in session.get_outputs()]
    if len(names) > 2:
        raise ValueError(f"it has the outputs {', '.join(names)}")
    return "logits" if "logits" in names else names[-1]


def _trial(length: int | None) -> NDArray[np.float32]:
    import numpy as np

    noise = np.random.default_rng(0).standard_normal((1, length or _RATE_HZ), dtype=np.float32)
    return noise * np.float32(0.01)


def _labels(folder: Path, count: int) -> list[str]:
    config = _json(folder, _CONFIG)
    names = config.get("id2label")
    if not isinstance(names, dict):
        return [str(number) for number in range(count)]
    return [str(names.get(str(number), number)) for number in range(count)]


def _normalised(path: Path) -> bool:
    return bool(_json(path.parent, _PREPROCESSOR).get("do_normalize", False))


def _json(folder: Path, name: str) -> dict[str, Any]:
    """Return a file's content; graphs in ``onnx/`` have theirs one folder up."""
    for place in (folder, folder.parent) if folder.name == "onnx" else (folder,):
        path = place / name
        if path.is_file():
            try:
                content = json.loads(path.read_text("utf-8"))
            except ValueError as error:
                raise EngineUnusable(
                    f"{path} cannot be read", why=str(error),
                    hint="holdfast verify, then holdfast repair",
                ) from error  # fmt: skip
            return content if isinstance(content, dict) else {}
    return {}
