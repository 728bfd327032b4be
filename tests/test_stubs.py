"""The stubs of tensor functions are those of the declarations, and are complete."""

from __future__ import annotations

import ast
import functools
import importlib.util
import inspect
from pathlib import Path
from types import ModuleType

import chainrule as cr
from chainrule.operations import declared

TOOL = Path(__file__).resolve().parent.parent / "tools" / "stubs.py"


@functools.cache
def stubs() -> ModuleType:
    spec = importlib.util.spec_from_file_location("stubs", TOOL)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


DECLARED = declared()
#: Declarations with a name; the others are what an operator means.
OPS = [op for op in DECLARED if op.public or op.method]


def test_the_stubs_are_up_to_date() -> None:
    for path, text in stubs().stubs().items():
        assert path.read_text(encoding="utf-8") == text, "run tools/stubs.py"


def test_every_function_and_method_of_a_declaration_is_in_a_stub() -> None:
    names: dict[str, set[str]] = {}
    for path, text in stubs().stubs().items():
        found = ast.walk(ast.parse(text))
        own = {f.name for f in found if isinstance(f, ast.FunctionDef)}
        names.setdefault(path.name, set()).update(own)
    for op in DECLARED:
        for name in (op.name, *op.names):
            assert op.module != "linalg" or name in names["__init__.pyi"]
            assert not op.public or name in names["__init__.pyi"]
            assert not op.method or name in names["declared.pyi"]


def test_every_parameter_that_a_signature_shows_is_taken() -> None:
    for op in OPS:
        public = getattr(cr if op.public else cr.Tensor, op.name)
        signature = inspect.signature(public)
        assert signature == op.__signature__
        for name, p in signature.parameters.items():
            if p.kind is not inspect.Parameter.KEYWORD_ONLY:
                continue
            if op.creates and name in ("device", "requires_grad"):
                continue
            before = (None,) * len(op.positional[:1])
            args, kwargs = op.arranged(before, {name: 7})
            assert op.keywords.issuperset(kwargs), (op.name, name)
            assert 7 in (*args, *kwargs.values()), (op.name, name)
