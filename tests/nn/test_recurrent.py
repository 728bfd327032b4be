"""RNN, LSTM and GRU by their formulas, step by step; sequences, states, mistakes."""

from __future__ import annotations

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn
from chainrule.errors import ArgumentError, ChainruleWarning, DTypeError, ShapeError
from tests.mistakes import explained
from tests.ways import ENGINES, WAYS

RNG = np.random.default_rng(0)
X = RNG.normal(size=(6, 3, 4))
KINDS = (nn.LSTM, nn.GRU, nn.RNN)
CELLS = {nn.LSTM: nn.LSTMCell, nn.GRU: nn.GRUCell, nn.RNN: nn.RNNCell}
D = {"dtype": "float64"}


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def by_hand(kind, w, x, states, suffix="l0"):
    """Outputs and last states of one layer in one direction."""
    wih, whh = w[f"weight_ih_{suffix}"], w[f"weight_hh_{suffix}"]
    bih, bhh = w[f"bias_ih_{suffix}"], w[f"bias_hh_{suffix}"]
    h, *rest = states
    made = []
    for row in x:
        a, b = row @ wih.T + bih, h @ whh.T + bhh
        if kind is nn.LSTM:
            i, f, g, o = np.split(a + b, 4, axis=1)
            rest = [sigmoid(f) * rest[0] + sigmoid(i) * np.tanh(g)]
            h = sigmoid(o) * np.tanh(rest[0])
        elif kind is nn.RNN:
            h = np.tanh(a + b)
        else:
            (ar, az, an), (br, bz, bn) = np.split(a, 3, axis=1), np.split(b, 3, axis=1)
            z = sigmoid(az + bz)
            h = (1 - z) * np.tanh(an + sigmoid(ar + br) * bn) + z * h
        made.append(h)
    return np.array(made), [h, *rest]


def states_of(kind, *shape):
    made = RNG.normal(size=(2, *shape))
    return [*made] if kind is nn.LSTM else [made[0]]


def started(layer, x, states, lengths=None):
    """Output and last states, which are a list for all kinds; from 0 for no states."""
    given = [cr.tensor(s) for s in states]
    first = tuple(given) if len(given) > 1 else given[0] if given else None
    made, last = layer(x, first, lengths)
    return made, [*last] if isinstance(last, tuple) else [last]


@pytest.mark.parametrize("engine", WAYS)
@pytest.mark.parametrize("kind", KINDS)
def test_two_layers_in_both_directions_are_the_formula(kind, engine):
    cr.manual_seed(0)
    layer = kind(4, 5, num_layers=2, bidirectional=True, **D)
    first = states_of(kind, 4, 3, 5)
    w, below, last = layer.state_dict(), X, []
    for k in range(2):
        mine = [s[2 * k] for s in first], [s[2 * k + 1] for s in first]
        there, end = by_hand(kind, w, below, mine[0], f"l{k}")
        back, start = by_hand(kind, w, below[::-1], mine[1], f"l{k}_reverse")
        below = np.concatenate([there, back[::-1]], axis=2)
        last += [end, start]
    run = lambda x: started(layer, x, first)  # noqa: E731
    run = run if engine == "eager" else cr.compile(run, engine=engine)
    made, states = run(cr.tensor(X))
    np.testing.assert_allclose(made.numpy(), below, rtol=0, atol=1e-13)
    for i, state in enumerate(states):
        wanted = np.array([end[i] for end in last])
        np.testing.assert_allclose(state.numpy(), wanted, rtol=0, atol=1e-13)


@pytest.mark.parametrize("kind", KINDS)
def test_a_layer_is_its_cell_over_the_steps(kind):
    layer, cell = kind(4, 5, **D), CELLS[kind](4, 5, **D)
    state = {k.removesuffix("_l0"): a for k, a in layer.state_dict().items()}
    cell.load_state_dict(state)
    states = states_of(kind, 3, 5)[: len(cell.state_names)]
    output, _ = started(layer, X, [s[None] for s in states])
    for x, wanted in zip(X, output.numpy()):
        made = cell(x, tuple(states) if kind is nn.LSTM else states[0])
        states = [*made] if kind is nn.LSTM else [made]
        np.testing.assert_allclose(states[0].numpy(), wanted, rtol=0, atol=1e-14)
    alone = cell(X[0, 1])
    wanted = (cell(X[0])[0] if kind is nn.LSTM else cell(X[0]))[1]
    alone = alone[0] if kind is nn.LSTM else alone
    np.testing.assert_allclose(alone.numpy(), wanted.numpy(), rtol=0, atol=1e-14)


