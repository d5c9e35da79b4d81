"""Where objects are put together from settings; nothing else knows how they are made.

The starter set is what works without any hub: models that travel inside installed packages. They
are served by a hub of our own for as long as bringing them takes, so that they go the same way as
every other model: planned, downloaded, verified, published in a home.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import io
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from holdfast.config import ServiceSettings, Settings
from holdfast.doctor import Checkup, examine
from holdfast.errors import ConfigInvalid, CorruptFiles, MissingExtra, NotHere, StorageFailed
from holdfast.events import Event, Notice, Reporter
from holdfast.language import Backend
from holdfast.places import sweep, temporary_name
from holdfast.refs import RepoRef, RevisionRef
from holdfast.runtime import (
    Backoff,
    Budget,
    Job,
    Limits,
    ModelSpec,
    Needs,
    Provided,
    Supervisor,
    check_wanted,
)
from holdfast.speech.engines._notices import LICENCE, README
from holdfast.speech.engines.silero import MODEL_FILE, load_silero

if TYPE_CHECKING:
    from holdfast.media import AudioSource, RawAudio, Waveform
    from holdfast.mirror import Repositories
    from holdfast.provision import Wanted
    from holdfast.speech import Segment, VadOptions, VoiceActivityEngine

__all__ = [
    "VAD_MODEL",
    "Provide",
    "Services",
    "Verify",
    "VoiceActivity",
    "configured_services",
    "provide_from_hub",
    "provide_starter",
    "services_of",
    "starter_repositories",
    "verify_stored",
]

Provide = Callable[[RevisionRef, Reporter], Provided]
Verify = Callable[[RevisionRef, Reporter], None]

VAD_MODEL = "silero-vad"
_VAD_REPO = RepoRef("holdfast/silero-vad")
_VAD_HUB_REPO = RepoRef("onnx-community/silero-vad")
# Of repositories that hold one model in many forms, the files that are used.
_FILES = {_VAD_HUB_REPO: ("onnx/model.onnx", "README.md")}
_VAD_NEEDS = Needs(memory_mb=100)
# One recording takes one core.
_VAD_THREADS = min(os.cpu_count() or 1, 4)
_SCRATCH = "holdfast-starter"
_PACKAGE = "faster-whisper"


@dataclass(frozen=True, slots=True)
class VoiceActivity:
    """Finds speech with whatever engine the supervisor has loaded under ``model``."""

    supervisor: Supervisor
    model: str = VAD_MODEL

    def submit(
        self, source: AudioSource, options: VadOptions | None = None, raw: RawAudio | None = None
    ) -> Job[list[Segment]]:
        """Ask for the segments of speech in a recording.

        Raises:
            ModelNotReady: the model has failed, or was unloaded.
            ModelBusy: too many requests wait for it.
        """
        if not isinstance(source, Path) and self.supervisor.is_isolated(self.model):
            source = io.BytesIO(source.read())  # an open file does not reach another process
        return self.supervisor.submit(self.model, _find_speech, source, options, raw)

    def detect(
        self, source: AudioSource, options: VadOptions | None = None, raw: RawAudio | None = None
    ) -> list[Segment]:
        """Return the segments of speech in a recording.

        Raises:
            HoldfastError: as `submit`; the model does not become ready or answer in time.
            MediaError: the recording cannot be used.
        """
        return self.submit(source, options, raw).result()


def _find_speech(
    engine: VoiceActivityEngine,
    source: AudioSource,
    options: VadOptions | None,
    raw: RawAudio | None,
) -> list[Segment]:
    from holdfast.media import audio_blocks
    from holdfast.speech import detect_speech

    def blocks() -> Iterator[Waveform]:
        for block in audio_blocks(source, raw=raw):
            check_wanted()
            yield block

    return detect_speech(engine, blocks(), options)


@dataclass(frozen=True, slots=True)
class Services:
    """What the server's routes use. Whoever made it starts and closes the supervisor.

    ``checkup`` is None where nothing is known of the machine's settings.
    """

    supervisor: Supervisor
    voice_activity: VoiceActivity
    language: Backend
    checkup: Checkup | None = None


def configured_services(
    settings: Settings,
    service: ServiceSettings,
    env: Mapping[str, str],
    also: Reporter | None = None,
) -> Services:
    """Put together what a profile serves, with real models; nothing is started yet.

    Args:
        settings: about models on disk.
        service: about the service; its profile decides where models come from.
        env: the environment's variables.
        also: told everything that happens, besides the runtime.
    """
    starter = service.profile == "starter"
    bring = provide_starter if starter else provide_from_hub
    services = services_of(
        bring(settings, env, also), verify_stored(settings, env), service=service
    )
    # The starter set needs no network, so nothing is to be said about it.
    seen = settings._replace(offline=True) if starter else settings
    return replace(services, checkup=Checkup(lambda: examine(seen, env)))


def services_of(
    provide: Provide,
    verify: Verify | None = None,
    *,
    service: ServiceSettings | None = None,
    backoff: Backoff | None = None,
) -> Services:
    """Put a profile's models together; nothing is started yet.

    Args:
        provide: brings a revision to disk, such as `provide_starter` returns.
        verify: checks what is on disk; raises when a file is wrong.
        service: how they are run.
        backoff: pauses between attempts.

    Raises:
        ConfigInvalid: a setting is for a model that there is not.
    """
    service = service or ServiceSettings()
    specs = _models(provide, verify, service)
    unknown = sorted(set(service.models) - {spec.id for spec in specs})
    if unknown:
        raise ConfigInvalid(
            f"there are settings for models that the profile {service.profile} has not",
            why=f"[models.{unknown[0]}]; it has {', '.join(spec.id for spec in specs)}",
            hint="correct the name in holdfast.toml",
        )
    budget = Budget(service.memory_budget_mb, service.when_full)
    supervisor = Supervisor(specs, backoff=backoff, budget=budget)
    language = Backend(service.language_url, service.language_key, service.deadline_s)
    return Services(supervisor, VoiceActivity(supervisor), language)


def _models(
    provide: Provide, verify: Verify | None, service: ServiceSettings
) -> Sequence[ModelSpec]:
    ref = RevisionRef(_VAD_REPO if service.profile == "starter" else _VAD_HUB_REPO)

    def check(provided: Provided, report: Reporter) -> None:
        if verify is not None:
            verify(RevisionRef(ref.repo, provided.revision), report)

    return [
        ModelSpec(
            id=VAD_MODEL,
            task="voice-activity-detection",
            repository=str(ref.repo),
            revision=ref.revision,
            licence="MIT",
            provide=lambda report: provide(ref, report),
            verify=check,
            load=load_silero,
            needs=_VAD_NEEDS,
            **_how(service.of_model(VAD_MODEL, threads=_VAD_THREADS)),
        )
    ]


def _how(chosen: Mapping[str, Any]) -> dict[str, Any]:
    """Return a model's settings in the terms of its specification."""
    values = dict(chosen)
    values["limits"] = Limits(values.pop("wait_s"), values.pop("deadline_s"))
    if "batch_wait_ms" in values:
        values["batch_wait_s"] = values.pop("batch_wait_ms") / 1000
    return values


