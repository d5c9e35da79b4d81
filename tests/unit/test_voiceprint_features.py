"""Features, windows and the numbers of a model, each against something that is not ours."""

from __future__ import annotations

from pathlib import Path

import kaldi_native_fbank
import numpy as np
import pytest
from numpy.typing import NDArray

from holdfast.runtime import EngineUnusable
from holdfast.voiceprint._features import (
    KaldiFbank,
    SpeechBrainFbank,
    kaldi_features,
    speechbrain_features,
)
from holdfast.voiceprint._windows import merged, windows
from holdfast.voiceprint.engines._ecapa_config import EcapaConfig, read_config

Floats = NDArray[np.float32]
RATE_HZ = 16_000

# The beginning of what speechbrain/spkrec-ecapa-voxceleb has, all kinds of tags included.
PUBLISHED = """\
# Feature parameters
n_mels: 80
pretrained_path: speechbrain/spkrec-ecapa-voxceleb
out_n_neurons: 7205
compute_features: !new:speechbrain.lobes.features.Fbank
    n_mels: !ref <n_mels>
mean_var_norm: !new:speechbrain.processing.features.InputNormalization
    norm_type: sentence
    std_norm: False
embedding_model: !new:speechbrain.lobes.models.ECAPA_TDNN.ECAPA_TDNN
    input_size: !ref <n_mels>
    channels: [1024, 1024, 1024, 1024, 3072]
    kernel_sizes: [5, 3, 3, 3, 1]
    dilations: [1, 2, 3, 4, 1]
    attention_channels: 128
    lin_neurons: 192
label_encoder: !new:speechbrain.dataio.encoder.CategoricalEncoder
pretrainer: !new:speechbrain.utils.parameter_transfer.Pretrainer
    paths:
        label_encoder: !ref <pretrained_path>/label_encoder.txt
"""


def noise(samples: int, seed: int = 0) -> Floats:
    return 0.1 * np.random.default_rng(seed).standard_normal(samples, dtype=np.float32)


def tone(hertz: float, seconds: float = 1.0) -> Floats:
    time = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    return (0.3 * np.sin(2 * np.pi * hertz * time)).astype(np.float32)


@pytest.mark.parametrize("samples", [400, 559, 560, 16_000, 48_123])
def test_kaldis_features_are_those_of_kaldi_native_fbank(samples: int) -> None:
    waveform = noise(samples) + tone(700, samples / RATE_HZ)[:samples] + np.float32(0.02)
    options = kaldi_native_fbank.FbankOptions()
    options.frame_opts.dither = 0.0
    options.frame_opts.window_type = "hamming"
    options.mel_opts.num_bins = 80
    reference = kaldi_native_fbank.OnlineFbank(options)
    reference.accept_waveform(RATE_HZ, (waveform * 32_768).tolist())
    expected = np.array([reference.get_frame(at) for at in range(reference.num_frames_ready)])

    found = kaldi_features(waveform, KaldiFbank())

    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected - expected.mean(axis=0), atol=2e-3)


