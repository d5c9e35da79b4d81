"""Adapters: each loads one kind of speaker model from a folder."""
