"""How nodes are made: eagerly and while tracing, with scope, role, source and grad."""

from __future__ import annotations

import gc
import threading
import weakref
from pathlib import Path

import numpy as np
import pytest

from chainrule.composites.activations import softmax
from chainrule.errors import ArgumentError, GraphError, ShapeError
from chainrule.graph.apply import constant
from chainrule.graph.context import absolute_scope, context, no_grad, role, scope
from chainrule.graph.declare import declare
from chainrule.graph.emit import INLINE_CONSTANT, clone, trace, tracing
from chainrule.graph.graph import Graph, users
from chainrule.graph.interpret import evaluate, evaluate_all, run_nodes, solve_sizes
from chainrule.graph.node import Value
from chainrule.graph.primitive import lookup, registered
from chainrule.graph.types import ArrayType, DType, SymbolicDim
from chainrule.primitives.elementwise import add, exp, less, mul, neg
from chainrule.primitives.movement import reduce_sum

F32, F64 = DType.float32, DType.float64
N = SymbolicDim("N")


def eager(*numbers: float, tracked: bool = False) -> Value:
    return Value(np.array(numbers), tracked=tracked)


def typed(*shape: int | SymbolicDim, dtype: DType = F64) -> ArrayType:
    return ArrayType(shape, dtype)


def test_eager_computes_at_once() -> None:
    made = add(eager(1.0, 2.0), eager(10.0, 20.0))
    np.testing.assert_array_equal(made.array, [11.0, 22.0])
    assert made.node is None, "nothing is remembered where no derivative is reachable"


def test_what_was_checked_once_is_known_by_dtype_shape_and_attributes() -> None:
    """Types are kept for the next application alike, and for none that differs."""
    for count in (1, 2, 3):
        for shape in ((2, 3), (3, 2)):
            for dtype in (F32, F64):
                x = Value(np.ones(shape, dtype.numpy))
                made = add(*(x, x)) if count == 2 else neg(x)
                assert made.type == ArrayType(shape, dtype)
                for axes in ((0,), (1,)):
                    total = reduce_sum(x, axes=axes)
                    assert total.type == ArrayType((shape[1 - axes[0]],), dtype)
                    assert total.array.shape == total.shape
    assert neg(constant(0, F64)).type == neg(constant(0.0, F64)).type
    for zero in (0.0, -0.0, 0.0):
        assert np.signbit(constant(zero, F64).array) == np.signbit(zero)


def test_eager_remembers_where_a_derivative_is_reachable() -> None:
    x = eager(1.0, 2.0, tracked=True)
    made = mul(x, x)
    assert made.tracked
    assert made.node is not None
    assert made.node.inputs == (x, x)
    assert made.node.outputs == (made,)
    assert not less(x, x).tracked, "a truth value has no derivative"
    with no_grad():
        assert mul(x, x).node is None


def test_a_forgotten_result_frees_its_history_at_once() -> None:
    x = eager(1.0, tracked=True)
    y = exp(x)
    z = exp(y)
    node = weakref.ref(y)
    gc.disable()
    try:
        del y
        assert node() is not None, "z was computed from it"
        del z
        assert node() is None
    finally:
        gc.enable()


def test_tracing_records_the_same_node_without_numbers() -> None:
    graph = trace(lambda a, b: add(a, b), [typed(2), typed(2)])
    (node,) = graph.nodes
    assert node.primitive is lookup("add")
    assert graph.outputs[0].array is None
    assert graph.outputs[0].type == typed(2)
    assert not graph.outputs[0].tracked
    assert repr(graph) == "<graph graph: 1 node>"


def test_numbers_met_while_tracing_become_constants_once() -> None:
    half = constant(0.5, F64)
    graph = trace(lambda x: add(mul(x, half), half), [typed()])
    assert [n.primitive.name for n in graph.nodes] == ["constant", "mul", "add"]
    assert evaluate(graph, [3.0]) == (2.0,)


def test_large_numbers_from_outside_are_refused() -> None:
    small = Value(np.ones(INLINE_CONSTANT))
    large = Value(np.ones(INLINE_CONSTANT + 1))
    trace(lambda x: add(x, small), [typed(INLINE_CONSTANT)])
    with pytest.raises(GraphError, match="from outside") as error:
        trace(lambda x: add(x, large), [typed(INLINE_CONSTANT + 1)], name="f")
    assert "'f'" in error.value.what
    assert error.value.fix == "pass it as an argument"


def test_a_traced_value_cannot_be_computed_with() -> None:
    kept: list[Value] = []
    trace(lambda x: kept.append(x) or x, [typed(2)])
    with pytest.raises(GraphError, match="graph already traced"):
        neg(kept[0])


def test_the_rule_explains_what_numpy_refuses() -> None:
    with pytest.raises(ShapeError, match="add takes values of one shape") as error:
        add(eager(1.0, 2.0), eager(1.0, 2.0, 3.0))
    assert error.value.expected == "(2,)"
    assert error.value.got == "(3,)"


