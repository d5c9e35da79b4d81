"""How long the vectors of each model are: the first that was enrolled or imported says it."""

from __future__ import annotations

from collections.abc import Sequence

from holdfast.voiceprint.gallery._errors import SpeakerInvalid, TemplateTampered
from holdfast.voiceprint.gallery._records import Utterance, vector_bytes
from holdfast.voiceprint.gallery._search import what_is_sealed
from holdfast.voiceprint.gallery._store import GalleryStore
from holdfast.voiceprint.gallery._vault import Vault

__all__ = ["Lengths"]


class Lengths:
    """Knows the lengths. Safe to use from several threads.

    Two processes may each let the first vector of a model in at once; what is compared has one
    length all the same, so that neither is in the other's way.
    """

    def __init__(self, store: GalleryStore, vault: Vault) -> None:
        self._store = store
        self._vault = vault
        self._known: dict[str, int] = {}

    def check(self, utterances: Sequence[Utterance]) -> None:
        """Refuse vectors of another length than those of their model: they compare with none.

        Raises:
            SpeakerInvalid: one has another length; whose vector was the first is said.
        """
        own: dict[str, int] = {}
        for each in utterances:
            if own.setdefault(each.model, len(each.vector)) != len(each.vector):
                raise SpeakerInvalid(
                    f"vectors of model {each.model} differ in length",
                    why=f"{own[each.model]} numbers and {len(each.vector)}",
                    hint="export the speaker again",
                )
        for model, length in own.items():
            if self._known.get(model) == length:
                continue
            # Whoever decided may have been erased since.
            known, first = self._first(model) or (length, "")
            self._known[model] = known
            if known != length:
                raise SpeakerInvalid(
                    f"a vector has {length} numbers, and those of model {model} here have {known}",
                    why=f"they are compared with each other; speaker {first!r} was the first",
                    hint=f"if that one is wrong: holdfast voiceprint speakers --erase {first}",
                )

    def _first(self, model: str) -> tuple[int, str] | None:
        """Return the length of a model's vectors here, and the speaker of the first."""
        for wrapped, row in self._store.of_model(model):
            try:
                sealed = self._vault.open(row.speaker, wrapped, row.sealed, what_is_sealed(row))
            except TemplateTampered:
                continue
            return len(vector_bytes(sealed)) // 4, row.speaker
        return None
