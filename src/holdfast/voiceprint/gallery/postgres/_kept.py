"""What the errors of the voiceprints' database say."""

from __future__ import annotations

from holdfast.postgres import Kept
from holdfast.postgres import shown as shown_of
from holdfast.voiceprint.gallery._errors import GalleryUnusable

__all__ = ["KEPT", "shown"]

KEPT = Kept(
    "voiceprints", "holdfast_voiceprint", GalleryUnusable, "HOLDFAST_VOICEPRINT_DATABASE"
)  # fmt: skip


def shown(url: str) -> str:
    """Return a database's address without its password.

    Raises:
        GalleryUnusable: it is no address.
    """
    return shown_of(url, KEPT)
