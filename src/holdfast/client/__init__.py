"""The client of a Holdfast service. Needs the ``client`` extra, and nothing else of Holdfast."""

from holdfast.client._client import AsyncClient, Client
from holdfast.client._errors import ServiceBusy, ServiceError, ServiceUnreachable
from holdfast.client._values import Health, Model, Readiness, SpeechSegment

__all__ = [
    "AsyncClient",
    "Client",
    "Health",
    "Model",
    "Readiness",
    "ServiceBusy",
    "ServiceError",
    "ServiceUnreachable",
    "SpeechSegment",
]
