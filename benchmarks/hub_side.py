"""The peer's half: unmodified ``huggingface_hub.snapshot_download``, timed inside and printed.

python hub_side.py REPOSITORY REVISION
"""

from __future__ import annotations

import json
import sys
import time

started = time.perf_counter()
from huggingface_hub import snapshot_download  # noqa: E402 - the import is what is timed

imported = time.perf_counter()
path = snapshot_download(sys.argv[1], revision=sys.argv[2])
done = time.perf_counter()
print(json.dumps({"path": path, "seconds": done - imported, "import_seconds": imported - started}))
