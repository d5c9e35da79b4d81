"""Small models as the profile `standard` has them, and what Transformers says with them.

    python standard_models.py FOLDER SPEECH     runs in .venv-libraries

FOLDER/whisper and FOLDER/mms are repositories laid out as openai/whisper-tiny and
facebook/mms-tts-eng; FOLDER/converted is what CTranslate2 makes of the first. In FOLDER/answers.npz
are the text tokens that Transformers reads of SPEECH (``tokens``), and the waveform that it speaks
``SENTENCE`` with (``sound``); in FOLDER/fallback.json what our engine in Transformers does.
"""

from __future__ import annotations

import json
import shutil
import string
import sys
import wave
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer
from transformers import (
    VitsModel,
    VitsTokenizer,
    WhisperFeatureExtractor,
    WhisperForConditionalGeneration,
)

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from holdfast.errors import HoldfastError
from holdfast.speech import ReadOptions
from holdfast.speech.engines.reader import load_reader
from holdfast.speech.engines.vits import seed_of
from holdfast.speech.engines.whisper import convert_whisper
from tests.libraries.whisper_parity import SMALL, write_model_of
from tests.support.vits import SMALL as SMALL_VOICE
from tests.support.vits import write_vits
from tests.support.whisper_files import END

__all__ = ["LETTERS", "SENTENCE", "asks_for_letters"]

SENTENCE = "She packed four sandwiches and a map."
LETTERS = 80
_CARD = "---\nlicense: {licence}\n---\n# A small model with random weights\n"


def asks_for_letters(model: WhisperForConditionalGeneration, tokens: Tokenizer) -> None:
    """Have random weights write as much as people say in half a minute, and end.

    What stands at a place asks for a letter, louder than anything that is heard does; behind the
    last it asks for the end. A model that writes nothing, or for ever, is like no trained one.
    There are no spaces: with a vocabulary of bytes faster-whisper takes them for the start of a
    sign that is no speech, and suppresses them.
    """
    letters = [string.ascii_lowercase[number * 7 % 26] for number in range(LETTERS)]
    wanted = [tokens.token_to_id(letter) for letter in letters]
    decoder = model.model.decoder
    with torch.no_grad():
        words, places = decoder.embed_tokens.weight, decoder.embed_positions.weight
        # So long that what is asked for is sure, among fifty thousand.
        words.copy_(4.0 * torch.nn.functional.normalize(torch.randn_like(words), dim=1))
        for place in range(len(places)):
            number = place - 3  # it is asked for by three tokens and a time
            asked = wanted[max(number, 0)] if number < LETTERS else END
            places[place] = 10.0 * words[asked]


def main(folder: Path, speech: Path) -> None:
    """Write everything."""
    model = write_model_of(folder / "whisper", SMALL, asks_for_letters)
    (folder / "whisper/README.md").write_text(_CARD.format(licence="apache-2.0"))
    (folder / "converted").mkdir()
    convert_whisper(folder / "whisper", folder / "converted")
    extractor = WhisperFeatureExtractor.from_pretrained(folder / "whisper")
    with wave.open(str(speech)) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2") / 32_768
    features = extractor(samples, sampling_rate=16_000, return_tensors="pt").input_features
    read = model.generate(features, language="en", task="transcribe", num_beams=1)
    write_vits(folder / "mms", SMALL_VOICE, {})
    (folder / "mms/README.md").write_text(_CARD.format(licence="cc-by-nc-4.0"))
    voice = VitsModel.from_pretrained(folder / "mms").eval()
    tokenizer = VitsTokenizer.from_pretrained(folder / "mms")
    torch.manual_seed(seed_of(SENTENCE))
    with torch.no_grad():
        said = voice(**tokenizer(SENTENCE, return_tensors="pt")).waveform[0]
    text = [token for token in read[0].tolist() if token < END]
    np.savez(folder / "answers.npz", tokens=text, sound=said.numpy())
    told = fallback(folder, samples.astype(np.float32))
    (folder / "fallback.json").write_text(json.dumps(told))


def fallback(folder: Path, samples: Any) -> dict[str, Any]:
    """Return what our engine without CTranslate2 does, beside the one with it."""
    engine, quick = load_reader(folder / "whisper"), load_reader(folder / "converted")
    long = np.tile(samples, 3)
    both, other = engine.read([samples, long], ["en", "de"], ReadOptions(prompt="Ada said"))
    told: dict[str, Any] = {
        "kind": type(engine).__name__,
        "tokens": list(engine.read([samples], ["en"], ReadOptions())[0][0].tokens),
        "passage": [both[0].start_s, both[0].end_s, both[0].avg_logprob, both[0].no_speech_prob],
        "prompted": both[0].text, "other": other[0].text,
        "languages": sorted(engine.languages) == sorted(quick.languages),
        "detected": [engine.detect_language(samples)[0] in engine.languages,
                     engine.detect_language(samples, ["de"])[0]],
        "nothing": [list(each) for each in engine.read([], [], ReadOptions())],
    }  # fmt: skip
    try:
        engine.read([samples], ["en"], ReadOptions(words=True))
    except HoldfastError as error:
        told["words"] = error.code
    weights = (folder / "whisper/model.safetensors").read_bytes()
    shutil.copytree(folder / "whisper", folder / "cut")
    (folder / "cut/model.safetensors").write_bytes(weights[:-1000])
    try:
        load_reader(folder / "cut")
    except HoldfastError as error:
        told["cut"] = f"{error.code}: {error}"
    return told


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
