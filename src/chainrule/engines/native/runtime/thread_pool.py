"""The native engine's thread pool: the process' worker threads, and barriers.

A native program runs on several cores in chunks: the thread that asks is number 0,
sleeping Python threads are the others, and all call one native function with their
number. ctypes releases the interpreter's lock for the call, so they run at the same
time; inside, they meet at barriers made of native code.

There is one pool a process. Whoever wants it waits for its turn, runs one chunk, and
lets the next one in. No thread starts before the first run, and a child process after
``fork`` starts its own.

>>> seen = set()
>>> thread_pool(2).run(WORKER(lambda argument, tid, n: seen.add((tid, n))), 0)
>>> sorted(seen)
[(0, 2), (1, 2)]
"""

import ctypes
import itertools
import os
import sys
import threading
from collections import deque
from collections.abc import Callable

from llvmlite import binding, ir

from chainrule.errors import ArgumentError, EngineError
from chainrule.text import _

WORKER = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int32, ctypes.c_int32)
"""The ctypes type of a function for the pool: (argument, tid, threads) → nothing."""

BARRIER_BYTES = 128
"""The size of a barrier's state, which starts as zeros, aligned to 64 bytes."""

_I8, _I32, _I64 = ir.IntType(8), ir.IntType(32), ir.IntType(64)
_VOID = ir.VoidType()


# --- The pool -------------------------------------------------------------------------


class _Chunk:
    """A call of one function by all threads of the thread pool."""

    def __init__(
        self, function: Callable[[int, int, int], object], argument: int, threads: int
    ) -> None:
        self.function, self.argument, self.threads = function, argument, threads
        self.error: BaseException | None = None
        self.over = False
        self.done = threading.Lock()
        self.done.acquire()
        self._ended = itertools.count(1)

    def work(self, tid: int) -> None:
        """Run one worker thread's part of a call; the last one marks the end."""
        try:
            self.function(self.argument, tid, self.threads)
        except BaseException as error:  # noqa: BLE001 - from ctypes, or a Python function in a test
            self.error = error
        if next(self._ended) == self.threads - 1:  # one step under any interpreter
            self.over = True
            self.done.release()


class _Ticket:
    """A waiting thread's place in the queue for the thread pool."""

    def __init__(self) -> None:
        self.thread = threading.get_ident()
        self.called = threading.Event()


class _Team:
    """The process' worker threads, and the queue of threads that wait for them."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Reset the thread pool in a forked child process, which has no workers."""
        self.chunk: _Chunk | None = None
        # First come, first served, and the first has the pool. A lock would let a
        # thread that runs chunk after chunk take it again before another wakes up.
        self.queue: deque[_Ticket] = deque()
        # A worker sleeps by taking its lock again, and wakes when it is released.
        self._locks: list[threading.Lock] = []

    def wait_for_turn(self, ticket: _Ticket) -> None:
        """Wait until this thread is the first in the thread pool's queue."""
        while self.queue[0] is not ticket:
            # The one before calls; an interrupt may have kept it from doing so.
            ticket.called.wait(timeout=0.05)

    def call_next(self) -> None:
        """Wake the first thread in the queue for the thread pool."""
        for ticket in list(self.queue)[:1]:
            ticket.called.set()

    def grow(self, threads: int) -> None:
        """Start worker threads until there are ``threads`` − 1 of them."""
        for tid in range(len(self._locks) + 1, threads):
            lock = threading.Lock()
            lock.acquire()
            threading.Thread(
                target=self._live,
                args=(lock, tid),
                name=f"chainrule-{tid}",
                daemon=True,
            ).start()
            self._locks.append(lock)

    def waker(self, tid: int) -> Callable[[], None]:
        """Return the function that wakes a sleeping worker thread of the pool."""
        return self._locks[tid - 1].release

    def _live(self, lock: threading.Lock, tid: int) -> None:
        """Run a worker thread's loop: sleep, wake two other workers, work, repeat."""
        while True:
            lock.acquire()
            chunk = self.chunk
            assert chunk is not None
            for other in (2 * tid, 2 * tid + 1):
                if other < chunk.threads:
                    self.waker(other)()
            chunk.work(tid)
            del chunk  # and what its function holds


_team = _Team()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_team.reset)


