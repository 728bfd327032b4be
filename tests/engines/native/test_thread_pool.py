"""The thread pool, barriers, flushing of denormals, in Python and in native code."""

import ctypes
import ctypes.util
import itertools
import os
import platform
import signal
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import numpy as np
import pytest
from llvmlite import binding, ir

import chainrule as cr
from chainrule.engines.native.runtime.thread_pool import (
    BARRIER_BYTES,
    WORKER,
    ThreadPool,
    emit_barrier,
    emit_flush_denormals,
    emit_restore_denormals,
    emit_ticks,
    thread_pool,
)
from chainrule.errors import ArgumentError, EngineError

I32, VOID, POINTER = ir.IntType(32), ir.VoidType(), ir.IntType(8).as_pointer()
X86 = platform.machine() in ("x86_64", "AMD64")
ARM = platform.machine() in ("aarch64", "arm64")
binding.initialize_native_target()
binding.initialize_native_asmprinter()
_engines: list[object] = []  # code lives as long as its engine


def new_module() -> ir.Module:
    module = ir.Module()
    module.triple = binding.get_default_triple()
    return module


def worker(module: ir.Module, name: str) -> tuple[ir.IRBuilder, list[ir.Value]]:
    """Begin a function of type WORKER."""
    signature = ir.FunctionType(VOID, [POINTER, I32, I32])
    function = ir.Function(module, signature, name)
    return ir.IRBuilder(function.append_basic_block()), function.args


def link(module: ir.Module, *names: str) -> list[Callable[[int, int, int], object]]:
    """Compile a module and take its functions."""
    machine = binding.Target.from_default_triple().create_target_machine(
        opt=3, jit=True
    )
    parsed = binding.parse_assembly(str(module))
    parsed.verify()
    passes = binding.create_pass_builder(
        machine, binding.PipelineTuningOptions(speed_level=3)
    )
    passes.getModulePassManager().run(parsed, passes)
    engine = binding.create_mcjit_compiler(parsed, machine)
    engine.finalize_object()
    _engines.append(engine)
    return [WORKER(engine.get_function_address(name)) for name in names]


# --- Barriers -------------------------------------------------------------------------

LINE = 16
"""int32s in a cache line."""
PHASES_AT, ERRORS_AT, SLOTS_AT = BARRIER_BYTES // 4, BARRIER_BYTES // 4 + LINE, 64


def emit_phases(module: ir.Module, barrier: ir.Function) -> None:
    """phases: raise my slot, meet, count the slots that are not raised, meet.

    The slots are plain memory, so the barrier must order them as well.
    """
    b, (state, tid, threads) = worker(module, "phases")

    def word(index: ir.Value) -> ir.Value:
        return b.bitcast(b.gep(state, [b.mul(index, I32(4))]), I32.as_pointer())

    def slot(index: ir.Value) -> ir.Value:
        return word(b.add(I32(SLOTS_AT), b.mul(index, I32(LINE))))

    phases, mine = b.load(word(I32(PHASES_AT))), slot(tid)
    errors_at = b.gep(word(I32(ERRORS_AT)), [tid])
    entry = b.block
    phase_block, check, after, end = (b.append_basic_block() for _ in range(4))
    b.branch(phase_block)

    b.position_at_end(phase_block)
    phase = b.phi(I32)
    following = b.add(phase, I32(1))
    b.store(following, mine)
    b.call(barrier, [state, threads])
    b.branch(check)

    b.position_at_end(check)
    other = b.phi(I32)
    late = b.icmp_signed("!=", b.load(slot(other)), following)
    b.store(b.add(b.load(errors_at), b.zext(late, I32)), errors_at)
    next_other = b.add(other, I32(1))
    b.cbranch(b.icmp_signed("<", next_other, threads), check, after)
    other.add_incoming(I32(0), phase_block)
    other.add_incoming(next_other, check)

    b.position_at_end(after)
    b.call(barrier, [state, threads])
    b.cbranch(b.icmp_signed("<", following, phases), phase_block, end)
    phase.add_incoming(I32(0), entry)
    phase.add_incoming(following, after)
    b.position_at_end(end)
    b.ret_void()


@pytest.fixture(scope="module")
def phases() -> Callable[[int, int, int], object]:
    module = new_module()
    emit_phases(module, emit_barrier(module))
    assert emit_barrier(module) is emit_barrier(module), "one a module"
    return link(module, "phases")[0]


