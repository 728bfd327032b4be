"""The version of this package, as in ``pyproject.toml``, and when it was imported."""

import time

__version__ = "0.1.0"

#: Source that was written later is not what this process runs.
IMPORTED = time.time()
