"""What a checkpoint holds, and how a Trainer takes it over.

The file itself is the business of :mod:`.checkpoint`, descriptions of networks and
optimisers that of :mod:`.architecture`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from chainrule import metrics
from chainrule.errors import ArgumentError, ChainruleError, CheckpointError
from chainrule.graph.node import Array
from chainrule.nn import Loss, Module
from chainrule.optim import Optimizer
from chainrule.primitives.rules import show
from chainrule.tensor import Tensor
from chainrule.training import checkpoint
from chainrule.training import document as doc
from chainrule.training.architecture import build_module, build_optimizer, module_spec
from chainrule.training.state import RunState
from chainrule.version import __version__

Tensors = dict[str, Tensor]


def state_of(model: Module, loss: Any, optimizer: Optimizer) -> Tensors:
    """Every tensor that a checkpoint keeps, by its name in the file."""
    found = {f"model/{name}": t for name, t in model.named_tensors()}
    if isinstance(loss, Module):
        found |= {f"loss/{name}": t for name, t in loss.named_tensors()}
    for name, moments in optimizer.state.items():
        found |= {f"optimizer/{name}/{key}": t for key, t in moments.items()}
    return found


def pack(trainer: Any) -> tuple[dict[str, Any], dict[str, Array]]:
    """The document and the tensors of a checkpoint of ``trainer`` as it is now."""
    document, arrays = trainer.state.pack()
    document |= {
        "updates": trainer.optimizer.steps,
        "library": __version__,
        "architecture": module_spec(trainer.model),
        "model": repr(trainer.model),
        "loss": module_spec(trainer.loss),
        "optimizer": trainer.optimizer.settings(),
        "seed": trainer.seed,
        "engine": trainer.engine,
        "metrics": _metric_specs(trainer),
        "probes": list(trainer.probes.patterns),
        "frozen": _frozen(trainer.model),
    }
    state = state_of(trainer.model, trainer.loss, trainer.optimizer)
    return document, arrays | {name: t.numpy() for name, t in state.items()}


def _frozen(model: Module) -> list[str]:
    """The parameters that training leaves as they are, by name."""
    return [name for name, p in model.named_parameters() if not p.requires_grad]


def _metric_specs(trainer: Any) -> list[dict[str, Any] | None] | None:
    """Descriptions of the metrics that were asked for; None for one of the user's."""
    chosen = trainer.metrics
    return None if chosen is None else [metrics.spec(m) for m in chosen]


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
    if made["metrics"] is None and document["metrics"] is not None:
        made["metrics"] = [_metric(spec) for spec in document["metrics"]]
    if made["probes"] is None:
        made["probes"] = document["probes"]
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
    if document[key] is None:
        raise CheckpointError(
            f"The checkpoint's {argument} is a class of its author's own.",
            expected="modules of chainrule.nn, which a checkpoint can describe",
            got=(argument == "model" and document["model"][:200]) or "another",
            fix=f"make the {argument} in Python: Trainer.load(path, {argument}=…)",
        )
    return document[key]


def _metric(spec: Any) -> metrics.Metric:
    try:
        return metrics.build(spec)
    except (KeyError, TypeError, ValueError, ChainruleError) as error:
        raise CheckpointError(
            "The checkpoint was made with a metric that this version cannot build.",
            expected="metrics of chainrule.metrics",
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
        differ = _first_misfit(tensors, state)
    if differ is None:
        known = [name for name, _ in model.named_parameters()]
        frozen = document["frozen"]
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


def load(
    path: Path, make: Callable[..., Any], given: Mapping[str, Any], engine: Any
) -> Any:
    """The Trainer that a checkpoint was made of, standing where it stood.

    Args:
        path: of the checkpoint.
        make: makes a Trainer of its parts and a state.
        given: parts that take the place of the saved ones; None for those that do not.
        engine: that takes the place of the saved one, or None.

    Raises:
        CheckpointError: no checkpoint, or one that does not fit; nothing is changed.
    """
    document, arrays = checkpoint.read(path)
    doc.check(path, document, _RULES)
    saved = {n: arrays.pop(n) for n in list(arrays) if n.startswith(_TENSORS)}
    made = parts(document, saved, given)
    with fitting_together(path, given):
        trainer = make(
            made.pop("model"),
            **made,
            engine=engine or document["engine"],
            seed=document["seed"],
        )
    tensors = state_of(trainer.model, trainer.loss, trainer.optimizer)
    check_fits(path, document, saved, trainer.model, tensors)
    state = RunState.unpack(path, document, arrays)
    if (
        state.history.entries not in ([], ["train"])
        or "loss" not in state.history.steps
    ):
        raise doc.strange(path, "'history' of the entry train with loss", "another")
    for name, t in tensors.items():
        t.copy_(Tensor(saved[name]))
    for name, p in trainer.model.named_parameters():
        p.requires_grad_(name not in document["frozen"])
    trainer.stand(state, path)
    return trainer


_TENSORS = ("model/", "loss/", "optimizer/")


# -- what a document of a Trainer holds ------------------------------------------------


def _described(value: Any) -> bool:
    """Whether it describes a module: ``training.architecture``."""
    pending = [value]
    while pending:
        spec = pending.pop()
        if not isinstance(spec, dict) or not isinstance(spec.get("class"), str):
            return False
        inner = spec.get("modules", [])
        if not isinstance(inner, list) or spec.keys() not in _DESCRIPTIONS:
            return False
        if not isinstance(spec.get("arguments", {}), dict):
            return False
        pending += inner
    return True


_DESCRIPTIONS = ({"class", "modules"}, {"class", "arguments"})


def _metric_spec(value: Any) -> bool:
    return _described(value) and "arguments" in value


def _settings(value: Any) -> bool:
    return isinstance(value, dict) and doc.text(value.get("name")) and "lr" in value


_RULES: doc.Rules = {
    "architecture": (doc.maybe(_described), "the description of a network, or null"),
    "model": (doc.text, "a text"),
    "loss": (doc.maybe(_described), "the description of a loss, or null"),
    "optimizer": (_settings, "the settings of an optimiser"),
    "seed": (
        lambda value: type(value) is int and 0 <= value < 2**64,
        "a whole number of 64 bits",
    ),
    "engine": (lambda v: doc.text(v) and len(v) < 40, "the name of an engine"),
    "metrics": (
        doc.maybe(doc.each(doc.maybe(_metric_spec))),
        "descriptions of metrics, or null",
    ),
    "probes": (doc.each(doc.text), "a list of texts"),
    "frozen": (doc.each(doc.text), "a list of texts"),
}
