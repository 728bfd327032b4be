"""Generation of LLVM code that leaves a primitive to NumPy, by a call of its reference.

See :mod:`chainrule.engines.native.runtime.references` for the other side.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir

from chainrule.engines.native.emit.body import BodyBuilder
from chainrule.engines.native.math.scalar import I8, I32, I64, POINTER
from chainrule.engines.native.runtime.code import CONDITION
from chainrule.engines.native.runtime.references import SYMBOL, description
from chainrule.engines.schedule.sharing import ONE
from chainrule.graph.node import Node
from chainrule.text import _


def by_numpy(builder: BodyBuilder, node: Node) -> None:
    """Emit the call of a node's reference by one thread; an error refuses the run."""
    code, b = builder.code, builder.b
    values = [*node.inputs, *(v for v in node.outputs if v is not None)]
    first = len(node.inputs)
    code.touch([builder.access(v, ONE, write=i >= first) for i, v in enumerate(values)])
    text = description(node)
    name = code.constant(np.frombuffer(text, np.uint8))
    message = {
        "what": str(_("{name} was not computed.", name=node.primitive.name)),
        "expected": str(_("a result of NumPy's function")),
        "got": str(_("an error of it")),
        "fix": str(_("engine='numpy' shows that error")),
    }
    code.conditions.append(message)
    number = len(code.conditions)
    pointers = [builder.pointer(v) for v in values]
    sizes = [[code.dim(d) for d in v.shape] for v in values]
    with code.one_thread():
        words: list[Any] = []
        for pointer, shape in zip(pointers, sizes, strict=True):
            words += [b.ptrtoint(pointer, I64), *shape]
        with b.goto_entry_block():
            room = b.alloca(I64, len(words))
        for i, word in enumerate(words):
            b.store(word, b.gep(room, [I64(i)], source_etype=I64), align=8)
        wrong = b.call(_function(code.module), [name, I64(len(text)), room])
        with b.if_then(b.icmp_signed("!=", wrong, I32(0)), likely=False):
            at = b.gep(code.status, [I64(CONDITION)], source_etype=I8)
            free = b.icmp_unsigned("==", b.load(at, typ=I32, align=4), I32(0))
            with b.if_then(free):
                b.store(I32(number), at, align=4)


def _function(module: ir.Module) -> Any:
    """Return the function that calls NumPy, declared in the module."""
    if SYMBOL in module.globals:
        return module.globals[SYMBOL]
    kind = ir.FunctionType(I32, [POINTER, I64, POINTER])
    return ir.Function(module, kind, SYMBOL)
