"""Imports point one way, and ``import chainrule`` stays light.

The rule is read off the source with ``ast``: every import counts, inside functions and
under ``TYPE_CHECKING`` too, because each one is a file that one must know to read
another.
"""

from __future__ import annotations

import ast
import functools
import graphlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

SOURCE = Path(__file__).resolve().parent.parent / "src"

#: The layers, lowest first. What stands in one line may know each other.
LAYERS: tuple[tuple[str, ...], ...] = (
    ("errors", "text", "util", "html", "notation", "version"),
    ("diagrams", "graph"),
    ("primitives",),
    ("autodiff",),
    ("composites",),
    ("passes",),
    ("engines",),
    ("operations",),
    ("methods",),
    ("tensor",),
    ("functions", "linalg", "random", "interop"),
    (
        *("accelerator", "array_api", "backends", "cuda", "distributions", "fft"),
        *("jit", "special", "testing", "transforms"),
    ),
    ("autograd",),
    ("compilation", "gradient_check"),
    ("nn", "optim", "data", "metrics"),
    ("func", "interop.keras_weights", "interop.onnx", "utils"),
    # What a run says of itself while it goes on is a callback of the doctor's.
    (
        "training",
        *("doctor.finding", "doctor.labels", "doctor.live", "doctor.network"),
        *("doctor.live_rules", "doctor.weights"),
    ),
    ("explanation", "sklearn", "tracking", "viz"),
    ("book.derivation", "book.marking"),
    ("doctor",),
    ("models", "rl"),
    ("__init__",),
    ("recipes", "runs"),
    ("book", "serving"),
    ("lab",),
    ("cli", "__main__"),
)

LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}


@dataclass(frozen=True)
class Import:
    """One import of a module of the package."""

    file: str
    line: int
    module: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line} imports {self.module}"


def layer_of(dotted: str) -> str:
    """``nn`` for ``chainrule.nn.layers``; ``__init__`` for the package itself.

    A folder within a room may have a layer of its own, as ``book.derivation`` has.
    """
    parts = dotted.split(".")
    within = ".".join(parts[1:3])
    return within if within in LEVEL else (parts[1] if len(parts) > 1 else "__init__")


def layer_of_file(file: str) -> str:
    return layer_of(".".join(["chainrule", *Path(file).with_suffix("").parts]))


def is_module(package: Path, dotted: str) -> bool:
    path = package.parent.joinpath(*dotted.split("."))
    return path.is_dir() or path.with_suffix(".py").is_file()


def modules(node: ast.AST, package: Path, file: Path) -> Iterator[str]:
    """The modules of the package that an import statement names."""
    name = package.name
    if isinstance(node, ast.Import):
        for alias in node.names:
            if alias.name.split(".")[0] == name:
                yield alias.name
    elif isinstance(node, ast.ImportFrom):
        base = node.module or ""
        if node.level:
            parents = [name, *file.relative_to(package).parts[:-1]]
            parents = parents[: len(parents) - node.level + 1]
            base = ".".join([*parents, *([base] if base else [])])
        if base.split(".")[0] != name:
            return
        for alias in node.names:
            member = f"{base}.{alias.name}"
            yield member if is_module(package, member) else base


def statements(node: ast.AST) -> Iterator[ast.AST]:
    """All statements within a node; expressions, which are most of it, have none."""
    for field in ("body", "orelse", "finalbody", "handlers", "cases"):
        for child in getattr(node, field, ()):
            yield child
            yield from statements(child)


