"""The content of a Trainer's checkpoint: how a Trainer is written and restored.

The file itself is the business of :mod:`.checkpoint`, descriptions of networks and
optimisers that of :mod:`chainrule.nn.architecture`.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from chainrule.errors import ArgumentError, ChainruleError, CheckpointError, SaveError
from chainrule.graph.node import Array
from chainrule.metrics import Metric
from chainrule.metrics.named import build, spec
from chainrule.nn import Loss, Module
from chainrule.nn.architecture import (
    build_module,
    build_optimizer,
    difference,
    module_spec,
)
from chainrule.tensor import Tensor, tensor
from chainrule.text import _
from chainrule.training import checkpoint
from chainrule.training.checkpoint import Place, misfit, strange
from chainrule.training.state import RunState, taken
from chainrule.util.atomic_files import called
from chainrule.version import __version__

Tensors = dict[str, Tensor]
#: What the names of tensors in a file begin with.
_TENSORS = ("model/", "loss/", "optimizer/", "average/", "accumulated/")
#: So many pairs of a pattern for names and a name are compared within seconds.
_PAIRS = 1_000_000


class _Names(pickle.Pickler):
    """A pickler that skips arrays, to test whether a Trainer can be pickled."""

    def persistent_id(self, obj: Any) -> str | None:
        return "numbers" if isinstance(obj, Tensor | np.ndarray) else None


def check_pickles(trainer: Any) -> None:
    """Refuse a Trainer that ``pickle`` cannot write, and name the faulty part.

    Raises:
        SaveError: a lambda, or a class or a function within a function.
    """
    parts = ("loss", "model", "optimizer", "metrics", "batch_transform", "notes")
    for part in (*parts, "state"):
        try:
            _Names(io.BytesIO()).dump(getattr(trainer, part))
        except (pickle.PicklingError, TypeError, AttributeError) as error:
            raise SaveError(
                _("The Trainer's {part} cannot be pickled.", part=part),
                expected=_(
                    "functions and classes that stand in a module, and values "
                    "that pickle knows"
                ),
                got=str(error)[:200],
                fix=_(
                    "give it a name in a module; or trainer.save(path), and "
                    "Trainer.load(path, {part}=…)",
                    part=part,
                )
                if part in parts[:-1]
                else _("give it a name in a module"),
            ) from error


def state_of(trainer: Any) -> Tensors:
    """Return every tensor that a Trainer's checkpoint stores, by name."""
    tensors = {f"model/{name}": t for name, t in trainer.model._named_state()}
    for prefix, loss in trainer.objective.modules.items():
        prefix = prefix.replace(".", "/", 1)
        tensors |= {f"{prefix}/{name}": t for name, t in loss._named_state()}
    for name, moments in trainer.optimizer.state.items():
        tensors |= {f"optimizer/{name}/{key}": t for key, t in moments.items()}
    if trainer.average is not None:
        tensors |= {f"average/{k}": t for k, t in trainer.average.state.items()}
    plan = trainer.plan
    if plan is not None and plan.accumulate > 1:
        trainer.accumulator.make()
        sums = trainer.accumulator.state
        tensors |= {f"accumulated/{k}": t for k, t in sums.items()}
    return tensors


def settings(trainer: Any) -> dict[str, Any]:
    """Return a Trainer's settings as its checkpoint's document has them."""
    model, chosen = trainer.model, trainer.metrics
    return {
        "architecture": module_spec(model),
        "model": repr(model),
        "losses": [
            {"output": p.output, "loss": module_spec(p.loss), "weight": p.weight}
            for p in trainer.objective.parts
        ],
        "ema_decay": None if trainer.average is None else trainer.average.decay,
        "batch_transform": None
        if trainer.batch_transform is None
        else {"module": module_spec(trainer.batch_transform)},
        "optimizer": trainer.optimizer.settings(),
        "seed": trainer.seed,
        "engine": trainer.engine,
        "precision": trainer.precision,
        # None for one of the user's own
        "metrics": None if chosen is None else [spec(m) for m in chosen],
        "probes": list(trainer.probes.patterns),
        "frozen": [n for n, p in model.named_parameters() if not p.requires_grad],
    }


