"""VITS voices beside Transformers, on the same weights and the same noise.

    python speaking_parity.py FOLDER     runs in .venv-libraries

FOLDER/KIND is a repository each, laid out as facebook/mms-tts-eng. In FOLDER/answers.npz is, for
each kind, voice and speed, what a model card's own lines give (``plain KIND VOICE SPEED N``) and
what our engine does (``ours ...``). FOLDER/told.json tells of all that is not sound.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import VitsModel, VitsTokenizer

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from holdfast.errors import HoldfastError
from holdfast.speech.engines.synthesis import load_synthesis
from holdfast.speech.engines.vits import seed_of
from tests.support.piper import IDS
from tests.support.vits import SMALL, VOCABULARY, write_vits

# What is said, and what plain Transformers has to be given for the same: it spells nothing out.
SENTENCES = {
    "Hello there, my friend!": "Hello there, my friend!",
    "It's 5 o'clock; Dr. Smith paid $3.": "It's five o'clock; Doctor Smith paid three dollars.",
    "a": "a",
    "SHE PACKED FOUR SANDWICHES, A MAP AND A WARM COAT.": "she packed four sandwiches, a map and "
    "a warm coat.",
    "An <unk> sign, naïve and 你 left out": "An less than unk greater than sign, nave and left out",
}
SPEEDS = (0.25, 0.5, 1.0, 1.7, 4.0)
KINDS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "english": ({}, {}),
    "several": ({"num_speakers": 3, "speaker_embedding_size": 16}, {"language": "en"}),
    "steady": ({"use_stochastic_duration_prediction": False, "speaking_rate": 1.3}, {}),
    "unblanked": ({}, {"add_blank": False}),
}


class Plain:
    """A voice as its model card says to use it."""

    def __init__(self, folder: Path) -> None:
        self.tokenizer = VitsTokenizer.from_pretrained(folder)
        self.model = VitsModel.from_pretrained(folder).eval()
        self.own = self.model.speaking_rate

    def speak(self, given: str, seed: int, speed: float, **chosen: Any) -> Any:
        """Return the waveform."""
        inputs = self.tokenizer(given, return_tensors="pt")
        self.model.speaking_rate = self.own * speed
        torch.manual_seed(seed)
        with torch.no_grad():
            return self.model(**inputs, **chosen).waveform[0].numpy()


def compare(folder: Path, kind: str, kept: dict[str, Any], told: dict[str, Any]) -> None:
    """Have both speak."""
    sizes, about = KINDS[kind]
    write_vits(folder / kind, SMALL | sizes, about)
    ours, plain = load_synthesis(folder / kind), Plain(folder / kind)
    told[kind] = {
        "rate_hz": ours.rate_hz,
        "voices": [(voice.id, voice.language) for voice in ours.voices],
    }
    for voice in ours.voices:
        chosen = {"speaker_id": int(voice.id)} if kind == "several" else {}
        for speed in SPEEDS:
            for number, (sentence, given) in enumerate(SENTENCES.items()):
                key = f"{kind} {voice.id} {speed} {number}"
                kept[f"ours {key}"] = ours.speak(sentence, voice.id, speed)
                kept[f"plain {key}"] = plain.speak(given, seed_of(sentence), speed, **chosen)


def of_phonemes(folder: Path, kept: dict[str, Any]) -> None:
    """Compare a model of phonemes, as kakao-enterprise/vits-ljs is one."""
    vocabulary = {sign: number for number, sign in enumerate(IDS)}
    write_vits(folder / "phonemes", SMALL, {"phonemize": True, "language": "en"}, vocabulary)
    plain = Plain(folder / "phonemes")
    plain.tokenizer.phonemize = plain.tokenizer.normalize = False
    ours = load_synthesis(folder / "phonemes").speak("Hello world.", "default", 1.0)
    kept["ours phonemes"] = ours
    kept["plain phonemes"] = plain.speak("həlˈoʊ wˈɜːld.", seed_of("Hello world."), 1.0)  # noqa: RUF001


def said(act: Callable[[], Any]) -> str:
    """Return the error that it ends in, or how many samples it gives."""
    try:
        return str(len(act()))
    except HoldfastError as error:
        return f"{error.code}: {error}"


def refused(folder: Path, harm: Callable[[Path], None]) -> str:
    """Return what is said of a voice after harm was done to it."""
    copy = folder.parent / "harmed"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(folder, copy)
    harm(copy)
    return said(lambda: [load_synthesis(copy, "cpu")])


def changed(path: Path, **values: Any) -> None:
    """Change values in a file of JSON."""
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def only_pickle(folder: Path) -> None:
    """Leave the weights as a pickle only."""
    (folder / "model.safetensors").unlink()
    torch.save({}, folder / "pytorch_model.bin")


def cut_short(folder: Path) -> None:
    """Take the end of the weights away."""
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-5000])


def with_code(folder: Path) -> None:
    """Have the repository ask for code of its own."""
    (folder / "modeling.py").write_text("open('RAN', 'w').close()\nclass Net: pass\n")
    changed(
        folder / "config.json",
        model_type="holdfast-unknown",
        auto_map={"AutoModel": "modeling.Net", "AutoConfig": "modeling.Net"},
    )


def without_some(folder: Path) -> None:
    """Take one tensor out of the weights."""
    from safetensors.torch import load_file, save_file

    weights = load_file(folder / "model.safetensors")
    weights.pop("decoder.conv_post.weight")
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


HARMS: dict[str, Callable[[Path], None]] = {
    "a pickle": only_pickle,
    "cut short": cut_short,
    "some weights missing": without_some,
    "no vocabulary": lambda folder: (folder / "vocab.json").unlink(),
    "a vocabulary of another": lambda folder: changed(folder / "vocab.json", **{"ж": 99}),
    "no config": lambda folder: (folder / "config.json").unlink(),
    "another kind": lambda folder: changed(folder / "config.json", model_type="whisper"),
    "another size": lambda folder: changed(folder / "config.json", hidden_size=48),
    "code": with_code,
}


def tell(folder: Path, told: dict[str, Any]) -> None:
    """Tell what is refused, and what else is no waveform."""
    told["refused"] = {name: refused(folder / "english", harm) for name, harm in HARMS.items()}
    told["device"] = said(lambda: [load_synthesis(folder / "english", "cuda:7")])
    told["ran"] = any((place / "RAN").exists() for place in (folder, folder / "harmed", Path()))
    ours = load_synthesis(folder / "english")
    for text in ("", " ...", "你好", "!?", "Привет"):
        told[f"says {text}"] = said(lambda text=text: ours.speak(text, "default", 1.0))
    told["no voice"] = said(lambda: ours.speak("a", "7", 1.0))
    write_vits(folder / "uroman", SMALL, {"is_uroman": True, "language": "kor"})
    korean = load_synthesis(folder / "uroman")
    told["uroman latin"] = said(lambda: korean.speak("annyeong", "default", 1.0))
    told["uroman other"] = said(lambda: korean.speak("안녕", "default", 1.0))
    told["uroman language"] = korean.voices[0].language
    before = torch.get_rng_state()
    first = ours.speak("The same again", "default", 1.0)
    told["again"] = bool(np.array_equal(first, ours.speak("The same again", "default", 1.0)))
    told["noise left alone"] = bool(torch.equal(before, torch.get_rng_state()))
    wanted = [(text, speed) for text in SENTENCES for speed in (0.5, 1.0, 2.0)]
    alone = [ours.speak(text, "default", speed) for text, speed in wanted]
    with ThreadPoolExecutor(6) as pool:
        jobs = [pool.submit(ours.speak, text, "default", speed) for text, speed in wanted]
        pairs = zip(alone, (job.result() for job in jobs), strict=True)
        told["together"] = all(np.array_equal(one, other) for one, other in pairs)
    with torch.no_grad():
        ours._network.decoder.conv_post.weight.fill_(float("nan"))
    told["not a number"] = said(lambda: ours.speak("a", "default", 1.0))
    told["known"] = "".join(VOCABULARY)


def main(folder: Path) -> None:
    """Write everything."""
    kept: dict[str, Any] = {}
    told: dict[str, Any] = {}
    for kind in KINDS:
        compare(folder, kind, kept, told)
    of_phonemes(folder, kept)
    tell(folder, told)
    np.savez(folder / "answers.npz", **kept)
    (folder / "told.json").write_text(json.dumps(told))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
