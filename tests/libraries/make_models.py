"""Write tiny models with random weights in the layouts of the real ones; runs in .venv-libraries.

    python make_models.py FOLDER        FOLDER/OWNER/NAME/... one folder for each repository

Each weighs some megabytes, so that a second copy of one shows in what the disk holds.
"""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path

WORDS = ["the", "quick", "brown", "fox", "jumps", "over", "lazy", "dog"]
ECAPA = """\
n_mels: 40
compute_features: !new:speechbrain.lobes.features.Fbank
    n_mels: !ref <n_mels>
mean_var_norm: !new:speechbrain.processing.features.InputNormalization
    norm_type: sentence
    std_norm: False
mean_var_norm_emb: !new:speechbrain.processing.features.InputNormalization
    norm_type: global
    std_norm: False
embedding_model: !new:speechbrain.lobes.models.ECAPA_TDNN.ECAPA_TDNN
    input_size: !ref <n_mels>
    channels: [128, 128, 128, 128, 384]
    kernel_sizes: [5, 3, 3, 3, 1]
    dilations: [1, 2, 3, 4, 1]
    attention_channels: 32
    lin_neurons: 48
classifier: !new:speechbrain.lobes.models.ECAPA_TDNN.Classifier
    input_size: 48
    out_neurons: 3
modules:
    compute_features: !ref <compute_features>
    mean_var_norm: !ref <mean_var_norm>
    embedding_model: !ref <embedding_model>
    mean_var_norm_emb: !ref <mean_var_norm_emb>
    classifier: !ref <classifier>
label_encoder: !new:speechbrain.dataio.encoder.CategoricalEncoder
pretrainer: !new:speechbrain.utils.parameter_transfer.Pretrainer
    loadables:
        embedding_model: !ref <embedding_model>
        mean_var_norm_emb: !ref <mean_var_norm_emb>
        classifier: !ref <classifier>
        label_encoder: !ref <label_encoder>
    paths:
        label_encoder: acme/spkrec-tiny/label_encoder.txt
"""


def main(root: Path) -> None:
    import torch

    torch.manual_seed(1)
    bert = root / "acme/bert-tiny"
    make_bert(bert)
    make_sentences(bert, root / "acme/sentences-tiny")
    make_speaker(root / "acme/spkrec-tiny")
    torch.save({"weight": torch.randn(700, 700)}, new(root / "acme/weights-tiny") / "tiny.pth")
    linear = torch.nn.Linear(700, 700, bias=False)
    torch.save(linear.state_dict(), new(root / "acme/linear-tiny") / "linear.ckpt")
    noise = random.Random(1)
    for name in ("docling-layout-heron", "docling-layout-heron-onnx", "CodeFormulaV2"):
        folder = new(root / "docling-project" / name)
        (folder / "config.json").write_text(json.dumps({"model_type": "rt_detr_v2", "of": name}))
        (folder / "model.safetensors").write_bytes(noise.randbytes(2_000_000))
    rows = "".join(f"{number},{noise.random()}\n" for number in range(1000))
    (new(root / "datasets/acme/rows-tiny") / "train.csv").write_text("id,value\n" + rows)
    plain = new(root / "acme/plain-tiny")
    (plain / "config.json").write_text("{}")
    (plain / "onnx").mkdir()
    (plain / "onnx/model.onnx").write_bytes(noise.randbytes(3_000_000))


def new(folder: Path) -> Path:
    folder.mkdir(parents=True)
    return folder


def make_bert(folder: Path) -> None:
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    marks = {"pad": "[PAD]", "unk": "[UNK]", "cls": "[CLS]", "sep": "[SEP]", "mask": "[MASK]"}
    vocabulary = {word: number for number, word in enumerate([*marks.values(), *WORDS])}
    raw = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    raw.pre_tokenizer = pre_tokenizers.Whitespace()
    tokens = {f"{name}_token": text for name, text in marks.items()}
    PreTrainedTokenizerFast(tokenizer_object=raw, model_max_length=64, **tokens).save_pretrained(
        folder
    )
    config = BertConfig(
        vocab_size=4000, hidden_size=128, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=128, max_position_embeddings=64,
    )  # fmt: skip
    BertModel(config).save_pretrained(folder)


def make_sentences(bert: Path, folder: Path) -> None:
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer

    words = Transformer(str(bert), max_seq_length=32)
    SentenceTransformer(modules=[words, Pooling(words.get_embedding_dimension())]).save(str(folder))
    # Not the same weights as the other model's: one blob each.
    weights = folder / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)


def make_speaker(folder: Path) -> None:
    import torch
    from hyperpyyaml import load_hyperpyyaml

    new(folder)
    (folder / "hyperparams.yaml").write_text(ECAPA)
    (folder / "config.json").write_text("{}")
    made = load_hyperpyyaml(ECAPA)
    for name in ("embedding_model", "classifier"):
        torch.save(made[name].state_dict(), folder / f"{name}.ckpt")
    made["mean_var_norm_emb"](torch.randn(2, 1, 48), torch.ones(2))
    made["mean_var_norm_emb"]._save(folder / "mean_var_norm_emb.ckpt")
    made["label_encoder"].update_from_iterable(["ada", "ben", "cyd"])
    made["label_encoder"].save(folder / "label_encoder.txt")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
