"""Documents cut into pieces for retrieval, by docling's chunkers."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from docling_core.transforms.chunker.hierarchical_chunker import (
    ChunkingDocSerializer,
    ChunkingSerializerProvider,
    HierarchicalChunker,
)
from docling_core.transforms.chunker.hybrid_chunker import HybridChunker
from docling_core.transforms.chunker.tokenizer.base import BaseTokenizer
from docling_core.transforms.serializer.markdown import MarkdownParams, MarkdownTableSerializer
from docling_core.types.doc import ImageRefMode
from tokenizers import Tokenizer

from holdfast.documents._model import Chunking

__all__ = ["ESTIMATE", "TOKENIZER", "chunks"]

# Within the folder of models.
TOKENIZER = "tokenizer"
ESTIMATE = "estimate"
# What embedding models of sentences mostly take.
_MOST_TOKENS = 256
_LONGEST_TOKEN = 6
_WORD = re.compile(r"\w+|[^\w\s]")


class _Estimate(BaseTokenizer):  # type: ignore[misc]
    """About as many tokens as subword tokenizers make of words; needs no vocabulary."""

    max_tokens: int = _MOST_TOKENS
    name: str = ESTIMATE

    def count_tokens(self, text: str) -> int:
        """Return a number of tokens."""
        return sum(1 + (len(word[0]) - 1) // _LONGEST_TOKEN for word in _WORD.finditer(text))

    def get_max_tokens(self) -> int:
        """Return how many a piece may have."""
        return self.max_tokens

    def get_tokenizer(self) -> Callable[[str], int]:
        """Return what counts."""
        return self.count_tokens


class _Vocabulary(_Estimate):
    """The tokens of a ``tokenizer.json``."""

    model: Any

    def count_tokens(self, text: str) -> int:
        """Return their number."""
        return len(self.model.encode(text, add_special_tokens=False).ids)


def _tokenizer(folder: Path | None, chunking: Chunking) -> _Estimate:
    if folder is None or not (folder / "tokenizer.json").is_file():
        return _Estimate(max_tokens=chunking.max_tokens or _MOST_TOKENS)
    most = _MOST_TOKENS
    about = folder / "sentence_bert_config.json"
    if about.is_file():
        most = int(json.loads(about.read_text("utf-8"))["max_seq_length"])
    model = Tokenizer.from_file(str(folder / "tokenizer.json"))
    model.no_truncation()
    return _Vocabulary(model=model, name="tokenizer.json", max_tokens=chunking.max_tokens or most)


class _Provider(ChunkingSerializerProvider):  # type: ignore[misc]
    """Makes the text of pieces as it was asked for."""

    def __init__(self, chunking: Chunking) -> None:
        super().__init__()
        self._chunking = chunking

    def get_serializer(self, doc: Any) -> ChunkingDocSerializer:
        """Return what makes text of a document's parts."""
        asked = self._chunking
        # Docling marks a picture by nothing here, where its service marks it.
        placeholder = "" if asked.markdown_images else asked.image_placeholder
        params = MarkdownParams(
            image_mode=ImageRefMode.EMBEDDED if asked.markdown_images else ImageRefMode.PLACEHOLDER,
            image_placeholder=placeholder, escape_underscores=False, escape_html=False,
        )  # fmt: skip
        tables = {"table_serializer": MarkdownTableSerializer()} if asked.markdown_tables else {}
        return ChunkingDocSerializer(doc=doc, params=params, **tables)


def chunks(name: str, document: Any, chunking: Chunking, models: Path | None) -> dict[str, Any]:
    """Return a document's pieces in the form of docling's service, and what counted their tokens.

    Args:
        name: of the document's file.
        document: docling's.
        chunking: how.
        models: the folder of models, in whose ``tokenizer`` a ``tokenizer.json`` may be; without
            it tokens are estimated.
    """
    provider = _Provider(chunking)
    tokenizer: _Estimate | None = None
    if chunking.kind == "hybrid":
        tokenizer = _tokenizer(models / TOKENIZER if models else None, chunking)
        chunker = HybridChunker(
            tokenizer=tokenizer, merge_peers=chunking.merge_peers, serializer_provider=provider
        )
    else:
        chunker = HierarchicalChunker(serializer_provider=provider)
    pieces = []
    for number, piece in enumerate(chunker.chunk(document)):
        text = chunker.contextualize(piece)
        pages = {place.page_no for item in piece.meta.doc_items for place in item.prov}
        origin = piece.meta.origin
        pieces.append({
            "filename": name, "chunk_index": number, "text": text,
            "raw_text": piece.text if chunking.raw_text else None,
            "num_tokens": tokenizer.count_tokens(text) if tokenizer else None,
            "headings": piece.meta.headings, "captions": piece.meta.captions,
            "doc_items": [item.self_ref for item in piece.meta.doc_items],
            "page_numbers": sorted(pages),
            "metadata": {"origin": origin.model_dump(mode="json")} if origin else {},
        })  # fmt: skip
    return {"chunks": pieces, "tokenizer": tokenizer.name if tokenizer else None}
