"""Adapters: each loads one kind of model from a folder."""
