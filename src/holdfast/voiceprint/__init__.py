"""Voiceprints: who speaks."""
