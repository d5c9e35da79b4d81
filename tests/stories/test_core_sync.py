"""models.toml and models.lock: what is named is pinned, and what is pinned is brought."""
