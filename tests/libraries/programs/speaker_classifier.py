"""SpeechBrain's speaker model with a savedir, as every tutorial loads it."""

import os
from pathlib import Path

import torch
from speechbrain.inference.speaker import EncoderClassifier

place = Path(os.environ["SAVEDIR"], "spkrec")
model = EncoderClassifier.from_hparams(source="acme/spkrec-tiny", savedir=place)
assert model.encode_batch(torch.randn(1, 8000)).shape == (1, 1, 48)
assert (place / "embedding_model.ckpt").stat().st_size > 2_000_000