#: Every kind eagerly; on each engine one, the others in the slow tests.
KINDS_BY_WAYS = [
    pytest.param(
        *(kind, way),
        marks=[pytest.mark.slow]
        * (way != "eager" and kind is not {"numpy": nn.GRU, "native": nn.LSTM}[way]),
    )
    for kind in KINDS
    for way in WAYS
]


@pytest.mark.parametrize(("kind", "engine"), KINDS_BY_WAYS)
def test_each_sequence_ends_where_it_ends(kind, engine):
    """As if it were alone; what lies beyond is never looked at, not even NaN."""
    cr.manual_seed(0)
    layers = 2 if engine == "eager" else 1  # a second one is the same program again
    layer, lengths = kind(4, 5, layers, bidirectional=True, **D), [2, 6, 1]
    x = np.where(np.arange(6)[:, None, None] < np.array(lengths)[:, None], X, np.nan)

    def run(x, lengths):
        def total(x):
            return sum((y**2).sum() for y in started(layer, x, [], lengths)[1])

        slopes = cr.grad(lambda x: (layer(x, None, lengths)[0] ** 2).sum())(x)
        return *started(layer, x, [], lengths), slopes, cr.grad(total)(x)

    function = run if engine == "eager" else cr.compile(run, engine=engine)
    y, states, *slopes = function(cr.tensor(x), cr.tensor(lengths))
    for i, n in enumerate(lengths):
        wanted, last, *others = run(cr.tensor(X[:n, i]), None)
        np.testing.assert_allclose(y.numpy()[:n, i], wanted.numpy(), atol=1e-14)
        assert not y.numpy()[n:, i].any()
        for got, right in zip(states, last):
            np.testing.assert_allclose(got.numpy()[:, i], right.numpy(), atol=1e-14)
        for got, right in zip(slopes, others):
            np.testing.assert_allclose(got.numpy()[:n, i], right.numpy(), atol=1e-13)
            assert not got.numpy()[n:, i].any()


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("bad", [[0, 1, 2], [1, 7, 2]])
def test_a_compiled_function_refuses_a_length_too(engine, bad):
    layer = nn.GRU(4, 5, **D)
    run = cr.compile(lambda x, n: layer(x, lengths=n)[0], engine=engine)
    assert run(cr.tensor(X), cr.tensor([1, 6, 2])).shape == (6, 3, 5)
    with pytest.raises(ArgumentError, match="lengths of sequences"):
        run(cr.tensor(X), cr.tensor(bad))


@pytest.mark.parametrize("kind", KINDS)
def test_a_sequence_goes_on_where_it_stopped(kind):
    layer = kind(4, 5, num_layers=2, bias=False, **D)
    assert not any(name.startswith("bias") for name in layer.state_dict())
    whole, end = layer(cr.tensor(X))
    start, states = layer(cr.tensor(X[:2]))
    rest, last = layer(cr.tensor(X[2:]), states)
    both = cr.concat([start, rest], axis=0)
    np.testing.assert_allclose(both.numpy(), whole.numpy(), rtol=0, atol=1e-14)
    ends = [(a, b) for a, b in zip(end, last)] if kind is nn.LSTM else [(end, last)]
    for wanted, got in ends:
        np.testing.assert_allclose(got.numpy(), wanted.numpy(), rtol=0, atol=1e-14)


@pytest.mark.parametrize("kind", KINDS)
def test_batches_first_and_sequences_alone(kind):
    layer = kind(4, 5, bidirectional=True, **D)
    turned = kind(4, 5, batch_first=True, bidirectional=True, **D)
    turned.load_state_dict(layer.state_dict())
    made, wanted = turned(X.transpose(1, 0, 2))[0], layer(X)[0]
    np.testing.assert_array_equal(made.numpy(), wanted.numpy().transpose(1, 0, 2))
    first = states_of(kind, 2, 3, 5)
    for one in (layer, turned):
        out, states = started(one, X[:, 1], [s[:, 1] for s in first])
        among, others = started(layer, X, first)
        np.testing.assert_allclose(out.numpy(), among.numpy()[:, 1], atol=1e-14)
        for mine, other in zip(states, others):
            np.testing.assert_allclose(mine.numpy(), other.numpy()[:, 1], atol=1e-14)


