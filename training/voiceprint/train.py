"""Train the starter model: ECAPA-TDNN with an additive angular margin (Deng et al., CVPR 2019).

    python -m training.voiceprint.train DATA MODEL [--steps 4000]

DATA is what `training.voiceprint.synthesis` made; MODEL becomes a folder in SpeechBrain's layout.
"""

from __future__ import annotations

import argparse
import math
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional as F  # noqa: N812 - as everybody calls it

from holdfast.voiceprint._features import SpeechBrainFbank, speechbrain_features
from holdfast.voiceprint.engines._ecapa_config import EcapaConfig
from holdfast.voiceprint.engines._ecapa_torch import EcapaTdnn
from holdfast.voiceprint.engines.ecapa import GRAPH, convert_ecapa
from training.voiceprint.augment import add_noise, coloured_noise, equalised, telephone
from training.voiceprint.layout import CONFIG, write_folder
from training.voiceprint.synthesis import RATE_HZ, SEED, Corpus

_CROP = 2 * RATE_HZ
_BATCH = 32
_MARGIN, _SCALE = 0.2, 30.0
_RATE, _DECAY = 2e-3, 2e-2


class Margin(nn.Module):
    """Cosines to one direction for each speaker, the right one's angle made larger."""

    def __init__(self, inputs: int, speakers: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(speakers, inputs))
        nn.init.xavier_uniform_(self.weight)

    def forward(self, embeddings: torch.Tensor, speakers: torch.Tensor, margin: float) -> Any:
        """Return the loss of a batch."""
        cosine = F.linear(F.normalize(embeddings), F.normalize(self.weight)).clamp(-1, 1)
        right = cosine.gather(1, speakers[:, None])
        sine = (1 - right.square()).clamp(1e-7).sqrt()
        harder = right * math.cos(margin) - sine * math.sin(margin)
        return F.cross_entropy(_SCALE * cosine.scatter(1, speakers[:, None], harder), speakers)


def clip(corpus: Corpus, random: np.random.Generator, speaker: int) -> NDArray[np.float32]:
    """Return two seconds of a speaker, as heard over some way or other."""
    recording = corpus.recording(speaker, int(random.integers(len(corpus.spans[speaker]))))
    if len(recording) < _CROP:
        recording = np.pad(recording, (0, _CROP - len(recording)), mode="wrap")
    start = int(random.integers(len(recording) - _CROP + 1))
    voice = recording[start : start + _CROP]
    if random.random() < 0.5:
        voice = equalised(random, voice)
    if random.random() < 0.6:
        if random.random() < 0.3:
            noise = sum(
                babbler[: _CROP // 2].repeat(2) if len(babbler) < _CROP else babbler[:_CROP]
                for babbler in (_anybody(corpus, random) for _ in range(4))
            )
            noise = np.resize(noise, _CROP).astype(np.float32)
        else:
            noise = coloured_noise(random, _CROP, random.uniform(0, 1.5))
        voice = add_noise(voice, noise, random.uniform(5, 20))
    if random.random() < 0.2:
        voice = telephone(voice)
    return voice * np.float32(10 ** random.uniform(-1.5, 0))


def _anybody(corpus: Corpus, random: np.random.Generator) -> NDArray[np.float32]:
    speaker = int(random.integers(len(corpus.spans)))
    recording = corpus.recording(speaker, int(random.integers(len(corpus.spans[speaker]))))
    return np.resize(recording, _CROP)


def batches(corpus: Corpus, steps: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Yield every batch: features, shape (batch, frames, n_mels), and speakers, (batch,)."""
    random = np.random.default_rng(SEED)
    fbank = SpeechBrainFbank(n_mels=CONFIG.n_mels)
    for _ in range(steps):
        speakers = random.choice(len(corpus.spans), _BATCH, replace=False)
        features = [
            speechbrain_features(clip(corpus, random, int(speaker)), fbank) for speaker in speakers
        ]
        yield torch.from_numpy(np.stack(features)), torch.from_numpy(speakers)


def train(corpus: Corpus, config: EcapaConfig, steps: int) -> tuple[EcapaTdnn, Margin]:
    """Return the trained network and its classifier."""
    torch.manual_seed(SEED)
    network = EcapaTdnn(config)
    margin = Margin(config.lin_neurons, len(corpus.speakers))
    parameters = [*network.parameters(), *margin.parameters()]
    optimiser = torch.optim.AdamW(parameters, lr=_RATE, weight_decay=_DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, max_lr=_RATE, total_steps=steps, pct_start=0.08
    )
    began, losses = time.monotonic(), []
    for step, (features, speakers) in enumerate(batches(corpus, steps)):
        with torch.autocast("cpu", torch.bfloat16):
            embeddings = network(features)
        loss = margin(embeddings.float(), speakers, _MARGIN * min(1.0, step / (0.3 * steps)))
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 5.0)
        optimiser.step()
        schedule.step()
        losses.append(float(loss.detach()))
        if step % 100 == 99:
            print(
                f"step {step + 1}/{steps}, loss {np.mean(losses[-100:]):.3f}, "
                f"{time.monotonic() - began:.0f} s", flush=True,
            )  # fmt: skip
    return network.eval(), margin


def main() -> None:
    """Train and write the folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("model", type=Path)
    parser.add_argument("--steps", type=int, default=4000)
    chosen = parser.parse_args()
    corpus = Corpus(chosen.data, "training")
    network, margin = train(corpus, CONFIG, chosen.steps)
    write_folder(chosen.model, network, margin.weight.detach(), corpus.speakers)
    with tempfile.TemporaryDirectory() as made:
        convert_ecapa(chosen.model, Path(made))
        shutil.copyfile(Path(made, GRAPH), chosen.model / GRAPH)


if __name__ == "__main__":
    main()
