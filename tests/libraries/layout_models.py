"""A small model of layouts in docling-layout-heron's form, and what docling itself finds with it.

    python layout_models.py FOLDER PDF     runs in .venv-libraries

FOLDER/heron is a repository laid out as docling-project/docling-layout-heron: an RT-DETR v2 with
random weights but for its last layers, solved so that it finds ``REGIONS`` on the PDF's one page.
FOLDER/answers.json has what docling's layout stage finds when it is called with these weights
(``raw``), and what docling's own pipeline makes of the document with them (``document``).
FOLDER/other is the same repository with weights of another model, FOLDER/odd one whose labels
docling does not know.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import torch
from docling.backend.docling_parse_backend import ThreadedDoclingParseDocumentBackend
from docling.datamodel.accelerator_options import AcceleratorOptions
from docling.datamodel.base_models import InputFormat, Page
from docling.datamodel.document import InputDocument
from docling.datamodel.pipeline_options import (
    LayoutObjectDetectionOptions,
    ThreadedPdfPipelineOptions,
)
from docling.models.stages.layout.layout_object_detection_model import LayoutObjectDetectionModel
from transformers import AutoImageProcessor, RTDetrV2Config, RTDetrV2ForObjectDetection

LABELS = (
    "caption", "footnote", "formula", "list_item", "page_footer", "page_header", "picture",
    "section_header", "table", "text", "title", "document_index", "code", "checkbox_selected",
    "checkbox_unselected", "form", "key_value_region",
)  # fmt: skip
# As it is published; the model looks at 640 x 640 pixels, whatever the page.
PREPROCESSOR = {
    "do_convert_annotations": True, "do_normalize": False, "do_pad": False, "do_rescale": True,
    "do_resize": True, "format": "coco_detection", "image_mean": [0.485, 0.456, 0.406],
    "image_processor_type": "RTDetrImageProcessor", "image_std": [0.229, 0.224, 0.225],
    "pad_size": None, "resample": 2, "rescale_factor": 1 / 255,
    "size": {"height": 640, "width": 640},
}  # fmt: skip
# Of heron's form, and of a hundredth of its size.
SMALL: dict[str, Any] = {
    "backbone_config": {
        "model_type": "rt_detr_resnet", "embedding_size": 8, "hidden_sizes": [8, 16, 24, 32],
        "depths": [1, 1, 1, 1], "layer_type": "basic",
        "out_features": ["stage2", "stage3", "stage4"],
    },
    "encoder_hidden_dim": 32, "encoder_in_channels": [16, 24, 32], "encoder_ffn_dim": 32,
    "encoder_attention_heads": 2, "d_model": 32, "num_queries": 14,
    "decoder_in_channels": [32, 32, 32], "decoder_ffn_dim": 32, "decoder_layers": 2,
    "decoder_attention_heads": 2, "hidden_expansion": 0.5,
}  # fmt: skip
# What corpus/files/notice.pdf has, in points from the upper left corner; the table's place is drawn
# wider than what is in it, so that it can be seen whose box it is.
REGIONS = (
    ("section_header", (60, 53, 333, 75)), ("text", (60, 88, 508, 132)),
    ("section_header", (60, 140, 246, 161)), ("text", (60, 169, 534, 199)),
    ("list_item", (66, 207, 376, 223)), ("list_item", (66, 231, 381, 247)),
    ("list_item", (66, 255, 385, 271)), ("section_header", (60, 280, 254, 297)),
    ("text", (60, 309, 532, 336)), ("table", (47, 337, 551, 460)), ("text", (60, 463, 531, 493)),
)  # fmt: skip
_SURE = 3.0
_OUTPUTS = ("o_proj.weight", "output_proj.weight", "fc2.weight")


def random_model(small: dict[str, Any]) -> RTDetrV2ForObjectDetection:
    """Return a model with random weights, through which what is seen gets to the end."""
    torch.manual_seed(3)
    names = dict(enumerate(LABELS))
    config = RTDetrV2Config(
        id2label=names, label2id={name: number for number, name in names.items()}, **small
    )
    model = RTDetrV2ForObjectDetection(config).eval()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.ndim >= 2 and "sampling_offsets" not in name:
                torch.nn.init.kaiming_normal_(weight)
            # So that what is seen at different places stays different.
            if ".decoder.layers." in name and name.endswith(_OUTPUTS):
                weight.mul_(0.1)
        torch.nn.init.normal_(model.model.enc_score_head.weight)
    return model


def write(model: RTDetrV2ForObjectDetection, folder: Path) -> None:
    """Write a repository."""
    model.save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps(PREPROCESSOR))
    (folder / "README.md").write_text("---\nlicense: apache-2.0\n---\n# Small, and not for use\n")


def teach(model: RTDetrV2ForObjectDetection, inputs: Any, size: tuple[float, float]) -> None:
    """Solve the last layers so that the model finds `REGIONS` on a page, and nothing else."""
    decoder, encoded = model.model.decoder, model.model.enc_output[0]
    kind, place = decoder.class_embed[-1], decoder.bbox_embed[-1].layers[-1]
    seen: dict[str, Any] = {}
    hooks = [
        layer.register_forward_hook(
            lambda _, given, answer, name=name: seen.update({name: (given[0][0], answer[0])})
        )
        for name, layer in (("encoded", encoded), ("kind", kind), ("place", place))
    ]
    with torch.no_grad():
        model(**inputs)
        # What all places of a page have in common is taken away: else all queries are alike.
        encoded.bias.sub_(seen["encoded"][1].mean(0))
        boxes = model(**inputs).pred_boxes[0]
        wanted = boxes.clone()
        scores = torch.full((len(boxes), len(LABELS)), -2 * _SURE)
        width, height = size
        for query, (label, (left, top, right, bottom)) in enumerate(REGIONS):
            scores[query, LABELS.index(label)] = _SURE
            wanted[query] = torch.tensor(
                [(left + right) / 2 / width, (top + bottom) / 2 / height,
                 (right - left) / width, (bottom - top) / height]
            )  # fmt: skip
        moved = seen["place"][1] + torch.logit(wanted) - torch.logit(boxes)
        _solve(kind, seen["kind"][0], scores)
        _solve(place, seen["place"][0], moved)
    for hook in hooks:
        hook.remove()


def _solve(layer: Any, given: Any, answer: Any) -> None:
    """Have a layer give an answer, with weights that are not larger than need be."""
    rows = torch.cat([given, torch.ones(len(given), 1)], 1).double()
    square = rows.T @ rows + 1e-7 * torch.eye(rows.shape[1])
    found = torch.linalg.solve(square, rows.T @ answer.double()).float()
    layer.weight.copy_(found[:-1].T)
    layer.bias.copy_(found[-1])


def page_of(pdf: Path) -> Page:
    """Return a document's first page, as docling's pipeline has it."""
    document = InputDocument(
        path_or_stream=pdf, format=InputFormat.PDF, backend=ThreadedDoclingParseDocumentBackend
    )
    page = Page(page_no=1)
    page._backend = next(iter(document._backend.iter_pages()))
    page.size = page._backend.get_size()
    return page


def found_by_stage(artifacts: Path, page: Page) -> list[Any]:
    """Return what docling's layout stage finds: label, confidence, and box from the upper left."""
    stage = LayoutObjectDetectionModel(
        artifacts, AcceleratorOptions(device="cpu"), LayoutObjectDetectionOptions()
    )
    (prediction,) = stage.predict_layout(SimpleNamespace(), [page])
    return [
        [each.label.value, each.confidence, list(each.bbox.as_tuple())]
        for each in prediction.clusters
    ]


