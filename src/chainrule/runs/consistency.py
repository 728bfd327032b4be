"""What the keys of a run's file say together: problems that no key has by itself."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from chainrule.errors import ArgumentError
from chainrule.runs import schema
from chainrule.runs.problems import Problem, ProblemError, Where
from chainrule.runs.schema import Data, Run
from chainrule.runs.values import show

#: The largest number of weights that a network may have: one GiB of float32.
WEIGHTS_AT_MOST = 2**28
#: The share of samples for validation, and for the test, where the file is silent.
SHARE = 0.1
#: Stands for the directory of the run, which is not known yet.
TRIAL = Path("the directory of the run")


def problems(run: Run) -> list[Problem]:
    """All of them; the keys by themselves are right."""
    found = [*_shares(run.data), *_sizes(run.model.layers)]
    found += [*_metrics(run), *_monitors(run)]
    return found or [*_trials(run)]


def share_of(data: Data, part: str) -> float | None:
    """The share of the samples for ``validation`` or ``test``; None for a file's."""
    given = getattr(data, part)
    if given is None:
        four = data.source == "xor" and getattr(data, "copies", None) == 1
        return 0.0 if four else SHARE
    return given if isinstance(given, float) else None


def _shares(data: Data) -> Iterator[Problem]:
    """Something must be left to learn from."""
    numbers = [n for n in (data.validation, data.test) if isinstance(n, float)]
    if sum(numbers) >= 1:
        yield Problem(
            ("data", "validation"),
            "nothing is left to learn from.",
            expected="shares of validation and test that are less than 1 together",
            got=" + ".join(f"{share:g}" for share in numbers),
            fix="validation = 0.1 and test = 0.1 leave 80 % for training",
        )


# -- the network -----------------------------------------------------------------------


def _sizes(layers: list[schema.Layer]) -> Iterator[Problem]:
    """Layers that are too large, and sizes that nothing tells."""
    last = max(
        (i for i, x in enumerate(layers) if "out_features" in x.known()), default=0
    )
    total = 0
    for i, layer in enumerate(layers):
        if i != last and "out_features" in layer.open_sizes():
            yield Problem(
                ("model", "layers", i),
                f"{layer.name} needs the key 'out_features'.",
                expected="out_features = …, the number of its outputs; only the last "
                "layer's follows from the data",
                got=show({"class": layer.name, **layer.options}),
                fix=f'{{ class = "{layer.name}", out_features = 64 }}',
            )
        total += (weights := weights_of(layer.sizes()))
        if total > WEIGHTS_AT_MOST:
            yield too_large(i, str(layer.name), weights, total)
            return


def weights_of(sizes: dict[str, Any]) -> int:
    """How many weights a layer of these sizes has, about: their product."""
    values = sizes.values()
    flat = [n for size in values for n in (size if isinstance(size, list) else [size])]
    return math.prod(flat) if flat else 0


def too_large(i: int, name: str, weights: int, total: int) -> Problem:
    """The problem of a network that would not fit into memory."""
    return Problem(
        ("model", "layers", i),
        f"{name} would be too large.",
        expected=f"at most {WEIGHTS_AT_MOST:,} weights in the whole network",
        got=f"{weights:,} in this layer, {total:,} up to here",
        fix="make it smaller; nothing was allocated",
    )


# -- classes ---------------------------------------------------------------------------


def _trials(run: Run) -> Iterator[Problem]:
    """What constructors refuse; layers are tried with few units."""
    attempts: list[Callable[[], Any]] = [
        lambda: run.optimizer.build(run.schedule),
        run.loss.build,
        *(lambda i=i, c=c: c.build(i, TRIAL) for i, c in enumerate(run.callbacks)),
        *(
            lambda i=i, layer=layer: layer.build(i, **layer.small())
            for i, layer in enumerate(run.model.layers)
        ),
    ]
    for attempt in attempts:
        try:
            with schema.on_trial():
                attempt()
        except ProblemError as error:
            yield error.problem


def _monitors(run: Run) -> Iterator[Problem]:
    """What watches the validation needs one."""
    if share_of(run.data, "validation") != 0.0:
        return
    watching: list[tuple[Where, Any]] = [
        (("schedule",), run.schedule),
        *((("callbacks", i), item) for i, item in enumerate(run.callbacks)),
    ]
    for where, item in watching:
        monitor = getattr(item, "monitor", None)
        if str(monitor).startswith("validation_"):
            yield Problem(
                (*where, "monitor"),
                f"{item.name} cannot watch {monitor!r} without a validation part.",
                expected="a part of the data to measure it on, or another number",
                got="validation = 0",
                fix='validation = 0.1 in [data], or monitor = "train_loss" here',
            )


def _metrics(run: Run) -> Iterator[Problem]:
    from chainrule.metrics.named import as_metrics

    try:
        as_metrics(run.training.metrics)
    except ArgumentError as error:
        yield Problem.of(error, "training", "metrics")