class State:
    """The memory that the function works on."""

    def __init__(self, phases: int) -> None:
        self.words = np.zeros(256, np.int32)
        self.words[PHASES_AT] = phases
        self.address = self.words.ctypes.data

    def check(self, threads: int) -> None:
        slots = self.words[SLOTS_AT : SLOTS_AT + LINE * threads : LINE]
        assert (slots == self.words[PHASES_AT]).all()
        assert not self.words[ERRORS_AT : ERRORS_AT + threads].any()
        assert self.words[0] == 0, "the counter is back at 0"


#: More threads than cores take turns at every barrier, so they meet less often.
MEETINGS = [(1, 10_000), (2, 10_000), (3, 300), (4, 300)]


@pytest.mark.parametrize(("threads", "meetings"), MEETINGS)
def test_nobody_passes_a_barrier_before_all_have_come(
    phases: Callable[[int, int, int], object], threads: int, meetings: int
) -> None:
    state = State(meetings)
    thread_pool(threads).run(phases, state.address)
    state.check(threads)
    thread_pool(threads).run(phases, state.address)  # the same state serves again
    state.check(threads)


def test_the_test_notices_a_missing_barrier() -> None:
    module = new_module()
    signature = ir.FunctionType(VOID, [POINTER, I32])
    nothing = ir.Function(module, signature, "nothing")
    nothing.attributes.add("noinline")
    ir.IRBuilder(nothing.append_basic_block()).ret_void()
    emit_phases(module, nothing)
    state = State(10_000)
    thread_pool(2).run(link(module, "phases")[0], state.address)
    assert state.words[ERRORS_AT : ERRORS_AT + 2].any()


# --- The pool -------------------------------------------------------------------------


@pytest.mark.parametrize("threads", [1, 2, 3, 5, 8])
def test_every_thread_is_called_once(threads: int) -> None:
    calls: list[tuple[int, int, int]] = []
    idents: list[int] = []

    def function(argument: int, tid: int, threads: int) -> None:
        calls.append((argument, tid, threads))
        idents.append(threading.get_ident())
        if tid == 0:
            assert threading.get_ident() == me

    me = threading.get_ident()
    for _ in range(20):
        calls.clear()
        idents.clear()
        thread_pool(threads).run(function, 42)
        assert sorted(calls) == [(42, tid, threads) for tid in range(threads)]
        assert len(set(idents)) == threads


def test_pools_share_their_threads() -> None:
    def nothing(*_: int) -> None:
        pass

    for threads in 3, 2, 4, 4, 2:
        thread_pool(threads).run(nothing, 0)
        ThreadPool(threads).run(nothing, 0)
    workers = [t.name for t in threading.enumerate() if t.name.startswith("chainrule-")]
    assert len(workers) == len(set(workers)) >= 3
    assert all(
        t.daemon for t in threading.enumerate() if t.name.startswith("chainrule-")
    )


def test_a_pool_needs_a_thread() -> None:
    with pytest.raises(ArgumentError, match=r"(?s)1 or more.*0.*threads=1"):
        thread_pool(0)


def test_two_user_threads_take_turns() -> None:
    inside: list[int] = []
    order: list[int] = []
    mixed: list[list[int]] = []

    def function(user: int, tid: int, threads: int) -> None:
        inside.append(user)
        time.sleep(0.002)
        if len(set(inside)) != 1:
            mixed.append(list(inside))
        inside.remove(user)
        if tid == 0:
            order.append(user)

    def use(user: int, threads: int) -> None:
        start.wait()
        for _ in range(25):
            thread_pool(threads).run(function, user)

    start = threading.Barrier(2)
    users = [threading.Thread(target=use, args=(n, n + 1)) for n in (1, 2)]
    for user in users:
        user.start()
    for user in users:
        user.join()
    assert not mixed
    assert sorted(order) == [1] * 25 + [2] * 25
    changes = sum(a != b for a, b in itertools.pairwise(order))
    assert changes > 30, f"one user kept the thread pool: {order}"


def test_native_code_of_two_users(phases: Callable[[int, int, int], object]) -> None:
    states = [State(300) for _ in range(2)]

    def use(state: State, threads: int) -> None:
        for _ in range(5):
            thread_pool(threads).run(phases, state.address)

    users = [
        threading.Thread(target=use, args=(state, threads))
        for state, threads in zip(states, (2, 3))
    ]
    for user in users:
        user.start()
    for user in users:
        user.join()
    states[0].check(2)
    states[1].check(3)


