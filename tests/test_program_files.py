"""``cr.compile(model).save`` and ``cr.load_program``: what a file keeps and refuses."""

from __future__ import annotations

import concurrent.futures
import copy
import io
import json
import multiprocessing
import pickle
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn
from chainrule.compilation.portable.file import KEY
from chainrule.compilation.portable.function import portable
from chainrule.compilation.portable.loaded import LoadedProgram
from chainrule.engines.threads import process
from chainrule.errors import (
    ArgumentError,
    CallError,
    CheckpointError,
    DTypeError,
    ShapeError,
)
from chainrule.interop.serialization import digest
from chainrule.util.pytree import leaves
from tests.ways import ENGINES


def network() -> nn.Module:
    cr.manual_seed(0)
    layers = nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.5)
    return nn.Sequential(*layers, nn.Linear(8, 3))


def rows(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


def file_of(
    function: Any, inputs: Any = None, *, shapes: Any = None, **how: Any
) -> io.BytesIO:
    file = io.BytesIO()
    cr.compile(function, shapes=shapes).save(file, inputs, **how)
    file.seek(0)
    return file


def altered(file: io.BytesIO, change: Callable[[dict[str, Any]], Any]) -> io.BytesIO:
    """A file whose JSON says something else, signed anew."""
    from safetensors import numpy as safetensors

    content = file.getvalue()
    size = int.from_bytes(content[:8], "little")
    document = json.loads(json.loads(content[8 : 8 + size])["__metadata__"][KEY])
    change(document)
    arrays = safetensors.load(content)
    text = json.dumps(document)
    return io.BytesIO(
        safetensors.save(arrays, {KEY: text, "sha256": digest(text, arrays)})
    )


# -- what is kept ----------------------------------------------------------------------


@pytest.mark.parametrize("engine", ENGINES)
def test_a_model_in_training_is_saved_as_it_predicts(engine: Any) -> None:
    model = network()
    model(cr.tensor(rows(50, 4)))  # its running statistics are others than at first
    file = file_of(model, rows(2, 4), shapes={"x": ("N", 4)})
    assert model.training
    program = cr.load_program(file, engine=engine)
    assert str(program) == "<program Sequential(x: f32[N,4]) → output: f32[N,3]>"
    model.eval()
    for n in (1, 7, 300):
        x = rows(n, 4)
        wanted = cr.compile(model, engine=engine)(x).numpy()
        np.testing.assert_array_equal(program(x), wanted)


def test_a_file_needs_none_of_the_python(tmp_path: Path) -> None:
    x = rows(5, 4)
    model = network().eval()
    path = tmp_path / "model.safetensors"
    saved = cr.compile(model).save(path, x)
    assert "input   x: f32[5,4]" in str(saved)
    np.save(tmp_path / "x.npy", x)
    code = (
        "import sys, numpy as np, chainrule as cr;"
        "program = cr.load_program('model.safetensors');"
        "np.save('y.npy', program(np.load('x.npy')));"
        "print([m for m in sys.modules if m.startswith('chainrule.nn')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.stdout == "[]\n", done.stderr
    wanted = cr.compile(model)(x).numpy()
    np.testing.assert_array_equal(np.load(tmp_path / "y.npy"), wanted)


def test_the_last_call_is_the_example_and_sizes_that_varied_have_names() -> None:
    step = cr.compile(lambda x, scale: {"twice": [x * scale, (x.sum(),)]})
    file = io.BytesIO()
    with pytest.raises(ArgumentError, match="not been called"):
        step.save(file)
    for n in (2, 3):
        step(cr.ones(n, 4), cr.tensor(2.0))
    saved = step.save(file, metadata={"unit": "m", "classes": ["a", "b"]})
    assert saved.inputs == {"x": "f32[N,4]", "scale": "f32[]"}
    assert [*saved.outputs] == ["twice.0", "twice.1.0"]
    file.seek(0)
    program = cr.load_program(file)
    assert program.metadata["classes"] == ["a", "b"]
    result = program(scale=3.0, x=np.ones((5, 4), np.float32))
    assert result["twice"][0].tolist() == [[3.0] * 4] * 5
    assert result["twice"][1][0] == 20.0
    tensors = program({"x": cr.ones(1, 4), "scale": 1})
    assert isinstance(tensors["twice"][0], cr.Tensor)


def test_the_last_call_is_one_of_a_kind_that_was_there() -> None:
    step = cr.compile(lambda x, times: x * times)
    for n, times in ((2, 3), (3, 3), (2, 4), (2, 3)):
        step(cr.ones(n), times)
    file = io.BytesIO()
    saved = step.save(file)
    assert saved.inputs == {"x": "f32[N]"}
    file.seek(0)
    assert cr.load_program(file)(np.ones(5, np.float32)).tolist() == [3.0] * 5


def test_loops_branches_and_integers() -> None:
    def run(x: cr.Tensor, n: cr.Tensor) -> cr.Tensor:
        total, __ = cr.scan(lambda c, row: (c + row, c), x[0] * 0, x)
        return cr.cond(n > 2, lambda: total, lambda: -total)

    file = file_of(run, (rows(3, 2), np.int64(1)), shapes={"x": ("T", 2)})
    program = cr.load_program(file)
    x = rows(6, 2)
    for n in (1, 5):
        wanted = run(cr.tensor(x), cr.tensor(n)).numpy()
        np.testing.assert_allclose(program(x, n), wanted, rtol=1e-6)


def test_a_function_whose_modules_are_in_training() -> None:
    model = network()
    file = file_of(lambda x: model(x).softmax(-1), rows(2, 4))
    assert model.training
    wanted = cr.compile(lambda x: model.eval()(x).softmax(-1))(rows(2, 4)).numpy()
    np.testing.assert_array_equal(cr.load_program(file)(rows(2, 4)), wanted)


class Tenfold(nn.Module):
    """Ten times as much in training."""

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        return x * 10 if self.training else x * 1


def test_modules_whose_forward_is_called_by_itself_predict_too() -> None:
    model = Tenfold()
    functions: list[Any] = [model.forward, lambda x: model.forward(x)]
    for function in functions:
        program = cr.load_program(file_of(function, rows(2, 4)))
        np.testing.assert_array_equal(program(rows(2, 4)), rows(2, 4))
        assert model.training


def test_names_of_sizes_are_those_of_arguments() -> None:
    def scaled(x: cr.Tensor, mask: cr.Tensor | None = None) -> cr.Tensor:
        return x if mask is None else x * mask

    shapes = {"x": ("N", 4), "mask": ("N", 4)}
    program = cr.load_program(file_of(scaled, rows(2, 4), shapes=shapes))
    assert str(program.inputs["x"]) == "f32[N,4]"
    with pytest.raises(ArgumentError, match="no argument 'y'") as raised:
        file_of(scaled, rows(2, 4), shapes={"y": ("N", 4)})
    assert raised.value.expected == "x, mask"


# -- what is not -----------------------------------------------------------------------


def test_what_python_computes_once_is_refused() -> None:
    count = [0]

    def counted(x: cr.Tensor) -> cr.Tensor:
        count[0] += 1
        return x * count[0]

    with pytest.raises(ArgumentError, match="changes 'count'"):
        file_of(counted, rows(2, 4))
    with pytest.raises(ArgumentError, match="draws from"):
        file_of(lambda x: x * random.random(), rows(2, 4))


def behind(x: cr.Tensor) -> cr.Tensor:
    return (x * 2 if x.shape[0] == 70 else x) if x.shape[0] > 50 else x


def numbered(x: cr.Tensor) -> cr.Tensor:
    return x * ((x.shape[0] - 41) // 10) if x.shape[0] > 50 else x  # 1 up to 60


def compared_with_a_fraction(x: cr.Tensor) -> cr.Tensor:
    return x * 2 if x.shape[0] == 50.0 else x


@pytest.mark.parametrize("function", [behind, numbered, compared_with_a_fraction])
def test_sizes_that_are_compared_behind_a_comparison(function: Any) -> None:
    with pytest.raises(ShapeError, match="something else"):
        file_of(function, rows(2), shapes={"x": ("N",)})


@pytest.mark.parametrize("size", ["a", -1, 2.5])
def test_sizes_to_prepare_for(size: Any) -> None:
    program = cr.load_program(file_of(nn.ReLU(), rows(2), shapes={"x": ("N",)}))
    with pytest.raises(ArgumentError, match="N must be"):
        program.prepare(N=size)


def test_state_that_changes_is_refused() -> None:
    for model in (nn.Dropout(0.5), nn.BatchNorm1d(4), lambda x: x + cr.randn(2, 4)):
        with pytest.raises(ArgumentError, match="changes tensors") as raised:
            file_of(model, rows(2, 4), training=True)
        assert "return them" in str(raised.value)


@pytest.mark.parametrize(
    ("call", "kind", "words"),
    [
        (lambda p, x: p(), CallError, "x: f32[N,4]"),
        (lambda p, x: p(x, x), CallError, "one more"),
        (lambda p, x: p(y=x), CallError, "other inputs"),
        (lambda p, x: p(x, x=x), CallError, "one more"),
        (lambda p, x: p(x[:, :3]), ShapeError, "(2, 3)"),
        (lambda p, x: p(x[0]), ShapeError, "(4,)"),
        (lambda p, x: p(x.astype(complex)), DTypeError, "complex128"),
        (lambda p, x: p([["a"] * 4]), DTypeError, "<U1"),
    ],
)
def test_calls_that_do_not_fit(call: Any, kind: Any, words: str) -> None:
    program = cr.load_program(file_of(network(), rows(1, 4), shapes={"x": ("N", 4)}))
    with pytest.raises(kind) as raised:
        call(program, rows(2, 4))
    assert words in str(raised.value)


def test_integers_keep_their_numbers_or_are_refused() -> None:
    table = cr.arange(10)
    program = cr.load_program(file_of(lambda i: table[i], np.array([1], np.int32)))
    assert program(np.array([7])).tolist() == [7]
    for wrong in (np.array([1 << 40]), np.array([1.0]), np.array([True], object)):
        with pytest.raises(DTypeError):
            program(wrong)
    with pytest.raises(ArgumentError, match="out of range"):
        program(np.array([10], np.int32))


def change(key: str, value: Any) -> Callable[[dict[str, Any]], Any]:
    return lambda document: document.update({key: value})


CYCLE = """graph main(%x: f32[2], %w: f32[2]) {
  %1: f32[2] = add(%2, %w)
  %2: f32[2] = add(%1, %x)
  return %2
}"""
ITSELF = """graph main(%x: f32[2], %w: f32[2], %s: f32[3,2]) {
  %1: f32[2], %2: f32[3,2] = scan(%w, %x, %s) {body=@main, length=3, constants=1, \
carries=1, reverse=false}
  return %1
}"""


@pytest.mark.parametrize(
    ("what", "words"),
    [
        (change("version", 2), "version 1"),
        (change("graph", CYCLE), "not defined before"),
        (change("graph", ITSELF), "contains itself"),
        (change("graph", "graph m(%x: f32[2]) {\n return %x\n}"), "of 1 input"),
        (
            change(
                "graph",
                "graph m(%x: f32[2], %w: f32[2]) {\n %1: f32[2] = "
                "os.system(%x)\n return %1\n}",
            ),
            "No primitive is called 'os.system'",
        ),
        (
            change(
                "graph",
                "graph m(%x: f32[2], %w: f32[3]) {\n %1: f32[2] = add(%x, %x)\n"
                " return %1\n}",
            ),
            "which is f32[3] in the graph",
        ),
        (
            change(
                "graph",
                "graph m(%x: f32[2], %w: f32[2]) {\n %1: f32[3] = add(%x, %w)\n"
                " return %1\n}",
            ),
            "declared types",
        ),
        (
            change(
                "graph",
                "graph m(%x: f32[N*T], %w: f32[2]) {\n return %x\n}",
            ),
            "a size N that no input has",
        ),
        (change("structure", ["tuple", [0, 1]]), "its nest does not have"),
        (change("structure", ["set", [0]]), "outputs in a 'set'"),
        (change("structure", "x"), "damaged"),
        (change("inputs", ["x", "x"]), "two inputs"),
        (change("weights", []), "of 2 inputs"),
        (change("codes", {"x": {"codes": {"a": 0}, "other": 1}}), "texts as f32[2]"),
        (change("codes", {"y": {"codes": {}, "other": 1}}), "damaged"),
        (change("codes", 5), "codes that are no dictionary"),
        (change("codes", {"x": {"codes": 5, "other": 1}}), "codes that are no"),
        (change("metadata", []), "metadata"),
        (lambda document: document.pop("graph"), "'graph'"),
    ],
)
def test_crafted_files(what: Any, words: str) -> None:
    weight = cr.tensor([1.0, 2.0])
    file = file_of(lambda x: x + weight, cr.ones(2))
    assert cr.load_program(altered(file, lambda d: None))([1, 1]).tolist() == [2, 3]
    with pytest.raises(CheckpointError) as raised:
        cr.load_program(altered(file, what))
    assert words in str(raised.value)


def test_files_of_other_kinds(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    with pytest.raises(CheckpointError, match="No such file"):
        cr.load_program(path)
    cr.save({"a": cr.ones(2)}, path)
    with pytest.raises(CheckpointError, match="weights without a graph"):
        cr.load_program(path)
    path.write_bytes(b"\x80\x04cos\nsystem\n")
    with pytest.raises(CheckpointError, match="a pickle"):
        cr.load_program(path)
    content = file_of(network(), rows(1, 4)).getvalue()
    for cut in (0, 7, 100, len(content) - 1):
        path.write_bytes(content[:cut])
        with pytest.raises(CheckpointError):
            cr.load_program(path)
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(CheckpointError, match="SHA-256"):
        cr.load_program(path)
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"cr\.load_program"):
        cr.load(path)


COPIES: dict[str, Callable[[Any], Any]] = {
    "pickle": lambda p: pickle.loads(pickle.dumps(p)),
    "the first protocol": lambda p: pickle.loads(pickle.dumps(p, 0)),
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
}


@pytest.mark.parametrize("way", COPIES)
def test_copies_and_pickles(engine: Any, way: str) -> None:
    """A program that was called, with codes of texts and a nest of outputs."""

    def function(x: cr.Tensor, k: cr.Tensor) -> Any:
        return {"sum": x + weight, "parts": (x * 2, [k.astype("float32") @ weight])}

    weight = cr.ones(3)
    made = portable(
        function,
        {"x": rows(2, 3), "k": np.zeros((2, 3), np.int64)},
        "N",
        None,
        {"unit": "cm"},
        {"k": ({"a": 1, "b": 2}, -1)},
    )
    program = LoadedProgram(made, engine=engine, threads=2)
    texts = np.array([["a", "b", "c"]] * 5, object)
    wanted = program(rows(5, 3), texts)
    again = COPIES[way](program)
    assert again is not program
    assert (again.metadata, again.codes) == (program.metadata, program.codes)
    assert (repr(again), again.engine) == (repr(program), program.engine)
    found = again(rows(5, 3), texts)
    assert found.keys() == wanted.keys()
    assert [type(p) for p in (found["parts"], found["parts"][1])] == [tuple, list]
    for a, b in zip(leaves(found, "y").values(), leaves(wanted, "y").values()):
        np.testing.assert_array_equal(a, b)
    with pytest.raises(ShapeError):
        again(rows(5, 4), texts)
    again.prepare(N=8)


def test_a_pickled_program_in_another_process(tmp_path: Path) -> None:
    program = cr.load_program(file_of(network(), rows(1, 4), shapes={"x": ("N", 4)}))
    with concurrent.futures.ProcessPoolExecutor(
        1, multiprocessing.get_context("spawn")
    ) as pool:
        found = pool.submit(program, rows(3, 4)).result(120)
    np.testing.assert_array_equal(found, program(rows(3, 4)))


def test_opening_computes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A graph that would fill the memory is opened in no time, and not run."""
    file = altered(
        file_of(lambda x: x + 1, cr.ones(2)),
        lambda d: (
            d.update(
                graph="graph m(%x: f32[2], %1: f32[]) {\n %2: f32[1099511627776] = "
                "broadcast_to(%1) {shape=(1099511627776,)}\n return %2\n}"
            )
            if d["weights"]
            else d.update(
                graph="graph m(%x: f32[2]) {\n %1: f32[] = constant() {value=(1.0,), "
                "shape=(), dtype=f32}\n %2: f32[1099511627776] = broadcast_to(%1) "
                "{shape=(1099511627776,)}\n return %2\n}"
            )
        ),
    )
    started = time.process_time()
    assert "1099511627776" in str(cr.load_program(file))
    assert time.process_time() - started < 5


# -- threads ---------------------------------------------------------------------------


@pytest.mark.parametrize("engine", ENGINES)
def test_threads_give_what_one_gives(engine: Any) -> None:
    file = file_of(network(), rows(1, 4), shapes={"x": ("N", 4)})
    program = cr.load_program(file, engine=engine)
    inputs = [rows(n % 5 + 1, 4) * (n + 1) for n in range(40)]
    wanted = [program(x) for x in inputs]
    wrong: list[int] = []
    start = threading.Barrier(4)

    def use() -> None:
        start.wait()
        for __ in range(5):
            for i, x in enumerate(inputs):
                if not np.array_equal(program(x), wanted[i]):
                    wrong.append(i)

    threads = [threading.Thread(target=use) for __ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert len(program._idle) <= (4 if engine == "native" else 1)


def test_code_is_looked_up_under_the_lock_of_the_process(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A child that is forked meanwhile would wait for LLVM's lock for ever."""
    pytest.importorskip("llvmlite")
    from chainrule.engines.native.runtime.jit import MachineCode

    held, address = list[bool](), MachineCode.address

    def watched(self: MachineCode, name: str) -> int:
        held.append(not free_for_others())
        return address(self, name)

    monkeypatch.setattr(MachineCode, "address", watched)
    cr.load_program(file_of(nn.ReLU(), rows(2)), engine="native")(rows(2))
    assert held
    assert all(held)


def free_for_others() -> bool:
    """Whether another thread can take the lock under which programs run."""
    got: list[bool] = []

    def take() -> None:
        got.append(process.lock.acquire(blocking=False))
        if got[0]:
            process.lock.release()

    thread = threading.Thread(target=take)
    thread.start()
    thread.join()
    return got[0]


def test_no_compiled_function_runs_while_modules_are_in_another_mode() -> None:
    class Alone(Tenfold):
        def forward(self, x: cr.Tensor) -> cr.Tensor:
            assert not free_for_others()
            return super().forward(x)

    cr.load_program(file_of(Alone(), rows(2)))


def runs_beside(call: Callable[[], Any]) -> bool:
    """Whether another thread's Python runs before a call is over."""
    go, met = threading.Event(), list[bool]()

    def other() -> None:
        go.wait()
        met.append(True)

    thread = threading.Thread(target=other)
    interval = sys.getswitchinterval()
    thread.start()
    try:
        sys.setswitchinterval(60.0)  # who has the interpreter gives it up by itself
        go.set()
        call()
        return bool(met)
    finally:
        sys.setswitchinterval(interval)
        thread.join()


def test_other_threads_go_on_while_a_program_runs() -> None:
    pytest.importorskip("llvmlite")
    program = cr.load_program(file_of(lambda x: x @ x, cr.zeros(1200, 1200)))
    x = rows(1200, 1200)
    program(x)
    assert runs_beside(lambda: program(x))
    assert not runs_beside(lambda: sum(range(100_000)))
