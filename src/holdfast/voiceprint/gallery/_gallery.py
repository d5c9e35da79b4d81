"""Enrolled speakers: their profiles, their utterances, the centroid that is compared."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import Any, Literal

from holdfast.voiceprint.gallery._errors import (
    AuditBroken,
    SpeakerInvalid,
    TemplateTampered,
    UnknownSpeaker,
)
from holdfast.voiceprint.gallery._imported import speaker_of
from holdfast.voiceprint.gallery._index import Found, Vectors
from holdfast.voiceprint.gallery._lengths import Lengths
from holdfast.voiceprint.gallery._records import (
    EXPORT,
    Profile,
    Template,
    Utterance,
    check_profile,
    is_id,
    packed,
    plain,
    template_of,
    unpacked,
    whole,
)
from holdfast.voiceprint.gallery._search import (
    DatabaseSearch,
    LeftOut,
    MemorySearch,
    Search,
    Turned,
    not_comparable,
    what_is_sealed,
)
from holdfast.voiceprint.gallery._store import (
    GalleryStore,
    SearchingStore,
    SpeakerRow,
    UtteranceRow,
)
from holdfast.voiceprint.gallery._vault import Vault

__all__ = ["Gallery"]

_ATTEMPTS = 5


class Gallery:
    """Every enrolled speaker of a deployment. Safe to use from several threads.

    What is sealed is opened on the way through.

    Args:
        store: where sealed rows are kept; closed with the gallery, or when there can be none.
        vault: seals and opens them.
        search: in ``memory`` the centroids stay there, and follow what other processes enrol and
            erase; in the ``database`` the store is searched, which must be able to.

    Raises:
        VaultKeyWrong: the vault's key is not that of what is kept here.
    """

    def __init__(
        self, store: GalleryStore, vault: Vault, search: Literal["memory", "database"] = "memory"
    ) -> None:
        self._store = store
        self._vault = vault
        left_out = LeftOut()
        self._turned = Turned(vault, left_out)
        self._lengths = Lengths(store, vault)
        self._search: Search = MemorySearch(store, vault, left_out)
        if search == "database":
            assert isinstance(store, SearchingStore)
            self._search = DatabaseSearch(store, self._turned, self.template, left_out)
        try:
            vault.check(store.proof(vault.proof))
        except BaseException:
            store.close()
            raise

    def close(self) -> None:
        """Let go of the store."""
        self._store.close()

    # -- speakers

    def put(self, profile: Profile, by: str = "") -> Profile:
        """Add a speaker, or replace the profile of one that is here; return it as kept.

        Raises:
            SpeakerInvalid: an id, name, tag or note that cannot be taken.
        """
        check_profile(profile)
        for _ in range(_ATTEMPTS):
            row = self._store.speaker(profile.id)
            if row is None:
                kept = replace(profile, created=_now())
                wrapped = self._vault.new_speaker_key(profile.id)
                new = SpeakerRow(profile.id, wrapped, self._sealed_profile(wrapped, kept))
                if self._store.add_speaker(new, _line("create", profile.id, by)):
                    return kept
            else:
                kept = replace(profile, created=self._profile(row).created)
                changed = row._replace(profile=self._sealed_profile(row.wrapped_key, kept))
                if self._store.set_profile(changed, _line("change", profile.id, by)):
                    return kept
        raise SpeakerInvalid(
            f"speaker {profile.id!r} is being created and erased by others", why="all at once",
            hint="try again",
        )  # fmt: skip

    def has(self, speaker: str) -> bool:
        """Return whether there is such a speaker."""
        return is_id(speaker) and self._store.speaker(speaker) is not None

    def profile(self, speaker: str) -> Profile:
        """Return a speaker's profile.

        Raises:
            UnknownSpeaker: there is no such speaker.
        """
        return self._profile(self._row(speaker))

    def profiles(self, after: str = "") -> Iterator[Profile]:
        """Yield every profile that opens, by id; those up to ``after`` are left out."""
        return (profile for _, profile in self.listed(after) if profile is not None)

    def listed(self, after: str = "") -> Iterator[tuple[str, Profile | None]]:
        """Yield every speaker's id and profile, None where that does not open, as `profiles`."""
        for row in self._store.speakers(after):
            try:
                yield row.id, self._profile(row)
            except TemplateTampered:
                yield row.id, None

    def count(self) -> int:
        """Return how many speakers there are."""
        return self._store.count()

    def erase(self, speaker: str, by: str = "") -> None:
        """Destroy all that is kept of a speaker, the key first of all.

        Raises:
            UnknownSpeaker: there is no such speaker.
        """
        if not is_id(speaker) or not self._store.erase(speaker, _line("erase", speaker, by)):
            raise _unknown(speaker)

    # -- templates

    def enrol(self, speaker: str, utterances: Sequence[Utterance], by: str = "") -> None:
        """Add utterances to a speaker: all of them or none.

        Raises:
            UnknownSpeaker: there is no such speaker.
            SpeakerInvalid: a vector is not as long as those of its model that are here.
        """
        row = self._row(speaker)
        self._lengths.check(utterances)
        rows = [self._sealed_utterance(row, utterance) for utterance in utterances]
        told = _line("enrol", speaker, by, utterances=len(rows))
        if not self._store.add_utterances(row, rows, told, self._turned.centroids):
            raise _unknown(speaker)

    def utterances(self, speaker: str) -> list[Utterance]:
        """Return a speaker's utterances, of every model, in the order of their enrolment.

        Raises:
            UnknownSpeaker: there is no such speaker.
        """
        row = self._row(speaker)
        opened = self._vault.opener(row.id, row.wrapped_key)
        return [
            unpacked(opened(each.sealed, what_is_sealed(each)))
            for each in self._store.utterances(speaker)
        ]

    def audio(self, speaker: str) -> Iterator[tuple[str, bytes]]:
        """Yield the recordings that are kept of a speaker, as FLAC, by their utterances' ids.

        Raises:
            UnknownSpeaker: there is no such speaker.
        """
        row = self._row(speaker)
        opened = self._vault.opener(row.id, row.wrapped_key)
        for utterance, sealed in self._store.audio(speaker):
            yield utterance, opened(sealed, _recording(utterance))

    def template(self, speaker: str, model: str, length: int | None = None) -> Template | None:
        """Return what a voice is compared with; None where nothing of this model is enrolled.

        Args:
            speaker: the id.
            model: fingerprint of the model.
            length: of what it is to be compared with, where that is known.

        Raises:
            UnknownSpeaker: there is no such speaker.
            TemplateTampered: what is kept does not open, or cannot be compared with anything.
        """
        template = _mean(speaker, model, self.utterances(speaker))
        if template is not None and length not in {None, len(template.centroid)}:
            raise not_comparable(speaker)
        return template

    def speech_s(self, speaker: str) -> float:
        """Return the seconds of speech that are enrolled; what two models know counts once.

        Raises:
            UnknownSpeaker: there is no such speaker.
            TemplateTampered: as `template`, of any model.
        """
        found = self.utterances(speaker)
        for model in {each.model for each in found}:
            _mean(speaker, model, found)
        return sum(each.speech_s for each in found if "of" not in each.facts)

    def outdated(self, model: str) -> list[str]:
        """Return the speakers whose utterances are all of other models: to be enrolled again."""
        models: dict[str, set[str]] = {}
        for _, row in self._store.enrolled():
            models.setdefault(row.speaker, set()).add(row.model)
        return sorted(speaker for speaker, found in models.items() if model not in found)

    def prepare(self) -> None:
        """Do what the first search would have to wait for, which takes seconds for many voices."""
        self._search.prepare()

    def search(self, model: str, probe: Vectors, most: int, at_least: float) -> list[Found]:
        """Return the speakers that a voice sounds like; see `VoiceIndex.search`.

        Args:
            model: fingerprint of the model that made ``probe``.
            probe: shape (dimension,), of length 1.
        """
        return self._search.search(model, probe, most, at_least)

    # -- what was fitted to these voices: the scale, the cohort

    def kept(self, name: str) -> bytes | None:
        """Return what is kept here for every server under a name, if anything.

        Raises:
            TemplateTampered: it was changed from outside.
        """
        sealed = self._store.fact(name)
        return None if sealed is None else self._vault.open_fact(name, sealed)

    def keep(self, name: str, content: bytes, by: str = "") -> None:
        """Keep something for every server, sealed, in place of what had this name."""
        self._store.keep_fact(name, self._vault.seal_fact(name, content), _line(name, "", by))

    # -- the log, and one's own data

    def note(self, action: str, speaker: str, by: str = "", **facts: Any) -> None:
        """Add a line to the audit log."""
        self._store.note(_line(action, speaker, by, **facts))

    def audit(self) -> Iterator[dict[str, Any]]:
        """Yield the audit log, the oldest line first.

        Raises:
            AuditBroken: a line was changed, removed or added from outside.
        """
        before = b""
        for number, row in enumerate(self._store.audit(), 1):
            if row.number != number or row.seal != self._vault.chain(before, row.line):
                raise AuditBroken(
                    f"the audit log is not whole from line {number} on",
                    why="the line's seal does not follow from the lines before it",
                    hint="compare it with a copy; what follows cannot be relied on",
                )
            before = row.seal
            yield {"number": number, **json.loads(row.line)}

    def export(self, speaker: str, by: str = "") -> dict[str, Any]:
        """Return all that is kept of a speaker, opened, as JSON-ready data.

        Raises:
            UnknownSpeaker: there is no such speaker.
        """
        profile, utterances = self.profile(speaker), self.utterances(speaker)
        recordings = dict(self.audio(speaker))
        self.note("export", speaker, by)
        return {
            "form": EXPORT,
            "profile": asdict(profile) | {"tags": list(profile.tags)},
            "utterances": [
                plain(replace(each, audio=recordings.get(each.id, b""))) for each in utterances
            ],
        }

    def take_in(self, exported: Mapping[str, Any], by: str = "") -> Profile:
        """Add a speaker that `export` gave, with all utterances or not at all.

        Returns:
            the profile.

        Raises:
            SpeakerInvalid: it is not what `export` gives, or the speaker is here already.
        """
        profile, utterances = speaker_of(exported)
        self._lengths.check(utterances)
        kept = replace(profile, created=_now())
        wrapped = self._vault.new_speaker_key(profile.id)
        row = SpeakerRow(profile.id, wrapped, self._sealed_profile(wrapped, kept))
        rows = [self._sealed_utterance(row, utterance) for utterance in utterances]
        told = _line("import", profile.id, by, utterances=len(rows))
        if not self._store.add_speaker(row, told, rows, self._turned.centroids):
            raise SpeakerInvalid(
                f"speaker {profile.id!r} is here already", why="nothing is put over it",
                hint=f"holdfast voiceprint speakers --erase {profile.id}",
            )  # fmt: skip
        return kept

    # -- sealing

    def _row(self, speaker: str) -> SpeakerRow:
        row = self._store.speaker(speaker) if is_id(speaker) else None
        if row is None:
            raise _unknown(speaker)
        return row

    def _sealed_profile(self, wrapped: bytes, profile: Profile) -> bytes:
        content = json.dumps(asdict(profile)).encode()
        return self._vault.seal(profile.id, wrapped, content, "profile")

    def _profile(self, row: SpeakerRow) -> Profile:
        content = json.loads(self._vault.open(row.id, row.wrapped_key, row.profile, "profile"))
        texts = {name: whole(content[name]) for name in ("display_name", "consent")}
        return Profile(**(content | texts | {"tags": tuple(map(whole, content["tags"]))}))

    def _sealed_utterance(self, row: SpeakerRow, utterance: Utterance) -> UtteranceRow:
        kept = replace(utterance, id=uuid.uuid4().hex, created=utterance.created or _now())
        new = UtteranceRow(kept.id, row.id, kept.model, b"")
        what = what_is_sealed(new)
        sealed = self._vault.seal(row.id, row.wrapped_key, packed(kept), what)
        audio = None
        if kept.audio:
            audio = self._vault.seal(row.id, row.wrapped_key, kept.audio, _recording(kept.id))
        return new._replace(sealed=sealed, audio=audio)


def _mean(speaker: str, model: str, utterances: Sequence[Utterance]) -> Template | None:
    try:
        return template_of([each for each in utterances if each.model == model])
    except ValueError as error:
        raise not_comparable(speaker) from error


def _recording(utterance: str) -> str:
    return f"audio:{utterance}"


def _unknown(speaker: str) -> UnknownSpeaker:
    return UnknownSpeaker(
        f"there is no speaker {speaker!r}", why="none has this id, or it was erased",
        hint="holdfast voiceprint speakers lists them",
    )  # fmt: skip


def _line(action: str, speaker: str, by: str, **facts: Any) -> str:
    about = {"time": _now(), "action": action, "speaker": speaker, "by": whole(by), **facts}
    return json.dumps(about, ensure_ascii=False, sort_keys=True)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
