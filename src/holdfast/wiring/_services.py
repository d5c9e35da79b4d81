"""The services of a profile, put together; nothing is started yet."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from holdfast.config import ServiceSettings, Settings
from holdfast.doctor import Checkup, examine
from holdfast.errors import ConfigInvalid
from holdfast.events import Reporter
from holdfast.language import Backend
from holdfast.refs import RepoRef, RevisionRef
from holdfast.runtime import (
    Backoff,
    Budget,
    Limits,
    ModelSpec,
    Provided,
    Supervisor,
    choose_device,
    this_machine,
)
from holdfast.speech import Reading, Speaking
from holdfast.voiceprint import Voiceprint
from holdfast.wiring._chosen import STT_MODEL, TTS_MODEL, chosen_reader, chosen_voice
from holdfast.wiring._convert import converter, reader_converter
from holdfast.wiring._document_models import ModelsTogether, chosen_document_models
from holdfast.wiring._documents import (
    DOCUMENTS_MODEL,
    Documents,
    KeptJobs,
    documents_description,
)
from holdfast.wiring._licences import UNSTATED, check_licence, with_licence
from holdfast.wiring._provide import (
    VAD_HUB_REPO,
    VOICE_HUB_REPO,
    Provide,
    Verify,
    provide_from_hub,
    provide_starter,
    verify_stored,
)
from holdfast.wiring._speech import VAD_MODEL, VoiceActivity, vad_description
from holdfast.wiring._spoof import SPOOF_MODEL, ChosenDetector, chosen_detector
from holdfast.wiring._starter import DOCUMENTS_REPO, STARTER_REPOS, VAD_REPO, VOICE_REPO
from holdfast.wiring._voiceprint import (
    VOICE_MODEL,
    voice_description,
    voiceprint_of,
)
from holdfast.wiring._voices import KeptVoices

__all__ = ["Services", "configured_services", "document_models", "services_of"]


@dataclass(frozen=True, slots=True)
class Services:
    """What the server's routes use. Whoever made it starts and closes the supervisor.

    ``reading``, ``speaking`` and ``documents`` are None where no such model is mounted, and
    ``checkup`` where nothing is known of the machine's settings.
    """

    supervisor: Supervisor
    voice_activity: VoiceActivity
    voiceprint: Voiceprint
    voices: KeptVoices
    language: Backend
    service: ServiceSettings = ServiceSettings()
    reading: Reading | None = None
    speaking: Speaking | None = None
    documents: Documents | None = None
    checkup: Checkup | None = None


def configured_services(
    settings: Settings,
    service: ServiceSettings,
    env: Mapping[str, str],
    also: Reporter | None = None,
    only: Collection[str] | None = None,
) -> Services:
    """Put together what a profile serves, with real models; nothing is started yet.

    Args:
        settings: about models on disk.
        service: about the service; its profile decides where models come from.
        env: the environment's variables.
        also: told everything that happens, besides the runtime.
        only: ids of the models that are wanted; all of them when None.
    """
    provide, verify, converters = _provisioning(settings, service, env, also)
    services = services_of(
        provide,
        verify,
        service=service,
        env=env,
        only=only,
        converters=converters,
        settings=settings,
    )
    # The starter set needs no network, so nothing is to be said about it.
    seen = settings._replace(offline=True) if service.profile == "starter" else settings
    return replace(services, checkup=Checkup(lambda: examine(seen, env)))


def _provisioning(
    settings: Settings,
    service: ServiceSettings,
    env: Mapping[str, str],
    also: Reporter | None,
) -> tuple[Provide, Verify, dict[str, Callable[[Path], Path]]]:
    """Return what brings models, what verifies them, and what makes others of them."""
    starter = provide_starter(settings, env, also)
    hub = provide_from_hub(settings, env, also, _files(service))

    def from_either(ref: RevisionRef, report: Reporter) -> Provided:
        return (starter if ref.repo in STARTER_REPOS else hub)(ref, report)

    provide: Provide = from_either
    verify = verify_stored(settings, env)
    converters = _converters(settings, env, service)
    chosen = chosen_document_models(service)
    if chosen is not None:
        together = ModelsTogether(settings, env, chosen)
        provide, verify = together.providing(provide), together.verifying(verify)
        converters[DOCUMENTS_MODEL] = together.assemble
    return provide, verify, converters


def document_models(
    settings: Settings, service: ServiceSettings, env: Mapping[str, str], report: Reporter
) -> tuple[Path, str]:
    """Bring the models that pages are looked at with; return their folder and their device.

    For the layout by geometry there is nothing to be brought, and the folder is an empty path.

    Args:
        settings: about models on disk.
        service: which models.
        env: the environment's variables.
        report: told what happens.

    Raises:
        HoldfastError: they cannot be had, are not allowed, or are not as they were published.
    """
    if chosen_document_models(service) is None:
        return Path(), "cpu"
    service = service._replace(documents_processes=1)
    provide, verify, converters = _provisioning(settings, service, env, None)
    ref, description = _models(service, None, KeptJobs(service, env), settings)[DOCUMENTS_MODEL]
    spec = _spec(
        DOCUMENTS_MODEL, ref, {**description, "convert": converters[DOCUMENTS_MODEL]},
        provide, verify, service,
    )  # fmt: skip
    device = choose_device(spec.device, spec.devices, this_machine())
    provided = spec.provide(report)
    if spec.verify is not None:
        spec.verify(provided, report)
    return (spec.convert(provided.folder) if spec.convert else provided.folder), device


def services_of(
    provide: Provide,
    verify: Verify | None = None,
    *,
    service: ServiceSettings | None = None,
    env: Mapping[str, str] | None = None,
    converters: Mapping[str, Callable[[Path], Path]] | None = None,
    only: Collection[str] | None = None,
    backoff: Backoff | None = None,
    settings: Settings | None = None,
) -> Services:
    """Put a profile's models together; nothing is started yet.

    Args:
        provide: brings a revision to disk, such as `provide_starter` returns.
        verify: checks what is on disk; raises when a file is wrong.
        service: how they are run.
        env: the environment's variables, which say where data may be kept.
        converters: by model, makes what it is loaded from.
        only: ids of the models that are wanted; all of them when None.
        backoff: pauses between attempts.
        settings: about models on disk, for processes that bring models themselves.

    Raises:
        ConfigInvalid: a setting is for a model that there is not.
    """
    service = service or ServiceSettings()
    env = env if env is not None else os.environ
    detector = chosen_detector(service)
    jobs = KeptJobs(service, env)
    wanted = _models(service, detector, jobs, settings)
    unknown = sorted(set(service.models) - set(wanted))
    if unknown:
        raise ConfigInvalid(
            f"there are settings for models that the profile {service.profile} has not",
            why=f"[models.{unknown[0]}]; it has {', '.join(wanted)}",
            hint="correct the name in holdfast.toml",
        )
    specs = [
        _spec(model, ref, {**description, "convert": (converters or {}).get(model)},
              provide, verify, service)
        for model, (ref, description) in wanted.items()
        if only is None or model in only
    ]  # fmt: skip
    budget = Budget(service.memory_budget_mb, service.when_full)
    supervisor = Supervisor(specs, backoff=backoff, budget=budget)
    voices = KeptVoices(service, env)
    return Services(
        supervisor,
        VoiceActivity(supervisor, longest_s=service.speech_longest_s),
        voiceprint_of(supervisor, service, voices, detector),
        voices,
        Backend(service.language_url, service.language_key, service.deadline_s),
        service,
        Reading(supervisor, STT_MODEL, VAD_MODEL) if STT_MODEL in wanted else None,
        Speaking(supervisor, TTS_MODEL) if TTS_MODEL in wanted else None,
        Documents(supervisor, jobs, service) if DOCUMENTS_MODEL in wanted else None,
    )


def _models(
    service: ServiceSettings,
    detector: ChosenDetector | None,
    jobs: KeptJobs,
    settings: Settings | None,
) -> dict[str, tuple[RevisionRef, Mapping[str, Any]]]:
    """Return where each model comes from, and what it is."""
    starter, gpu = service.profile == "starter", service.profile == "gpu"
    voice = voice_description()
    if gpu:
        # In torch, whose import would keep everybody else in this process waiting.
        voice |= {"device": "cuda", "devices": ("cpu", "cuda"), "isolate": True}
    models: dict[str, tuple[RevisionRef, Mapping[str, Any]]] = {
        VAD_MODEL: (RevisionRef(VAD_REPO if starter else VAD_HUB_REPO), vad_description()),
        VOICE_MODEL: (RevisionRef(VOICE_REPO if starter else VOICE_HUB_REPO), voice),
    }
    for chosen in (chosen_reader(service), chosen_voice(service)):
        if chosen is not None:
            models[chosen.id] = (chosen.named.ref, chosen.description)
    if detector is not None:
        models[SPOOF_MODEL] = (detector.ref, detector.description(gpu=gpu))
    if service.documents_processes:
        layout = chosen_document_models(service)
        models[DOCUMENTS_MODEL] = (
            RevisionRef(DOCUMENTS_REPO) if layout is None else layout.layout,
            documents_description(service, jobs, layout, settings),
        )
    return models


def _files(service: ServiceSettings) -> dict[RepoRef, Sequence[str]]:
    """Return which files are used of the repositories that the settings choose."""
    chosen = (chosen_reader(service), chosen_voice(service))
    files = {each.named.ref.repo: each.files for each in chosen if each is not None}
    documents = chosen_document_models(service)
    return files if documents is None else {**files, **documents.files}


def _converters(
    settings: Settings, env: Mapping[str, str], service: ServiceSettings
) -> dict[str, Callable[[Path], Path]]:
    found: dict[str, Callable[[Path], Path]] = {}
    if service.profile == "standard":
        found[VOICE_MODEL] = converter(settings, env, VOICE_HUB_REPO)
    reader = chosen_reader(service)
    if reader is not None and reader.named.ref.repo not in STARTER_REPOS:
        found[STT_MODEL] = reader_converter(settings, env, reader.named)
    return found


def _spec(
    model: str,
    ref: RevisionRef,
    description: Mapping[str, Any],
    provide: Provide,
    verify: Verify | None,
    service: ServiceSettings,
) -> ModelSpec:
    stated = str(description["licence"])

    def bring(report: Reporter) -> Provided:
        if stated != UNSTATED:
            check_licence(model, stated, service.allow_licences)  # before anything is fetched
        return with_licence(provide(ref, report))

    def check(provided: Provided, report: Reporter) -> None:
        check_licence(model, provided.licence or stated, service.allow_licences)
        if verify is not None:
            verify(RevisionRef(ref.repo, provided.revision), report)

    values = dict(description)
    chosen = service.of_model(model, threads=values.pop("threads", 1))
    return ModelSpec(
        id=model,
        repository=str(ref.repo),
        revision=ref.revision,
        provide=bring,
        verify=check,
        **(values | _how(model, chosen)),
    )


def _how(model: str, chosen: Mapping[str, Any]) -> dict[str, Any]:
    """Return a model's settings in the terms of its specification."""
    values = dict(chosen)
    if model == DOCUMENTS_MODEL:
        # Its processes are its own, and jobs that wait for them are no requests of the runtime's.
        values = {name: values[name] for name in values.keys() - {"idle_unload_s", "isolate"}}
    values["limits"] = Limits(values.pop("wait_s"), values.pop("deadline_s"))
    if "batch_wait_ms" in values:
        values["batch_wait_s"] = values.pop("batch_wait_ms") / 1000
    return values