@pytest.mark.parametrize("kind", KINDS)
def test_dropout_is_between_layers(kind):
    cr.manual_seed(0)
    layer = kind(4, 50, num_layers=2, dropout=0.4, **D)
    plain = kind(4, 50, num_layers=2, **D)
    plain.load_state_dict(layer.state_dict())
    dropped, states = layer(X)
    assert (dropped.numpy() != 0).all()
    ours = states[0] if kind is nn.LSTM else states
    theirs = plain(X)[1][0] if kind is nn.LSTM else plain(X)[1]
    np.testing.assert_array_equal(ours[0].numpy(), theirs[0].numpy())
    assert not np.allclose(ours[1].numpy(), theirs[1].numpy())
    layer.eval()
    np.testing.assert_array_equal(layer(X)[0].numpy(), plain(X)[0].numpy())
    with pytest.warns(ChainruleWarning, match=r"between its layers"):
        kind(4, 5, dropout=0.4)


@pytest.mark.one_in(2, first=1)
@pytest.mark.parametrize(
    ("kind", "engine"), [case for case in KINDS_BY_WAYS if case.values[1] != "eager"]
)
def test_one_program_for_every_number_of_sequences_and_steps(kind, engine):
    layer = kind(4, 5, bidirectional=True, **D)

    def slope(x):
        return cr.grad(lambda x: (layer(x)[0] ** 2).sum())(x)

    run = cr.compile(slope, engine=engine)
    for steps, sequences in ((6, 3), (4, 3), (1, 2), (3, 1)):
        x = cr.tensor(X[:steps, :sequences])
        np.testing.assert_allclose(
            run(x).numpy(), slope(x).numpy(), rtol=1e-12, atol=1e-14
        )


@pytest.mark.parametrize("kind", KINDS)
def test_the_length_makes_no_larger_graph(kind):
    layer = kind(4, 5)

    def nodes(steps):
        from chainrule.compilation.tracing import Input, trace_entry
        from chainrule.graph.types import ArrayType, DType

        x = Input("x", ArrayType((steps, 3, 4), DType.float32))
        graph = trace_entry("main", lambda x: layer(x)[0], [x]).entry.graph
        return [node.primitive.name for node in graph.nodes]

    assert nodes(3) == nodes(300)
    outside = nodes(3)
    assert outside.index("dot_general") < outside.index("scan")


class Last(nn.Module):
    """Scores of the last step of a sequence."""

    def __init__(self):
        self.cells = nn.LSTM(1, 12, batch_first=True)
        self.scores = nn.Linear(12, 2)

    def forward(self, x):
        output, _ = self.cells(x)
        return self.scores(output[:, -1])


def test_initial_weights_and_their_names_are_pytorchs():
    """U(−1/√m, 1/√m), in PyTorch's order."""
    cr.manual_seed(0)
    layer = nn.GRU(3, 16, 2, bidirectional=True)
    shapes = {name: a.shape for name, a in layer.state_dict().items()}
    assert [*shapes][:8] == [
        f"{what}_{end}"
        for end in ("l0", "l0_reverse")
        for what in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    ]
    assert shapes["weight_ih_l0"] == (48, 3)
    assert shapes["weight_ih_l1_reverse"] == (48, 32)
    for array in layer.state_dict().values():
        assert abs(array).max() <= 0.25
    assert abs(layer.weight_hh_l1.numpy()).max() > 0.24


def test_summary_shows_what_a_step_gives():
    made = cr.summary(Last(), (10, 1))
    rows = {row.path: row for row in made.layers}
    assert rows["cells"].output == "(N, 10, 12), (1, N, 12), (1, N, 12)"
    assert rows["cells"].parameters == 4 * 12 * (1 + 12 + 2)
    assert rows["cells"].flops > 10 * 2 * 48 * 13
    assert rows["scores"].output == "(N, 2)"


def test_integers_become_floats_and_other_floats_are_refused():
    layer = nn.LSTM(2, 3)
    assert layer(np.ones((4, 2), np.int64))[0].shape == (4, 3)
    with pytest.raises(DTypeError, match="float32"):
        layer(np.ones((4, 2)))


