"""SpeechBrain's fetch of a whole speaker model into a folder of the user's choice."""

import os
from pathlib import Path

from speechbrain.utils.fetching import LocalStrategy, fetch

place = Path(os.environ["SAVEDIR"])
strategy = LocalStrategy[os.environ.get("STRATEGY", "SYMLINK")]
for name in (
    "embedding_model.ckpt", "classifier.ckpt", "mean_var_norm_emb.ckpt", "label_encoder.txt",
    "hyperparams.yaml", "config.json",
):  # fmt: skip
    fetch(name, source=os.environ["REPO"], savedir=place, local_strategy=strategy)
