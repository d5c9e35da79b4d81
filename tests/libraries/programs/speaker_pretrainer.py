"""SpeechBrain's Pretrainer, which collects the files of a model in a folder."""

import os
from pathlib import Path

import torch
from speechbrain.utils.parameter_transfer import Pretrainer

held = torch.nn.Linear(700, 700, bias=False)
place = Path(os.environ["SAVEDIR"], "collected")
pretrainer = Pretrainer(
    collect_in=place, loadables={"held": held}, paths={"held": "acme/linear-tiny/linear.ckpt"}
)
pretrainer.collect_files()
pretrainer.load_collected()
assert (place / "held.ckpt").stat().st_size > 1_900_000
