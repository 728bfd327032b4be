"""An experiment: the forward pass multiplies by W, the backward pass by Wᵀ.

⟨Wx, δ⟩ = ⟨x, Wᵀδ⟩ defines the transpose. For a whole network it reads: let u⁽⁰⁾ be a
small change of the input and u⁽ˡ⁾ the change of a⁽ˡ⁾ that it makes; let v⁽ᴸ⁾ be any
direction of the output and v⁽ˡ⁾ what the backward pass makes of it at a⁽ˡ⁾. Then
⟨u⁽ˡ⁾, v⁽ˡ⁾⟩ is the same number at every layer: what one pass does the other undoes.

Source: Griewank & Walther, Evaluating Derivatives, 2008, 3.3.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

import chainrule as cr
from chainrule import nn
from chainrule.book.experiments import panels
from chainrule.book.experiments.experiment import About, Finding, Setting, compared
from chainrule.book.experiments.parameters import Parameter
from chainrule.graph.node import Array
from chainrule.text import _, tr
from chainrule.text.numbers import number
from chainrule.text.tables import Table
from chainrule.viz import drawing

SECTIONS = ("3.9", "3.6")
FORMULA = "⟨W x, δ⟩ = ⟨x, Wᵀδ⟩;  ⟨u⁽ˡ⁾, v⁽ˡ⁾⟩ = ⟨u⁽ᴸ⁾, v⁽ᴸ⁾⟩,  l = 0 … L"
LEFT = 1
SIZE = (9.0, 3.8)

PARAMETERS = (
    Parameter("inputs", _("inputs"), 6, 1, 12),
    Parameter("first", _("units of the first hidden layer"), 8, 1, 12),
    Parameter("second", _("units of the second hidden layer"), 5, 1, 12),
    Parameter("outputs", _("outputs"), 3, 1, 12),
)


def about(setting: Setting) -> About:
    return About(
        tr("the symmetry of forward and backward: W and its transpose"),
        tr("Why is backward the transpose of forward, and what follows from it?"),
        tr(
            "A network {sizes} with tanh in float64, one sample, one loss. Each W⁽ˡ⁾ "
            "meets its input forward and its error term δ⁽ˡ⁾ backward; then a change u "
            "is pushed forward through all layers (jvp) and a direction v pulled back "
            "(vjp).",
            sizes=" → ".join(map(str, sizes(setting))),
        ),
    )


def sizes(setting: Setting) -> list[int]:
    """Return the sizes of a network's layers, from its inputs on."""
    return [setting[parameter] for parameter in PARAMETERS]


def network(setting: Setting) -> nn.Sequential:
    """Return the symmetry experiment's network: linear layers with tanh between."""
    cr.manual_seed(setting.seed)
    layers: list[Any] = []
    for inputs, outputs in itertools.pairwise(sizes(setting)):
        layers += [nn.Linear(inputs, outputs, dtype="float64"), nn.Tanh()]
    return nn.Sequential(*layers[:-1])


def blocks(model: nn.Sequential) -> list[nn.Sequential]:
    """Return a network's layers as pairs: a linear product and its activation."""
    modules = list(model)
    return [nn.Sequential(*modules[i : i + 2]) for i in range(0, len(modules), 2)]


def products(model: nn.Sequential, x: Array, y: Array) -> list[dict[str, Any]]:
    """Compute both sides of ⟨Wx, δ⟩ = ⟨x, Wᵀδ⟩ for each layer's weights W.

    Wᵀδ is the backward pass's.
    """
    rows = []
    for layer in cr.explain(model, x, y, nn.HalfSquaredErrorLoss()).layers:
        linear = nn.Linear(*reversed(layer.W.shape), bias=False, dtype="float64")
        linear.load_state_dict({"weight": layer.W})
        forward, back = cr.vjp(linear, cr.tensor(layer.input.T))
        pulled = back(cr.tensor(layer.delta.T))[0].numpy()
        left = float((forward.numpy() * layer.delta.T).sum())
        right = float((layer.input.T * pulled).sum())
        rows.append(
            {
                "layer": layer.l,
                "weight": list(layer.W.shape),
                "forward": left,
                "backward": right,
                "transpose": float(np.abs(pulled.T - layer.W.T @ layer.delta).max()),
            }
        )
    return rows