def found_by_docling(artifacts: Path, pdf: Path) -> dict[str, Any]:
    """Return the document that docling's own pipeline makes."""
    from docling.document_converter import DocumentConverter, PdfFormatOption

    # It imports torchvision for tables that nobody asks for.
    name = "docling.models.stages.table_structure.table_structure_model_v2"
    sys.modules[name] = ModuleType(name)
    options = type("Options", (), {"kind": "none"})
    kind = type("Kind", (), {"get_options_type": classmethod(lambda _: options)})
    sys.modules[name].TableStructureModelV2 = kind
    how = ThreadedPdfPipelineOptions(
        artifacts_path=artifacts, do_ocr=False, do_table_structure=False
    )
    converter = DocumentConverter(
        format_options={InputFormat.PDF: PdfFormatOption(pipeline_options=how)}
    )
    found = converter.convert(pdf)
    return dict(found.document.export_to_dict())


def main(folder: Path, pdf: Path) -> None:
    """Write everything."""
    page = page_of(pdf)
    model = random_model(SMALL)
    write(model, folder / "other")
    image = page.get_image(scale=1.0).convert("RGB")
    processor = AutoImageProcessor.from_pretrained(folder / "other")
    inputs = processor(images=[image], return_tensors="pt")
    teach(model, inputs, (page.size.width, page.size.height))
    write(model, folder / "heron")
    artifacts = folder / "artifacts"
    shutil.copytree(folder / "heron", artifacts / "docling-project--docling-layout-heron")
    answers = {"raw": found_by_stage(artifacts, page), "document": found_by_docling(artifacts, pdf)}
    (folder / "answers.json").write_text(json.dumps(answers))
    damage(folder)


def damage(folder: Path) -> None:
    """Write repositories of which one file is wrong, each in a way of its own."""
    shutil.rmtree(folder / "other")
    for name in ("other", "odd"):
        shutil.copytree(folder / "heron", folder / name)
    weights = {"a": torch.zeros(3)}
    from safetensors.torch import save_file

    save_file(weights, folder / "other/model.safetensors", {"format": "pt"})
    config = folder / "odd/config.json"
    config.write_text(config.read_text().replace('"key_value_region"', '"pot_plant"'))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
