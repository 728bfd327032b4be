"""ONNX's own backend suite: its cases, and which of them are not supported, and why.

The package generates the cases of single operators ("node"); the others are files that
it carries. ``UNSUPPORTED`` is the one list of what is refused, with its reasons.
"""

from __future__ import annotations

import importlib
import re
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

import chainrule as cr
from chainrule.errors import ChainruleError
from chainrule.interop.onnx.reader.numbers import DTYPES
from chainrule.interop.onnx.reader.parsing import parse
from chainrule.interop.onnx.reader.roles import STATIC

Sets = Sequence[tuple[Sequence[Any], Sequence[Any]]]

#: Files that the package carries.
FILES = ("simple", "pytorch-converted", "pytorch-operator")

#: Why cases are refused: patterns of names.
UNSUPPORTED = {
    r"texts are no tensors": (
        r"test_string(normalizer|_|split|concat).*|test_strnorm.*|test_regex.*"
        r"|test_tfidfvectorizer.*|test_ai_onnx_ml_label_encoder.*|test_equal_string.*"
    ),
    r"sequences and optional values are no tensors": (
        r"test_sequence.*|test_optional.*|test_split_to_sequence.*|test_if_(opt|seq)"
        r"|test_loop1[36]_seq.*|test_loop16_seq_none|test_identity_(opt|sequence)"
        r"|test_range_.*sequence.*|test_expand_shape_model_sequence.*"
    ),
    r"pictures are decoded before the model": r"test_image_decoder.*",
    r"trees are no formula that trains": r"test_ai_onnx_ml_tree.*",
    r"optimisers are ours: optim.Adam and others": (
        r"test_(adagrad|adam|momentum|nesterov).*"
    ),
    r"derivatives are ours: cr.grad": r"test_gradient_of.*",
    r"a preview of the standard, which may still change": (
        r"test_flexattention((?!expanded).)*"
    ),
    r"Scan of opset 8, which nothing writes any more": r"test_scan_sum",
}
#: Draws are another generator's: the shapes are compared.
RANDOM = re.compile(r"test_bernoulli.*|test_training_dropout(_default)?(_mask)?$")
#: Tolerances of their own, and why.
TOLERANCES = {
    r"test_dft_inverse.*": 1e-6,  # the expected zeros are rounding errors of 2e-7
}


@dataclass(frozen=True)
class Case:
    """One case of the suite."""

    name: str
    model: Any
    sets: Sets
    rtol: float
    atol: float

    @property
    def inputs(self) -> list[str]:
        return [info.name for info in self.model.graph.input]

    @property
    def foreign(self) -> set[int]:
        """Element types in the model that we do not compute with."""
        return {n for n in _types(self.model.graph) if n and n not in DTYPES}

    @property
    def reason(self) -> str:
        """Why the case may be refused; "" where it may not."""
        for reason, pattern in UNSUPPORTED.items():
            if re.fullmatch(pattern, self.name):
                return reason
        return "another element type" if self.foreign else ""


def _types(graph: Any) -> Iterator[int]:
    """All element types that a graph names, those of conversions included."""
    for info in (*graph.input, *graph.output, *graph.value_info):
        yield info.type.tensor_type.elem_type
    yield from (t.data_type for t in graph.initializer)
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t.data_type
            if attribute.name in ("to", "dtype", "output_dtype", "softmax_precision"):
                yield attribute.i
            if attribute.HasField("g"):
                yield from _types(attribute.g)


def node_cases(modules: Iterable[str] | None = None) -> list[Case]:
    """The cases of single operators: of all, or of some of the suite's modules."""
    from onnx.backend.test.case import node

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if modules is None:
            found = node.collect_testcases(None)
        else:
            for module in modules:
                importlib.import_module(f"{node.__name__}.{module}")
            found = node._NodeTestCases
    return [Case(c.name, c.model, c.data_sets, c.rtol, c.atol) for c in found]


