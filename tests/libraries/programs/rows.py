"""datasets: a table from the hub."""

from datasets import load_dataset

assert load_dataset("acme/rows-tiny", split="train").num_rows == 1000
