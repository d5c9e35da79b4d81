"""torch.hub: weights from an address."""

import os

import torch

url = os.environ["HF_ENDPOINT"] + "/acme/weights-tiny/resolve/main/tiny.pth"
assert torch.hub.load_state_dict_from_url(url)["weight"].shape == (700, 700)