def pairings(
    model: nn.Sequential, x: Array, u: Array, v: Array
) -> tuple[list[float], float]:
    """Return ⟨u, v⟩ of tangent and gradient at each layer, and jvp's largest error."""
    off = 0.0
    at, forward, pulls = cr.tensor(x[None]), [cr.tensor(u[None])], []
    for block in blocks(model):
        after, moved = cr.jvp(block, [at], [forward[-1]])
        pulls.append(cr.vjp(block, at)[1])
        off = max(
            off, float(np.abs(moved.numpy() - by_hand(block, after, forward)).max())
        )
        forward.append(moved)
        at = after
    backward = [cr.tensor(v[None])]
    for pull in reversed(pulls):
        backward.append(pull(backward[-1])[0])
    pairs = zip(forward, reversed(backward))
    return [(a * b).sum().item() for a, b in pairs], off


def by_hand(block: Any, after: Any, forward: list[Any]) -> Array:
    """Compute a layer's Jacobian-vector product f′(z) ⊙ Wu by hand, tanh′ = 1 − a²."""
    linear, *activation = block
    pushed = forward[-1].numpy() @ linear.weight.numpy().T
    return pushed * (1 - after.numpy() ** 2) if activation else pushed


def counted(model: nn.Sequential, x: Array, y: Array) -> tuple[int, int]:
    """Return the matrix products in a training step: forward count, backward count."""

    @cr.compile(engine="numpy")
    def step(x: Any, y: Any) -> list[Any]:
        model.zero_grad()
        loss = nn.HalfSquaredErrorLoss()(model(x), y)
        loss.backward()
        return [loss, *(p.grad for p in model.parameters())]

    nodes = step.graph(x[None], y[None]).nodes
    products = [node for node in nodes if node.primitive.name == "dot_general"]
    forward = sum(node.role == "forward" for node in products)
    return forward, len(products) - forward


def measure(setting: Setting) -> dict[str, Any]:
    """Measure forward and backward products of each layer, and count them."""
    model, shape = network(setting), sizes(setting)
    draw = np.random.default_rng(setting.seed)
    x, u = draw.normal(size=(2, shape[0]))
    y, v = draw.normal(size=(2, shape[-1]))
    forward, backward = counted(model, x, y)
    paired, off = pairings(model, x, u, v)
    return {
        "layers": products(model, x, y),
        "pairings": paired,
        "pushed": off,
        "forward": forward,
        "backward": backward,
    }


def apart(a: float, b: float) -> float:
    """Return the relative difference of two numbers."""
    return abs(a - b) / max(abs(a), abs(b), 1e-300)


def table(results: dict[str, Any]) -> Table:
    head = (
        *(tr("layer"), tr("forward"), tr("backward")),
        *("⟨W x, δ⟩", "⟨x, Wᵀδ⟩", tr("apart"), "⟨u⁽ˡ⁾, v⁽ˡ⁾⟩"),
    )
    rows = [("x", "", "", "", "", "", f"{results['pairings'][0]:.12f}")]
    for row, paired in zip(results["layers"], results["pairings"][1:]):
        outputs, inputs = row["weight"]
        rows.append(
            (
                number(row["layer"]),
                f"({outputs}×{inputs})·({inputs})",
                f"({inputs}×{outputs})·({outputs})",
                f"{row['forward']:.10f}",
                f"{row['backward']:.10f}",
                f"{abs(row['forward'] - row['backward']):.1e}",
                f"{paired:.12f}",
            )
        )
    return [head, *rows]


