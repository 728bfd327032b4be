"""The verifier: what is in order passes, each broken rule is named."""

from __future__ import annotations

import numpy as np
import pytest

from chainrule.errors import GraphError
from chainrule.graph.emit import trace
from chainrule.graph.graph import Graph
from chainrule.graph.node import Value
from chainrule.graph.program import Entry
from chainrule.graph.text import parse
from chainrule.graph.types import ArrayType, DType, SymbolicDim
from chainrule.graph.verify import verify
from chainrule.primitives.elementwise import add, mul, neg

F32 = DType.float32
TEXT = """\
graph step(%x: f32[2], %w: f32[2]) {
  %1: f32[2] = mul(%x, %w)
  %2: f32[2] = add(%1, %w) ; scope=0.bias role=update at model.py:7
  %3: f32[] = reduce_sum(%2) {axes=(0,)}
  return %3, %2
}"""


def graph() -> Graph:
    return parse(TEXT)


def loop(body: str) -> Graph:
    return parse(
        "graph main(%h: f32[2], %xs: f32[3,2]) {\n"
        "  %1: f32[2] = scan(%h, %xs)"
        " {body=@body, length=3, constants=0, carries=1, reverse=false}\n"
        "  return %1\n}\n" + body
    )


BODY = (
    "graph body(%h: f32[2], %x: f32[2]) {\n  %1: f32[2] = add(%h, %x)\n  return %1\n}"
)


def test_graphs_in_order_pass() -> None:
    verify(graph())
    verify(loop(BODY))
    verify(Graph("empty", [], []))
    x = Value(None, (2,), F32, name="x")
    verify(Graph("same", [x], [x, x]))
    types = [ArrayType((SymbolicDim("N"), 3), F32)]
    verify(trace(lambda x: mul(x, neg(x)), types))


def test_a_graph_may_begin_at_any_values() -> None:
    """A piece of a graph: its inputs are outputs of nodes outside of it."""
    whole = graph()
    verify(Graph("piece", [whole.nodes[1].outputs[0]], [whole.outputs[0]]))  # type: ignore[list-item]


AT = "node 1, add in '0.bias' (update model.py:7),"
SUM = "node 2, reduce_sum (forward),"
RULE = f"{AT} has outputs that its rule does not give"
#: What breaks one rule, and what is said of it.
FAULTS = {
    "g.nodes[1].inputs = (value((2,)), g.inputs[1])": f"{AT} reads a value that",
    "g.nodes = (g.nodes[1], g.nodes[0], g.nodes[2])": "node 0, add in '0.bias' (update",
    "g.outputs[1].shape = (3,)": RULE,
    "g.outputs[1].dtype = DType.float64": RULE,
    "g.outputs[1].shape = (2.0,)": RULE,
    "g.nodes[1].set_outputs(())": RULE,
    "g.nodes[1].set_outputs((value((2,)),), weakly=True)": RULE,
    "g.nodes[2].attrs['axes'] = (4,)": f"{SUM} is refused by its rule: reduce_sum got",
    "g.nodes[2].attrs['axes'] = 4": f"{SUM} is refused by its rule: reduce_sum does",
    "g.nodes[2].attrs['axes'] = (np.int64(0),)": f"{SUM} has an attribute 'axes' of a",
    "g.nodes[2].attrs['axes'] = [0]": f"{SUM} has an attribute 'axes' of a kind",
    "g.outputs = (value(()),)": "output 0 is computed by no node",
    "g.nodes[1].set_outputs(g.nodes[0].outputs)": f"{AT} gives a value that another",
    "g.inputs = (g.inputs[0], *g.inputs)": "inputs holds one value twice",
    "g.inputs[0].array = numbers": "inputs holds a value that carries numbers",
    "g.outputs[1].array = numbers": f"{AT} gives a value that carries numbers",
    "g.nodes[1].role = None": "has an origin that is no text",
    "g.nodes[1].scope = 3": "has an origin that is no text",
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_broken_rule_is_named(fault: str) -> None:
    g, numbers = graph(), np.ones(2, np.float32)

    def value(shape: tuple[int, ...]) -> Value:
        return Value(None, shape, F32)

    exec(fault, {**globals(), "g": g, "numbers": numbers, "value": value})
    with pytest.raises(GraphError) as error:
        verify(g)
    assert "graph 'step'" in error.value.what
    assert FAULTS[fault] in error.value.what
    assert error.value.expected
    assert error.value.got


def test_outputs_stand_in_their_order() -> None:
    g = parse(
        "graph main(%a: f32[2], %b: f32[2]) {\n"
        "  %1: f32[2], %2: f32[2] = scan(%a, %b)"
        " {body=@swap, length=3, constants=0, carries=2, reverse=false}\n"
        "  return %1, %2\n}\n"
        "graph swap(%a: f32[2], %b: f32[2]) {\n  return %b, %a\n}"
    )
    verify(g)
    first, second = g.nodes[0].outputs
    assert first is not None
    assert second is not None
    for wrong in ((second, first), (first, first)):
        g.nodes[0].set_outputs(wrong)
        with pytest.raises(GraphError, match="gives a value that another node"):
            verify(g)


def test_bodies_are_verified_too() -> None:
    g = loop(BODY)
    body = g.nodes[0].attrs["body"]
    body.nodes[0].role = 1
    with pytest.raises(GraphError, match="graph 'body', node 0, add"):
        verify(g)


def test_bodies_are_found_inside_of_tuples() -> None:
    g = graph()
    broken = loop(BODY).nodes[0].attrs["body"]
    broken.nodes[0].role = 1
    g.nodes[0].attrs["branches"] = (("deeper", broken),)
    with pytest.raises(GraphError, match="graph 'body', node 0, add"):
        verify(g)


def test_an_eager_graph_is_refused() -> None:
    x = Value(np.ones(2, np.float32), tracked=True)
    y = add(x, x)
    with pytest.raises(GraphError, match="carries numbers"):
        verify(Graph("eager", [x], [y]))


# Replacements


def entry(state: tuple[str, ...], replaces: dict[str, int]) -> Entry:
    return Entry("train", graph(), ("x",), (), state, replaces, outputs=1)


def test_broken_replacements_are_named() -> None:
    wrong = [
        ({"x": 1}, "'x' is not state"),
        ({"loss": 1}, "'loss' is not state"),
        ({"w": 2}, "'w' is replaced by no output"),
        ({"w": 0}, "'w' is replaced by no output"),
    ]
    for replaces, what in wrong:
        with pytest.raises(GraphError, match=what) as error:
            entry(("w",), replaces)
        assert error.value.expected
        assert error.value.got


def test_state_keeps_its_type() -> None:
    g = graph()
    with pytest.raises(GraphError, match="'w' changes its type") as error:
        Entry("train", g, ("x",), (), ("w",), {"w": 0}, outputs=0)
    assert error.value.expected == f"a new value of type {g.inputs[1].type}"
