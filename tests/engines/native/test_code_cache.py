"""Machine code on the disk: found again, and only where it is what it should be."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.composites.composite import Composite
from chainrule.engines import load_engine, native_problem
from chainrule.errors import ChainruleWarning
from chainrule.graph import primitive
from chainrule.graph.emit import trace
from chainrule.graph.primitive import Primitive, registered
from chainrule.graph.program import Entry, Program
from chainrule.graph.types import ArrayType, DType
from chainrule.primitives.elementwise import tanh

from ...conformance.cases import Example, examples, examples_of
from ...conformance.test_engines import joined, program_of

if native_problem():
    pytest.skip("needs llvmlite", allow_module_level=True)

from chainrule.engines.native.loops import kernels
from chainrule.engines.native.runtime import code_cache, identity, jit
from chainrule.engines.native.runtime.code_cache import CodeCache

posix = pytest.mark.skipif(os.name != "posix", reason="modes and owners are POSIX's")

#: Graphs of one program, so many at most.
TOGETHER = 50
#: Code that is forgotten and stays where it is.
ALIVE: list[Any] = []
#: Another process: what it computes, and how often LLVM had to compile for it.
SCRIPT = """
import hashlib, os, sys, warnings
import numpy as np
import chainrule as cr
from chainrule import nn, optim
from chainrule.engines.native.runtime import jit

def trained(dropout):
    cr.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 64), nn.BatchNorm1d(64),
                          nn.Dropout(dropout), nn.Linear(64, 3))
    trainer = cr.Trainer(model, loss=nn.CrossEntropyLoss(), engine="native", seed=0,
                         optimizer=optim.Adam(lr=1e-2), threads=int(sys.argv[1]))
    x = np.sin(np.arange(50 * 6, dtype=np.float32)).reshape(50, 6)
    y = np.arange(50) % 3
    trainer.fit((x, y), epochs=2, batch_size=16, progress=False)
    bits = b"".join(np.asarray(v).tobytes() for v in model.state_dict().values())
    return hashlib.sha256(bits + trainer.predict(x[:3]).tobytes()).hexdigest()

if "fork" in sys.argv:
    trained(0.5)
    warnings.simplefilter("ignore", DeprecationWarning)
    if child := os.fork():
        sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
print(trained(0.2), jit.compilations, flush=True)
os._exit(0)
"""


class Kept:
    """A cache of this test's own, and processes that start with nothing else."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.folder, self.patch = folder, patch
        patch.setenv("CHAINRULE_CACHE", str(folder))

    def anew(self) -> None:
        """Forget all code that this process has, as another one would not have it."""
        for place, name in (
            (jit, "_code"),
            (jit, "_packs"),
            (jit, "_pack_of"),
            (jit, "_entries"),
            (kernels, "_known"),
        ):
            held: dict[Any, Any] = {}
            self.patch.setattr(place, name, held)
            ALIVE.append(held)  # LLVM's linker knows the addresses

    def compiled(self, run: Callable[[], Any]) -> tuple[int, Any]:
        """How often LLVM compiles for what another process would run."""
        self.anew()
        before = jit.compilations
        made = run()
        return jit.compilations - before, made

    @property
    def files(self) -> list[Path]:
        return sorted(self.folder.glob("*.code"))


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Kept:
    return Kept(tmp_path / "kept", monkeypatch)


def started(*args: str, **env: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, *args],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | env,
    )


def ended(process: subprocess.Popen[str]) -> tuple[str, int]:
    """The digest of all numbers, and how often LLVM compiled."""
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    digest, count = out.split()
    return digest, int(count)


def line(x: Any, factor: float = 2.0) -> Any:
    return (x * factor + 1.0).sum()


def called(function: Callable[..., Any] = line, size: int = 3, **options: Any) -> Any:
    """What a new compiled function gives."""
    step = cr.compile(function, engine="native", **options)
    return step(cr.tensor(np.arange(size, dtype=np.float32))).item()


# -- other processes -------------------------------------------------------------------


def test_other_processes_compile_nothing_and_find_the_same_bits(kept: Kept) -> None:
    # Two that start at once, with nothing there, disturb neither each other.
    first = [ended(p) for p in [started("1"), started("2")]]
    assert all(count > 0 for _, count in first)
    again = ended(started("3"))
    assert again[1] == 0
    assert {digest for digest, _ in first} == {again[0]}
    names = os.listdir(kept.folder)
    assert all(code_cache._ENTRY.fullmatch(name) for name in names), names


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_forked_child_keeps_code_too(kept: Kept) -> None:
    digest, count = ended(started("1", "fork"))
    assert count > 0, "the child compiled what its parent had not"
    assert ended(started("1")) == (digest, 0)


