"""``cr.load_keras``: weights of Keras as arrays, or as the state of a module."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO

from chainrule.errors import ArgumentError, CheckpointError
from chainrule.graph.node import Array
from chainrule.interop.keras_weights.files import counted, read
from chainrule.interop.keras_weights.layers import Row, described, row_of
from chainrule.interop.weights import UnreadableError, Weights
from chainrule.nn import Module
from chainrule.text import _
from chainrule.util.atomic_files import called, is_open, of_the_system
from chainrule.util.keywords import strict

#: A layer of Keras in a path: where it stands, its kind, its count, what is within it.
_LAYER = re.compile(r"((?:.*/)?layers/([a-z0-9_]*?[a-z0-9])(?:_\d+)?)/((?!layers/).*)")


@strict
def load_keras(
    source: str | os.PathLike[str] | BinaryIO, *, like: Module | None = None
) -> Weights:
    """Load weights of Keras as arrays by name, or as the state of a module like them.

    Args:
        source: a file of ``model.save`` (``.keras``) or ``model.save_weights``
            (``.weights.h5``) of Keras 3, or one that is open for bytes.
        like: a module with the same layers in the same order. The arrays have its names
            then, and lie as its own: ``model.load_state_dict`` takes them, and says
            what is missing, too much, or of another shape.

    Returns:
        Read-only arrays by name. Without ``like`` the names are the paths in the file,
        such as ``layers/dense_1/vars/0``, and so are those of layers that no layer of
        the module is. Their ``notes`` say which layer is which, and what was left out.

    The layers of one kind go together in their order: the first ``nn.Conv2d`` with the
    first ``Conv2D``. What a module is built of is not read from the file, but for two
    things that a ``.keras`` file says: an ε of normalisation, and the activations and
    directions of recurrent layers, that differ are an error.

    Nothing in the file is run, and memory is bounded by some times its size.

    Raises:
        ArgumentError: ``h5py`` is missing (``pip install 'chainrule[keras]'``), a
            module with other settings.
        CheckpointError: no such file, a damaged one, or one of another format.

    >>> import chainrule as cr, h5py, io
    >>> with h5py.File(file := io.BytesIO(), "w") as f:
    ...     f["layers/dense/vars/0"] = [[1.0], [2.0]]
    ...     f["layers/dense/vars/1"] = [3.0]
    >>> _ = file.seek(0)
    >>> model = cr.nn.Sequential(cr.nn.Linear(2, 1))
    >>> model.load_state_dict(cr.load_keras(file, like=model))
    IncompatibleKeys(missing_keys=[], unexpected_keys=[])
    >>> model[0].weight.tolist(), model[0].bias.tolist()
    ([[1.0, 2.0]], [3.0])
    """
    if not is_open(source) and not isinstance(source, str | os.PathLike):
        raise ArgumentError(
            _("cr.load_keras reads weights."),
            expected=_("a path, or an open file"),
            got=type(source).__name__,
            fix="model.save('model.keras')",
        )
    try:
        content = read(source)
    except OSError as error:
        of_the_system(error)
        raise CheckpointError(
            _("The file of weights cannot be read."),
            expected=_("a file of Keras at {path}", path=called(source)),
            got=error.strerror or str(error),
        ) from error
    except UnreadableError as error:
        raise CheckpointError(
            _("{path} has no weights that can be read.", path=called(source)),
            expected=_("a file of Keras 3, .keras or .weights.h5"),
            got=error.what,
            fix=error.fix,
        ) from error
    arrays, notes = _of_layers(content.arrays)
    if like is not None:
        settings = None if content.config is None else dict(described(content.config))
        arrays, more = _fitted(arrays, like, settings)
        notes += more
    for array in arrays.values():
        array.flags.writeable = False
    return Weights(arrays, tuple(notes))


def _of_layers(arrays: Mapping[str, Array]) -> tuple[dict[str, Array], list[str]]:
    """Return the arrays that belong to layers, and notes about those left out."""
    kept = {
        path: array
        for path, array in arrays.items()
        if not path.startswith("optimizer/") and "/seed_generator/" not in path
    }
    rest = sorted({path.rpartition("/vars/")[0] for path in arrays.keys() - kept})
    notes = [_("left out: {names:.400}", names=", ".join(rest))] if rest else []
    return kept, notes


def _fitted(
    arrays: Mapping[str, Array], like: Module, settings: Mapping[str, Any] | None
) -> tuple[dict[str, Array], list[str]]:
    """Return the state of a module, and beside it what no part of it is; and notes."""
    parts: dict[str, dict[str, Array]] = {}
    kinds: dict[str, list[str]] = {}
    order = {path: i for i, path in enumerate(settings or ())}
    last = len(order)
    for path in sorted(arrays, key=lambda p: (_place(p, order, last), counted(p))):
        if match := _LAYER.fullmatch(path):
            place, kind, within = match.groups()
            if place not in parts:
                parts[place] = {}
                kinds.setdefault(kind, []).append(place)
            within = re.sub(r"(^|/)_+", r"\1", within)
            parts[place][within] = arrays[path]
    state: dict[str, Array] = {}
    taken: list[str] = []
    pairs: list[str] = []
    wrong: list[str] = []
    unsaid = False
    for name, module, row in _layers(like):
        kind = next((k for k in row.kinds(module) if kinds.get(k)), None)
        if kind is None:
            continue
        places = kinds[kind]
        models = {place.rpartition("layers/")[0] for place in places}
        if len(models) > 1 and not order.keys() >= {*places}:
            raise ArgumentError(
                _("The file does not say in which order layers of its models come."),
                expected=_("a .keras file, of model.save"),
                got=_("{kind} in {n} models", kind=kind, n=len(models)),
            )
        places = places[: row.layers(module)]
        del kinds[kind][: len(places)]
        found = row.rule(module, [parts[place] for place in places])
        if found is None:
            continue
        taken += places
        pairs += [f"{name}: {place}" for place in places]
        state |= {f"{name}.{key}" if name else key: a for key, a in found.items()}
        for key, own in row.settings(module).items():
            for place in places:
                theirs = (settings or {}).get(place, {}).get(key, own)
                if theirs != own:
                    wrong.append(f"{name}: {key}={theirs!r:.40}, {own!r}")
            unsaid |= settings is None and key == "epsilon" and own != 1e-3
    if wrong:
        raise ArgumentError(
            _("The module computes something else than the layers of the file."),
            expected=_("the settings of both, those of the file first, to agree"),
            got="; ".join(wrong[:8]),
            fix=_("for example nn.BatchNorm2d(…, eps=0.001)"),
        )
    notes = [_("layers: {pairs:.600}", pairs=", ".join(pairs))]
    if unsaid:
        notes.append(_("the file says no epsilon; Keras's own is 0.001"))
    if any("layers/flatten" in place for place in settings or ()):
        notes.append(_("Keras flattens (height, width, channels), in this order"))
    used = tuple(f"{place}/" for place in taken)
    state |= {path: a for path, a in arrays.items() if not path.startswith(used)}
    return {name: a.copy() for name, a in state.items()}, notes


def _place(path: str, order: Mapping[str, int], last: int) -> int:
    """Return the position of a path's layer in a Keras model's description."""
    match = _LAYER.fullmatch(path)
    return order.get(match[1], last) if match else last


def _layers(module: Module) -> Iterator[tuple[str, Module, Row]]:
    """Yield the layers of a module that have a row, in their order."""
    within: tuple[str, ...] = ()
    for name, part in module.named_modules():
        row = row_of(part)
        if row is not None and not name.startswith(within or "\0"):
            within = (f"{name}." if name else "",)
            yield name, part, row
