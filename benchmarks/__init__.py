"""Holdfast and huggingface_hub on the same hub, in the same run: ``python -m benchmarks``."""