def file_cases(kind: str) -> list[Case]:
    """The cases of a kind that the package carries as files."""
    from onnx.backend.test.loader import load_model_tests

    cases = []
    for case in load_model_tests(kind=kind):
        model, sets = case.model, case.data_sets
        if model is None:
            model = onnx.load(Path(case.model_dir, "model.onnx"))
            folders = sorted(Path(case.model_dir).glob("test_data_set*"))
            sets = [
                (
                    _read(f, "input", model.graph.input),
                    _read(f, "output", model.graph.output),
                )
                for f in folders
            ]
        cases.append(Case(case.name, model, sets, case.rtol, case.atol))
    return cases


def _read(folder: Path, what: str, infos: Any) -> list[Any]:
    """The tensors of a data set; None for what is no tensor."""
    found = []
    for i, info in enumerate(infos):
        path = folder / f"{what}_{i}.pb"
        if path.exists() and info.type.WhichOneof("value") == "tensor_type":
            tensor = onnx.TensorProto()
            tensor.ParseFromString(path.read_bytes())
            found.append(tensor)
        elif path.exists():
            found.append(None)
    return found


def array(item: Any) -> Any:
    return numpy_helper.to_array(item) if isinstance(item, onnx.TensorProto) else item


def outcome(case: Case, engine: str = "") -> str:
    """ "passed", "refused: …" or "wrong: …" of a case; eager, or on an engine."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of √−1, which a case computes
        try:
            for inputs, outputs in case.sets:
                wrong = _differs(case, inputs, outputs, engine)
                if wrong:
                    return f"wrong: {wrong}"
        except ChainruleError as error:
            return f"refused: {error}"
    return "passed"


def _differs(case: Case, inputs: Any, outputs: Any, engine: str) -> str:
    """How the outputs for a set of inputs differ from the suite's; "" if not."""
    given = dict(zip(case.inputs, map(array, inputs)))
    result = compiled(case.model, given, engine) if engine else run(case.model, given)
    results = result if isinstance(result, tuple) else (result,)
    if len(results) != len(outputs):
        return f"{len(results)} outputs instead of {len(outputs)}"
    atol = next((a for p, a in TOLERANCES.items() if re.match(p, case.name)), case.atol)
    for ours, theirs in zip(results, map(array, outputs)):
        got = ours.detach().numpy()
        if (got.shape, got.dtype) != (theirs.shape, theirs.dtype):
            return f"{got.dtype}{got.shape} instead of {theirs.dtype}{theirs.shape}"
        if RANDOM.match(case.name):
            continue
        if not np.allclose(got, theirs, rtol=case.rtol, atol=atol, equal_nan=True):
            return f"{got} instead of {theirs}"
    return ""


def run(model: Any, given: dict[str, Any], engine: str = "") -> Any:
    """The outputs of a model, of eager code or of an engine."""
    module = cr.load_onnx(model)
    values = [cr.tensor(given[name]) for name in module.input_names]
    return (cr.compile(module.forward, engine=engine) if engine else module)(*values)


def compiled(model: Any, given: dict[str, Any], engine: str) -> Any:
    """The outputs of compiled code, with what decides about shapes as constants.

    The suite gives all numbers as inputs. Constants are those that a row must know, or
    where shapes are computed, all short arrays of integers.
    """
    graph = parse(model, None).graph
    needed = {
        name
        for node in graph.nodes
        if node.operator is not None
        for i, name in enumerate(node.inputs)
        if node.operator.kind(i) in STATIC
    }
    try:
        return run(with_constants(model, given, needed), given, engine)
    except ChainruleError:
        needed |= {n for n, v in given.items() if v.dtype.kind in "iu" and v.size < 9}
        return run(with_constants(model, given, needed), given, engine)


def with_constants(model: Any, given: dict[str, Any], names: set[str]) -> Any:
    """A model in which some inputs are initializers."""
    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    known = {t.name for t in changed.graph.initializer}
    for name in names & given.keys() - known:
        tensor = numpy_helper.from_array(given[name], name)
        changed.graph.initializer.append(tensor)
    return changed
