"""Garbage collection removes what nobody needs, and nothing else."""
