"""The XLA engine's table: what each primitive is in JAX's public functions.

:func:`results` walks over a graph while JAX traces; XLA fuses what comes of it. Bodies
of loops and branches are walked over in the same way (``control``).
"""

from __future__ import annotations

from collections.abc import Sequence

from chainrule.engines.runtime_checks import distinct_conditions
from chainrule.engines.xla.backend import Array
from chainrule.engines.xla.checks import Checks
from chainrule.engines.xla.control import NESTED, NESTED_BODIES, opened
from chainrule.engines.xla.elementwise import ELEMENTWISE, Lowering
from chainrule.engines.xla.fourier import FOURIER
from chainrule.engines.xla.indexing import INDEXING
from chainrule.engines.xla.layouts import Laid, laid_results, plain
from chainrule.engines.xla.matrices import MATRICES
from chainrule.engines.xla.movement import MOVEMENT
from chainrule.engines.xla.products import PRODUCTS
from chainrule.engines.xla.random import RANDOM
from chainrule.engines.xla.sums import SUMS
from chainrule.engines.xla.windows import WINDOWS
from chainrule.errors import EngineError
from chainrule.graph.graph import Graph
from chainrule.graph.node import Value
from chainrule.graph.primitive import Primitive
from chainrule.primitives.checks import require
from chainrule.text import _


def _passed(x: Array, holds: Array, **message: str) -> Array:
    """Return what ``require`` passes on; its condition is recorded by ``results``."""
    return x


#: ``LOWERINGS[p](*arrays, **attrs)`` computes p.
LOWERINGS: dict[Primitive, Lowering] = {
    **ELEMENTWISE,
    **MOVEMENT,
    **PRODUCTS,
    **WINDOWS,
    **SUMS,
    **INDEXING,
    **RANDOM,
    **MATRICES,
    **FOURIER,
    require: _passed,
}


def need_lowerings(graph: Graph) -> None:
    """Raise an error if a graph has a primitive that this engine cannot run.

    Raises:
        EngineError: it has; with the primitive and the module that applies it.
    """
    for node in graph.nodes:
        if node.primitive in NESTED:
            for name in NESTED_BODIES[node.primitive]:
                need_lowerings(opened(node.attrs[name]))
        elif node.primitive not in LOWERINGS:
            where = node.scope or node.source or graph.name
            raise EngineError(
                _(
                    "The xla engine cannot compute {name!r}.",
                    name=node.primitive.name,
                ),
                expected=_("primitives that it has a row for"),
                got=_("{name} in {where!r}", name=node.primitive.name, where=where),
                fix=_('use engine="native" or engine="numpy"'),
            )


def results(
    graph: Graph, inputs: Sequence[Array], checks: Checks, *, check: bool = True
) -> list[Array]:
    """Return the outputs of an opened graph of fixed sizes, as JAX traces it.

    ``check``: whether the conditions of its nodes are recorded.
    """
    known: dict[Value, Laid] = {
        v: (array, None) for v, array in zip(graph.inputs, inputs, strict=True)
    }
    wanted = dict(distinct_conditions(graph.nodes)) if check else {}
    for i, node in enumerate(graph.nodes):
        for condition in wanted.get(i, ()):
            if condition.value is not None:
                checks.check(condition, plain(known[condition.value]))
        operands = [known[v] for v in node.inputs]
        if node.primitive in NESTED:
            arrays = list(map(plain, operands))
            nested = NESTED[node.primitive](node, arrays, checks, results)
            made: list[Laid] = [(array, None) for array in nested]
        else:
            made = laid_results(node, operands, LOWERINGS[node.primitive])
        pairs = zip(node.outputs, made, strict=True)
        known.update((value, laid) for value, laid in pairs if value is not None)
    return [plain(known[v]) for v in graph.outputs]