def test_a_chunk_inside_a_chunk_is_refused() -> None:
    def inner(*_: int) -> None:
        pass

    def outer(argument: int, tid: int, threads: int) -> None:
        if tid == 0:
            thread_pool(2).run(inner, 0)

    with pytest.raises(EngineError, match=r"(?s)inside another one.*after the first"):
        thread_pool(2).run(outer, 0)
    thread_pool(2).run(inner, 0)


@pytest.mark.parametrize("failing", [0, 1, 2])
def test_an_error_is_raised_after_all_have_ended(failing: int) -> None:
    ended: list[int] = []

    def function(argument: int, tid: int, threads: int) -> None:
        if tid == failing:
            raise ctypes.ArgumentError("as ctypes does")
        time.sleep(0.02)
        ended.append(tid)

    with pytest.raises(ctypes.ArgumentError, match="as ctypes does"):
        thread_pool(3).run(function, 0)
    assert sorted(ended) == sorted({0, 1, 2} - {failing})


@pytest.mark.skipif(sys.platform == "win32", reason="sends itself a signal")
def test_an_interrupt_waits_for_the_workers() -> None:
    ended: list[int] = []

    def function(argument: int, tid: int, threads: int) -> None:
        if tid == 1:
            time.sleep(0.05)  # now tid 0 waits
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
            time.sleep(0.05)
            ended.append(tid)

    if threading.current_thread() is not threading.main_thread():
        pytest.skip("signals go to the main thread")
    with pytest.raises(KeyboardInterrupt):
        thread_pool(2).run(function, 0)
    assert ended == [1]
    thread_pool(2).run(lambda *_: None, 0)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_forked_child_starts_its_own_pool(
    phases: Callable[[int, int, int], object],
) -> None:
    before = thread_pool(3)
    state = State(100)
    before.run(phases, state.address)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # threads and fork
        child = os.fork()
    if child == 0:
        status = 1
        try:
            before.run(phases, state.address)  # from before the fork
            state.check(3)
            thread_pool(2).run(phases, state.address)
            status = 0
        finally:
            os._exit(status)
    deadline = time.monotonic() + 20
    done, status = os.waitpid(child, os.WNOHANG)
    while not done and time.monotonic() < deadline:
        time.sleep(0.01)
        done, status = os.waitpid(child, os.WNOHANG)
    if not done:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    assert done, "the child hangs"
    assert status == 0
    before.run(phases, state.address)
    state.check(3)


def test_no_thread_at_import_and_a_clean_exit() -> None:
    code = """
import threading, time
from chainrule.engines.native.runtime.thread_pool import thread_pool
assert threading.active_count() == 1
thread_pool(3).run(lambda *_: None, 0)
assert threading.active_count() == 3
busy = threading.Thread(target=thread_pool(3).run, args=(lambda *_: time.sleep(9), 0))
busy.daemon = True
busy.start()
"""
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60
    )
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


# --- Denormals ------------------------------------------------------------------------


def emit_denormals(module: ir.Module) -> None:
    """flushed: out[0, 1] = x[0] / 2, x[1] · 2³⁰; after restoring out[2, 3] the same."""
    floats = ir.FloatType().as_pointer()
    work = ir.Function(module, ir.FunctionType(VOID, [floats, floats]), "work")
    work.attributes.add("noinline")
    b = ir.IRBuilder(work.append_basic_block())
    for index, factor in enumerate((0.5, 2.0**30)):
        value = b.load(b.gep(work.args[0], [I32(index)]))
        product = b.fmul(value, ir.FloatType()(factor))
        b.store(product, b.gep(work.args[1], [I32(index)]))
    b.ret_void()

    b, (argument, tid, _) = worker(module, "flushed")
    x = b.bitcast(argument, floats)
    out = b.gep(x, [b.add(I32(2), b.mul(tid, I32(4)))])
    saved = emit_flush_denormals(b)
    b.call(work, [x, out])
    emit_restore_denormals(b, saved)
    b.call(work, [x, b.gep(out, [I32(2)])])
    b.ret_void()


