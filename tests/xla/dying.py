"""A program of the tests: a process of a run dies while the others wait elsewhere.

    chainrule launch -n 3 -- tests/xla/dying.py NUMBER exchange|elsewhere

``exchange``: the others are about to exchange something with it; ``elsewhere``: they
are busy with something of their own, and JAX alone misses it.
"""

from __future__ import annotations

import os
import signal
import sys
import time

from chainrule.engines import resolve_engine
from chainrule.util import processes


def main() -> None:
    """End the process of a number, as ``kill -9`` would."""
    resolve_engine("xla")
    processes.most(1.0)
    if processes.index() == int(sys.argv[1]):
        os.kill(os.getpid(), signal.SIGKILL)
    if sys.argv[2] == "elsewhere":
        time.sleep(300)
    processes.most(1.0)


if __name__ == "__main__":
    main()