# -- what is found ---------------------------------------------------------------------


def examples_with_elements(primitive: Primitive) -> list[Example]:
    return [e for e in examples_of(primitive, (DType.float32,)) if not e.empty]


@pytest.mark.parametrize("most", [1, pytest.param(None, marks=pytest.mark.slow)])
def test_every_primitive_is_found_with_the_same_bits(
    kept: Kept, rng: np.random.Generator, most: int | None
) -> None:
    """Whatever code refers to: tables, functions of the C library, other kernels.

    What that is differs between primitives; an example of each is enough. All of them
    are tested with the slow tests, and the composites, which are made of primitives.
    """
    chosen = [
        p for p in registered().values() if not most or not isinstance(p, Composite)
    ]
    found = [e for p in chosen for e in examples_with_elements(p)[:most]]
    for start in range(0, len(found), TOGETHER):
        some = found[start : start + TOGETHER]
        program = program_of(
            joined([trace(example.apply, example.types, name="x") for example in some])
        )
        arrays = [array for example in some for array in example.draw(rng)]
        inputs = dict(zip(program.entries["main"].inputs, arrays, strict=True))

        def outcome(program: Program = program, inputs: Any = inputs) -> list[bytes]:
            executable = load_engine("native", program, threads=1)
            made = executable.run("main", inputs, steps=1, sizes={})
            return [array.tobytes() for array in made]

        compiled, expected = kept.compiled(outcome)
        assert compiled > 0, "another program's was found"
        assert kept.compiled(outcome) == (0, expected)


def test_kernels_are_found_by_other_programs(kept: Kept) -> None:
    first, _ = kept.compiled(lambda: called(size=300))
    second, made = kept.compiled(lambda: called(size=301))
    assert first > second == 1, "the entry point alone is new"
    kept.patch.setenv("CHAINRULE_CACHE", "0")
    assert kept.compiled(lambda: called(size=301)) == (first, made)


def test_a_larger_n_is_another_entry_and_threads_are_not(kept: Kept) -> None:
    def both(threads: int) -> None:
        step = cr.compile(line, engine="native", threads=threads, shapes={"x": ("N",)})
        for size in (5, 3, 9):
            x = np.arange(size, dtype=np.float32)
            assert step(cr.tensor(x)).item() == line(x)

    for threads, expected in ((1, True), (2, False)):
        count, _ = kept.compiled(functools.partial(both, threads))
        assert bool(count) == expected


def test_conditions_are_found_with_their_messages(kept: Kept) -> None:
    def refused() -> str:
        loss = cr.nn.NLLLoss()
        step = cr.compile(lambda x, y: loss(x, y), engine="native")
        with pytest.raises(cr.errors.ArgumentError) as info:
            step(cr.tensor([[0.0, 1.0]]), cr.tensor([7]))
        return str(info.value)

    (first, told), (second, again) = (kept.compiled(refused) for _ in range(2))
    assert first > second == 0
    assert told == again


