"""Speaker models that WeSpeaker exports: Kaldi's filter bank in, embeddings out, as ONNX.

WeSpeaker (Wang et al., ICASSP 2023, arXiv:2210.17016) publishes ResNets, CAM++, ECAPA-TDNN and
others in this one form: input ``feats``, (batch, frames, 80), output ``embs``.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from holdfast.runtime import EngineUnusable, cannot_load
from holdfast.voiceprint.engines._session import graph_runner

if TYPE_CHECKING:
    from holdfast.voiceprint.engines._speaker import SpeakerEngine

__all__ = ["load_wespeaker"]

# Their smallest convolutions see some frames at once, and a few dozen milliseconds are no voice.
_LEAST_FRAMES = 10


def load_wespeaker(folder: Path, device: str = "cpu") -> SpeakerEngine:
    """Load the one ``.onnx`` file in ``folder``.

    Args:
        folder: of the model.
        device: ``cpu``, or ``cuda:N`` where onnxruntime was built for it.

    Raises:
        EngineUnusable: there is no such file, or several; it is no such model, or ``device``
            cannot be used.
        MissingExtra: onnxruntime is not installed.
    """
    found = sorted(folder.glob("*.onnx"))
    if len(found) != 1:
        raise EngineUnusable(
            f"{folder} is not a WeSpeaker model",
            why=f"it has {', '.join(path.name for path in found) or 'no .onnx file'}, "
            "and exactly one graph is looked for",
            hint="pull only the graph that is wanted: include = [\"NAME.onnx\"]",
        )  # fmt: skip
    (path,) = found
    run, n_mels = graph_runner(path, device, wants="feats")
    from holdfast.voiceprint._features import KaldiFbank, kaldi_features
    from holdfast.voiceprint.engines._speaker import Network, SpeakerEngine

    settings = KaldiFbank(n_mels=n_mels)
    network = Network(
        run=run,
        features=lambda waveform: kaldi_features(waveform, settings),
        least_samples=settings.window + (_LEAST_FRAMES - 1) * settings.hop,
    )
    try:
        return SpeakerEngine(network, str(path))
    except EngineUnusable:
        raise
    except Exception as error:
        raise cannot_load(path, error) from error
