"""From LLVM IR to machine code for this processor, once for each kernel and module."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llvmlite import binding

from chainrule.engines.threads import process

#: The kernels that were compiled so far: the symbols under which modules find them.
_kernels: dict[Any, str] = {}
#: Modules by their text. What is here lives as long as the process: kernels are shared.
_modules: dict[str, MachineCode] = {}


def known_kernel(key: Any) -> str | None:
    """The symbol of a kernel that the process has already."""
    return _kernels.get(key)


def machine_code(text: str, kernels: Mapping[Any, str]) -> MachineCode:
    """The compiled module.

    Args:
        text: LLVM IR.
        kernels: the names of the kernels that it defines, by their keys; from now on
            other modules call them.
    """
    with process.lock:
        if text not in _modules:
            code = _modules[text] = MachineCode(text)
            for key, name in kernels.items():
                symbol = f"chainrule.kernel.{len(_kernels)}"
                binding.add_symbol(symbol, code.address(name))
                _kernels.setdefault(key, symbol)
        return _modules[text]


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
        parsed = binding.parse_assembly(text)
        parsed.verify()
        # Kernels are written as loops and tiles already: the first level vectorises
        # them as well as the third, in half the time.
        tuning = binding.PipelineTuningOptions(speed_level=1)
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
