"""Where enrolled voices are kept, as the settings say: in files, or in a database."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from holdfast.config import ServiceSettings
from holdfast.errors import ConfigInvalid, HoldfastError, MissingExtra
from holdfast.places import Modes, data_folder, surroundings, write_file
from holdfast.voiceprint import Cohort, Scale, read_scale
from holdfast.wiring._voice_key import local_key, shared_key

if TYPE_CHECKING:
    from holdfast.voiceprint.gallery import Gallery

__all__ = ["KeptVoices"]

_OWN_SCALE = "voiceprint-scale.json"
_SCALE, _COHORT = "scale", "cohort"


class KeptVoices:
    """Opens the enrolled voices when they are first asked for, and closes them once.

    Args:
        service: where data and the key are.
        env: the environment's variables.
    """

    def __init__(self, service: ServiceSettings, env: Mapping[str, str]) -> None:
        self._service = service
        self._env = env
        self._turn = threading.Lock()
        self._gallery: Gallery | None = None
        self._failed: tuple[float, HoldfastError] | None = None

    def folder(self) -> Path:
        """Return the folder that they are kept in, where no database does.

        Raises:
            NoDataFolder: nothing can be kept on this machine.
        """
        return data_folder(self._service.data, surroundings(self._env))

    def open(self) -> Gallery:
        """Return them.

        Raises:
            HoldfastError: there is no place, no key, or not the right one.
        """
        asked = time.monotonic()
        with self._turn:
            if self._gallery is None:
                # Who waited while another tried in vain is told the same, not kept waiting again.
                if self._failed is not None and self._failed[0] >= asked:
                    raise self._failed[1].with_traceback(None)
                try:
                    self._gallery = self._opened()
                except HoldfastError as error:
                    self._failed = time.monotonic(), error
                    raise
            return self._gallery

    def count(self) -> int | None:
        """Return how many are enrolled; None where they have not been opened, or cannot be read."""
        gallery = self._gallery
        try:
            return None if gallery is None else gallery.count()
        except HoldfastError:
            return None  # whoever asks about voices is told why

    def scale(self) -> Scale | None:
        """Return the scale that was fitted here, if one was; servers of one database share it."""
        if self._service.voiceprint_database is not None:
            kept = self.open().kept(_SCALE)
            return None if kept is None else read_scale(kept.decode(), "the database")
        path = self.folder() / _OWN_SCALE
        return read_scale(path.read_text("utf-8"), str(path)) if path.is_file() else None

    def cohort(self) -> Cohort | None:
        """Return the voices that scores are normalised with, if some were kept."""
        kept = self.open().kept(_COHORT)
        return None if kept is None else Cohort.from_bytes(kept)

    def keep_scale(self, scale: Scale, cohort: Cohort | None = None) -> str:
        """Put a scale, and the cohort that it needs, in the place of the model's own.

        Returns:
            where the scale is.
        """
        if cohort is not None:
            self.open().keep(_COHORT, cohort.to_bytes())
        content = scale.text().encode()
        if self._service.voiceprint_database is not None:
            from holdfast.voiceprint.gallery.postgres import shown

            self.open().keep(_SCALE, content)
            return shown(self._service.voiceprint_database)
        path = self.folder() / _OWN_SCALE
        write_file(path, content, Modes())
        return str(path)

    def close(self) -> None:
        """Let go of them."""
        with self._turn:
            if self._gallery is not None:
                self._gallery.close()
                self._gallery = None

    def _opened(self) -> Gallery:
        from holdfast.voiceprint.gallery import Gallery, SqliteStore, Vault

        if self._service.voiceprint_database is not None:
            return self._in_database(self._service.voiceprint_database)
        if self._service.voiceprint_search != "memory":
            raise ConfigInvalid(
                "the setting [voiceprint] search=database cannot be used",
                why="without [voiceprint] database voices are in files, which cannot be searched",
                hint="export HOLDFAST_VOICEPRINT_DATABASE=postgresql://user@host/database",
            )
        folder = self.folder() / "voiceprint"
        vault = Vault(local_key(self._service, folder))
        return Gallery(SqliteStore(folder, vault.chain), vault)

    def _in_database(self, address: str) -> Gallery:
        from holdfast.voiceprint.gallery import Gallery, Vault

        try:
            from holdfast.voiceprint.gallery.postgres import PostgresStore
        except ImportError as error:
            raise MissingExtra(
                "voices cannot be kept in PostgreSQL here",
                why=f"psycopg cannot be imported: {error}",
                hint="pip install 'holdfast[postgres]'",
            ) from error
        vault = Vault(shared_key(self._service))
        store = PostgresStore(address, vault.chain)
        return Gallery(store, vault, self._service.voiceprint_search)
