"""docling: a model as its pipelines ask for one."""

from docling.models.stages.code_formula.code_formula_model import CodeFormulaModel

assert (CodeFormulaModel.download_models() / "model.safetensors").stat().st_size == 2_000_000
