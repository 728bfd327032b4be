"""What a checkpoint holds, and how a Trainer takes it over.

The file itself is the business of :mod:`.checkpoint`, descriptions of networks and
optimisers that of :mod:`.architecture`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chainrule.errors import ChainruleError, CheckpointError
from chainrule.graph.node import Array
from chainrule.nn import Module
from chainrule.optim import Optimizer
from chainrule.primitives.rules import show
from chainrule.tensor import Tensor
from chainrule.training import callbacks, metrics
from chainrule.training.architecture import build_module, build_optimizer, module_spec
from chainrule.training.plan import Plan
from chainrule.version import __version__

if TYPE_CHECKING:
    from chainrule.training.trainer import Trainer

Tensors = dict[str, Tensor]


def state_of(model: Module, loss: Any, optimizer: Optimizer) -> Tensors:
    """Every tensor that a checkpoint keeps, by its name in the file."""
    found = {f"model/{name}": t for name, t in model.named_tensors()}
    if isinstance(loss, Module):
        found |= {f"loss/{name}": t for name, t in loss.named_tensors()}
    for name, moments in optimizer.state.items():
        found |= {f"optimizer/{name}/{key}": t for key, t in moments.items()}
    return found


def pack(trainer: Trainer) -> tuple[dict[str, Any], dict[str, Array]]:
    """The document and the tensors of a checkpoint of ``trainer`` as it is now."""
    plan = trainer.plan
    remembered, arrays = callbacks.split(trainer.callback_states())
    document = {
        "library": __version__,
        "architecture": module_spec(trainer.model),
        "model": repr(trainer.model),
        "loss": module_spec(trainer.loss),
        "optimizer": trainer.optimizer.settings(),
        "updates": trainer.optimizer.steps,
        "seed": trainer.seed,
        "engine": trainer.engine,
        "epoch": trainer.epoch,
        "step": trainer.step,
        "seconds": trainer.seconds,
        "plan": None if plan is None else asdict(plan),
        "epochs": trainer.history.epochs,
        "validation_name": trainer.history.validation_name,
        "metrics": _metric_specs(trainer),
        "probes": list(trainer.probes.patterns),
        "class_names": trainer.class_names,
        "format": trainer.format,
        "scale": trainer.scale,
        "callbacks": remembered,
        "notes": trainer.notes,
    }
    state = state_of(trainer.model, trainer.loss, trainer.optimizer)
    tensors = {name: t.numpy() for name, t in state.items()}
    steps = trainer.history.steps
    return document, tensors | arrays | {f"history/{k}": a for k, a in steps.items()}


def _metric_specs(trainer: Trainer) -> list[dict[str, Any] | None] | None:
    """Descriptions of the metrics that were asked for; None for one of the user's."""
    chosen = trainer.metrics
    return None if chosen is None else [metrics.spec(m) for m in chosen]


_OTHERS = ("history/", "callback/")
#: What the document of a checkpoint must hold.
KEYS = {
    "architecture": dict | None,
    "loss": dict | None,
    "optimizer": dict,
    "updates": int,
    "seed": int,
    "engine": str,
    "epoch": int,
    "step": int,
    "seconds": float | int,
    "plan": dict | None,
    "epochs": list,
    "notes": dict,
}


#: What each row of its history holds at least.
_ROW = ("epoch", "train_loss", "lr", "seconds")
#: What it may hold besides: checkpoints of older versions lack some of it.
OPTIONAL = {
    "validation_name": str,
    "metrics": list | None,
    "probes": list,
    "class_names": list | None,
    "format": dict | None,
    "scale": float | None,
    "callbacks": dict,
}