@functools.cache
def imports(package: Path) -> list[Import]:
    """Every import of the package's own modules, in all of its files."""
    return [
        Import(file.relative_to(package).as_posix(), node.lineno, module)
        for file in sorted(package.rglob("*.py"))
        for node in statements(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for module in modules(node, package, file)
    ]


def violations(package: Path) -> list[str]:
    """The imports that point up."""
    found: list[str] = []
    for item in imports(package):
        own, other = layer_of_file(item.file), layer_of(item.module)
        missing = {own, other} - set(LEVEL)
        if missing:
            found.append(f"{item}: no layer is known for {', '.join(sorted(missing))}")
        elif LEVEL[other] > LEVEL[own]:
            found.append(f"{item}: {own} stands below {other}")
    return found


def file_of(package: Path, dotted: str) -> str:
    path = package.parent.joinpath(*dotted.split("."))
    found = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return found.relative_to(package).as_posix()


def circle(package: Path) -> list[str]:
    """Files that can only be read together, if there are any: the first one twice."""
    arrows: dict[str, set[str]] = {}
    for item in imports(package):
        arrows.setdefault(item.file, set()).add(file_of(package, item.module))
    try:
        graphlib.TopologicalSorter(arrows).prepare()
    except graphlib.CycleError as error:
        return error.args[1]
    return []


def test_imports_point_one_way() -> None:
    found = violations(SOURCE / "chainrule")
    assert not found, "\n".join(found)


def test_no_files_import_each_other() -> None:
    assert circle(SOURCE / "chainrule") == []


def test_a_circle_is_found(tmp_path: Path) -> None:
    package = tmp_path / "chainrule"
    package.mkdir()
    texts = {
        "a": "from chainrule.b import x",
        "b": "def f():\n  from chainrule.c import x",
        "c": "if TYPE_CHECKING:\n  from chainrule.a import x",
        "d": "from chainrule.a import x",
    }
    for name, text in texts.items():
        (package / f"{name}.py").write_text(text)
    assert set(circle(package)) == {"a.py", "b.py", "c.py"}


def test_every_file_has_a_layer() -> None:
    package = SOURCE / "chainrule"
    names = {
        layer_of_file(file.relative_to(package).as_posix())
        for file in package.rglob("*.py")
    }
    assert names <= set(LEVEL), f"say in LAYERS where {names - set(LEVEL)} belongs"


@pytest.mark.parametrize(
    ("file", "text", "problem"),
    [
        ("graph/node.py", "import chainrule.nn", "graph stands below nn"),
        ("graph/node.py", "from chainrule import nn", "graph stands below nn"),
        ("graph/node.py", "from ..nn import layer", "graph stands below nn"),
        ("graph/node.py", "import chainrule", "graph stands below __init__"),
        ("tensor.py", "from . import nn", "tensor stands below nn"),
        ("graph/node.py", "def f():\n  from chainrule.nn import layer", "below nn"),
        ("graph/node.py", "if TYPE_CHECKING:\n  import chainrule.nn", "below nn"),
        ("graph/node.py", "def f():\n  import chainrule.autodiff", "below autodiff"),
        ("graph/node.py", "import chainrule.errors, numpy", None),
        ("nn/layer.py", "from chainrule.optim import x", None),
        ("odd/new.py", "import chainrule.errors", "no layer is known for odd"),
    ],
)
def test_the_rule_is_seen_to_be_broken(
    tmp_path: Path, file: str, text: str, problem: str | None
) -> None:
    package = tmp_path / "chainrule"
    for name in ("nn/__init__.py", "optim/__init__.py", "errors.py", "autodiff.py"):
        (package / name).parent.mkdir(parents=True, exist_ok=True)
        (package / name).touch()
    (package / file).parent.mkdir(parents=True, exist_ok=True)
    (package / file).write_text(text)
    found = violations(package)
    if problem is None:
        assert not found
    else:
        (message,) = found
        assert problem in message
        assert message.startswith(f"{file}:")


HEAVY = (
    *("llvmlite", "jax", "torch", "scipy", "sklearn", "matplotlib", "pandas", "PIL"),
    *("rich", "click", "platformdirs", "ml_dtypes"),
)


#: What ``import chainrule`` loads of the package: a tensor, its arithmetic, its views.
#: Whatever else is needed by some programs alone is imported with its first use.
LOADED = """
    autodiff errors functions functions.from_numpy tensor version
    composites notation
    engines engines.contract engines.eager engines.garbage engines.threads
    graph graph.apply graph.batching graph.context graph.declare graph.emit graph.graph
    graph.hooks graph.layout graph.node graph.primitive graph.room graph.types
    methods methods.changes methods.conversion methods.declared methods.hooks
    methods.protocols methods.views
    operations operations.accepted operations.arguments operations.arithmetic
    operations.device operations.forms operations.indexing operations.indices
    operations.narrow
    operations.names operations.op operations.operands operations.shapes
    operations.views
    primitives primitives.checks primitives.creation primitives.elementwise
    primitives.error_function primitives.indexing primitives.integers
    primitives.long_sums primitives.movement primitives.reduce primitives.rules
    primitives.sliding
    primitives.sorting
    text text.catalogue text.messages text.numbers
    util util.atomic_files util.bounded util.keywords util.pytorch_hints
    util.blocks util.source_location util.validation
"""
#: And of Python what NumPy has not loaded already: nothing that generates code
#: (``dataclasses``), and nothing that few programs need (``json``, ``signal``).
OF_PYTHON = {"__future__", "errno", "gc", "threading"}


def run(code: str) -> Any:
    """What a fresh interpreter prints, as JSON."""
    made = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": str(SOURCE)},
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(made.stdout)


def loaded_by(statement: str) -> set[str]:
    """The modules that ``statement`` loads in a fresh interpreter, beside NumPy's."""
    code = (
        f"import sys, numpy; before = {{*sys.modules}}; {statement};"
        "loaded = sorted({*sys.modules} - before);"
        "import json; print(json.dumps(loaded))"
    )
    return set(run(code))


def test_import_chainrule_loads_nothing_heavy() -> None:
    loaded = {name.split(".")[0] for name in loaded_by("import chainrule")}
    assert "chainrule" in loaded
    assert not loaded & set(HEAVY)


def test_import_chainrule_loads_what_every_program_needs() -> None:
    loaded = loaded_by("import chainrule")
    ours = {name for name in loaded if name.split(".")[0] == "chainrule"}
    assert ours == {"chainrule", *(f"chainrule.{name}" for name in LOADED.split())}
    assert loaded - ours <= OF_PYTHON


def test_a_heavy_import_would_be_seen() -> None:
    assert "llvmlite" in loaded_by("import llvmlite")
    assert {"json", "dataclasses"} <= loaded_by("import json, dataclasses")


def test_all_files_of_primitives_are_known_to_the_registry() -> None:
    code = """
import importlib, json, pkgutil
import chainrule
from chainrule import composites, primitives
from chainrule.graph.primitive import registered
known = {*registered()}
for part in (primitives, composites):
    for module in pkgutil.iter_modules(part.__path__):
        importlib.import_module(f"{part.__name__}.{module.name}")
print(json.dumps(sorted({*registered()} - known)))
"""
    assert run(code) == [], "declared_in() in __init__.py lists the files"


def test_a_family_that_several_threads_use_first_is_made_once() -> None:
    code = """
import json, sys, threading
sys.setswitchinterval(1e-6)
import chainrule as cr
names = [*cr.functions.__all__]
start, found = threading.Barrier(8), []
def use():
    start.wait()
    found.append([getattr(cr, n) for n in names] + [cr.Tensor.normal_, cr.grad])
threads = [threading.Thread(target=use) for _ in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
different = [n for n, *same in zip(names, *found) if len({*map(id, same)}) > 1]
print(json.dumps([len(found), different]))
"""
    assert run(code) == [8, []]


def test_an_interrupted_first_use_leaves_no_half_of_a_module() -> None:
    code = """
import json, signal, sys
import chainrule as cr
x, met = cr.tensor([3.0]), []
def at_the_end(frame, event, argument):
    file, line = frame.f_code.co_filename, frame.f_lineno
    if file.endswith("gamma.py") and line > 150 and not met:
        met.append(line)
        signal.raise_signal(signal.SIGINT)
    return at_the_end
sys.settrace(at_the_end)
try:
    cr.lgamma(x)
except KeyboardInterrupt:
    met.append("interrupted")
sys.settrace(None)
print(json.dumps([met[1:], round(cr.lgamma(x).item(), 3)]))
"""
    assert run(code) == [["interrupted"], 0.693]


def test_an_interrupted_first_use_of_a_module_that_needs_families() -> None:
    code = """
import json, signal, sys
import chainrule as cr
met = []
def behind_a_family(frame, event, argument):
    if "chainrule.nn.losses.divergence" in sys.modules and not met:
        met.append("divergence")
        signal.raise_signal(signal.SIGINT)
try:
    sys.settrace(behind_a_family)
    cr.nn
except KeyboardInterrupt:
    met.append("interrupted")
sys.settrace(None)
print(json.dumps([met[1:], "chainrule.nn" in sys.modules]))
"""
    assert run(code) == [["interrupted"], True]


def test_what_is_first_used_within_a_trace_is_no_part_of_it() -> None:
    code = """
import json, sys
import chainrule as cr
from chainrule.graph.emit import trace
from chainrule.graph.types import ArrayType, DType
from chainrule.tensor import wrap
assert "chainrule.random" not in sys.modules
graph = trace(lambda x: (wrap(x) + cr.rand(2)).softmax(0).value,
              [ArrayType((2,), DType.float32)])
key = cr.random.default_generator.key
print(json.dumps([str(graph.outputs[0].type), key.numpy().tolist()]))
"""
    assert run(code) == ["f32[2]", [0, 0]]


def test_the_root_imports_what_type_checkers_read_there() -> None:
    import chainrule

    tree = ast.parse((SOURCE / "chainrule" / "__init__.py").read_text(encoding="utf-8"))
    block = next(node for node in tree.body if isinstance(node, ast.If))
    read = {
        alias.name: str(node.module).removeprefix("chainrule.")
        for node in ast.walk(block)
        if isinstance(node, ast.ImportFrom) and node.module != "chainrule"
        for alias in node.names
        if alias.name != "*"
    }
    assert read == chainrule._MODULES
