"""What is loaded into other programs' Pythons: standard library only, and nothing else of ours.

This folder is put on ``PYTHONPATH`` by ``holdfast run``, so its modules are imported by their
top-level names, by interpreters that may not have Holdfast installed.
"""
