"""Where enrolled voices are kept, as the settings say: in files, or in a database."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from holdfast.config import ServiceSettings
from holdfast.errors import ConfigInvalid, HoldfastError, MissingExtra, NoDataFolder
from holdfast.places import data_folder, surroundings
from holdfast.voiceprint import Cohort, Scale, read_scale
from holdfast.wiring._voice_key import local_key, shared_key

if TYPE_CHECKING:
    from holdfast.voiceprint.gallery import Gallery

__all__ = ["KeptVoices"]

_log = logging.getLogger(__name__)

_COUNT_S = 1.0
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

    def prepare(self) -> None:
        """Open them and have them ready to be searched, where there are any; failures are logged.

        Whoever asks about voices before waits, or is told why they cannot be had.
        """
        try:
            if self._there():
                begun = time.monotonic()
                gallery = self.open()
                gallery.prepare()
                seconds = time.monotonic() - begun
                _log.info("%d enrolled speakers are ready after %.2f s", gallery.count(), seconds)
        except HoldfastError as error:
            _log.warning("%s: %s (%s)", error, error.why, error.hint)

    def count(self) -> int | None:
        """Return how many are enrolled; None where they have not been opened, or cannot be read."""
        gallery = self._gallery
        if gallery is None:
            return None
        counted: list[int] = []

        def count() -> None:
            with contextlib.suppress(HoldfastError):  # whoever asks about voices is told why
                counted.append(gallery.count())

        # A database that stands still must not keep the other numbers waiting.
        thread = threading.Thread(target=count, daemon=True)
        thread.start()
        thread.join(_COUNT_S)
        return counted[0] if counted else None

    def scale(self) -> Scale | None:
        """Return the scale that was fitted here, if one was; servers of one database share it.

        Raises:
            TemplateTampered: it was changed from outside.
        """
        if not self._there():
            return None
        kept = self.open().kept(_SCALE)
        return None if kept is None else read_scale(kept.decode(), "the fitted scale")

    def cohort(self) -> Cohort | None:
        """Return the voices that scores are normalised with, if some were kept."""
        kept = self.open().kept(_COHORT)
        return None if kept is None else Cohort.from_bytes(kept)

    def keep_scale(self, scale: Scale, cohort: Cohort | None = None, by: str = "") -> str:
        """Put a scale, and the cohort that it needs, in the place of the model's own.

        Returns:
            where it is.
        """
        if cohort is not None:
            self.open().keep(_COHORT, cohort.to_bytes(), by)
        self.open().keep(_SCALE, scale.text().encode(), by)
        if self._service.voiceprint_database is not None:
            from holdfast.voiceprint.gallery.postgres import shown

            return shown(self._service.voiceprint_database)
        return str(self._file())

    def close(self) -> None:
        """Let go of them."""
        with self._turn:
            if self._gallery is not None:
                self._gallery.close()
                self._gallery = None

    def _file(self) -> Path:
        return self.folder() / "voiceprint" / "voiceprint.sqlite"

    def _there(self) -> bool:
        """Return whether something may be kept; nothing is made by looking."""
        try:
            return self._service.voiceprint_database is not None or self._file().exists()
        except NoDataFolder:
            return False

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
