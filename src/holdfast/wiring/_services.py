"""The services of a profile, put together; nothing is started yet."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from holdfast.config import ServiceSettings, Settings
from holdfast.doctor import Checkup, examine
from holdfast.errors import ConfigInvalid
from holdfast.events import Reporter
from holdfast.language import Backend
from holdfast.refs import RepoRef, RevisionRef
from holdfast.runtime import Backoff, Budget, Limits, ModelSpec, Provided, Supervisor
from holdfast.voiceprint import Voiceprint
from holdfast.wiring._licences import UNSTATED, check_licence, with_licence
from holdfast.wiring._provide import (
    VAD_HUB_REPO,
    VAD_REPO,
    VOICE_HUB_REPO,
    VOICE_REPO,
    Provide,
    Verify,
    provide_from_hub,
    provide_starter,
    verify_stored,
)
from holdfast.wiring._speech import VAD_MODEL, VoiceActivity, vad_description
from holdfast.wiring._spoof import SPOOF_MODEL, ChosenDetector, chosen_detector
from holdfast.wiring._voiceprint import (
    VOICE_MODEL,
    converter,
    voice_description,
    voiceprint_of,
)
from holdfast.wiring._voices import KeptVoices

__all__ = ["Services", "configured_services", "services_of"]


@dataclass(frozen=True, slots=True)
class Services:
    """What the server's routes use. Whoever made it starts and closes the supervisor.

    ``checkup`` is None where nothing is known of the machine's settings.
    """

    supervisor: Supervisor
    voice_activity: VoiceActivity
    voiceprint: Voiceprint
    voices: KeptVoices
    language: Backend
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
    starter = service.profile == "starter"
    bring = provide_starter if starter else provide_from_hub
    services = services_of(
        bring(settings, env, also),
        verify_stored(settings, env),
        service=service,
        env=env,
        only=only,
        provide_detector=provide_from_hub(settings, env, also),
        convert=None if service.profile != "standard" else converter(settings, env, VOICE_HUB_REPO),
    )
    # The starter set needs no network, so nothing is to be said about it.
    seen = settings._replace(offline=True) if starter else settings
    return replace(services, checkup=Checkup(lambda: examine(seen, env)))


def services_of(
    provide: Provide,
    verify: Verify | None = None,
    *,
    service: ServiceSettings | None = None,
    env: Mapping[str, str] | None = None,
    convert: Callable[[Path], Path] | None = None,
    provide_detector: Provide | None = None,
    only: Collection[str] | None = None,
    backoff: Backoff | None = None,
) -> Services:
    """Put a profile's models together; nothing is started yet.

    Args:
        provide: brings a revision to disk, such as `provide_starter` returns.
        verify: checks what is on disk; raises when a file is wrong.
        service: how they are run.
        env: the environment's variables, which say where data may be kept.
        convert: makes what the speaker model is loaded from.
        provide_detector: brings the detector of spoofing; ``provide`` does when None.
        only: ids of the models that are wanted; all of them when None.
        backoff: pauses between attempts.

    Raises:
        ConfigInvalid: a setting is for a model that there is not.
    """
    service = service or ServiceSettings()
    detector = chosen_detector(service)
    specs = _models(provide, verify, service, convert)
    if detector is not None:
        bring = provide_detector or provide
        specs.append(_detector_spec(detector, bring, verify, service))
    unknown = sorted(set(service.models) - {spec.id for spec in specs})
    if unknown:
        raise ConfigInvalid(
            f"there are settings for models that the profile {service.profile} has not",
            why=f"[models.{unknown[0]}]; it has {', '.join(spec.id for spec in specs)}",
            hint="correct the name in holdfast.toml",
        )
    if only is not None:
        specs = [spec for spec in specs if spec.id in only]
    budget = Budget(service.memory_budget_mb, service.when_full)
    supervisor = Supervisor(specs, backoff=backoff, budget=budget)
    language = Backend(service.language_url, service.language_key, service.deadline_s)
    voices = KeptVoices(service, env if env is not None else os.environ)
    voiceprint = voiceprint_of(supervisor, service, voices, detector)
    return Services(supervisor, VoiceActivity(supervisor), voiceprint, voices, language)


def _models(
    provide: Provide,
    verify: Verify | None,
    service: ServiceSettings,
    convert: Callable[[Path], Path] | None,
) -> list[ModelSpec]:
    starter = service.profile == "starter"
    voice = voice_description()
    if service.profile == "gpu":
        # In torch, whose import would keep everybody else in this process waiting.
        voice |= {"device": "cuda", "devices": ("cpu", "cuda"), "isolate": True}
    models: list[tuple[str, RepoRef, Mapping[str, Any]]] = [
        (VAD_MODEL, VAD_REPO if starter else VAD_HUB_REPO, vad_description()),
        (VOICE_MODEL, VOICE_REPO if starter else VOICE_HUB_REPO, {**voice, "convert": convert}),
    ]
    return [
        _spec(model, RevisionRef(repo), description, provide, verify, service)
        for model, repo, description in models
    ]


def _detector_spec(
    detector: ChosenDetector, provide: Provide, verify: Verify | None, service: ServiceSettings
) -> ModelSpec:
    description = detector.description(gpu=service.profile == "gpu")
    return _spec(SPOOF_MODEL, detector.ref, description, provide, verify, service)


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
        **(values | _how(chosen)),
    )


def _how(chosen: Mapping[str, Any]) -> dict[str, Any]:
    """Return a model's settings in the terms of its specification."""
    values = dict(chosen)
    values["limits"] = Limits(values.pop("wait_s"), values.pop("deadline_s"))
    if "batch_wait_ms" in values:
        values["batch_wait_s"] = values.pop("batch_wait_ms") / 1000
    return values