@pytest.mark.parametrize("other", ["host", "source", "cores"])
def test_what_code_depends_on_is_part_of_its_name(
    kept: Kept, other: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert kept.compiled(called)[0]
    assert not kept.compiled(called)[0]
    uncached = functools.cache(identity.environment.__wrapped__)
    monkeypatch.setattr(identity, "environment", uncached)
    monkeypatch.setattr("chainrule.engines.native.runtime.code.environment", uncached)
    if other == "host":
        target, cpu, features = jit.host()
        monkeypatch.setattr(identity, "host", lambda: (target, cpu, features + ",-x"))
    elif other == "source":
        monkeypatch.setattr(identity, "source_digest", lambda package: "another")
    else:
        monkeypatch.setattr(identity, "available_cores", lambda: 77)
    assert kept.compiled(called)[0]
    assert not kept.compiled(called)[0]


def test_every_file_of_the_source_counts(tmp_path: Path) -> None:
    for name in identity.SOURCES:
        place = tmp_path / name
        (place if place.suffix else place / "inner").parent.mkdir(exist_ok=True)
        file = place if place.suffix else place / "a.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("x = 1\n")

    def digest() -> str | None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(identity, "IMPORTED", time.time() + 60)
            return identity.source_digest(tmp_path)

    seen = {digest()}
    for i, file in enumerate(sorted(tmp_path.rglob("*.py"))):
        file.write_text(f"x = {i + 2}\n")
        seen.add(digest())
    assert None not in seen
    assert len(seen) == len(identity.SOURCES) + 1
    # What is written while a process runs is not what it runs.
    assert identity.source_digest(tmp_path) is None


def test_programs_have_one_name_exactly_if_they_read_the_same() -> None:
    texts: dict[Any, str] = {}
    names: dict[str, Any] = {}
    for example in examples():
        graph = trace(example.apply, example.types, name="it")
        name, text = repr(identity._graph(graph)), str(graph)
        assert texts.setdefault(name, text) == text
        assert names.setdefault(text, name) == name
    assert len(names) > 300


@pytest.mark.parametrize(
    ("one", "other"),
    [(1.0, 1), (0.0, -0.0), (True, 1), (0.1, np.nextafter(0.1, 1)), ((1,), (1, 1))],
)
def test_attributes_that_are_equal_and_not_the_same(one: Any, other: Any) -> None:
    assert repr(identity._item(one)) != repr(identity._item(other))


def test_the_order_and_the_names_of_state_count(kept: Kept) -> None:
    graph = trace(lambda a, b: a, [ArrayType((2,), DType.float32)] * 2, name="it")

    def name(**changes: Any) -> str | None:
        entry = Entry("e", graph, ("a",), (), ("b",), {}, 1)
        return identity.identity(Program({"e": replace(entry, **changes)}))

    found = {name(), name(each=("a",)), name(state=("c",)), name(name="f")}
    assert len(found) == 4
    assert None not in found


def test_the_primitive_of_somebody_else_is_compiled_each_time(kept: Kept) -> None:
    """Its name does not tell what it does, whatever that is like."""
    theirs = type(tanh)(name="somebody_elses_tanh", rule=tanh.rule)
    del primitive._registry[theirs.name]  # for the other tests
    graph = trace(lambda a: theirs(tanh(a)), [ArrayType((2,), DType.float32)], name="x")
    entry = Entry("e", graph, ("a",), (), (), {}, 1)
    assert identity.identity(Program({"e": entry})) is None
    ours = entry.with_graph(trace(tanh, [ArrayType((2,), DType.float32)], name="x"))
    assert identity.identity(Program({"e": ours})) is not None


# -- what is there and not right -------------------------------------------------------


def truncate(content: bytes) -> bytes:
    return content[: len(content) // 2]


def flip(content: bytes) -> bytes:
    at = len(content) - 3
    return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]


@pytest.mark.one_in(2)
@pytest.mark.parametrize(
    "damage", [truncate, flip, lambda content: b"", lambda content: b"\0" * 99]
)
def test_damaged_entries_are_ignored_and_replaced(
    kept: Kept, damage: Callable[[bytes], bytes]
) -> None:
    count, value = kept.compiled(called)
    for file in kept.files:
        good = file.read_bytes()
        file.write_bytes(damage(good))
        again, same = kept.compiled(called)
        assert same == value
        if again:
            assert file.read_bytes() == good
        file.write_bytes(good)  # of what was not needed: one at a time is damaged
    for file in kept.files:
        file.write_bytes(damage(file.read_bytes()))
    assert kept.compiled(called) == (count, value)
    assert kept.compiled(called) == (0, value)


def test_entries_of_another_name_are_ignored(kept: Kept) -> None:
    kept.compiled(called)
    kept.compiled(lambda: called(size=77))
    contents = [file.read_bytes() for file in kept.files]
    for file, content in zip(kept.files, contents[1:] + contents[:1]):
        file.write_bytes(content)
    assert kept.compiled(called)[0]


def test_something_else_than_a_file_is_ignored(kept: Kept, tmp_path: Path) -> None:
    count, value = kept.compiled(called)
    outside = tmp_path / "outside"
    for i, file in enumerate(kept.files):
        content = file.read_bytes()
        file.unlink()
        if i % 2 and os.name == "posix":
            outside.write_bytes(content)
            file.symlink_to(outside)
        else:
            file.mkdir()
    assert kept.compiled(called) == (count, value)


# -- folders that will not do ----------------------------------------------------------


@posix
@pytest.mark.parametrize("mode", [0o777, 0o770, 0o702])
def test_a_folder_that_others_may_write_to(kept: Kept, mode: int) -> None:
    _, value = kept.compiled(called)
    names = os.listdir(kept.folder)
    kept.folder.chmod(mode)
    code_cache._warn_of.cache_clear()
    with pytest.warns(ChainruleWarning, match=f"mode {mode:03o}.*\n.*chmod 700"):
        count, same = kept.compiled(called)
    assert count
    assert same == value
    assert kept.compiled(lambda: called(size=1234))[0], "and it is said once"
    assert os.listdir(kept.folder) == names


@posix
def test_a_folder_or_a_file_of_another_user(
    kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept.compiled(called)
    whose = os.geteuid()
    code_cache._warn_of.cache_clear()
    with monkeypatch.context() as patch:
        patch.setattr(os, "geteuid", lambda: whose + 1)
        with pytest.warns(ChainruleWarning, match=f"belongs to user {whose}"):
            assert kept.compiled(called)[0]
    assert not kept.compiled(called)[0]
    for file in kept.files:
        file.chmod(0o620)
    assert kept.compiled(called)[0], "files that others may write to"


@posix
def test_a_path_that_is_no_folder(kept: Kept) -> None:
    kept.folder.write_bytes(b"mine")
    code_cache._warn_of.cache_clear()
    with pytest.warns(ChainruleWarning, match="no folder"):
        assert kept.compiled(called)[0]
    assert kept.folder.read_bytes() == b"mine"


def test_a_folder_that_can_only_be_read(
    kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept.compiled(called)
    names = os.listdir(kept.folder)
    real = os.open

    def read_only(path: Any, flags: int, *args: Any, **options: Any) -> int:
        if flags & os.O_CREAT:
            raise PermissionError(13, "Permission denied")
        return real(path, flags, *args, **options)

    def refuse(*args: Any, **options: Any) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", read_only)
    monkeypatch.setattr(os, "utime", refuse)
    assert kept.compiled(called)[0] == 0
    assert kept.compiled(lambda: called(size=321))[0] > 0
    assert os.listdir(kept.folder) == names


def test_a_folder_that_cannot_be_made(
    kept: Kept, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("CHAINRULE_CACHE", str(tmp_path / "file" / "below"))
    assert kept.compiled(called)[0] > 0


@pytest.mark.parametrize("given", ["0", "", "relative"])
def test_the_variable(
    given: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("CHAINRULE_CACHE", given)
    monkeypatch.chdir(tmp_path)
    code_cache._at.cache_clear()
    found = code_cache.code_cache()
    if given == "0":
        assert found is None
        return
    assert found is not None
    assert found.folder.is_absolute()
    assert ("chainrule" in found.folder.parts) == (not given)
    code_cache._at.cache_clear()
    assert not list(tmp_path.iterdir()), "made when something is kept"


# -- how much is kept ------------------------------------------------------------------


def name(i: int) -> str:
    return f"{i:064x}"


def test_what_was_used_least_recently_goes(tmp_path: Path) -> None:
    """And no file that is not the cache's."""
    cache = CodeCache(tmp_path / "kept", at_most=10 * 8192)
    size = 8192 - 32
    for i in range(10):
        cache.put(name(i), bytes([i]) * size)
        os.utime(cache.folder / f"{name(i)}.code", (1000 + i, 1000 + i))
    (cache.folder / "thesis.txt").write_text("mine")
    left = cache.folder / f".{name(3)}.code.{'0' * 16}"
    left.write_bytes(b"half")
    os.utime(left, (1000, 1000))
    assert len(cache.entries()) == 10
    assert cache.get(name(0)) == bytes(size), "used just now"
    CodeCache(cache.folder, at_most=cache.at_most).put(name(10), b"x" * size)
    here = {i for i in range(11) if cache.get(name(i)) is not None}
    assert here == {0, *range(5, 11)}, "down to three quarters"
    assert not left.exists()
    assert cache.clear() == len(here)
    assert os.listdir(cache.folder) == ["thesis.txt"]


def test_the_command(kept: Kept, capsys: pytest.CaptureFixture[str]) -> None:
    from chainrule import cli

    kept.compiled(called)
    count = len(kept.files)
    for args, entries, removed in (([], count, 0), (["--clear"], 0, count)):
        assert cli.run(["cache", "--json", *args]) == 0
        found = json.loads(capsys.readouterr().out)
        assert found["folder"] == str(kept.folder)
        assert (found["entries"], found["removed"]) == (entries, removed)
    assert cli.run(["cache"]) == 0
    assert "0 entries" in capsys.readouterr().out
