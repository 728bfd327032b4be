"""What a checkpoint holds, and how a Trainer takes it over."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chainrule.errors import CheckpointError
from chainrule.graph.node import Array
from chainrule.nn import Module
from chainrule.optim import Optimizer
from chainrule.primitives.rules import show
from chainrule.tensor import Tensor
from chainrule.training.architecture import module_spec
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
        "notes": trainer.notes,
    }
    state = state_of(trainer.model, trainer.loss, trainer.optimizer)
    tensors = {name: t.numpy() for name, t in state.items()}
    steps = trainer.history.steps
    return document, tensors | {f"history/{k}": a for k, a in steps.items()}


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


def check_whole(path: Path, document: Any) -> None:
    """Refuse a document that lacks what a Trainer is made from.

    Raises:
        CheckpointError: naming what is missing or of another kind.
    """
    held = document if isinstance(document, dict) else {}
    for key, kind in KEYS.items():
        if key not in held or not isinstance(held[key], kind):
            raise CheckpointError(
                f"{path} holds no checkpoint of a Trainer.",
                expected=f"{key!r} of type {getattr(kind, '__name__', kind)}",
                got=repr(held.get(key, "nothing"))[:80],
                fix="use a file that trainer.save wrote",
            )


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
        held = {n: a for n, a in tensors.items() if not n.startswith("history/")}
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
    try:
        plan = None if document["plan"] is None else Plan(**document["plan"])
    except TypeError as error:
        raise CheckpointError(
            f"{path} describes a run that this version does not know.",
            expected="first, epochs, batch_size, rows and checksum",
            got=str(document["plan"])[:80],
            fix="use the version of Chainrule that wrote it",
        ) from error
    for name, t in state.items():
        t.copy_(Tensor(tensors[name]))
    trainer.plan, trainer.notes = plan, document["notes"]
    trainer.epoch, trainer.step = document["epoch"], document["step"]
    trainer.seconds = document["seconds"]
    trainer.set_updates(document["updates"])
    trainer.history.epochs = document["epochs"]
    recorded = {n: a for n, a in tensors.items() if n.startswith("history/")}
    trainer.history.extend({n.partition("/")[2]: a for n, a in recorded.items()})
