"""A file on its way: its digest is right in any order, and never taken on trust."""