class ThreadPool:
    """A thread pool: the process' worker threads, up to a number of threads.

    Pools share their threads: one of 2 uses the first thread of one of 4. A pool is
    valid for as long as the process and in its forked children.

    Args:
        threads: how many threads run a function, the calling one included.

    Raises:
        ArgumentError: threads is less than 1.
    """

    def __init__(self, threads: int) -> None:
        if threads < 1:
            raise ArgumentError(
                _("A thread pool needs at least the calling thread."),
                expected=_("threads of 1 or more"),
                got=str(threads),
                fix=_("pass threads=1 to work without others"),
            )
        self.threads = threads

    def run(self, function: Callable[[int, int, int], object], argument: int) -> None:
        """Call function(argument, tid, threads) once on every thread, and wait for all.

        The calling thread is tid 0. If another thread has the pool, this one waits for
        its turn. An interrupt (Ctrl-C) is raised after all threads have ended, so that
        nobody waits at a barrier for a thread that never comes.

        Args:
            function: a function pointer of type WORKER.
            argument: the address that it gets.

        Raises:
            EngineError: this thread is inside run already (from a signal handler, or
                from the function itself).
        """
        team, ticket = _team, _Ticket()
        if any(other.thread == ticket.thread for other in list(team.queue)):
            raise EngineError(
                _("the thread pool cannot start a chunk inside another one."),
                expected=_("run to return before the same thread calls it again"),
                got=_("a call from the function that runs, or from a signal handler"),
                fix=_("start the second chunk after the first one has returned"),
            )
        try:
            team.queue.append(ticket)
            team.wait_for_turn(ticket)
            self._run(team, function, argument)
        finally:
            team.queue.remove(ticket)
            team.call_next()

    def _run(
        self,
        team: _Team,
        function: Callable[[int, int, int], object],
        argument: int,
    ) -> None:
        """Run a call on all threads, so that no interrupt leaves it half started.

        CPython raises an interrupt after a call of a C function, not before it. So what
        a ``finally`` begins with is called, whatever came before, here and in ``run``.
        """
        if team.chunk is not None and not team.chunk.over:
            team.chunk.done.acquire()  # a second interrupt cut the wait below short
        if self.threads == 1:
            function(argument, 0, 1)
            return
        team.grow(self.threads)
        chunk = _Chunk(function, argument, self.threads)
        wake = team.waker(1)
        interrupt: BaseException | None = None
        team.chunk = chunk
        try:
            wake()
        finally:
            try:
                function(argument, 0, self.threads)
            finally:
                while not chunk.over:
                    try:
                        chunk.done.acquire()
                    except BaseException as error:  # noqa: BLE001
                        interrupt = error
        team.chunk = None
        error = interrupt or chunk.error
        if error is not None:
            raise error


def thread_pool(threads: int) -> ThreadPool:
    """Return the process' pool of worker threads, for a number of threads.

    Nothing starts here; the first run starts the threads that are missing.

    Args:
        threads: how many threads run a function, the calling one included.

    Raises:
        ArgumentError: threads is less than 1.
    """
    return ThreadPool(threads)


# --- Barriers -------------------------------------------------------------------------

_GENERATION = 64
"""The offset of the generation in a barrier's state, in a cache line of its own."""

_SPINS = 500
"""The number of looks at the generation before a waiting thread yields its core."""

_YIELD = "chainrule_yield"


def define_symbols() -> None:
    """Register the operating system's yield function, for barriers, with LLVM.

    ``emit_barrier`` does it; a process that loads object code which another one has
    compiled calls it first.
    """
    if sys.platform == "win32":
        function = ctypes.windll.kernel32.SwitchToThread
    else:
        function = ctypes.CDLL(None).sched_yield
    address = ctypes.cast(function, ctypes.c_void_p).value
    assert address is not None
    binding.add_symbol(_YIELD, address)


def emit_barrier(module: ir.Module) -> ir.Function:
    """Emit the LLVM function of a barrier, at which all threads wait for each other.

    A thread that calls it goes on when all have called it, and sees all that the
    others wrote before. The state holds a counter of those who came and a generation;
    the last to come sets the counter back and raises the generation, on which the
    others spin. After 500 looks they offer their core to other threads between
    looks: pure spinning loses milliseconds when another process wants the core.

    Args:
        module: where to emit. Its triple (the default one if it has none) decides what
            the pause between two looks is.

    Returns:
        the function; state is BARRIER_BYTES bytes that start as zeros.
    """
    name = "chainrule_barrier"
    if name in module.globals:
        return module.globals[name]
    define_symbols()
    yield_core = ir.Function(module, ir.FunctionType(_I32, []), _YIELD)
    signature = ir.FunctionType(_VOID, [_I8.as_pointer(), _I32])
    barrier = ir.Function(module, signature, name)
    barrier.linkage = "internal"
    barrier.attributes.add("noinline")
    barrier.attributes.add("nounwind")
    state, threads = barrier.args
    state.name, threads.name = "state", "threads"
    labels = ["entry", "arrive", "last", "look", "again", "pause", "offer", "done"]
    blocks = [barrier.append_basic_block(label) for label in labels]
    entry, arrive, last, look, again, pause, offer, done = blocks

    b = ir.IRBuilder(entry)
    word = _I32.as_pointer()
    arrived_at = b.bitcast(state, word)
    generation_at = b.bitcast(b.gep(state, [_I32(_GENERATION)]), word)
    b.cbranch(b.icmp_signed("<=", threads, _I32(1)), done, arrive)

    b.position_at_end(arrive)
    # Before the counter: once this thread is counted, the generation may change.
    generation = b.load_atomic(generation_at, "monotonic", 4)
    before = b.atomic_rmw("add", arrived_at, _I32(1), "acq_rel")
    is_last = b.icmp_signed("==", before, b.sub(threads, _I32(1)))
    b.cbranch(is_last, last, look)

    b.position_at_end(last)
    b.store_atomic(_I32(0), arrived_at, "monotonic", 4)
    b.store_atomic(b.add(generation, _I32(1)), generation_at, "release", 4)
    b.branch(done)

    b.position_at_end(look)
    looks = b.phi(_I32)
    now = b.load_atomic(generation_at, "acquire", 4)
    b.cbranch(b.icmp_signed("!=", now, generation), done, again)
    b.position_at_end(again)
    b.cbranch(b.icmp_signed("<", looks, _I32(_SPINS)), pause, offer)
    b.position_at_end(pause)
    _emit_pause(b)
    more = b.add(looks, _I32(1))
    b.branch(look)
    b.position_at_end(offer)
    b.call(yield_core, [])
    b.branch(look)
    for value, source in (_I32(0), arrive), (more, pause), (looks, offer):
        looks.add_incoming(value, source)

    b.position_at_end(done)
    b.ret_void()
    return barrier


