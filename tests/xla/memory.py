"""A program of the tests: memory runs out in a step, as JSON on standard output.

    python tests/xla/memory.py first|later

The process is allowed some memory more than it has; a step on a large batch needs more.
"""

from __future__ import annotations

import json
import resource
import sys
from pathlib import Path
from typing import Any

import numpy as np

import chainrule as cr
from chainrule import nn, optim
from chainrule.errors import EngineError

#: Bytes beyond those that the process has, and the rows that are too many for them.
MORE, ROWS, WIDTH = 1800 << 20, 60_000, 8192


def size() -> int:
    """Return the bytes of this process' memory."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    return pages * resource.getpagesize()


def refused(run: Any, here: int = 0) -> str:
    """Return the message of a run for which memory does not suffice.

    ``here``: bytes that the process had before; those of a step that has just ended may
    not be given back yet.
    """
    __, most = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, ((here or size()) + MORE, most))
    try:
        run()
    except EngineError as error:
        return str(error)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
    return "nothing"


def network() -> nn.Sequential:
    """Return a network with a wide layer."""
    cr.manual_seed(0)
    return nn.Sequential(nn.Linear(4, WIDTH), nn.Tanh(), nn.Linear(WIDTH, 1))


def batch(rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Return so many rows, and their targets."""
    x = np.random.default_rng(0).normal(size=(rows, 4)).astype(np.float32)
    return x, x.sum(1, keepdims=True)


def weights(model: nn.Module) -> list[float]:
    """Return a few of a network's numbers."""
    return [float(p.numpy().sum()) for p in model.parameters()]


def stepping(model: nn.Module) -> tuple[Any, optim.Adam]:
    """Return a compiled step of one's own, and its optimiser."""
    adam = optim.Adam(lr=0.01)
    adam.attach_parameters(dict(model.named_parameters()))

    def train(x: cr.Tensor, y: cr.Tensor) -> cr.Tensor:
        loss = ((model(x) - y) ** 2).mean()
        adam.zero_grad()
        loss.backward()
        adam.step()
        return loss

    return cr.compile(train, engine="xla"), adam


def tensors(rows: int) -> list[cr.Tensor]:
    """Return a batch as tensors."""
    return [cr.tensor(a) for a in batch(rows)]


def of_a_function() -> dict[str, Any]:
    """Return what a compiled step of one's own keeps."""
    model = network()
    step, adam = stepping(model)
    small, large = tensors(8), tensors(ROWS)
    step(*small)
    before = weights(model), adam.steps
    said = refused(lambda: float(step(*large)))
    after = weights(model), adam.steps
    step(*small)
    return {"before": before, "after": after, "said": said, "next": weights(model)}


def later() -> dict[str, Any]:
    """Return what is left where a step has run before, and memory runs out then."""
    model = network()
    step, adam = stepping(model)
    large, here = tensors(ROWS), size()
    step(*large)
    saved, before = (model.state_dict(), adam.state_dict()), weights(model)
    said = refused(lambda: float(step(*large)), here)
    read = refused(lambda: weights(model))
    model.load_state_dict(saved[0])
    adam.load_state_dict(saved[1])
    again = weights(model)
    step(*tensors(8))
    lost = {"said": said, "read": read, "before": before, "again": again}
    return lost | {"next": weights(model)}


def later_of_a_trainer() -> dict[str, Any]:
    """Return what a Trainer keeps where its step has run before."""
    model, large = network(), batch(ROWS)
    trainer = cr.Trainer(
        model, loss=nn.MSELoss(), optimizer=optim.Adam(lr=0.01), engine="xla"
    )
    options: dict[str, Any] = {"batch_size": None, "epochs": 1, "progress": False}
    here = size()
    trainer.fit(large, **options)
    before = weights(model), trainer.epoch, trainer.optimizer.steps
    said = refused(lambda: trainer.fit(large, **options), here)
    after = weights(model), trainer.epoch, trainer.optimizer.steps
    trainer.resume(large, progress=False)
    return {"said": said, "before": before, "after": after, "next": trainer.epoch}


def of_a_trainer() -> dict[str, Any]:
    """Return what a Trainer keeps, where a batch is too large from the start."""
    model = network()
    trainer = cr.Trainer(
        model, loss=nn.MSELoss(), optimizer=optim.Adam(lr=0.01), engine="xla"
    )
    options: dict[str, Any] = {"epochs": 1, "progress": False}
    trainer.fit(batch(64), batch_size=8, **options)
    before = weights(model), trainer.epoch
    large = batch(ROWS)
    said = refused(lambda: trainer.fit(large, batch_size=None, **options))
    after = weights(model), trainer.epoch
    trainer.fit(batch(64), batch_size=8, **options)
    return {"before": before, "after": after, "said": said, "next": trainer.epoch}


def main() -> None:
    """Print what was kept."""
    if sys.argv[1] == "first":
        kept = {"function": of_a_function(), "trainer": of_a_trainer()}
    else:
        kept = {"function": later(), "trainer": later_of_a_trainer()}
    print(json.dumps(kept))


if __name__ == "__main__":
    main()
