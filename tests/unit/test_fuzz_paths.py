"""Names from outside stay inside; files of ours that were damaged are read as nothing."""