def pack(trainer: Any) -> tuple[dict[str, Any], dict[str, Array]]:
    """Return the document and the tensors of a Trainer's checkpoint."""
    document, arrays = trainer.state.pack()
    document |= {"optimizer_steps": trainer.optimizer.steps, "library": __version__}
    document |= settings(trainer)
    state = state_of(trainer)
    return document, arrays | {name: t.numpy() for name, t in state.items()}


def parts(
    document: Mapping[str, Any],
    tensors: Mapping[str, Array],
    arguments: Mapping[str, Any],
) -> dict[str, Any]:
    """Return a loaded Trainer's model, loss and so on: as passed, or as saved.

    Raises:
        CheckpointError: what only its author can make was not given.
    """
    parts_by_name = dict(arguments)
    available = sum(a.size for a in tensors.values())
    if parts_by_name["model"] is None:
        described = document["architecture"]
        parts_by_name["model"] = _built(document, "model", described, available)
    saved = _weights(document)
    if parts_by_name["loss"] is None:
        parts_by_name["loss"] = _losses(document, available)
    elif _outputs(parts_by_name["loss"]) != _outputs(saved):
        saved = None
    if parts_by_name["loss_weights"] is None:
        parts_by_name["loss_weights"] = saved
    transform = document["batch_transform"]
    if parts_by_name["batch_transform"] is None and transform is not None:
        described = transform["module"]
        parts_by_name["batch_transform"] = _built(
            document, "batch_transform", described, available
        )
    if parts_by_name["optimizer"] is None:
        parts_by_name["optimizer"] = build_optimizer(document["optimizer"])
    if parts_by_name["metrics"] is None and document["metrics"] is not None:
        parts_by_name["metrics"] = [_metric(item) for item in document["metrics"]]
    if parts_by_name["probes"] is None:
        parts_by_name["probes"] = document["probes"]
    return parts_by_name


def _losses(document: Mapping[str, Any], available: int) -> Any:
    """Build the loss, or the losses by output, that a checkpoint describes."""
    built = {
        one["output"]: _built(document, "loss", one["loss"], available)
        for one in document["losses"]
    }
    if None in built:
        return built[None]
    return (*built.values(),) if 0 in built else built


def _weights(document: Mapping[str, Any]) -> Any:
    """Return the weights of a checkpoint's losses by output; None of one loss."""
    weights = {one["output"]: one["weight"] for one in document["losses"]}
    if None in weights:
        return None
    return (*weights.values(),) if 0 in weights else weights


def _outputs(losses: Any) -> Any:
    """Return the outputs that losses, or weights of losses, are of."""
    if isinstance(losses, tuple | list):
        return {*range(len(losses))}
    return {*losses} if isinstance(losses, dict) else None


def _built(
    document: Mapping[str, Any], argument: str, described: Any, available: int
) -> Module:
    """Build the network or the loss that a checkpoint describes."""
    module = None if described is None else build_module(described, available)
    if module is not None:
        losses = [isinstance(m, Loss) for m in module.modules()]
        if losses[0] if argument == "loss" else not any(losses):
            return module
    shown = document["model"] if argument == "model" else "another"
    raise CheckpointError(
        _(
            "The checkpoint's {argument} is none, or a class of its author's own.",
            argument=argument,
        ),
        expected=_("modules of chainrule.nn"),
        got=(shown if module is None else repr(module))[:200]
        or _("one without a name"),
        fix=_(
            "make the {argument} in Python: Trainer.load(path, {argument}=…)",
            argument=argument,
        ),
    )


def _texts(value: Any) -> int:
    """Return the number of strings in a checkpoint's nested lists and dictionaries."""
    inner = value.values() if isinstance(value, dict) else value
    inner = inner if isinstance(value, dict | list) else ()
    return isinstance(value, str) + sum(map(_texts, inner))


