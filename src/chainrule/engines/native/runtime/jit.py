"""Just-in-time compilation: LLVM IR to object code, loaded into this process.

Kernels come in *packs*, all new ones of an entry point together: LLVM has much to do
for each module, however small. A kernel's name is a digest of its text, so whoever
needs the same one finds it, in this process and in the cache on the disk.
"""

from __future__ import annotations

import functools
from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any
from weakref import WeakSet, WeakValueDictionary

from llvmlite import binding
from llvmlite.binding.newpassmanagers import NewPassManager

from chainrule.engines.native.runtime import references, thread_pool

#: Compilations so far: modules that LLVM has made object code of.
compilations = 0


@dataclass(frozen=True)
class Kernel:
    """A kernel (a generated loop function) as an LLVM module, with its name.

    Attributes:
        name: tells apart all kernels there are.
        text: LLVM IR.
        passes: whether LLVM's passes shall go over it. They make vectors of plain
            loops; tiles are as they should be.
    """

    name: str
    text: str
    passes: bool

    @classmethod
    def of(cls, label: str, text: str, *, passes: bool) -> Kernel:
        """Return a kernel from LLVM text, named by a digest of the text."""
        name = f"{label.rstrip('.')}.{sha256(text.encode()).hexdigest()[:20]}"
        return cls(name, text.replace(f'@"{label}"', f'@"{name}"'), passes)


def object_code(
    improved: Sequence[str], as_written: Sequence[str] = (), *, level: int = 1
) -> bytes:
    """Compile LLVM modules together into object code for this processor.

    Args:
        improved: LLVM IR; LLVM's passes go over it.
        as_written: LLVM IR that they leave alone.
        level: how much LLVM does to choose instructions and registers.
    """
    global compilations
    compilations += 1
    target, cpu, features = host()
    options = {"cpu": cpu, "features": features, "opt": level, "jit": True}
    machine = target.create_target_machine(**options)
    context = binding.create_context()  # LLVM keeps what it met for as long as this
    module = _joined(improved, context)
    if improved:
        # The first level vectorises loops as well as the third, in half the time; what
        # keeps them short gains nothing beside that.
        tuning = binding.PipelineTuningOptions(speed_level=1)
        tuning.loop_vectorization = True
        tuning.loop_interleaving = False
        tuning.slp_vectorization = False
        tuning.loop_unrolling = False
        builder = binding.create_pass_builder(machine, tuning)
        passes = builder.getModulePassManager()
        passes.run(module, builder)
        # llvmlite's class inherits an empty _dispose in front of the one that frees.
        NewPassManager._dispose(passes)
        passes.detach()
    if as_written:
        module.link_in(_joined(as_written, context))
    with addresses_as_written():
        return machine.emit_object(module)


def _joined(texts: Sequence[str], context: Any) -> binding.ModuleRef:
    """Link LLVM modules (kernels, say) into one module and verify it."""
    parsed = [binding.parse_assembly(text, context) for text in texts or [""]]
    first, *others = parsed
    for other in others:
        first.link_in(other)
    first.verify()
    return first


#: LLVM ends the process for an option that it does not know; up to here it knows ours.
_NEWEST_LLVM = 22


@contextmanager
def addresses_as_written() -> Generator[None]:
    """Disable LLVM's loop strength reduction within the block, to compile faster.

    That takes it a quarter of its time, and what we write gains nothing. The option is
    one of the process, so others get back what they had.
    """
    known = binding.llvm_version_info[0] <= _NEWEST_LLVM
    if known:
        binding.set_option("", "-disable-lsr=true")
    try:
        yield
    finally:
        if known:
            binding.set_option("", "-disable-lsr=false")


@functools.cache
def host() -> tuple[Any, str, str]:
    """Return this machine's LLVM target, processor name and features, for compiling."""
    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    features = binding.get_host_cpu_features().flatten()
    return binding.Target.from_default_triple(), binding.get_host_cpu_name(), features


