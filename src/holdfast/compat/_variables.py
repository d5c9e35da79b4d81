"""What libraries read to find their folders: data, checked against their current code.

Pure: nothing here looks at the system. docs/variables.md is the table for people, made from this.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

__all__ = ["HUB_VARIABLES", "OFFLINE", "VARIABLES", "Held", "Variable"]

Form = Literal["text", "path", "flag"]


class Held(NamedTuple):
    """Where a library keeps what it read: to be found, and rebound, when we come too late.

    Attributes:
        module: the module whose import read the variable.
        name: its attribute, dotted where the value is an attribute of an object in it.
        form: what the value is there.
        rebinds: giving the attribute another value is known to work.
    """

    module: str
    name: str
    form: Form = "text"
    rebinds: bool = True


class Variable(NamedTuple):
    """One variable of one or several libraries.

    Attributes:
        name: of the variable.
        standard: where the library looks without it; ``{cache}``, ``{config}`` and ``{user}``
            stand for the user's folders, "" where there is no such place.
        place: its folder below a home that is not the user's own cache; ``{hub}`` is the cache.
        read_by: the libraries, with the versions that this was checked against.
        read_when: ``import`` or ``call``, and what that means for setting it.
        held: where what was read at import is kept.
        if_filled: set only where the folder exists and holds something: the library refuses an
            empty one.
    """

    name: str
    standard: str
    place: str
    read_by: str
    read_when: str
    held: tuple[Held, ...] = ()
    if_filled: bool = False


_CONSTANTS = "huggingface_hub.constants"

# Chosen with the home; they are set together.
HUB_VARIABLES = (
    Variable(
        "HF_HOME", "{cache}/huggingface", "", "huggingface_hub 2.4, datasets 5.2, accelerate 1.15",
        "import of huggingface_hub.constants; names derived from it do not follow a change",
        (Held(_CONSTANTS, "HF_HOME"),),
    ),
    Variable(
        "HF_HUB_CACHE", "{cache}/huggingface/hub", "{hub}",
        "huggingface_hub 2.4, and through it transformers, sentence-transformers, speechbrain, "
        "docling, diffusers, faster-whisper, timm", "import of huggingface_hub.constants",
        (
            Held(_CONSTANTS, "HF_HUB_CACHE"),
            Held("huggingface_hub.utils._cache_manager", "HF_HUB_CACHE"),
        ),
    ),
    Variable(
        "HUGGINGFACE_HUB_CACHE", "{cache}/huggingface/hub", "{hub}",
        "huggingface_hub 2.4, where HF_HUB_CACHE is not set; older versions know only this",
        "import of huggingface_hub.constants", (Held(_CONSTANTS, "HUGGINGFACE_HUB_CACHE"),),
    ),
    Variable(
        "TRANSFORMERS_CACHE", "", "{hub}",
        "transformers before 5 (with a deprecation warning in 4); read by nothing current",
        "import of transformers.utils.hub",
    ),
    Variable(
        "SENTENCE_TRANSFORMERS_HOME", "", "{hub}",
        "sentence-transformers 6.2: wins over HF_HUB_CACHE, and has the same layout inside",
        "call: every time a model is made",
    ),
)  # fmt: skip

VARIABLES = (
    Variable(
        "HF_ASSETS_CACHE", "{cache}/huggingface/assets", "assets", "huggingface_hub 2.4",
        "import of huggingface_hub.constants",
        (
            Held(_CONSTANTS, "HF_ASSETS_CACHE"),
            Held("huggingface_hub.utils._cache_assets", "HF_ASSETS_CACHE"),
        ),
    ),
    Variable(
        "HF_XET_CACHE", "{cache}/huggingface/xet", "xet", "hf_xet 1.8 (not its Python)",
        "call: the first transfer",
    ),
    Variable(
        "HF_DATASETS_CACHE", "{cache}/huggingface/datasets", "datasets", "datasets 5.2",
        "import of datasets.config", (Held("datasets.config", "HF_DATASETS_CACHE", "path"),),
    ),
    Variable(
        "HF_MODULES_CACHE", "{cache}/huggingface/modules", "modules",
        "transformers 5.23, datasets 5.2, diffusers", "import of transformers.utils.hub",
        (
            Held("transformers.utils.hub", "HF_MODULES_CACHE"),
            Held("transformers.dynamic_module_utils", "HF_MODULES_CACHE"),
            Held("datasets.config", "HF_MODULES_CACHE"),
        ),
    ),
    Variable(
        "TORCH_HOME", "{cache}/torch", "torch", "torch 2.13, torchvision, torchaudio, timm",
        "call: every time torch.hub looks for a file",
    ),
    Variable(
        "DOCLING_ARTIFACTS_PATH", "", "docling/models",
        "docling 2.143: it must exist, and then nothing is downloaded",
        "import of docling.datamodel.settings",
        (Held("docling.datamodel.settings", "settings.artifacts_path", "path"),),
        if_filled=True,
    ),
    Variable(
        "DOCLING_CACHE_DIR", "{cache}/docling", "docling",
        "docling 2.143: its OCR models and its download tool",
        "import of docling.datamodel.settings",
        (Held("docling.datamodel.settings", "settings.cache_dir", "path"),),
    ),
    Variable(
        "EASYOCR_MODULE_PATH", "{user}/.EasyOCR", "easyocr", "easyocr 1.7", "import of easyocr",
        (Held("easyocr.config", "MODULE_PATH"), Held("easyocr.easyocr", "MODULE_PATH")),
    ),
    Variable(
        "NLTK_DATA", "{user}/nltk_data", "nltk_data", "nltk 3.10: searched before all others",
        "import of nltk.data; nltk.data.path.insert(0, ...) works later",
    ),
    Variable(
        "TIKTOKEN_CACHE_DIR", "", "tiktoken", "tiktoken 0.14", "call: every time one is loaded"
    ),
    Variable(
        "KERAS_HOME", "{user}/.keras", "keras", "keras 3.15", "import of keras",
        (Held("keras.src.backend.config", "_KERAS_DIR", rebinds=False),),
    ),
    Variable(
        "KAGGLEHUB_CACHE", "{cache}/kagglehub", "kagglehub", "kagglehub 1.0", "call: every download"
    ),
    Variable(
        "MODELSCOPE_CACHE", "{cache}/modelscope", "modelscope", "modelscope 1.40", "call"
    ),
    Variable(
        "FLAIR_CACHE_ROOT", "{user}/.flair", "flair", "flair 0.15", "import of flair",
        (Held("flair", "cache_root", "path"),),
    ),
    Variable(
        "DOCTR_CACHE_DIR", "{cache}/doctr", "doctr", "python-doctr 1.1", "call: every download"
    ),
    Variable(
        "PADDLE_PDX_CACHE_HOME", "{user}/.paddlex", "paddlex", "paddleocr 3.7 (paddlex)",
        "import of paddlex.utils.cache",
        (Held("paddlex.utils.cache", "CACHE_DIR", rebinds=False),),
    ),
    Variable("VLLM_CACHE_ROOT", "{cache}/vllm", "vllm", "vllm", "call"),
    Variable("XDG_CACHE_HOME", "{cache}", "cache", "whatever has no variable of its own: "
             "openai-whisper, pooch, torch extensions, platformdirs", "call, mostly"),
    Variable(
        "MPLCONFIGDIR", "{config}/matplotlib", "matplotlib", "matplotlib 3.11", "call: the first"
    ),
    Variable(
        "NUMBA_CACHE_DIR", "{cache}/numba", "numba", "numba 0.68 (librosa)", "import of numba",
        (Held("numba.core.config", "CACHE_DIR"),),
    ),
    Variable("TRITON_HOME", "{user}", "triton", "triton", "call"),
)  # fmt: skip

# Switches that keep libraries from asking the network; each takes "1".
OFFLINE = (
    Variable(
        "HF_HUB_OFFLINE", "", "", "huggingface_hub 2.4 and all that use it",
        "import of huggingface_hub.constants", (Held(_CONSTANTS, "HF_HUB_OFFLINE", "flag"),),
    ),
    Variable(
        "TRANSFORMERS_OFFLINE", "", "", "huggingface_hub 2.4, where HF_HUB_OFFLINE is not set; "
        "transformers before 5", "import of huggingface_hub.constants",
    ),
    Variable(
        "HF_DATASETS_OFFLINE", "", "", "datasets 5.2", "import of datasets.config",
        (Held("datasets.config", "HF_HUB_OFFLINE", "flag"),),
    ),
)  # fmt: skip
