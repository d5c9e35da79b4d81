"""The client of a Holdfast service. Needs the ``client`` extra, and nothing else of Holdfast."""

from holdfast.client._client import AsyncClient, Client
from holdfast.client._documents import Document, DocumentTask
from holdfast.client._errors import ServiceBusy, ServiceError, ServiceUnreachable
from holdfast.client._speech import (
    Transcript,
    TranscriptPiece,
    TranscriptSegment,
    TranscriptWord,
)
from holdfast.client._values import Health, Model, Readiness, SpeechSegment
from holdfast.client._voices import (
    Candidate,
    Enrollment,
    Identification,
    Pcm,
    Reason,
    Speaker,
    SpeakerDetails,
    SpoofVerdict,
    Verification,
)

__all__ = [
    "AsyncClient",
    "Candidate",
    "Client",
    "Document",
    "DocumentTask",
    "Enrollment",
    "Health",
    "Identification",
    "Model",
    "Pcm",
    "Readiness",
    "Reason",
    "ServiceBusy",
    "ServiceError",
    "ServiceUnreachable",
    "Speaker",
    "SpeakerDetails",
    "SpeechSegment",
    "SpoofVerdict",
    "Transcript",
    "TranscriptPiece",
    "TranscriptSegment",
    "TranscriptWord",
    "Verification",
]
