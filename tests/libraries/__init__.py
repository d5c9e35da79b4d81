"""Libraries that we did not write, unchanged, where they fail, and there with Holdfast."""
