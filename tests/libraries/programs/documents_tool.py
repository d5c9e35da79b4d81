"""docling's own download tool, which fills a folder of its own."""

from docling.utils.model_downloader import download_models

folder = download_models(
    with_layout=True, with_tableformer=False, with_code_formula=False,
    with_picture_classifier=False, with_rapidocr=False,
)  # fmt: skip
layout = folder / "docling-project--docling-layout-heron/model.safetensors"
assert layout.stat().st_size == 2_000_000