def test_scopes_nest_and_roles_are_kept() -> None:
    def function(x: Value) -> Value:
        with scope("encoder"), scope("0"):
            x = exp(x)
            with role("update"), scope(""):
                x = neg(x)
            with absolute_scope("other", "backward"):
                x = neg(x)
        return neg(x)

    with scope("outside"):
        graph = trace(function, [typed()])
        assert context.scope == "outside"
    assert [(n.scope, n.role) for n in graph.nodes] == [
        ("encoder.0", "forward"),
        ("encoder.0", "update"),
        ("other", "backward"),
        ("", "forward"),
    ]


def test_the_context_is_restored_after_an_error() -> None:
    def breaks(x: Value) -> Value:
        with scope("s"), role("update"), no_grad():
            raise KeyError(x)

    with pytest.raises(KeyError):
        trace(breaks, [typed()])
    assert (context.trace, context.scope, context.role) == (None, "", "forward")
    assert context.grad


def test_another_thread_has_a_context_of_its_own() -> None:
    seen: list[object] = []

    def look() -> None:
        seen.extend([context.trace, context.scope, context.grad])

    with tracing(), scope("here"), no_grad():
        thread = threading.Thread(target=look)
        thread.start()
        thread.join()
    assert seen == [None, "", True]


def test_the_source_is_the_users_line() -> None:
    graph = trace(lambda x: softmax(x, axis=0), [typed(3)])
    source = graph.nodes[0].source
    assert source is not None
    file, line = source.split(":")
    assert file == "test_apply.py"
    lines = Path(__file__).read_text(encoding="utf-8").splitlines()
    assert "softmax(x, axis=0)" in lines[int(line) - 1]


def test_replay_keeps_where_a_node_comes_from() -> None:
    def function(x: Value) -> Value:
        with scope("0"), role("update"):
            return exp(x)

    graph = trace(function, [typed(2)])
    (old,) = graph.nodes
    with tracing():
        x = Value(None, (2,), F64, name="x")
        (value,) = clone(old, [x])
    new = value.node
    assert new is not None
    assert new is not old
    assert (new.scope, new.role, new.source) == (old.scope, old.role, old.source)


def test_a_graph_holds_what_its_outputs_need() -> None:
    def function(x: Value) -> Value:
        exp(x)
        return neg(x)

    graph = trace(function, [typed(2)])
    assert [n.primitive.name for n in graph.nodes] == ["neg"]
    whole = trace(lambda x: neg(exp(x)), [typed(2)])
    middle = whole.nodes[0].outputs[0]
    assert middle is not None
    assert [n.primitive.name for n in Graph("rest", [middle], whole.outputs).nodes] == [
        "neg"
    ]


def test_users_are_listed_once_for_each_value() -> None:
    graph = trace(lambda x: neg(mul(x, x)), [typed(2)])
    readers = users(graph)
    assert readers[graph.inputs[0]] == [graph.nodes[0]]
    assert readers[graph.outputs[0]] == []


# Running a graph


def test_n_comes_from_the_inputs() -> None:
    graph = trace(lambda x: reduce_sum(x, axes=(1,)), [typed(N, 3)])
    for n in (0, 1, 5):
        assert evaluate(graph, [np.ones((n, 3))])[0].shape == (n,)
    assert solve_sizes([((SymbolicDim("N", factor=2), 3), (8, 3)), ((N,), (4,))]) == {
        "N": 4
    }
    assert solve_sizes([((2,), (2,))]) == {}
    area = ((SymbolicDim("N", "T"),), (12,))
    assert solve_sizes([area, ((N,), (4,))]) == {"N": 4, "T": 3}


@pytest.mark.parametrize(
    "shapes",
    [
        [((N,), (3,)), ((N,), (4,))],
        [((SymbolicDim("N", factor=2),), (5,))],
        [((N,), (0,)), ((N,), (4,))],
    ],
    ids=["two", "odd", "none and some"],
)
def test_inputs_that_disagree_about_n_are_refused(shapes) -> None:
    with pytest.raises(ShapeError, match="disagree") as error:
        solve_sizes(shapes)
    assert error.value.got


def test_a_graph_without_nodes_hands_its_inputs_on() -> None:
    graph = trace(lambda x, y: (y, x, y), [typed(), typed()])
    assert evaluate(graph, [1.0, 2.0]) == (2.0, 1.0, 2.0)
    assert evaluate_all(graph, [1.0, 2.0])[graph.inputs[1]] == 2.0


def test_every_value_can_be_watched() -> None:
    graph = trace(lambda x: neg(exp(x)), [typed()])
    seen = [(n.primitive.name, len(known)) for n, known in run_nodes(graph, [0.0])]
    assert seen == [("exp", 2), ("neg", 3)]
    numbers = evaluate_all(graph, [0.0])
    assert [float(numbers[v]) for v in graph.values()] == [0.0, 1.0, -1.0]


# The registry


def test_unknown_primitives_and_double_names_are_refused() -> None:
    with pytest.raises(ArgumentError, match="did you mean 'softmax'"):
        lookup("sofmax")
    with pytest.raises(GraphError, match="declared twice"):
        declare(name="add", rule=lambda *types: types[0])(np.add)
    assert registered()["add"] is lookup("add") is add
    registered().clear()
    assert lookup("add") is add
