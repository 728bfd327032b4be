"""Eager layers and networks beside PyTorch's: forward and backward, and forward alone.

    python benchmarks/eager.py                  # every case, a few minutes
    python benchmarks/eager.py lstm-small gpt   # some of them
    python benchmarks/eager.py --json           # for machines

Nothing is compiled by hand: ours is what a plain training loop does, ``zero_grad``,
forward, a loss, ``backward``; and the same forward pass under ``no_grad``. PyTorch does
the same with the same weights and inputs in float32, with its own kernels (``nn.LSTM``,
``scaled_dot_product_attention``) and with channels last in images; both on one thread.
Before anything is timed, the losses and the gradients of all parameters must agree. The
two take turns, round after round; each round gives one ratio, ours over PyTorch's.
Printed are the median of the ratios and, in brackets, their 10th and 90th percentile,
by the processor's clock, which does not count what other processes do.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable, Iterator
from typing import Any

if hasattr(os, "sched_setaffinity"):  # one thread, of whatever library
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-1:])

import numpy as np
import torch
import torch.nn.functional as F

import chainrule as cr

TURN = 0.02  # seconds of a turn, about
TOLERANCE = 1e-3  # of the largest element, in float32


class Block:
    """A transformer block with causal attention, for one framework or the other."""

    @staticmethod
    def of(nn: Any, attend: Callable[..., Any], width: int, heads: int) -> Any:
        class GPTBlock(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
                self.qkv = nn.Linear(width, 3 * width)
                self.out = nn.Linear(width, width)
                self.up = nn.Linear(width, 4 * width)
                self.down = nn.Linear(4 * width, width)
                self.act = nn.GELU(approximate="tanh")

            def forward(self, x: Any) -> Any:
                n, t, _ = x.shape
                parts = self.qkv(self.norm1(x)).split(width, dim=2)
                shape = (n, t, heads, width // heads)
                q, k, v = (p.reshape(*shape).transpose(1, 2) for p in parts)
                y = attend(q, k, v, is_causal=True)
                x = x + self.out(y.transpose(1, 2).reshape(n, t, width))
                return x + self.down(self.act(self.up(self.norm2(x))))

        return GPTBlock()


def cnn(nn: Any) -> Any:
    """A small network for images of 28 × 28."""
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(32 * 49, 10),
    )  # fmt: skip


def mlp(nn: Any) -> Any:
    """The textbook's network (3.2.3)."""
    return nn.Sequential(
        nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 64), nn.ReLU(),
        nn.Linear(64, 10),
    )  # fmt: skip


