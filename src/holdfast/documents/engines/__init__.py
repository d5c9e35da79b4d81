"""Adapters to what converts documents; each imports its library only when it is used."""