class MachineCode:
    """Machine code loaded into this process, for as long as this object lives.

    Args:
        code: what :func:`object_code` has made. What it calls is here already.
    """

    def __init__(self, code: bytes) -> None:
        thread_pool.define_symbols()
        references.define_symbols()
        target, cpu, features = host()
        machine = target.create_target_machine(cpu=cpu, features=features, jit=True)
        # In no context of its own: a garbage collection may free that first.
        empty = binding.parse_assembly("")
        self._engine = binding.create_mcjit_compiler(empty, machine)
        self._engine.add_object_file(binding.ObjectFileRef.from_data(code))
        self._engine.finalize_object()

    def address(self, name: str) -> int:
        """Return the address of a function in loaded machine code."""
        return self._engine.get_function_address(name)


# -- what the process has --------------------------------------------------------------

#: The number of unused packs, and of unused entry points, that are kept: a search
#: that comes back to an earlier network compiles nothing.
IDLE = 64


@dataclass(eq=False)
class Pack:
    """A group of kernels that were compiled and loaded into this process together.

    Attributes:
        name: a digest of theirs.
        kernels: their names.
        code: where they are.
        users: the code that calls them; they stay as long as there is some.
    """

    name: str
    kernels: tuple[str, ...]
    code: MachineCode
    users: WeakSet[MachineCode] = field(default_factory=WeakSet["MachineCode"])


#: Machine code by its digest, as long as it is referenced.
_code: WeakValueDictionary[bytes, MachineCode] = WeakValueDictionary()
#: The loaded packs by name, the one linked last at the end; and the pack of each
#: kernel.
_packs: dict[str, Pack] = {}
_pack_of: dict[str, Pack] = {}
#: What entry points were compiled to, by digests of their text.
_entries: dict[bytes, bytes] = {}


def entry_code(text: str) -> bytes:
    """Compile an entry point's LLVM text to object code, at most once.

    It calls kernels, one after the other, and LLVM shall leave it as it is
    (``optnone``): no level makes it faster, and the lowest takes half the time.
    """
    key = sha256(text.encode()).digest()
    code = _entries.pop(key, None)
    _entries[key] = code = code or object_code([], [text], level=0)
    while len(_entries) > IDLE:
        del _entries[next(iter(_entries))]
    return code


def machine_code(code: bytes, packs: Iterable[str] = ()) -> MachineCode:
    """Load object code into this process as machine code, at most once."""
    key = sha256(code).digest()
    code_object = _code.get(key)
    if code_object is None:
        code_object = _code[key] = MachineCode(code)
    for pack in map(_packs.pop, packs):
        _packs[pack.name] = pack  # the last one used
        for kernel in pack.kernels:  # one that another pack has brought is called there
            _pack_of[kernel].users.add(code_object)
    return code_object


def link(pack: str, kernels: Iterable[str], code: bytes) -> None:
    """Load a group of kernels into this process, so that code can call them."""
    pack_object = _packs[pack] = Pack(pack, tuple(kernels), machine_code(code))
    _offer(pack_object)


def _offer(pack: Pack) -> None:
    """Register a group's kernels by name with LLVM's linker, unless known."""
    for name in pack.kernels:
        if name not in _pack_of:
            binding.add_symbol(name, pack.code.address(name))
            _pack_of[name] = pack


def pack_of(kernel: str) -> str | None:
    """Return the name of the loaded group that contains a kernel, or None."""
    pack = _pack_of.get(kernel)
    return pack and pack.name


def is_linked(pack: str) -> bool:
    """Return whether a group of kernels is loaded into this process."""
    return pack in _packs


def let_go() -> None:
    """Free unused groups of kernels from this process, except the most recent.

    Called before code is written that will call some: from then on they stay.
    """
    idle = [pack for pack in _packs.values() if not pack.users]
    for pack in idle[: max(0, len(idle) - IDLE)]:
        del _packs[pack.name]
        for name in pack.kernels:
            if _pack_of[name] is pack:
                del _pack_of[name]
        for other in _packs.values():
            _offer(other)
