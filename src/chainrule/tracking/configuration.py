"""The configuration of a run, as trackers note it: one flat table of plain values."""

from __future__ import annotations

import json
import platform
import sys
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from chainrule.training import Loop, saving
from chainrule.training.state import named
from chainrule.version import __version__

#: What stands in a configuration under a name.
Plain = str | int | float | bool | None


def configuration(run: Any) -> dict[str, Plain]:
    """Return a run's settings by dotted names: ``optimizer.lr``, ``data.crc32``.

    Nothing is computed for it: settings are those of a checkpoint, and the fingerprint
    of the data is the CRC-32 that a resumed run is checked against; a stream has none.

    Args:
        run: a Trainer or a :class:`Loop` that is running.

    >>> import chainrule as cr
    >>> from chainrule.training import LambdaCallback
    >>> known = {}
    >>> look = LambdaCallback(on_start=lambda run: known.update(configuration(run)))
    >>> trainer = cr.Trainer(cr.nn.Linear(1, 1), loss=cr.nn.MSELoss(),
    ...                      optimizer=cr.optim.SGD(lr=0.1), engine="numpy")
    >>> _ = trainer.fit(([[1.0]], [[2.0]]), epochs=2, batch_size=1, callbacks=look,
    ...                 progress=False)
    >>> [known[k] for k in ("optimizer.name", "epochs", "data.rows", "parameters")]
    ['SGD', 2, 1, 2]
    """
    about = _of_loop(run) if isinstance(run, Loop) else _of_trainer(run)
    notes = {"notes": run.state.notes} if run.state.notes else {}
    return dict(_flat({**about, **notes, "versions": versions()}))


def versions() -> dict[str, str]:
    """Return the versions of what computes, and the kind of machine."""
    found = {"chainrule": __version__, "numpy": np.__version__}
    if "llvmlite" in sys.modules:
        found["llvmlite"] = sys.modules["llvmlite"].__version__
    machine = f"{platform.system()} {platform.machine()}"
    return {**found, "python": platform.python_version(), "machine": machine}


def _of_trainer(trainer: Any) -> dict[str, Any]:
    plan = trainer.plan
    data = {
        "rows": plan.rows,
        # A stream's is of its types alone, so that others would have the same.
        "crc32": f"{plan.checksum:08x}" if plan.block is None else None,
        "classes": plan.class_names and len(plan.class_names),
        "features": plan.feature_names,
        "targets": plan.target_names,
    }
    settings = saving.settings(trainer)
    del settings["architecture"]  # ``model`` says the same, for people
    outputs = [one for one in settings["losses"] if one["output"] is not None]
    settings["loss_weights"] = {one["output"]: one["weight"] for one in outputs}
    settings["losses"] = {
        "loss" if one["output"] is None else one["output"]: repr(part.loss)
        for one, part in zip(settings["losses"], trainer.objective.parts)
    }
    return {
        **settings,
        "parameters": sum(p.size for p in trainer.model.parameters()),
        "epochs": plan.epochs,
        "batch_size": plan.batch_size,
        "accumulate_grad_batches": plan.accumulate,
        "drop_last": plan.drop_last,
        "data": {k: v for k, v in data.items() if v is not None},
    }


def _of_loop(loop: Loop) -> dict[str, Any]:
    traced = loop.program.traced
    tables = [table for one in traced.values() for table, __ in one.steps]
    optimizers = {
        name: table.settings()
        for name, table in named({id(t): t for t in tables}.values())
        if hasattr(table, "settings")
    }
    kind = type(loop.source).__name__
    return {"entries": [*traced], "source": kind, "optimizers": optimizers}


def _flat(value: Any, name: str = "") -> Iterator[tuple[str, Plain]]:
    """Yield the leaves of nested dictionaries by dotted names; lists are JSON."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _flat(inner, f"{name}.{key}" if name else str(key))
    elif isinstance(value, list | tuple):
        yield name, json.dumps(value, ensure_ascii=False, default=repr)
    else:
        yield name, value if isinstance(value, Plain) else repr(value)