@pytest.mark.parametrize("samples", [160, 640, 16_000, 16_001, 16_159])
def test_speechbrains_features_have_a_frame_for_each_started_hop(samples: int) -> None:
    found = speechbrain_features(noise(samples), SpeechBrainFbank())
    assert found.shape == (1 + samples // 160, 80)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found.mean(axis=0), 0, atol=1e-4)


@pytest.mark.parametrize("dialect", [0, 1])
def test_loudness_makes_no_difference(dialect: int) -> None:
    waveform = noise(16_000)
    hear = (
        lambda heard: speechbrain_features(heard, SpeechBrainFbank()),
        lambda heard: kaldi_features(heard, KaldiFbank()),
    )[dialect]
    np.testing.assert_allclose(hear(waveform), hear(waveform / 4), atol=2e-3)


def test_speechbrains_floor_lies_80_db_below_the_loudest_point() -> None:
    waveform = np.concatenate([tone(1000), np.zeros(RATE_HZ, np.float32)])
    found = speechbrain_features(waveform, SpeechBrainFbank())
    # A column of the tone: half of it at the top, half of it at the floor.
    loudest = int(np.argmax(found[50]))
    assert found[50, loudest] - found[150, loudest] == pytest.approx(80, abs=0.01)


@pytest.mark.parametrize("hertz", [300.0, 1000.0, 3500.0])
def test_a_tone_is_heard_by_the_filter_around_it(hertz: float) -> None:
    settings = SpeechBrainFbank()
    mel = 2595 * np.log10(1 + hertz / 700) / (2595 * np.log10(1 + 8000 / 700)) * 81 - 1
    # Silence before the tone leaves the tone visible when each column loses its mean.
    waveform = np.concatenate([np.zeros(RATE_HZ, np.float32), tone(hertz)])
    assert abs(int(np.argmax(speechbrain_features(waveform, settings)[150])) - mel) < 1


def test_windows_are_the_recording_and_the_last_two_are_equal() -> None:
    for total in (0, 5, 99, 100, 101, 150, 199, 200, 201, 350, 1000):
        whole = np.arange(total, dtype=np.float32)
        blocks = [whole[start : start + 37] for start in range(0, total, 37)]
        cut = list(windows(blocks, size=100))
        assert np.array_equal(np.concatenate(cut), whole)
        assert [len(part) for part in cut] == [len(part) for part in windows([whole], size=100)]
        assert max(map(len, cut)) <= 100
        assert len(cut) == 1 or min(map(len, cut)) >= 50


def test_windows_come_while_the_recording_is_still_read() -> None:
    read = 0

    def blocks() -> object:
        nonlocal read
        while True:
            read += 1
            yield np.zeros(10, np.float32)

    first = next(windows(blocks(), size=100))  # type: ignore[arg-type]
    assert len(first) == 100
    assert read <= 21


def test_windows_count_by_direction_and_length_not_by_magnitude() -> None:
    east, north = np.float32([100, 0]), np.float32([0, 1])
    assert merged([east], [7]) is east
    even = merged([east, north], [50, 50])
    assert even[0] == pytest.approx(even[1])
    assert np.linalg.norm(even) == pytest.approx(50.5)
    uneven = merged([east, north], [75, 25])
    assert uneven[0] / uneven[1] == pytest.approx(3)


def written(folder: Path, text: str | bytes) -> Path:
    path = folder / "hyperparams.yaml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def test_the_published_file_is_read_without_following_its_tags(tmp_path: Path) -> None:
    assert read_config(written(tmp_path, PUBLISHED)) == EcapaConfig(
        n_mels=80, channels=(1024, 1024, 1024, 1024, 3072)
    )


def test_what_is_left_out_has_speechbrains_default(tmp_path: Path) -> None:
    lean = (
        "compute_features: !new:speechbrain.lobes.features.Fbank\n"
        "embedding_model: !new:speechbrain.lobes.models.ECAPA_TDNN.ECAPA_TDNN\n"
    )
    assert read_config(written(tmp_path, lean)) == EcapaConfig(n_mels=40)


@pytest.mark.parametrize(
    "hostile",
    [
        '!!python/object/apply:os.system ["touch {mark}"]',
        "!!python/object/new:subprocess.Popen [[touch, {mark}]]",
        '!apply:os.system ["touch {mark}"]',
        '!new:subprocess.Popen [[touch, "{mark}"]]',
        "!!python/name:os.system",
        "!include:/etc/passwd",
        "!apply:os.system {{command: touch {mark}}}",
        "!!python/object/apply:builtins.exec [\"open('{mark}', 'w')\"]",
    ],
)
def test_tags_that_name_code_run_nothing(tmp_path: Path, hostile: str) -> None:
    mark = tmp_path / "was-here"
    line = f"evil: {hostile.format(mark=mark)}\n"
    assert read_config(written(tmp_path, line + PUBLISHED)).lin_neurons == 192
    assert not mark.exists()


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("lin_neurons: 192", "lin_neurons: 100000000", "lin_neurons is 100000000"),
        ("lin_neurons: 192", "lin_neurons: -1", "lin_neurons is -1"),
        ("lin_neurons: 192", "lin_neurons: yes", "lin_neurons is True"),
        ("input_size: !ref <n_mels>", "input_size: !ref <n_mels> * 2", "'<n_mels> * 2'"),
        ("input_size: !ref <n_mels>", "input_size: 40", "input_size is not the features' n_mels"),
        ("[5, 3, 3, 3, 1]", "[5, 3, 3, 1]", "differ in length"),
        ("[5, 3, 3, 3, 1]", "[5, 4, 3, 3, 1]", "even kernel_sizes"),
        ("[1024, 1024, 1024, 1024, 3072]", "[1024, 1024, 1001, 1024, 3072]", "different widths"),
        ("[1024, 1024, 1024, 1024, 3072]", "many", "channels is not a row"),
        ("norm_type: sentence", "norm_type: global", "mean_var_norm is ('global', False)"),
        ("n_mels: !ref <n_mels>\n", "n_mels: 80\n    deltas: True\n", "deltas"),
        ("n_mels: !ref <n_mels>\n", "n_mels: 80\n    sample_rate: 8000\n", "sample_rate is 8000"),
        ("n_mels: !ref <n_mels>\n", "n_mels: 80\n    f_max: .nan\n", "f_max is nan"),
        ("embedding_model:", "another_model:", "it has no embedding_model"),
    ],
)
def test_numbers_that_cannot_be_are_named(
    tmp_path: Path, before: str, after: str, said: str
) -> None:
    assert before in PUBLISHED
    with pytest.raises(EngineUnusable) as caught:
        read_config(written(tmp_path, PUBLISHED.replace(before, after)))
    assert said in caught.value.why


def test_all_that_is_wrong_is_said_at_once(tmp_path: Path) -> None:
    text = PUBLISHED.replace("lin_neurons: 192", "lin_neurons: 0").replace("sentence", "batch")
    with pytest.raises(EngineUnusable) as caught:
        read_config(written(tmp_path, text))
    assert "lin_neurons is 0" in caught.value.why
    assert "mean_var_norm is" in caught.value.why


ALIASES = "a: &a [x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join(['*' + before] * 9)}]\n"
    for before, name in zip("abcdefghijkl", "bcdefghijklm", strict=True)
)


@pytest.mark.parametrize(
    "content",
    [b"", b"- a\n- row\n", b"just words", b"a: [", b"\x00\xff\xfe", b"[" * 50_000, b"a: *nothing"],
)
def test_a_file_that_is_no_mapping_is_said(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(EngineUnusable, match=r"hyperparams\.yaml"):
        read_config(written(tmp_path, content))


def test_names_for_names_for_names_take_no_memory(tmp_path: Path) -> None:
    # Written out, the last row would have 2 * 9 ** 12 items.
    assert read_config(written(tmp_path, ALIASES + PUBLISHED)).n_mels == 80


def test_a_huge_file_is_not_read(tmp_path: Path) -> None:
    with pytest.raises(EngineUnusable, match="over 1000000 bytes"):
        read_config(written(tmp_path, PUBLISHED + "#" * 1_000_001))


def test_a_folder_without_the_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(EngineUnusable, match="not a speaker model"):
        read_config(tmp_path / "hyperparams.yaml")