#: What is written, by its error, and words of the message.
MISTAKES = {
    ArgumentError: {
        "nn.LSTM(0, 3)": "input_size",
        "nn.GRU(2, 3, num_layers=0)": "num_layers",
        "nn.GRU(2, 3, 2, dropout=1.0)": "0 ≤ dropout < 1",
        "nn.GRU(2, 3, 2, bidirectional='yes')": "bidirectional",
        "nn.RNN(2, 3, nonlinearity='sin')": "'tanh' or.*'relu'.*'sin'",
        "nn.RNNCell(2, 3, nonlinearity=None)": "RNNCell has no such nonlinearity",
        "nn.LSTMCell(2, 0)": "hidden_size",
        "nn.LSTMCell(2, 3)(cr.zeros(1, 2), cr.zeros(1, 3))": r"\(h, c\)",
        "nn.GRU(2, 3)(cr.zeros(5, 2, 2), lengths=[5, 0])": "1 … 5.*0 in row 1.*empty",
        "nn.GRU(2, 3)(cr.zeros(5, 2, 2), lengths=[6, 5])": "1 … 5.*6 in row 0",
        "nn.RNN(2, 3)(cr.zeros(5, 2), lengths=6)": "1 … 5.*got: *6",
        "nn.LSTM(2, 3)(cr.zeros(5, 1, 2), cr.zeros(1, 1, 3))": r"\(h_0, c_0\)",
        "nn.Sequential(nn.LSTM(2, 3), nn.Linear(3, 1))(cr.zeros(5, 1, 2))": (
            r"Linear takes one tensor.*nn.Steps"
        ),
        "nn.Sequential(nn.GRU(2, 2), nn.GRU(2, 2))(cr.zeros(1, 1, 2))": "GRU takes one",
    },
    ShapeError: {
        "nn.Sequential(nn.LSTM(2, 3))(cr.zeros(5, 3))": r"LSTM '0'.*\(T, N, 2\)",
        "nn.GRU(2, 3, batch_first=True)(cr.zeros(5, 1, 3))": r"\(N, T, 2\).*GRU\(3",
        "nn.LSTM(2, 3)(cr.zeros(2))": r"one sequence.*\(2,\).*nn.LSTMCell\(2, …\)",
        "nn.LSTM(2, 3)(cr.zeros(5, 4, 2, 2))": r"x.flatten\(2\).*nn.LSTM\(4, …\)",
        "nn.LSTM(2, 3)(cr.zeros())": r"one sequence.*\(\)$",
        "nn.GRU(2, 3)(cr.zeros(0, 4, 2))": r"at least one step.*\(0, 4, 2\)",
        "nn.GRU(2, 3)(cr.zeros(5, 4, 2), cr.zeros(1, 3, 3))": r"h_0.*\(1, 4, 3\)",
        "nn.LSTM(2, 3)(cr.zeros(5, 2), (cr.zeros(1, 3), cr.zeros(2, 3)))": "c_0",
        "nn.RNN(2, 3)(cr.zeros(5, 2, 2), lengths=[5])": r"lengths of shape \(2,\).*1,",
        "nn.GRUCell(2, 3)(cr.zeros(5, 2, 2))": r"one step.*\(N, 2\).*nn.GRU for",
        "nn.GRUCell(2, 3)(cr.zeros(5, 2), cr.zeros(4, 3))": r"h of shape \(5, 3\)",
    },
    DTypeError: {
        "nn.RNN(2, 3)(cr.zeros(5, 2, 2), lengths=[5.0, 1.0])": "integers.*float32",
        "nn.RNNCell(2, 3)(np.ones((4, 2)))": "float32",
        "nn.RNN(2, 3)(cr.zeros(5, 2, 2), lengths=[True, True])": "integers.*bool",
        "nn.GRU(2, 3)(cr.zeros(5, 2), np.ones((1, 3)))": (
            r"GRU and its h_0 have.*float64.*h_0.astype\('float32'\)"
        ),
        "nn.LSTMCell(2, 3)(cr.zeros(2), (cr.zeros(3), np.ones(3)))": "its c have",
    },
}


test_mistakes_are_explained = explained(MISTAKES, globals())
