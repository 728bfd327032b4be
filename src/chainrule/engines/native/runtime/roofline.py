"""Measurement of this machine's peak performance: FLOPs and memory bandwidth.

Both are measured when they are needed: chains of fma in the registers of each thread,
and a sweep of all threads together over as many bytes as a step
touches, so that it is the same cache that they come from.
"""

from __future__ import annotations

import functools
import time
from typing import Any

import numpy as np
from llvmlite import ir

from chainrule.engines.native.loops.kernels import for_loop
from chainrule.engines.native.math.scalar import I32, I64, POINTER
from chainrule.engines.native.runtime import jit
from chainrule.engines.native.runtime.thread_pool import WORKER, thread_pool
from chainrule.engines.native.target import host_target
from chainrule.engines.schedule.profile import Roof

F32 = ir.FloatType()
#: Chains of fma side by side: more than one takes cycles, fewer than registers.
CHAINS = 12
#: Vectors that a round of the sweep reads and writes.
VECTORS = 4
#: Seconds of a turn at least, and of all turns: the fastest counts, since others use
#: the machine.
TURN, SECONDS = 1e-3, 0.25
#: Elements of the smallest sweep: the first cache.
SMALLEST = 2048


def _word(b: ir.IRBuilder, context: Any, index: int) -> Any:
    at = b.gep(context, [I64(index)], source_etype=I64)
    return b.load(at, typ=I64)


def _text() -> str:
    """Return the LLVM IR of two benchmarks: of arithmetic and of memory bandwidth.

    The context of ``chains``: number of rounds, address of the result. That of
    ``sweep``: number of rounds, units of memory that threads divide, address of it.
    """
    lanes = host_target().vector_bytes // 4
    vector = ir.VectorType(F32, lanes)
    module = ir.Module("roof")
    kind = ir.FunctionType(ir.VoidType(), [POINTER, I32, I32])
    fused = ir.FunctionType(vector, [vector] * 3)
    fma = ir.Function(module, fused, f"llvm.fma.v{lanes}f32")

    chains = ir.Function(module, kind, "chains")
    b = ir.IRBuilder(chains.append_basic_block("start"))
    context, *_ = chains.args
    rounds, out = _word(b, context, 0), b.inttoptr(_word(b, context, 1), POINTER)
    x = b.load(out, typ=vector, align=4)
    accumulators = [
        b.alloca(vector) for _ in range(CHAINS)
    ]  # LLVM keeps them in registers
    for chain in accumulators:
        b.store(x, chain)
    with for_loop(b, I64(0), rounds, "round"):
        for chain in accumulators:
            b.store(b.call(fma, [b.load(chain), x, x]), chain)
    total = functools.reduce(b.fadd, [b.load(chain) for chain in accumulators])
    b.store(total, out, align=4)
    b.ret_void()

    sweep = ir.Function(module, kind, "sweep")
    b = ir.IRBuilder(sweep.append_basic_block("start"))
    context, tid, threads = sweep.args
    rounds, units = _word(b, context, 0), _word(b, context, 1)
    memory = b.inttoptr(_word(b, context, 2), POINTER)
    tid, threads = b.sext(tid, I64), b.sext(threads, I64)
    first, last = (b.sdiv(b.mul(units, t), threads) for t in (tid, b.add(tid, I64(1))))
    with for_loop(b, I64(0), rounds, "round"), for_loop(b, first, last, "unit") as u:
        for i in range(VECTORS):
            place = b.mul(b.add(b.mul(u, I64(VECTORS)), I64(i)), I64(lanes))
            at = b.gep(memory, [place], source_etype=F32)
            value = b.load(at, typ=vector, align=4)
            b.store(b.fadd(value, value), at, align=4)
    b.ret_void()
    return str(module)


@functools.cache
def _code() -> jit.MachineCode:
    return jit.machine_code(jit.object_code([_text()]))


def _seconds(name: str, words: Any, threads: int) -> float:
    """Return the fastest measured seconds of one round of a benchmark function."""
    function, rounds = WORKER(_code().address(name)), 16
    best, end = float("inf"), time.perf_counter() + SECONDS
    while best == float("inf") or time.perf_counter() < end:
        words[0] = rounds
        started = time.perf_counter()
        if threads == 1:
            function(words.ctypes.data, 0, 1)
        else:
            thread_pool(threads).run(function, words.ctypes.data)
        seconds = time.perf_counter() - started
        if seconds < TURN:
            rounds *= 2
        else:
            best = min(best, seconds / rounds)
    return best


def roof(threads: int, length: int) -> Roof:
    """Measure the machine's peak performance (roofline) on a number of threads.

    Args:
        threads: how many.
        length: bytes of all memory that a step touches.
    """
    lanes = host_target().vector_bytes // 4
    results = np.zeros(lanes, np.float32)
    words = np.array([0, results.ctypes.data], np.int64)
    peak = threads * 2 * CHAINS * lanes / _seconds("chains", words, 1)

    unit = VECTORS * lanes
    units = max(SMALLEST, length // 4) // unit
    memory = np.zeros(units * unit, np.float32)
    words = np.array([0, units, memory.ctypes.data], np.int64)
    stream = 2 * memory.nbytes / _seconds("sweep", words, threads)
    return Roof(peak / 1e9, stream / 1e9, length)