@pytest.mark.skipif(not (X86 or ARM), reason="flushing is for x86-64 and AArch64")
def test_denormals_are_flushed_and_restored_on_every_thread() -> None:
    module = new_module()
    emit_denormals(module)
    flushed = link(module, "flushed")[0]
    tiny = np.finfo(np.float32).tiny
    memory = np.full(2 + 4 * 3, 7.0, np.float32)
    memory[:2] = tiny, tiny / 4
    thread_pool(3).run(flushed, memory.ctypes.data)
    for tid in range(3):
        results = memory[2 + 4 * tid : 6 + 4 * tid]
        expected = np.array([0, 0, tiny / 2, tiny * 2.0**28], np.float32)
        np.testing.assert_array_equal(results, expected)
    assert np.float32(tiny) / np.float32(2) > 0, "the thread is as it was"


@contextmanager
def flushing() -> Iterator[None]:
    """As after ``torch.set_flush_denormal(True)``."""
    module = new_module()
    b, (memory, _, _) = worker(module, "begin")
    saved = emit_flush_denormals(b)
    b.store(saved, b.bitcast(memory, saved.type.as_pointer()))
    b.ret_void()
    b, (memory, _, _) = worker(module, "end")
    emit_restore_denormals(b, b.load(b.bitcast(memory, saved.type.as_pointer())))
    b.ret_void()
    begin, end = link(module, "begin", "end")
    room = ctypes.create_string_buffer(8)
    begin(ctypes.addressof(room), 0, 1)
    try:
        yield
        assert TINY * HALF == 0, "the thread is as it was"
    finally:
        end(ctypes.addressof(room), 0, 1)
    assert TINY * HALF > 0


@contextmanager
def rounding_down() -> Iterator[None]:
    """As after C's ``fesetround(FE_DOWNWARD)``."""
    library = ctypes.CDLL(ctypes.util.find_library("m"))
    assert library.fesetround(0x400 if X86 else 0x800000) == 0
    try:
        yield
        assert library.fegetround() != 0, "the thread is as it was"
    finally:
        library.fesetround(0)


TINY, HALF = np.finfo(np.float32).tiny, np.float32(0.5)
SETTINGS = [
    flushing,
    pytest.param(
        rounding_down,
        marks=pytest.mark.skipif(
            ctypes.util.find_library("m") is None, reason="C's library is elsewhere"
        ),
    ),
]


@pytest.mark.skipif(not (X86 or ARM), reason="settings of x86-64 and AArch64")
@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("setting", SETTINGS)
def test_what_a_library_has_set_changes_nothing(
    setting: Callable[[], AbstractContextManager[None]], threads: int
) -> None:
    """A thread's settings of its processor are neither used nor lost."""
    x = np.geomspace(TINY / 1024, 1, 3000, dtype=np.float32).reshape(50, 60)
    run = cr.compile(
        lambda x: ((x @ x.T).exp(), x * x.mean(), (x / 3).sum(0), x - x[::-1]),
        engine="native",
        threads=threads,
    )
    usual = [t.numpy().copy() for t in run(x)]
    with setting():
        made = [t.numpy().copy() for t in run(x)]
        fresh = [t.numpy().copy() for t in cr.compile(run.function)(x)]
    for a, b, c in zip(usual, made, fresh):
        np.testing.assert_array_equal(a, b)
        np.testing.assert_array_equal(a, c)


@pytest.mark.parametrize(
    ("triple", "expected"),
    [
        (
            "x86_64-pc-windows-msvc",
            ["ldmxcsr", "stmxcsr", "pause", "chainrule_yield", "rdtsc"],
        ),
        (
            "aarch64-unknown-linux-gnu",
            ["FPCR", "yield", "chainrule_yield", "CNTVCT_EL0"],
        ),
        ("arm64-apple-macosx14.0", ["FPCR", "yield", "chainrule_yield", "CNTVCT_EL0"]),
        ("powerpc64le-unknown-linux-gnu", ["chainrule_yield"]),
    ],
)
def test_other_processors(triple: str, expected: list[str]) -> None:
    binding.initialize_all_targets()
    binding.initialize_all_asmprinters()
    try:
        target = binding.Target.from_triple(triple)
    except RuntimeError:
        pytest.skip("this llvmlite cannot compile for it")
    module = ir.Module()
    module.triple = triple
    emit_phases(module, emit_barrier(module))
    emit_denormals(module)
    counts = ir.Function(module, ir.FunctionType(ir.IntType(64), []), "ticks")
    builder = ir.IRBuilder(counts.append_basic_block())
    builder.ret(emit_ticks(builder))
    machine = target.create_target_machine(opt=2)
    assembly = machine.emit_assembly(binding.parse_assembly(str(module)))
    for word in expected:
        assert word.lower() in assembly.lower()
