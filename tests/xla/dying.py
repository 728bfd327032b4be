"""A program of the tests: a process of a run dies while the others wait elsewhere.

    chainrule launch -n 3 -- tests/xla/dying.py NUMBER exchange|elsewhere|step

``exchange``: the others are about to exchange something with it; ``elsewhere``: they
are busy with something of their own, and JAX alone misses it; ``step``: it fails in a
step that the others are in.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from typing import Any

import chainrule as cr
from chainrule.engines import resolve_engine
from chainrule.util import processes


def fail_in_a_step(here: bool) -> None:
    """Add up over all processes, but for one whose memory does not suffice."""
    total = cr.compile(lambda x: x.sum(), engine="xla", shapes={"x": ("N",)})
    x = cr.ones(6)
    total(x)
    if here:
        (program,) = total.programs
        executable: Any = program.executable

        def fails(*args: Any) -> None:
            raise MemoryError

        executable._spread = fails
    print(total(x).item())


def main() -> None:
    """End the process of a number, as ``kill -9`` would."""
    resolve_engine("xla")
    processes.most(1.0)
    if sys.argv[2] == "step":
        fail_in_a_step(processes.index() == int(sys.argv[1]))
    if processes.index() == int(sys.argv[1]):
        os.kill(os.getpid(), signal.SIGKILL)
    if sys.argv[2] == "elsewhere":
        time.sleep(300)
    processes.most(1.0)


if __name__ == "__main__":
    main()