def answer(results: dict[str, Any]) -> list[Finding]:
    layers, paired = results["layers"], results["pairings"]
    off = max(apart(row["forward"], row["backward"]) for row in layers)
    transposed = max(row["transpose"] for row in layers)
    whole = max(apart(paired[-1], one) for one in paired)
    count = len(layers)
    return [
        compared(
            off < 1e-12 and transposed < 1e-12,
            tr(
                "At each of the {n} layers ⟨Wx, δ⟩ and ⟨x, Wᵀδ⟩ agree to within {off} "
                "of their size, and what the backward pass gives is Wᵀδ, to within "
                "{t}.",
                n=count,
                off=number(off, 2),
                t=number(transposed, 2),
            ),
            tr("the same but for rounding"),
        ),
        compared(
            whole < 1e-12 and results["pushed"] < 1e-12,
            tr(
                "u⁽ˡ⁾ is f′(z⁽ˡ⁾) ⊙ W⁽ˡ⁾u⁽ˡ⁻¹⁾, to within {pushed}. Through the whole "
                "network ⟨u⁽ˡ⁾, v⁽ˡ⁾⟩ is {first} at the input and {last} at the "
                "output, the same at every layer to within {off}.",
                pushed=number(results["pushed"], 2),
                first=f"{paired[0]:.6f}",
                last=f"{paired[-1]:.6f}",
                off=number(whole, 2),
            ),
            tr("the same but for rounding"),
        ),
        compared(
            (results["forward"], results["backward"]) == (count, 2 * count - 1),
            tr(
                "A training step has {forward} matrix products forward and {backward} "
                "backward, {ratio} times as many: one for each ∂ℒ/∂W⁽ˡ⁾, and one for "
                "each δ⁽ˡ⁾ but the last.",
                ratio=number(results["backward"] / results["forward"], 3),
                forward=results["forward"],
                backward=results["backward"],
            ),
            tr("L products forward and 2L − 1 backward"),
        ),
    ]


def draw(figure: Any, results: dict[str, Any]) -> None:
    shapes, pairs = figure.subplots(1, 2, width_ratios=(1.7, 1))
    _shapes(shapes, [row["weight"] for row in results["layers"]])
    paired = results["pairings"]
    places = range(len(paired))
    pairs.bar(places, paired, color=panels.COLOURS[0], width=0.5)
    pairs.set_xticks(places, ["x", *(f"a⁽{'¹²³⁴⁵'[i]}⁾" for i in places[:-1])])
    pairs.axhline(0, color=drawing.PAPER.ink, linewidth=0.8)
    low, high = min(0.0, *paired), max(0.0, *paired)
    room = 0.25 * (high - low)
    pairs.set_ylim(low - room * (low < 0), high + room * (high > 0))
    panels.words(pairs, tr("⟨u⁽ˡ⁾, v⁽ˡ⁾⟩ at each layer"))


def _shapes(axes: Any, shapes: list[list[int]]) -> None:
    """Draw each layer's W above its transpose, with their proportions."""
    axes.set_axis_off()
    axes.set_title(tr("forward W above, backward Wᵀ below"))
    across, tall = 0.0, max(map(max, shapes))
    arrow = {"arrowstyle": "->", "color": drawing.PAPER.ink}
    for layer, (outputs, inputs) in enumerate(shapes, 1):
        wide = max(outputs, inputs)
        for base, height, length, i in (
            (tall + 4.0, outputs, inputs, 0),
            (0.0, inputs, outputs, 1),
        ):
            left, low = across + (wide - length) / 2, base + (tall - height) / 2
            _block(axes, left, low, height, length, panels.COLOURS[i])
            name = f"W⁽{'¹²³⁴⁵'[layer - 1]}⁾"
            axes.text(
                across + wide / 2,
                base - 0.4,
                f"{f'({name})ᵀ' if i else name}: {height} × {length}",
                ha="center",
                va="top",
                fontsize=9,
            )
        across += wide + 3.0
    for base, ends in ((tall * 1.5 + 4.0, (-2.0, across)), (tall / 2, (across, -2.0))):
        axes.annotate("", (ends[1], base), (ends[0], base), arrowprops=arrow, zorder=0)
    axes.set(xlim=(-2.5, across + 0.5), ylim=(-2.0, 2 * tall + 4.5), aspect="equal")


def _block(
    axes: Any, left: float, low: float, height: int, length: int, colour: str
) -> None:
    axes.add_patch(
        _rectangle((left, low), length, height, facecolor=colour, linewidth=0)
    )
    for i in range(1, height):
        axes.plot([left, left + length], [low + i] * 2, color="white", linewidth=0.6)
    for j in range(1, length):
        axes.plot([left + j] * 2, [low, low + height], color="white", linewidth=0.6)


def _rectangle(*args: Any, **look: Any) -> Any:
    from matplotlib.patches import Rectangle

    return Rectangle(*args, **look)
