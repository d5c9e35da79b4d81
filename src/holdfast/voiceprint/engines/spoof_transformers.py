"""Detectors of synthetic speech that Transformers' ``AutoModelForAudioClassification`` loads.

wav2vec 2.0, HuBERT, WavLM and their like with a classifier on top, as many are published on the
Hub. Weights are read from safetensors, and nothing of the repository is run.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from holdfast.errors import MissingExtra
from holdfast.runtime import EngineUnusable, cannot_load, check_wanted

if TYPE_CHECKING:
    from holdfast.media import Waveform

__all__ = ["TransformersSpoofEngine", "load_spoof_transformers", "weights_of"]

_RATE_HZ = 16_000
# They are trained on clips of some seconds; attention over more costs by the square.
_WINDOW = 5 * _RATE_HZ
_WEIGHTS = "model.safetensors"


def weights_of(folder: Path) -> Path:
    """Return the file with the weights.

    Raises:
        EngineUnusable: there is none.
    """
    path = folder / _WEIGHTS
    if not path.is_file():
        found = ", ".join(sorted(each.name for each in folder.iterdir() if each.is_file()))
        raise EngineUnusable(
            f"{folder} holds no detector that can be loaded",
            why=f"neither {_WEIGHTS} nor one ONNX graph is there, but {found or 'nothing'}",
            hint="choose a detector with weights in safetensors: HOLDFAST_VOICEPRINT_SPOOF_MODEL",
        )
    return path


def load_spoof_transformers(folder: Path, device: str, bona_fide: str) -> TransformersSpoofEngine:
    """Load a detector.

    Args:
        folder: with ``config.json``, ``preprocessor_config.json`` and ``model.safetensors``.
        device: ``cpu``, ``cuda`` or ``cuda:N``.
        bona_fide: the label of a person's own speech in ``config.json``.

    Raises:
        EngineUnusable: a file is missing, damaged, or of something else; ``device`` cannot be used.
        MissingExtra: torch or transformers is not installed.
    """
    try:
        import torch
        from transformers import AutoFeatureExtractor, AutoModelForAudioClassification
    except ImportError as error:
        raise MissingExtra(
            "the detector cannot be loaded here", why=f"{error.name} is not installed",
            hint="pip install 'holdfast[torch]', or HOLDFAST_VOICEPRINT_SPOOF_MODEL=none",
        ) from error  # fmt: skip
    from holdfast.voiceprint.engines._spoof import chosen_output

    only_here: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
    try:
        extractor = AutoFeatureExtractor.from_pretrained(  # type: ignore[no-untyped-call]
            folder, **only_here
        )
        network = AutoModelForAudioClassification.from_pretrained(
            folder, use_safetensors=True, dtype=torch.float32, **only_here
        )
        network.eval().to(torch.device(device))
        names = network.config.id2label
        labels = [str(names[number]) for number in range(network.config.num_labels)]
        rate = extractor.sampling_rate
    except Exception as error:
        raise cannot_load(folder, error, "a detector", device=device) from error
    if rate != _RATE_HZ:
        raise EngineUnusable(
            f"{folder} is no detector for speech of {_RATE_HZ} Hz", why=f"it wants {rate} Hz",
            hint="choose another one: HOLDFAST_VOICEPRINT_SPOOF_MODEL",
        )  # fmt: skip
    engine = TransformersSpoofEngine(
        network, extractor, chosen_output(labels, bona_fide, str(folder))
    )
    engine.scores([_hush()])  # what cannot answer is not taken for loaded
    return engine


class TransformersSpoofEngine:
    """A loaded detector; see `holdfast.voiceprint.SpoofEngine`."""

    def __init__(self, network: Any, extractor: Any, bona_fide: int) -> None:
        self._network = network
        self._extractor = extractor
        self._bona_fide = bona_fide

    def scores(self, waveforms: Sequence[Waveform]) -> Sequence[float]:
        """Score each recording, in windows of five seconds; see `SpoofEngine.scores`."""
        import torch

        from holdfast.voiceprint._windows import windows
        from holdfast.voiceprint.engines._spoof import log_odds, mean_score

        found = []
        for waveform in waveforms:
            odds, samples = [], []
            for clip in windows([waveform], _WINDOW):
                check_wanted()
                given = self._extractor(clip, sampling_rate=_RATE_HZ, return_tensors="pt")
                with torch.inference_mode():
                    place = self._network.device
                    logits = self._network(**{name: each.to(place) for name, each in given.items()})
                odds.append(log_odds(logits.logits.float().cpu().numpy(), self._bona_fide)[0])
                samples.append(len(clip))
            found.append(mean_score(odds, samples))
        return found

    def close(self) -> None:
        """Give the model's memory back."""
        self._network = None


def _hush() -> Waveform:
    import numpy as np

    noise = np.random.default_rng(0).standard_normal(_RATE_HZ, dtype=np.float32)
    return noise * np.float32(0.01)
