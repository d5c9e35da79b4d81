"""sentence-transformers."""

from sentence_transformers import SentenceTransformer

assert SentenceTransformer("acme/sentences-tiny").encode(["lazy dog"]).shape == (1, 128)
