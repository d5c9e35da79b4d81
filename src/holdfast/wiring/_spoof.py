"""Which detector of synthetic speech a profile mounts, and what that is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from holdfast.config import ServiceSettings
from holdfast.errors import ConfigInvalid
from holdfast.refs import DEFAULT_REVISION, RepoRef, RevisionRef
from holdfast.runtime import Needs
from holdfast.voiceprint import Detection, detector_loader
from holdfast.wiring._licences import UNSTATED
from holdfast.wiring._provide import SPOOF_HUB_REPO

__all__ = ["SPOOF_MODEL", "ChosenDetector", "chosen_detector"]

SPOOF_MODEL = "spoof-detector"
_NONE = "none"
# Its config.json has id2label = {0: real, 1: fake}. What it is good for: docs/voiceprint.md.
_STANDARD_BONA_FIDE = "real"
_STANDARD_MB = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class ChosenDetector:
    """A detector that is to be mounted."""

    ref: RevisionRef
    bona_fide: str
    licence: str
    memory_mb: int
    threshold: float

    def description(self, *, gpu: bool) -> dict[str, Any]:
        """Return what it is and needs, in the terms of `ModelSpec`."""
        on_gpu = {"device": "cuda", "devices": ("cpu", "cuda")} if gpu else {}
        return {
            "task": "spoofing-detection",
            "licence": self.licence,
            "load": detector_loader(self.bona_fide),
            "needs": Needs(memory_mb=self.memory_mb),
            # Torch, whose import would keep everybody else in this process waiting.
            "isolate": True,
            **on_gpu,
        }

    @property
    def detection(self) -> Detection:
        """How its scores are read."""
        return Detection(model=SPOOF_MODEL, threshold=self.threshold)


def chosen_detector(service: ServiceSettings) -> ChosenDetector | None:
    """Return the detector that the settings choose, or the profile; None for none.

    Raises:
        ConfigInvalid: a detector is named, and not how it is read; or the other way round.
        ReferenceInvalid: what is named is no repository.
    """
    named, bona_fide = service.voiceprint_spoof_model, service.voiceprint_spoof_bona_fide
    threshold = service.voiceprint_spoof_threshold
    standard = service.profile != "starter"
    if named == _NONE or (named is None and not standard and bona_fide is None):
        return None
    if named is None and standard:
        return ChosenDetector(
            ref=RevisionRef(SPOOF_HUB_REPO),
            bona_fide=bona_fide or _STANDARD_BONA_FIDE,
            licence="Apache-2.0",
            memory_mb=_STANDARD_MB,
            threshold=threshold,
        )
    if named is None or bona_fide is None:
        missing = "MODEL" if named is None else "BONA_FIDE"
        raise ConfigInvalid(
            "a detector of spoofing is only half chosen",
            why="it takes the model, and which of its outputs is a person's own speech",
            hint=f"set HOLDFAST_VOICEPRINT_SPOOF_{missing}, too",
        )
    repo, _, revision = named.partition("@")
    return ChosenDetector(
        ref=RevisionRef(RepoRef(repo), revision or DEFAULT_REVISION),
        bona_fide=bona_fide,
        licence=UNSTATED,
        memory_mb=0,
        threshold=threshold,
    )