def check_whole(path: Path, document: Any) -> None:
    """Refuse a document that lacks what a Trainer is made from.

    Raises:
        CheckpointError: naming what is missing or of another kind.
    """
    held = document if isinstance(document, dict) else {}
    known = KEYS | {key: kind for key, kind in OPTIONAL.items() if key in held}
    for key, kind in known.items():
        if key not in held or not isinstance(held[key], kind):
            raise _strange(path, key, kind, held.get(key, "nothing"))
    for key in ("updates", "epoch", "step"):
        if isinstance(held[key], bool) or held[key] < 0:
            raise _strange(path, key, "a count", held[key])
    for row in held["epochs"]:
        numbers = [row.get(key) for key in _ROW] if isinstance(row, dict) else [None]
        if not all(type(n) in (int, float) for n in numbers):
            raise _strange(path, "each of epochs", f"a row with {', '.join(_ROW)}", row)
    inner = {
        "probes": (held.get("probes", ()), str),
        "class_names": (held.get("class_names") or (), str),
        "callbacks": (held.get("callbacks", {}).values(), dict),
    }
    for key, (items, kind) in inner.items():
        for item in items:
            if not isinstance(item, kind):
                raise _strange(path, f"each of {key}", kind, item)


def _strange(path: Path, key: str, kind: Any, got: Any) -> CheckpointError:
    return CheckpointError(
        f"{path} holds no checkpoint of a Trainer.",
        expected=f"{key!r} of type {getattr(kind, '__name__', kind)}",
        got=repr(got)[:80],
        fix="use a file that trainer.save wrote",
    )


