"""Voiceprint: who speaks, as a point in a space where the same voice comes out close by."""

from holdfast.voiceprint._engine import ClipTooShort, EmbeddingEngine, embed_recording
from holdfast.voiceprint._starter import starter_model

__all__ = ["ClipTooShort", "EmbeddingEngine", "embed_recording", "starter_model"]