# --- What differs between processors --------------------------------------------------


def _processor(module: ir.Module) -> str:
    """Return the name of the processor for which an LLVM module is compiled."""
    word: str = module.triple.partition("-")[0]
    if word in ("", "unknown"):
        word = binding.get_default_triple().partition("-")[0]
    return {"amd64": "x86_64", "arm64": "aarch64"}.get(word, word)


def _intrinsic(
    b: ir.IRBuilder, name: str, result: ir.Type, args: list[ir.Value]
) -> ir.Value:
    """Emit the call of an LLVM intrinsic with these types, declared if needed."""
    function = b.module.globals.get(name)
    if function is None:
        signature = ir.FunctionType(result, [arg.type for arg in args])
        function = ir.Function(b.module, signature, name)
    return b.call(function, args)


def _emit_pause(b: ir.IRBuilder) -> None:
    """Emit LLVM code of the processor's pause hint for a loop that waits."""
    processor = _processor(b.module)
    if processor == "x86_64":
        _intrinsic(b, "llvm.x86.sse2.pause", _VOID, [])
    elif processor == "aarch64":
        _intrinsic(b, "llvm.aarch64.hint", _VOID, [_I32(1)])


_X86_MODE = 0x9FC0
"""The value of the x86 register MXCSR for zero denormals.

Denormal results are zero (bit 15), denormal operands too (bit 6), no exception stops
the program (bits 7 to 12), and numbers are rounded to the nearest.
"""

_AARCH64_MODE = 1 << 24
"""The value of the AArch64 register FPCR for zero denormals: only FZ is set."""


def emit_flush_denormals(builder: ir.IRBuilder) -> ir.Value:
    """Emit LLVM code that makes this thread treat denormal numbers as zero.

    Arithmetic on denormals is many times slower on some processors. On x86-64 this
    sets MXCSR, on AArch64 FPCR; elsewhere it does nothing. Nothing is left of what
    another library has set for the thread: how it rounds is no part of a graph.

    LLVM does not know that arithmetic depends on these bits. Do the work in a function
    of its own that is not inlined, or at least between loads and stores, which stay on
    their side.

    Returns:
        the setting as it was, for emit_restore_denormals.
    """
    processor = _processor(builder.module)
    if processor == "x86_64":
        slot = builder.alloca(_I32)
        address = builder.bitcast(slot, _I8.as_pointer())
        _intrinsic(builder, "llvm.x86.sse.stmxcsr", _VOID, [address])
        saved = builder.load(slot)
        _set_x86(builder, _I32(_X86_MODE))
        return saved
    if processor == "aarch64":
        saved = _intrinsic(builder, "llvm.aarch64.get.fpcr", _I64, [])
        _intrinsic(builder, "llvm.aarch64.set.fpcr", _VOID, [_I64(_AARCH64_MODE)])
        return saved
    return _I32(0)


def emit_restore_denormals(builder: ir.IRBuilder, saved: ir.Value) -> None:
    """Emit LLVM code that restores the thread's former treatment of denormals.

    Args:
        builder: the builder to append to.
        saved: what emit_flush_denormals returned, in the same function.
    """
    processor = _processor(builder.module)
    if processor == "x86_64":
        _set_x86(builder, saved)
    elif processor == "aarch64":
        _intrinsic(builder, "llvm.aarch64.set.fpcr", _VOID, [saved])


def _set_x86(b: ir.IRBuilder, value: ir.Value) -> None:
    """Emit LLVM code that sets MXCSR, the x86 floating-point control register."""
    slot = b.alloca(_I32)
    b.store(value, slot)
    address = b.bitcast(slot, _I8.as_pointer())
    _intrinsic(b, "llvm.x86.sse.ldmxcsr", _VOID, [address])


def emit_ticks(builder: ir.IRBuilder) -> ir.Value:
    """Emit LLVM code that reads the processor's clock counter, as an i64.

    On x86-64 it is the time-stamp counter, on AArch64 CNTVCT_EL0; LLVM has the same
    name for both. How long a tick is differs. Elsewhere it is always 0.
    """
    if _processor(builder.module) not in ("x86_64", "aarch64"):
        return _I64(0)
    return _intrinsic(builder, "llvm.readcyclecounter", _I64, [])