def provide_from_hub(
    settings: Settings, env: Mapping[str, str], also: Reporter | None = None
) -> Provide:
    """Return what brings models from the Hub to the home that ``settings`` mean."""

    def provide(ref: RevisionRef, report: Reporter) -> Provided:
        from holdfast.provision import Wanted

        return _pulled(settings, env, Wanted(ref, include=_FILES.get(ref.repo, ())), report, also)

    return provide


def _pulled(
    settings: Settings,
    env: Mapping[str, str],
    wanted: Wanted,
    report: Reporter,
    also: Reporter | None,
) -> Provided:
    from holdfast.provision import Provisioner

    def both(event: Event) -> None:
        report(event)
        if also is not None:
            also(event)

    pulled = Provisioner(settings, env, both).pull(wanted)
    told = (
        f"{wanted.ref.repo}: {pulled.files} files at {pulled.path}, {pulled.bytes_fetched} "
        f"bytes fetched, {pulled.strategy}, {pulled.seconds:.2f} s"
    )
    both(Notice("info", told))
    return Provided(pulled.path, pulled.commit)


def provide_starter(
    settings: Settings, env: Mapping[str, str], also: Reporter | None = None
) -> Provide:
    """Return what brings the starter set's models to the home that ``settings`` mean.

    What is complete there is used without a request. Otherwise a hub on loopback serves the
    package's copy until it has been brought.

    Args:
        settings: as for any other model; the endpoint does not matter.
        env: the environment's variables.
        also: told everything that happens, besides the runtime.
    """

    def provide(ref: RevisionRef, report: Reporter) -> Provided:
        from holdfast.provision import Wanted

        def pull(chosen: Settings, wanted: RevisionRef) -> Provided:
            return _pulled(chosen, env, Wanted(wanted), report, also)

        with ExitStack() as stack:
            repositories = starter_repositories(stack.enter_context(_scratch()))
            # The revision is known before anything is asked for: the files' own digest.
            pinned = RevisionRef(ref.repo, repositories.at(ref.repo, ref.revision).id)
            try:
                return pull(settings._replace(offline=True), pinned)
            except NotHere as error:
                if settings.offline:
                    raise NotHere(
                        f"{pinned} is not complete here",
                        why="only local files may be used (offline)",
                        hint="once without --offline: it comes from this machine, over loopback",
                    ) from error
            from holdfast.mirror import running_hub

            hub = stack.enter_context(running_hub(repositories))
            return pull(settings._replace(endpoint=hub.url, token=None), pinned)

    return provide


