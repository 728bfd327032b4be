"""Program files: safetensors of the weights, with the graph as JSON in the header.

The JSON holds the graph's text form, the names of inputs, weights and outputs, the nest
that is returned, the codes of texts, and metadata; beside it stands a SHA-256 of it and
of every tensor. Reading parses and checks all of it, and executes nothing.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

import numpy as np

from chainrule.compilation.portable.function import Portable
from chainrule.errors import ArgumentError, ChainruleError, CheckpointError
from chainrule.graph.graph import Graph
from chainrule.graph.interpret import solve_sizes
from chainrule.graph.node import Array
from chainrule.graph.text import parse, to_text
from chainrule.graph.types import ArrayType, DType, resolve, type_of
from chainrule.interop.serialization import digest, read_arrays
from chainrule.text import _, ngettext
from chainrule.util.atomic_files import (
    called,
    is_open,
    of_the_system,
    replace,
    write_open,
)
from chainrule.util.pytree import Leaf
from chainrule.version import __version__

#: The key of the JSON in the header of a program file, and the format's version.
KEY, VERSION = "chainrule_program", 1
#: How deep the nest of the outputs may be.
DEPTH = 100

Place = str | os.PathLike[str] | BinaryIO


@dataclass(frozen=True)
class Saved:
    """A program file that was written.

    Attributes:
        path: where it is.
        inputs, outputs: their types by name, as text: ``f32[N,784]``.
        size: bytes of weights.
    """

    path: str
    inputs: Mapping[str, str]
    outputs: Mapping[str, str]
    size: int

    def __str__(self) -> str:
        from chainrule.text import tr

        lines = [
            tr("{path}: a program", path=self.path),
            *(tr("  input   {k}: {t}", k=k, t=t) for k, t in self.inputs.items()),
            *(tr("  output  {k}: {t}", k=k, t=t) for k, t in self.outputs.items()),
            tr(ngettext("  weights {n:,} byte", "  weights {n:,} bytes", n=self.size)),
        ]
        return "\n".join(lines)


def types_of(program: Portable) -> tuple[dict[str, ArrayType], dict[str, ArrayType]]:
    """Return the types of a program's inputs and outputs by name."""
    graph = program.graph
    inputs = {n: v.type for n, v in zip(program.inputs, graph.inputs)}
    return inputs, {n: v.type for n, v in zip(program.outputs, graph.outputs)}


def save_program(program: Portable, path: Place) -> Saved:
    """Write a graph with its weights as a program file, wholly or not at all.

    Raises:
        ArgumentError: a function that changes state, or draws random numbers; outputs
            in a nest that a file cannot say.
        SaveError: the file system refuses; what was there before stays.
    """
    from safetensors.numpy import save

    program.refuse_changes()
    document = {
        "version": VERSION,
        "chainrule": __version__,
        "graph": to_text(program.graph),
        "inputs": list(program.inputs),
        "weights": list(program.weights),
        "outputs": list(program.outputs),
        "structure": _written(program.structure),
        "codes": {
            name: {"codes": dict(codes), "other": other}
            for name, (codes, other) in program.codes.items()
        },
        "metadata": dict(program.metadata),
    }
    text = json.dumps(document, allow_nan=False)
    arrays = {k: np.array(a, order="C") for k, a in program.weights.items()}
    texts = {KEY: text, "sha256": digest(text, arrays)}
    content = save(arrays, metadata=texts)
    if is_open(path):
        write_open(path, content, _("program file"))
    else:
        replace(Path(path), content, _("program file"))  # type: ignore[arg-type]
    inputs, outputs = types_of(program)
    texts_of = {k: str(t) for k, t in inputs.items()}
    texts_of |= {k: texts_of[k].replace("i64", "text") for k in program.codes}
    shown = {k: str(t) for k, t in outputs.items()}
    size = sum(a.nbytes for a in arrays.values())
    return Saved(called(path), texts_of, shown, size)


def _written(structure: Any) -> Any:
    """Return the nest of the outputs in JSON: numbers for outputs, pairs for nests."""
    if isinstance(structure, Leaf):
        return structure.index
    if isinstance(structure, dict):
        plain = (str, int, float, bool, type(None))
        if not all(type(key) in plain for key in structure):
            raise ArgumentError(
                _("The outputs have keys that a file cannot say."),
                expected=_("texts and numbers"),
                got=", ".join(f"{k!r:.40}" for k in structure),
            )
        return ["dict", [[k, _written(v)] for k, v in structure.items()]]
    if isinstance(structure, tuple | list):
        kind = "list" if isinstance(structure, list) else "tuple"
        return [kind, [_written(v) for v in structure]]
    return None


def _read(item: Any, depth: int = 0) -> Any:
    """Return the nest of the outputs from its JSON."""
    if item is None:
        return None
    if type(item) is int:
        return Leaf(item)
    kind, parts = item
    if depth > DEPTH or not isinstance(parts, list):
        raise ValueError(_("outputs in a nest that is none"))
    if kind == "dict":
        return {key: _read(value, depth + 1) for key, value in parts}
    if kind not in ("list", "tuple"):
        raise ValueError(_("outputs in a {kind!r:.20}", kind=kind))
    items = [_read(value, depth + 1) for value in parts]
    return items if kind == "list" else tuple(items)


def _leaves(structure: Any) -> list[int]:
    if isinstance(structure, Leaf):
        return [structure.index]
    parts = structure.values() if isinstance(structure, dict) else structure or ()
    return [index for part in parts for index in _leaves(part)]


# -- reading ---------------------------------------------------------------------------


