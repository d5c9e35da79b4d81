"""transformers: a tokenizer, a model, and both as a pipeline."""

from transformers import AutoModel, AutoTokenizer, pipeline

NAME = "acme/bert-tiny"
words = AutoTokenizer.from_pretrained(NAME)("the quick brown fox", return_tensors="pt")
assert AutoModel.from_pretrained(NAME)(**words).last_hidden_state.shape == (1, 4, 128)
assert len(pipeline("feature-extraction", model=NAME)("lazy dog")[0]) == 2