def parts(document: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Model, loss, optimiser, metrics and probes: those given, else the saved ones.

    Raises:
        CheckpointError: what only its author can make was not given.
    """
    made = dict(given)
    for key, saved in (("model", "architecture"), ("loss", "loss")):
        if made[key] is None:
            made[key] = build_module(_known(document, saved, key))
    if made["optimizer"] is None:
        made["optimizer"] = build_optimizer(document["optimizer"])
    if made["metrics"] is None and document.get("metrics") is not None:
        made["metrics"] = [_metric(spec) for spec in document["metrics"]]
    if made["probes"] is None:
        made["probes"] = document.get("probes", ())
    return made


def _known(document: Mapping[str, Any], key: str, argument: str) -> dict[str, Any]:
    if document.get(key) is None:
        raise CheckpointError(
            f"The checkpoint's {argument} is a class of its author's own.",
            expected="modules of chainrule.nn, which a checkpoint can describe",
            got=document.get("model", "")[:200] if argument == "model" else "another",
            fix=f"make the {argument} in Python: Trainer.load(path, {argument}=…)",
        )
    return document[key]


def _metric(spec: Any) -> metrics.Metric:
    try:
        return metrics.build(spec)
    except (KeyError, TypeError, ChainruleError) as error:
        raise CheckpointError(
            "The checkpoint was made with a metric that this version cannot build.",
            expected="metrics of chainrule.training.metrics",
            got="a class of its author's own" if spec is None else repr(spec)[:80],
            fix="pass them all: Trainer.load(path, metrics=[…])",
        ) from error


def check_fits(
    path: Path,
    document: Mapping[str, Any],
    tensors: Mapping[str, Array],
    model: Module,
    state: Tensors,
) -> None:
    """Refuse a checkpoint of another architecture.

    Raises:
        CheckpointError: naming the first layer or tensor that differs.
    """
    saved, own = document["architecture"], module_spec(model)
    differ = None
    if saved is not None and own is not None:
        differ = _first_difference(saved, own)
    if differ is None:
        held = {n: a for n, a in tensors.items() if not n.startswith(_OTHERS)}
        differ = _first_misfit(held, state)
    if differ is not None:
        raise CheckpointError(
            f"{path} belongs to another architecture.",
            expected=f"{differ[0]}, as in the model given",
            got=f"{differ[1]} in the checkpoint",
            fix="leave out model= to build the saved network, or pass the model that "
            "the checkpoint was made of",
        )


def _first_difference(
    saved: Mapping[str, Any], own: Mapping[str, Any], name: str = "the model"
) -> tuple[str, str] | None:
    """Where two architectures part: (ours, the saved one)."""
    layers, others = own.get("modules"), saved.get("modules")
    if layers is None or others is None:
        if saved == own:
            return None
        return f"{_layer(own)} for {name}", _layer(saved)
    if len(layers) != len(others):
        return f"{len(layers)} layers in {name}", f"{len(others)} layers"
    for i, (mine, other) in enumerate(zip(layers, others)):
        inner = f"layer {i}" if name == "the model" else f"{name}.{i}"
        found = _first_difference(other, mine, inner)
        if found is not None:
            return found
    return None


def _layer(spec: Mapping[str, Any]) -> str:
    arguments = spec.get("arguments", {})
    return f"{spec['class']}({', '.join(f'{k}={v}' for k, v in arguments.items())})"


def _first_misfit(
    tensors: Mapping[str, Array], state: Tensors
) -> tuple[str, str] | None:
    """The first tensor that is missing, unknown or of another type."""
    for name, t in state.items():
        want = f"{name} of {t.dtype.name}{show(t.shape)}"
        if name not in tensors:
            return want, f"no {name}"
        array = tensors[name]
        if array.shape != t.shape or array.dtype != t.dtype.numpy:
            return want, f"{array.dtype}{show(array.shape)}"
    unknown = sorted(tensors.keys() - state.keys())
    return (f"no {unknown[0]}", unknown[0]) if unknown else None


def unpack(
    path: Path,
    trainer: Trainer,
    document: Mapping[str, Any],
    tensors: Mapping[str, Array],
) -> None:
    """Have ``trainer`` stand where the checkpoint was taken.

    Raises:
        CheckpointError: another architecture; nothing is changed then.
    """
    state = state_of(trainer.model, trainer.loss, trainer.optimizer)
    check_fits(path, document, tensors, trainer.model, state)
    plan = _plan(path, document["plan"])
    recorded = _with_prefix(tensors, "history/")
    _check_history(path, recorded)
    for name, t in state.items():
        t.copy_(Tensor(tensors[name]))
    trainer.plan, trainer.notes = plan, document["notes"]
    trainer.epoch, trainer.step = document["epoch"], document["step"]
    trainer.seconds = document["seconds"]
    names = document.get("class_names")
    trainer.class_names = None if names is None else tuple(names)
    trainer.format, trainer.scale = document.get("format"), document.get("scale")
    trainer.set_updates(document["updates"])
    trainer.history.epochs = document["epochs"]
    trainer.history.validation_name = document.get("validation_name", "validation")
    if recorded:
        trainer.history.extend(recorded)
    arrays = {n: a for n, a in tensors.items() if n.startswith("callback/")}
    trainer.load_callback_states(callbacks.join(document.get("callbacks", {}), arrays))


def _with_prefix(tensors: Mapping[str, Array], prefix: str) -> dict[str, Array]:
    """The tensors under a prefix, without it."""
    return {n[len(prefix) :]: a for n, a in tensors.items() if n.startswith(prefix)}


def _plan(path: Path, saved: Mapping[str, Any] | None) -> Plan | None:
    """The run that the checkpoint is of."""
    if saved is None:
        return None
    try:
        plan = Plan(**saved)
        numbers = (plan.first, plan.epochs, plan.batch_size, plan.checksum)
        perhaps = [n for n in (plan.rows, plan.block) if n is not None]
        if not all(type(n) is int and n >= 0 for n in (*numbers, *perhaps)):
            raise TypeError("not all of them are whole numbers")
        if not plan.batch_size or (plan.block or 0) % plan.batch_size:
            raise TypeError("no such batch size")
    except TypeError as error:
        raise CheckpointError(
            f"{path} describes a run that this version does not know.",
            expected=", ".join(f.name for f in fields(Plan)),
            got=str(saved)[:80],
            fix="use the version of Chainrule that wrote it",
        ) from error
    return plan


def _check_history(path: Path, recorded: Mapping[str, Array]) -> None:
    """Refuse records of steps that are no columns of one table."""
    shapes = {a.shape for a in recorded.values()}
    table = "loss" in recorded and len(shapes) == 1 and len(min(shapes)) == 1
    if recorded and not table:
        raise _strange(path, "history", "one column a probe, with loss", shapes)