class Looped:
    """An LSTM cell in a loop of Python."""

    @staticmethod
    def of(nn: Any, inputs: int, hidden: int, stack: Callable[..., Any]) -> Any:
        class Loop(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.cell = nn.LSTMCell(inputs, hidden)

            def forward(self, x: Any) -> Any:
                state, kept = None, []
                for t in range(x.shape[0]):
                    state = self.cell(x[t], state)
                    kept.append(state[0])
                return stack(kept)

        return Loop()


def recurrent(kind: str, t: int, n: int, h: int, **options: Any) -> Any:
    """A recurrent layer with as many inputs as units."""
    return (lambda nn: getattr(nn, kind)(h, h, **options)), (t, n, h), None


def block(n: int, t: int, width: int, heads: int) -> Any:
    """A block of a GPT."""

    def build(nn: Any) -> Any:
        functional = F if nn is torch.nn else cr.nn.functional
        attend = functional.scaled_dot_product_attention
        return Block.of(nn, attend, width, heads)

    return build, (n, t, width), None


def looped(t: int, n: int, h: int) -> Any:
    """A cell in a loop."""

    def build(nn: Any) -> Any:
        return Looped.of(nn, h, h, torch.stack if nn is torch.nn else cr.stack)

    return build, (t, n, h), None


#: case → how the network is built, the shape of its input, the number of its classes
CASES = {
    "lstm-small": recurrent("LSTM", 20, 16, 32),
    "lstm-middle": recurrent("LSTM", 50, 32, 128),
    "lstm-layers": recurrent("LSTM", 20, 16, 32, num_layers=2),
    "lstm-both-ways": recurrent("LSTM", 20, 16, 32, bidirectional=True),
    "gru-small": recurrent("GRU", 20, 16, 32),
    "gru-middle": recurrent("GRU", 50, 32, 128),
    "gru-layers": recurrent("GRU", 20, 16, 32, num_layers=2),
    "gru-both-ways": recurrent("GRU", 20, 16, 32, bidirectional=True),
    "rnn-small": recurrent("RNN", 20, 16, 32),
    "rnn-middle": recurrent("RNN", 50, 32, 128),
    "cell-loop": looped(20, 16, 32),
    "gpt-small": block(8, 32, 64, 4),
    "gpt-middle": block(12, 64, 128, 4),
    "cnn-32": (cnn, (32, 1, 28, 28), 10),
    "cnn-64": (cnn, (64, 1, 28, 28), 10),
    "mlp-32": (mlp, (32, 784), 10),
}


class Side:
    """A case in one of the two frameworks."""

    def __init__(self, library: Any, case: str, weights: Any) -> None:
        build, shape, classes = CASES[case]
        rng = np.random.default_rng(0)
        self.no_grad, nn = library.no_grad, library.nn
        self.model = build(nn)
        if weights is not None:
            made = {k: torch.tensor(np.asarray(v)) for k, v in weights.items()}
            self.model.load_state_dict(made)
        self.x = library.tensor(rng.standard_normal(shape, np.float32))
        if library is torch and len(shape) == 4:  # which is faster
            last = torch.channels_last
            self.x, self.model = (
                self.x.to(memory_format=last),
                self.model.to(memory_format=last),
            )
        if classes is None:
            out = self.result()
            wanted = rng.standard_normal(tuple(out.shape), np.float32)
            self.target, self.loss = library.tensor(wanted), nn.MSELoss()
        else:
            self.target = library.tensor(rng.integers(0, classes, shape[0]))
            self.loss = nn.CrossEntropyLoss()

    def result(self) -> Any:
        """The output; of a recurrent layer, that of all steps."""
        made = self.model(self.x)
        return made[0] if isinstance(made, tuple) else made

    def train(self) -> Any:
        self.model.zero_grad()
        loss = self.loss(self.result(), self.target)
        loss.backward()
        return loss

    def forward(self) -> Any:
        with self.no_grad():
            return self.result()


def sides(case: str) -> tuple[Side, Side]:
    """Ours and PyTorch's, whose losses and gradients have been compared."""
    cr.manual_seed(0)
    ours = Side(cr, case, None)
    peer = Side(torch, case, ours.model.state_dict())
    for _ in range(3):  # what is compiled is compiled by now
        pairs = [(ours.train(), peer.train()), (ours.forward(), peer.forward())]
    grads = zip(ours.model.parameters(), peer.model.parameters(), strict=True)
    pairs += [(p.grad, q.grad) for p, q in grads]
    for a, b in pairs:
        a, b = a.detach().numpy(), b.detach().numpy()
        worst = np.max(np.abs(a - b)) / np.max(np.abs(b))
        assert worst < TOLERANCE, f"{case}: the two differ by {worst}"
    return ours, peer


def turn(run: Callable[[], object], count: int) -> float:
    """µs a call."""
    started = time.process_time()
    for _ in range(count):
        run()
    return (time.process_time() - started) / count * 1e6


def measured(case: str, rounds: int) -> Iterator[tuple[str, dict[str, Any]]]:
    ours, peer = sides(case)
    for what in ("train", "forward"):
        mine, theirs = getattr(ours, what), getattr(peer, what)
        for _ in range(5):
            mine(), theirs()
        count = max(1, round(TURN * 1e6 / max(turn(theirs, 5), 1)))
        both = (turn(mine, 3), turn(theirs, 3))
        counts = [max(1, min(count, round(TURN * 1e6 / max(t, 1)))) for t in both]
        times = np.array(
            [(turn(mine, counts[0]), turn(theirs, counts[1])) for _ in range(rounds)]
        )
        low, middle, high = np.percentile(times[:, 0] / times[:, 1], [10, 50, 90])
        yield (
            what,
            {
                "ours": float(np.median(times[:, 0])),
                "peer": float(np.median(times[:, 1])),
                "ratio": middle,
                "p10": low,
                "p90": high,
            },
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "cases", nargs="*", help=f"of {', '.join(CASES)}; or beginnings"
    )
    parser.add_argument("--rounds", type=int, default=21)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    if unknown := {n for n in args.cases if not any(c.startswith(n) for c in CASES)}:
        parser.error(f"no {sorted(unknown)}; there are {', '.join(CASES)}")
    torch.set_num_threads(1)
    made: dict[str, dict[str, Any]] = {}
    for case in CASES:
        if args.cases and not case.startswith(tuple(args.cases)):
            continue
        for what, row in measured(case, args.rounds):
            made[f"{case}, {what}"] = row
            if not args.json:
                spread = f"{row['ratio']:6.2f} × [{row['p10']:.2f} … {row['p90']:.2f}]"
                times = f"ours {row['ours']:9.0f}, PyTorch {row['peer']:9.0f} µs"
                print(f"{case + ', ' + what:24}{spread:28}{times}", flush=True)
    if args.json:
        print(json.dumps(made))


if __name__ == "__main__":
    main()
