"""Docling's own models, from a folder that has all of them: loaded once, for every pipeline.

Docling's models are used as they are. What is done here is that they look nowhere else, that what
is wrong is known when the model is loaded and not at its first page, and that tables are made of
what the rules see where there is no model of tables.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from docling.datamodel.accelerator_options import AcceleratorOptions
from docling.datamodel.base_models import Page, TableStructurePrediction
from docling.datamodel.document import ConversionResult
from docling.models.base_layout_model import TABLE_LABELS

from holdfast.documents._artifacts import (
    LAYOUT_FILES,
    TABLE_FILES,
    ModelSet,
    Part,
    check_content,
    check_present,
)
from holdfast.documents.engines.docling_layout import geometry_of, table_of
from holdfast.documents.engines.docling_stages import LeanPdfPipeline
from holdfast.documents.geometry import Box, table_within
from holdfast.errors import MissingExtra
from holdfast.runtime import EngineUnusable, cannot_load

__all__ = ["LoadedModels", "load_models"]

_FOR_LAYOUT = ("torch", "transformers")
_FOR_TABLES = ("torch", "torchvision", "docling_ibm_models")


class LoadedModels(NamedTuple):
    """Docling's stages with their models, and the pipeline that uses them.

    Attributes:
        about: what they are, for ``/models``.
        pipeline: docling's, with these stages in place of those that it would make itself.
    """

    about: ModelSet
    pipeline: type[LeanPdfPipeline]


def load_models(folder: Path, held: ModelSet, device: str) -> LoadedModels:
    """Load what a folder has.

    Args:
        folder: laid out as docling's ``artifacts_path``.
        held: what is in it.
        device: ``cpu``, ``cuda`` or ``cuda:N``.

    Raises:
        MissingExtra: a package is not installed.
        EntryNotFound: a file is not there.
        EngineUnusable: a file cannot be what it is to be.
    """
    _check_installed("the layout model", _FOR_LAYOUT, "documents-models", "LAYOUT_MODEL=geometry")
    if held.tables is not None:
        _check_installed("the table model", _FOR_TABLES, "documents-tables", "TABLE_MODEL=none")
        _check(folder, held.tables, TABLE_FILES)
    _check(folder, held.layout, LAYOUT_FILES)
    layout = _layout(folder, held.layout, device)
    tables = _TablesByRules() if held.tables is None else _tables(folder, held.tables, device)

    class _Pipeline(LeanPdfPipeline):
        """Docling's pipeline for pages, with the models that are here already."""

        def _init_models(self) -> None:
            super()._init_models()
            self.layout_model = layout
            self.table_model = tables

    return LoadedModels(held, _Pipeline)


def _check(folder: Path, part: Part, files: Sequence[str]) -> None:
    check_present(part.repository, folder / part.folder, files)
    check_content(part.repository, folder / part.folder, files)


def _check_installed(what: str, packages: Iterable[str], extra: str, without: str) -> None:
    missing = [name for name in packages if find_spec(name) is None]
    if missing:
        broken = sys.modules.get(missing[0], what) is None
        raise MissingExtra(
            f"{what} cannot be used here",
            why=f"{', '.join(name.replace('_', '-') for name in missing)} "
            + ("cannot be imported" if broken else "is not installed"),
            hint=f"pip install 'holdfast[{extra}]'; or without it: HOLDFAST_DOCUMENTS_{without}",
        )


def _layout(folder: Path, part: Part, device: str) -> Any:
    from docling.datamodel.object_detection_engine_options import (
        TransformersObjectDetectionEngineOptions,
    )
    from docling.datamodel.pipeline_options import LayoutObjectDetectionOptions
    from docling.datamodel.stage_model_specs import ObjectDetectionModelSpec
    from docling.models.stages.layout.layout_object_detection_model import (
        LayoutObjectDetectionModel,
    )
    from transformers import AutoImageProcessor
    from transformers.utils import logging

    logging.disable_progress_bar()  # type: ignore[no-untyped-call]  # a log is no terminal
    options = LayoutObjectDetectionOptions(
        model_spec=ObjectDetectionModelSpec(
            name=part.repository, repo_id=part.repository, revision=part.revision or "main"
        ),
        engine_options=TransformersObjectDetectionEngineOptions(compile_model=False),
    )
    try:
        stage = LayoutObjectDetectionModel(
            folder, AcceleratorOptions(device=device), options, enable_remote_services=False
        )
        # The same pixels for the same page, whether torchvision is installed or not.
        from_pretrained: Any = AutoImageProcessor.from_pretrained
        stage.engine._processor = from_pretrained(folder / part.folder, backend="pil")
    except Exception as error:
        what = "a layout model"
        raise cannot_load(folder / part.folder, error, what, _unless_cpu(device)) from error
    _check_weights(stage.engine._model, folder / part.folder / LAYOUT_FILES[-1])
    return stage


def _check_weights(model: Any, path: Path) -> None:
    """Say if a file has other weights: Transformers makes up what it does not find."""
    from safetensors import safe_open

    with safe_open(path, framework="np") as file:
        found = set(file.keys())
    wanted = set(model.state_dict())
    # Some have had other names in former versions.
    if 2 * len(found & wanted) < len(wanted):
        raise EngineUnusable(
            f"{path} cannot be used",
            why=f"it has {len(found & wanted)} of the {len(wanted)} weights of its configuration",
            hint="choose another revision of the repository, as repository@revision",
        )


def _tables(folder: Path, part: Part, device: str) -> Any:
    from docling.datamodel.pipeline_options import TableFormerMode, TableStructureOptions
    from docling.models.stages.table_structure.table_structure_model import TableStructureModel

    try:
        return TableStructureModel(
            enabled=True, artifacts_path=folder,
            options=TableStructureOptions(mode=TableFormerMode.ACCURATE),
            accelerator_options=AcceleratorOptions(device=device),
        )  # fmt: skip
    except Exception as error:
        what = "a table model"
        raise cannot_load(folder / part.folder, error, what, _unless_cpu(device)) from error


def _unless_cpu(device: str) -> str:
    return "" if device == "cpu" else device


class _TablesByRules:
    """In place of a model of tables: what ruled lines and columns say of a place that is a table.

    Without either, docling has all text of a table in one cell.
    """

    enabled = True

    def __call__(self, conv_res: ConversionResult, page_batch: Iterable[Page]) -> Iterator[Page]:
        del conv_res
        for page in page_batch:
            page.predictions.tablestructure = self._of(page)
            yield page

    def _of(self, page: Page) -> TableStructurePrediction:
        found = TableStructurePrediction()
        backend, layout = page._backend, page.predictions.layout
        if layout is None or page.parsed_page is None or not backend or not backend.is_valid():
            return found
        clusters = [each for each in layout.clusters if each.label in TABLE_LABELS]
        if not clusters:
            return found
        geometry, _ = geometry_of(page)
        for cluster in clusters:
            place = cluster.bbox
            grid = table_within(geometry, Box(place.l, place.t, place.r, place.b))
            if grid is not None:
                found.table_map[cluster.id] = table_of(cluster, grid, page)
        return found
