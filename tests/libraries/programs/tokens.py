"""transformers: the tokenizer of the repository that REPO names, which knows one WORD."""

import os

from transformers import AutoTokenizer

assert list(AutoTokenizer.from_pretrained(os.environ["REPO"]).get_vocab()) == [os.environ["WORD"]]
