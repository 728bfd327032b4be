"""From LLVM IR to machine code for this processor."""

from __future__ import annotations

import threading
from typing import Any

from llvmlite import binding

_lock = threading.Lock()


def _machine() -> Any:
    """A code generator for this processor and all its instructions."""
    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    return binding.Target.from_default_triple().create_target_machine(
        cpu=binding.get_host_cpu_name(),
        features=binding.get_host_cpu_features().flatten(),
        opt=3,
        jit=True,
    )


class MachineCode:
    """A compiled module; its functions live as long as this object.

    Args:
        text: LLVM IR.
    """

    def __init__(self, text: str) -> None:
        with _lock:
            parsed = binding.parse_assembly(text)
            parsed.verify()
            tuning = binding.PipelineTuningOptions(speed_level=3)
            tuning.loop_vectorization = True
            tuning.slp_vectorization = False
            tuning.loop_unrolling = False
            machine = _machine()
            builder = binding.create_pass_builder(machine, tuning)
            builder.getModulePassManager().run(parsed, builder)
            self._engine = binding.create_mcjit_compiler(parsed, machine)
            self._engine.finalize_object()

    def address(self, name: str) -> int:
        """The address of a function."""
        return self._engine.get_function_address(name)
