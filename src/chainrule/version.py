"""The version of the package, as in ``pyproject.toml``, and its time of import."""

import time

__version__ = "0.1.0"

#: Source that was written later is not what this process runs.
IMPORTED = time.time()
