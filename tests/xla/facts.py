"""A program of the tests: what four devices do, as JSON on standard output.

XLA_FLAGS=--xla_force_host_platform_device_count=4 python tests/xla/facts.py [model]
"""

from __future__ import annotations

import json
import re
import sys
from typing import Any

import numpy as np

import chainrule as cr
from chainrule import nn, optim
from chainrule.recipes.gpt import GPT, Settings
from chainrule.training import compile_program

X = np.random.default_rng(0).normal(size=(70, 12)).astype(np.float32)
Y = np.arange(70) % 3


def trainer(**over: Any) -> cr.Trainer:
    """Return a Trainer after two epochs of batches of 32, 32 and 6."""
    cr.manual_seed(0)
    made = cr.Trainer(
        nn.Sequential(
            nn.Linear(12, 16, bias=False),
            nn.BatchNorm1d(16),
            nn.ReLU(),
            nn.Dropout(0.2),
            nn.Linear(16, 4),
        ),
        loss=nn.CrossEntropyLoss(),
        optimizer=optim.AdamW(lr=1e-2, clip_norm=0.5),
        metrics=["accuracy"],
        engine="xla",
        **over,
    )
    made.fit((X, Y), epochs=2, batch_size=32, progress=False)
    return made


def executable(made: cr.Trainer) -> Any:
    """Return what runs a Trainer's program."""
    training: Any = made._programs.training
    return training.program.executable


def compiled(made: cr.Trainer, rows: int) -> Any:
    """Return the compiled training step for batches of so many rows."""
    functions = executable(made)._compiled
    return next(
        f.compiled for key, f in functions.items() if key[:2] == ("train", (rows,))
    )


def numbers(made: cr.Trainer) -> dict[str, Any]:
    """Return what a run computed."""
    return {
        "losses": made.history.steps["loss"].tolist(),
        "evaluated": made.evaluate((X, Y)),
        "predicted": made.predict(X).tolist(),
    }


def gpt(**over: Any) -> dict[str, Any]:
    """Return losses of the recipe's GPT, and the bytes that one device has of it."""
    cr.manual_seed(0)
    sizes = Settings(block=16, layers=2, heads=2, width=32, batch=8)
    model = GPT(64, sizes)
    adamw = optim.AdamW(lr=1e-3, clip_norm=1.0)

    def train(window: cr.Tensor) -> dict[str, cr.Tensor]:
        loss = model.loss(window)
        model.zero_grad()
        loss.backward()
        adamw.step()
        return {"loss": loss}

    program = compile_program(
        {"train": train},
        {"window": "i32[N,17]"},
        model=model,
        optimizers=[adamw],
        engine="xla",
        **over,
    )
    windows = np.random.default_rng(0).integers(0, 64, (8, 17)).astype(np.int32)
    losses = [
        float(program.run("train", {"window": windows})["loss"]) for _ in range(5)
    ]
    running: Any = program.executable
    state = running._state
    shards = {name: array.addressable_shards[0].data for name, array in state.items()}
    held = sum(shard.nbytes for shard in shards.values())
    moments = {n: list(shards[n].shape) for n in shards if "blocks.0.up" in n}
    whole = sum(array.nbytes for array in state.values())
    return {"losses": losses, "held": held, "whole": whole, "shapes": moments}


def refused(**over: Any) -> str:
    """Return the message of a refusal."""
    try:
        trainer(**over)
    except cr.errors.ChainruleError as error:
        return str(error)
    return "nothing"


def main() -> None:
    """Print the facts."""
    one, four = trainer(), trainer(devices=4)
    code = compiled(four, 32).as_text()
    model = {"*.weight": ("model", None)}
    odd = compiled(four, 6).as_text()
    double = cr.compile(
        lambda x: x * 2, engine="xla", devices="all", shapes={"x": ("N", 3)}
    )
    fixed = cr.compile(
        lambda x: x * 2, engine="xla", devices=4, sharding={"x": ("data", None)}
    )
    ones = cr.ones(8, 3)
    facts = {
        "one": numbers(one),
        "four": numbers(four),
        "flops": [compiled(t, 32).cost_analysis()["flops"] for t in (one, four)],
        "exchanges": len(re.findall(r" all-reduce(-start)?\(", code)),
        "odd": len(re.findall(r" all-reduce(-start)?\(", odd)),
        "spread": [double(ones).numpy().tolist(), fixed(ones).numpy().tolist()],
        "fifths": double(cr.ones(5, 3)).numpy().tolist(),
        "many": refused(devices=5),
        "all": refused(devices="all", mesh={"data": 2}),
        "odd_axis": refused(mesh={"model": 3}, sharding={"0.weight": ("model",)}),
        "axis": refused(mesh={"data": 4}, sharding={"0.weight": ("model",)}),
        "unnamed": refused(devices=4, sharding={"no.such": ("data",)}),
    }
    if "model" in sys.argv:
        facts |= {
            "grid": numbers(trainer(mesh={"data": 2, "model": 2}, sharding=model)),
            "gpt": gpt(),
            "gpt_model": gpt(mesh={"data": 2, "model": 2}, sharding=model),
            "gpt_whole": gpt(mesh={"model": 4}, sharding=model),
        }
    print(json.dumps(facts))


if __name__ == "__main__":
    main()