def verify_stored(settings: Settings, env: Mapping[str, str]) -> Verify:
    """Return what hashes every stored file of a revision; no network is used."""

    def check(ref: RevisionRef, report: Reporter) -> None:
        from holdfast.provision import Provisioner, verify

        found = verify(Provisioner(settings, env, report), [ref])
        if found.bad:
            raise CorruptFiles(
                f"{len(found.bad)} file(s) of {ref} are not what they should be",
                why="; ".join(str(bad) for bad in found.bad),
                hint=f"holdfast repair {ref}",
            )

    return check


def starter_repositories(root: Path) -> Repositories:
    """Lay the starter set out below ``root`` as repositories for a hub to serve.

    The same package gives the same revision on every machine.

    Raises:
        MissingExtra: the packages that the models travel in, or the hub's, are not installed.
    """
    model, package = _packaged_silero()
    try:
        from holdfast.mirror import Repositories
    except ImportError as error:
        raise _missing("the starter set cannot be served", str(error.name), "starter") from error
    folder = root / _VAD_REPO.id
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(model, folder / MODEL_FILE)
    about = README.format(model=model.name, package=package)
    (folder / "README.md").write_bytes(about.encode())
    (folder / "LICENSE").write_bytes(LICENCE.encode())
    return Repositories(root)


def _packaged_silero() -> tuple[Path, str]:
    """Return Silero's file inside faster-whisper, without importing that, and the version."""
    spec = importlib.util.find_spec("faster_whisper")
    folders = [Path(place) for place in (spec.submodule_search_locations or ())] if spec else []
    # With several versions of the model the last name is the newest.
    found = sorted(path for folder in folders for path in folder.glob("assets/silero_vad*.onnx"))
    if not found:
        raise _missing("Silero's voice activity model is not here", _PACKAGE, "speech")
    return found[-1], f"{_PACKAGE} {importlib.metadata.version(_PACKAGE)}"


def _missing(what: str, package: str, extra: str) -> MissingExtra:
    return MissingExtra(
        what, why=f"{package} is not installed", hint=f"pip install 'holdfast[{extra}]'"
    )


@contextmanager
def _scratch() -> Iterator[Path]:
    """Yield a new folder that goes with this process: one that was killed is cleaned up after."""
    try:
        around = Path(tempfile.gettempdir())
        sweep(around, only=_SCRATCH)
        folder = around / temporary_name(_SCRATCH)
        folder.mkdir(0o700)
    except OSError as error:
        raise StorageFailed(
            "there is no temporary folder",
            why=error.strerror or str(error),
            hint="set TMPDIR to a folder that can be written",
        ) from error
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
