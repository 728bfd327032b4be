"""What a checkpoint holds, and how a Trainer takes it over.

The file itself is the business of :mod:`.checkpoint`, descriptions of networks and
optimisers that of :mod:`.architecture`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chainrule.errors import ArgumentError, ChainruleError, CheckpointError
from chainrule.graph.node import Array
from chainrule.nn import Loss, Module
from chainrule.optim import Optimizer
from chainrule.primitives.rules import show
from chainrule.tensor import Tensor
from chainrule.training import callbacks, metrics
from chainrule.training.architecture import build_module, build_optimizer, module_spec
from chainrule.training.document import read_plan, with_prefix
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
        "frozen": _frozen(trainer.model),
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


def _frozen(model: Module) -> list[str]:
    """The parameters that training leaves as they are, by name."""
    return [name for name, p in model.named_parameters() if not p.requires_grad]


def _metric_specs(trainer: Trainer) -> list[dict[str, Any] | None] | None:
    """Descriptions of the metrics that were asked for; None for one of the user's."""
    chosen = trainer.metrics
    return None if chosen is None else [metrics.spec(m) for m in chosen]


_OTHERS = ("history/", "callback/")


def parts(
    document: Mapping[str, Any],
    tensors: Mapping[str, Array],
    given: Mapping[str, Any],
) -> dict[str, Any]:
    """Model, loss, optimiser, metrics and probes: those given, else the saved ones.

    Raises:
        CheckpointError: what only its author can make was not given.
    """
    made = dict(given)
    held = sum(a.size for a in tensors.values())
    for key, saved in (("model", "architecture"), ("loss", "loss")):
        if made[key] is None:
            made[key] = build_module(_known(document, saved, key), held)
            _check_role(key, made[key])
    if made["optimizer"] is None:
        made["optimizer"] = build_optimizer(document["optimizer"])
    if made["metrics"] is None and document.get("metrics") is not None:
        made["metrics"] = [_metric(spec) for spec in document["metrics"]]
    if made["probes"] is None:
        made["probes"] = document.get("probes", ())
    return made


def _check_role(argument: str, module: Module) -> None:
    """Refuse a loss that is no loss, and losses within a network."""
    if argument == "loss":
        right = isinstance(module, Loss)
    else:
        right = not any(isinstance(m, Loss) for m in module.modules())
    if not right:
        raise CheckpointError(
            f"The checkpoint's {argument} is none.",
            expected="a loss of chainrule.nn, and a network without any",
            got=repr(module)[:200],
            fix=f"make the {argument} in Python: Trainer.load(path, {argument}=…)",
        )


def _known(document: Mapping[str, Any], key: str, argument: str) -> dict[str, Any]:
    if document.get(key) is None:
        raise CheckpointError(
            f"The checkpoint's {argument} is a class of its author's own.",
            expected="modules of chainrule.nn, which a checkpoint can describe",
            got=(argument == "model" and document.get("model", "")[:200]) or "another",
            fix=f"make the {argument} in Python: Trainer.load(path, {argument}=…)",
        )
    return document[key]


def _metric(spec: Any) -> metrics.Metric:
    try:
        return metrics.build(spec)
    except (KeyError, TypeError, ValueError, ChainruleError) as error:
        raise CheckpointError(
            "The checkpoint was made with a metric that this version cannot build.",
            expected="metrics of chainrule.training.metrics",
            got="a class of its author's own" if spec is None else repr(spec)[:80],
            fix="pass them all: Trainer.load(path, metrics=[…])",
        ) from error


@contextmanager
def fitting_together(path: Path, given: Mapping[str, Any]) -> Iterator[None]:
    """Within the block a Trainer is made of what a checkpoint holds and of ``given``.

    Raises:
        CheckpointError: saved parts that refuse each other (a probe of no module).
    """
    try:
        yield
    except ArgumentError as error:
        if any(part is not None for part in given.values()):
            raise
        raise CheckpointError(
            f"{path} holds parts of a Trainer that do not fit together.",
            expected=error.expected,
            got=f"{error.what} {error.got}"[:300],
            fix="pass the part at fault: Trainer.load(path, optimizer=…, probes=…)",
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
    if differ is None:
        known = [name for name, _ in model.named_parameters()]
        frozen = document.get("frozen", [])
        if frozen != [name for name in known if name in frozen]:
            differ = f"of {', '.join(known)} some frozen", ", ".join(frozen)
    if differ is not None:
        raise CheckpointError(
            f"{path} belongs to another architecture.",
            expected=f"{differ[0]:.300}, as in the model given",
            got=f"{differ[1]:.300} in the checkpoint",
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
    plan = read_plan(path, document["plan"])
    for name, t in state.items():
        t.copy_(Tensor(tensors[name]))
    if "frozen" in document:
        for name, p in trainer.model.named_parameters():
            p.requires_grad_(name not in document["frozen"])
    trainer.plan, trainer.notes = plan, document["notes"]
    trainer.epoch, trainer.step = document["epoch"], document["step"]
    trainer.seconds = document["seconds"]
    names = document.get("class_names")
    trainer.class_names = None if names is None else tuple(names)
    trainer.format, trainer.scale = document.get("format"), document.get("scale")
    trainer.set_updates(document["updates"])
    trainer.history.epochs = document["epochs"]
    trainer.history.validation_name = document.get("validation_name", "validation")
    trainer.history.extend(with_prefix(tensors, "history/"))
    arrays = {n: a for n, a in tensors.items() if n.startswith("callback/")}
    trainer.load_callback_states(callbacks.join(document.get("callbacks", {}), arrays))
