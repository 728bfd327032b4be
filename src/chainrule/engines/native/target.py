"""The vector unit (register size and number) for which machine code is generated."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass

from llvmlite import binding


@dataclass(frozen=True)
class Target:
    """The vector unit (register size and number) for which code is generated.

    Args:
        vector_bytes: bytes in one vector register.
        registers: how many of them the instruction set names.
    """

    vector_bytes: int
    registers: int


def target_for(triple: str, features: Mapping[str, bool]) -> Target:
    """Return the vector unit (register size and number) of a machine, for compiling.

    Args:
        triple: such as ``x86_64-unknown-linux-gnu`` or ``arm64-apple-darwin``.
        features: as from ``llvmlite.binding.get_host_cpu_features()``.

    >>> target_for("x86_64-unknown-linux-gnu", {"avx2": True, "avx512f": False})
    Target(vector_bytes=32, registers=16)
    """
    if triple.startswith(("aarch64", "arm64")):
        return Target(vector_bytes=16, registers=32)
    if features.get("avx512f"):
        return Target(vector_bytes=64, registers=32)
    if features.get("avx2"):
        return Target(vector_bytes=32, registers=16)
    return Target(vector_bytes=16, registers=16)


@functools.cache
def host_target() -> Target:
    """Return the vector unit (register size and number) of this machine.

    Kernels for it must be compiled for the host's own features; a target machine
    without them cuts the vectors in pieces and calls a function for each fma.
    """
    features: Mapping[str, bool]
    try:
        features = binding.get_host_cpu_features()
    except RuntimeError:  # LLVM does not know this processor.
        features = {}
    return target_for(binding.get_default_triple(), features)
