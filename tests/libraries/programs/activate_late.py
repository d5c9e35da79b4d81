"""A program that calls Holdfast after the libraries have read their variables."""

import os

import datasets
import docling.datamodel.settings
import huggingface_hub.file_download
import huggingface_hub.hf_api
import transformers

import holdfast

foreign = "HF_HOME" in os.environ
read = (datasets, docling, huggingface_hub, transformers)
assert ("HF_HUB_CACHE" in holdfast.activate().rebound) == foreign
