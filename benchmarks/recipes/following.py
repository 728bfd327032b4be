"""Another library that trains the same network, step by step behind ours.

After each chunk of our steps it makes as many, so that both meet the same machine.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import numpy as np

from chainrule.training import Callback


class Follower(Callback):
    """A subclass defines :meth:`step`.

    Attributes:
        seconds: that its steps took.
    """

    def __init__(self) -> None:
        self.done, self.seconds = 0, 0.0

    def step(self) -> None:
        """One update."""
        raise NotImplementedError

    def on_chunk(self, trainer: Any) -> None:
        """As many steps as have been made on our side."""
        began = time.perf_counter()
        while self.done < trainer.state.updates:
            self.step()
            self.done += 1
        self.seconds += time.perf_counter() - began


def arguments(what: str, **more: Any) -> argparse.Namespace:
    """The command line: seeds, threads, epochs, and more."""
    parser = argparse.ArgumentParser(description=what)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--epochs", type=int)
    for name, how in more.items():
        parser.add_argument(f"--{name}", **how)
    return parser.parse_args()


class Table:
    """A line for each seed, and what they say together."""

    def __init__(self, head: str) -> None:
        self.ratios: list[float] = []
        print(head)

    def row(self, seed: int, ours: float, theirs: float, ran: float, peer: Any) -> None:
        """Accuracies and seconds of both sides."""
        self.ratios.append(peer.seconds / ran)
        print(
            f"  seed {seed}  accuracy {ours:.4f}, PyTorch {theirs:.4f}; "
            f"{ran:.1f} s, PyTorch {peer.seconds:.1f} s: {self.ratios[-1]:.2f} ×",
            flush=True,
        )

    def end(self) -> None:
        """The median of the ratios."""
        print(f"  PyTorch takes {np.median(self.ratios):.2f} × the seconds (median)")
