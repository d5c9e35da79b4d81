"""SpeechBrain's fetch with a savedir and its default strategy, as its recipes use it."""

import os
from pathlib import Path

from speechbrain.utils.fetching import fetch

place = Path(os.environ["SAVEDIR"], "fetched")
path = fetch("embedding_model.ckpt", source="acme/spkrec-tiny", savedir=place)
assert path.parent == place
assert path.stat().st_size > 2_000_000
