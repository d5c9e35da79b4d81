"""huggingface_hub: the repository that REPO names, at COMMIT where that is given."""

import os
from pathlib import Path

from huggingface_hub import snapshot_download

commit = Path(snapshot_download(os.environ["REPO"])).name
assert commit == os.environ.get("COMMIT", commit)