def read_program(path: Place) -> Portable:
    """Read and check a program file.

    Raises:
        CheckpointError: no such file, a damaged one, one of another kind or version.
    """
    try:
        texts, arrays = read_arrays(path, _check_texts)
        text: str = texts[KEY]
        document = json.loads(text)
        if not isinstance(document, dict):
            raise ValueError(_("no JSON object"))
        if document.get("version") != VERSION:
            _another_version(path, document.get("version"))
        if texts.get("sha256") != digest(text, arrays):
            raise ValueError(_("another SHA-256 than it says: it was altered"))
        return _checked(document, arrays)
    except CheckpointError:
        raise
    except OSError as error:
        of_the_system(error)
        raise CheckpointError(
            _("The program file cannot be read."),
            expected=_("a file of cr.compile(model).save at {path}", path=called(path)),
            got=error.strerror or str(error),
            fix=_("give the path that save wrote to"),
        ) from error
    except ChainruleError as error:
        if isinstance(error, ArgumentError) and is_open(path):
            raise  # of a file that is not open for bytes
        _damaged(path, f"{error.what} {error.got or ''}", error)
    except (ValueError, TypeError, KeyError, RecursionError, OverflowError) as error:
        _damaged(path, str(error), error)


def _check_texts(texts: Mapping[str, Any]) -> None:
    """Refuse a safetensors header that does not belong to a program file."""
    if not isinstance(texts, dict) or not isinstance(texts.get(KEY), str):
        known = isinstance(texts, dict) and "chainrule" in texts
        raise ValueError(
            _("a Trainer's checkpoint") if known else _("weights without a graph")
        )


def _checked(document: dict[str, Any], arrays: dict[str, Array]) -> Portable:
    """Return a program from a file's JSON and arrays; trust nothing in them.

    Raises:
        ValueError, TypeError, KeyError, ParseError: what is wrong with them.
    """
    names = {k: document[k] for k in ("inputs", "weights", "outputs")}
    for key, listed in names.items():
        if not isinstance(listed, list) or not all(isinstance(n, str) for n in listed):
            raise ValueError(_("{key} that are no names", key=key))
        if len({*listed}) < len(listed):
            raise ValueError(_("two {key} of one name", key=key))
    inputs, weights, outputs = names.values()
    graph = parse(document["graph"])
    if len(graph.inputs) != len(inputs) + len(weights):
        raise ValueError(
            ngettext(
                "a graph of {n} input", "a graph of {n} inputs", n=len(graph.inputs)
            )
        )
    if len(graph.outputs) != len(outputs):
        raise ValueError(
            ngettext(
                "a graph of {n} output", "a graph of {n} outputs", n=len(graph.outputs)
            )
        )
    if arrays.keys() != {*weights}:
        raise ValueError(_("other weights than its graph"))
    for name, value in zip(weights, graph.inputs[len(inputs) :]):
        if type_of(arrays[name]) != value.type:
            raise ValueError(
                _(
                    "the weight {name!r:.40} as {got}, which is {type} in the graph",
                    name=name,
                    got=type_of(arrays[name]),
                    type=value.type,
                )
            )
    _check_sizes(graph, len(inputs))
    structure = _read(document["structure"])
    if sorted(_leaves(structure)) != [*range(len(outputs))]:
        raise ValueError(_("outputs that its nest does not have"))
    metadata = _named("metadata", document)
    types = {n: v.type for n, v in zip(inputs, graph.inputs)}
    codes = {k: _codes(k, v, types) for k, v in _named("codes", document).items()}
    held = {name: arrays[name] for name in weights}
    about = {**metadata, "chainrule": document["chainrule"]}
    return Portable(graph, inputs, held, outputs, about, codes, structure)


def _named(key: str, document: dict[str, Any]) -> dict[str, Any]:
    """Return a dictionary of a program file's document, checked to be one."""
    if not isinstance(found := document[key], dict):
        raise ValueError(_("{key} that are no dictionary", key=key))
    return found


def _check_sizes(graph: Graph, inputs: int) -> None:
    """Refuse a graph with a named size that no shape of its inputs tells."""
    example = {name: 97 + i for i, name in enumerate(graph.size_names)}
    shapes = [v.shape for v in graph.inputs[:inputs]]
    known = solve_sizes([(shape, resolve(shape, example)) for shape in shapes])
    unknown = [name for name in graph.size_names if name not in known]
    if unknown:
        raise ValueError(_("a size {name} that no input has", name=unknown[0]))


def _codes(name: str, said: Any, types: Mapping[str, ArrayType]) -> Any:
    """Return the codes of an input that is texts."""
    codes, other, type = _named("codes", said), said["other"], types[name]
    whole = [other, *codes.values()]
    if not all(isinstance(n, int) and abs(n) < 1 << 62 for n in whole):
        raise ValueError(_("codes of {name!r:.40} that are no numbers", name=name))
    if type.dtype is not DType.int64:
        raise ValueError(_("texts as {type}", type=type))
    return codes, other


def _another_version(path: Place, version: Any) -> NoReturn:
    raise CheckpointError(
        _("The program file has another version of the format."),
        expected=_("version {VERSION}", VERSION=VERSION),
        got=_("version {version!r:.20} in {path}", version=version, path=called(path)),
        fix=_("read it with the version of Chainrule that wrote it, or update"),
    )


def _damaged(path: Place, got: str, error: BaseException) -> NoReturn:
    fix = _("use another copy; nothing was loaded")
    if got == _("a Trainer's checkpoint"):
        fix = _("chainrule export RUN --out NAME.safetensors makes a program of a run")
    if got == _("weights without a graph"):
        fix = _("cr.load(path) for weights alone")
    raise CheckpointError(
        _("{path} is damaged, or no program file.", path=called(path)),
        expected=_("a file that cr.compile(model).save wrote"),
        got=got[:300],
        fix=fix,
    ) from error
