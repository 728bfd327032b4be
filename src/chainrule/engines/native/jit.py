"""From LLVM IR to machine code for this processor, once for each kernel and module."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from llvmlite import binding

from chainrule.engines.threads import process

#: The kernels that were compiled so far: the names under which modules find them.
_kernels: dict[Any, str] = {}
#: Modules by their text. What is here lives as long as the process: kernels are shared.
_modules: dict[str, MachineCode] = {}


def known_kernel(key: Any) -> str | None:
    """The name of a kernel that the process has already."""
    return _kernels.get(key)


@dataclass(frozen=True)
class Emitted:
    """A module as text.

    Attributes:
        text: LLVM IR.
        kernels: the names of the kernels that it defines, by their keys; once it is
            compiled other modules call them.
    """

    text: str
    kernels: Mapping[Any, str]


def machine_code(module: Emitted, *, passes: bool) -> MachineCode:
    """The compiled module.

    Args:
        module: what to compile; other modules that it calls are compiled already.
        passes: whether LLVM's passes shall go over it.
    """
    with process.lock:
        if module.text not in _modules:
            code = _modules[module.text] = MachineCode(module.text, passes=passes)
            for key, name in module.kernels.items():
                binding.add_symbol(name, code.address(name))
                _kernels.setdefault(key, name)
        return _modules[module.text]


def _machine() -> Any:
    """A code generator for this processor and all its instructions."""
    target, cpu, features = _host()
    return target.create_target_machine(cpu=cpu, features=features, opt=1, jit=True)


@functools.cache
def _host() -> tuple[Any, str, str]:
    """What LLVM calls this processor, and its features."""
    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    features = binding.get_host_cpu_features().flatten()
    return binding.Target.from_default_triple(), binding.get_host_cpu_name(), features


class MachineCode:
    """A compiled module; its functions live as long as this object.

    Args:
        text: LLVM IR.
        passes: whether LLVM's passes go over it. They make vectors of plain loops;
            tiles and lists of calls are as they should be.
    """

    def __init__(self, text: str, *, passes: bool = True) -> None:
        parsed = binding.parse_assembly(text)
        parsed.verify()
        machine = _machine()
        if passes:
            # The first level vectorises loops as well as the third, in half the time;
            # what keeps them short gains nothing beside that.
            tuning = binding.PipelineTuningOptions(speed_level=1)
            tuning.loop_vectorization = True
            tuning.loop_interleaving = False
            tuning.slp_vectorization = False
            tuning.loop_unrolling = False
            builder = binding.create_pass_builder(machine, tuning)
            builder.getModulePassManager().run(parsed, builder)
        self._engine = binding.create_mcjit_compiler(parsed, machine)
        self._engine.finalize_object()

    def address(self, name: str) -> int:
        """The address of a function."""
        return self._engine.get_function_address(name)
