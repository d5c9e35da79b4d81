"""huggingface_hub: a whole repository, and one file of it."""

from pathlib import Path

from huggingface_hub import hf_hub_download, snapshot_download

folder = Path(snapshot_download("acme/plain-tiny"))
assert (folder / "onnx/model.onnx").stat().st_size == 3_000_000
assert Path(hf_hub_download("acme/plain-tiny", "config.json")).read_text() == "{}"
