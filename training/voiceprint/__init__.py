"""The starter model for voiceprints: data, training, evaluation; see ``README.md``."""
