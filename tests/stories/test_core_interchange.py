"""The cache is shared with huggingface_hub: each reads what the other wrote."""