def _metric(described: Any) -> Metric:
    try:
        return build(described)
    except (KeyError, TypeError, ValueError, ChainruleError) as error:
        raise CheckpointError(
            _("The checkpoint was made with a metric that this version cannot build."),
            expected=_("metrics of chainrule.metrics"),
            got=_("a class of its author's own")
            if described is None
            else repr(described)[:80],
            fix=_("pass them all: Trainer.load(path, metrics=[…])"),
        ) from error


def check_fits(
    path: Place,
    document: Mapping[str, Any],
    tensors: Mapping[str, Array],
    model: Module,
    state: Tensors,
) -> None:
    """Refuse a checkpoint whose network has another architecture than the model.

    Raises:
        CheckpointError: naming the first layer or tensor that differs.
    """
    saved, own = document["architecture"], module_spec(model)
    differ = None
    if saved is not None and own is not None:
        differ = difference(own, saved)
    if differ is None:
        differ = misfit(tensors, state)
    if differ is None:
        known, frozen = dict(model.named_parameters()), document["frozen"]
        still = {*frozen}
        if frozen != [name for name in known if name in still]:
            differ = (
                _("of {known} some frozen", known=", ".join(known)),
                ", ".join(frozen),
            )
    if differ is not None:
        raise CheckpointError(
            _("{path} belongs to another architecture.", path=called(path)),
            expected=_("{differ:.300}, as in the model given", differ=differ[0]),
            got=_("{differ:.300} in the checkpoint", differ=differ[1]),
            fix=_(
                "leave out model= to build the saved network, or pass the "
                "model that the checkpoint was made of"
            ),
        )


def load(
    path: Place, make: Callable[..., Any], arguments: Mapping[str, Any], engine: Any
) -> Any:
    """Restore a Trainer from a checkpoint, at the saved position of its run.

    Args:
        path: of the checkpoint.
        make: makes a Trainer of its parts and a state.
        arguments: parts in place of the saved ones; None for those that are loaded.
        engine: that takes the place of the saved one, or None.

    Raises:
        CheckpointError: no checkpoint, or one that does not fit; nothing is changed.
    """
    from chainrule.training.document import TrainerDocument, check

    document, arrays = checkpoint.read(path)
    check(path, document, TrainerDocument)
    saved = taken(arrays, *_TENSORS)
    patterns = _texts([document["probes"], document["optimizer"].get("params")])
    if patterns * len(saved) > _PAIRS:
        got = _("{patterns:,} times {saved:,}", patterns=patterns, saved=len(saved))
        raise strange(
            path, _("patterns times tensors up to {PAIRS:,}", PAIRS=_PAIRS), got
        )
    made_of = parts(document, saved, arguments)
    made_of |= {"engine": engine or document["engine"], "seed": document["seed"]}
    made_of |= {"ema_decay": document["ema_decay"]}
    made_of |= {"precision": document.get("precision")}
    try:
        trainer = make(**made_of)
    except ArgumentError as error:
        if any(part is not None for part in arguments.values()):
            raise
        raise CheckpointError(  # saved parts that refuse each other
            _(
                "{path} holds parts of a Trainer that do not fit together.",
                path=called(path),
            ),
            expected=error.expected,
            got=_("{what} {got:.300}", what=error.what, got=str(error.got)),
            fix=_("pass the part at fault: Trainer.load(path, optimizer=…, probes=…)"),
        ) from error
    state = RunState.unpack(path, document, arrays)
    trainer.state.plan = state.plan
    tensors = state_of(trainer)
    check_fits(path, document, saved, trainer.model, tensors)
    history = state.history
    if history.entries not in ([], ["train"]) or "loss" not in history.steps:
        raise strange(path, _("'history' of the entry train with loss"), "another")
    for name, t in tensors.items():
        t.copy_(tensor(saved[name]))
    frozen = {*document["frozen"]}
    for name, p in trainer.model.named_parameters():
        p.requires_grad_(name not in frozen)
    trainer.set_position(state, document["optimizer_steps"], path)
    return trainer
