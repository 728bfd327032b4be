"""Mathematical symbols for the values of a model's graph: W⁽¹⁾, z⁽¹⁾, δ⁽¹⁾.

Names are given by what values do in the graph: z⁽ˡ⁾ is a product with a parameter (and
its bias), whatever module computed it, a⁽ˡ⁾ what the next such product reads, ẑ a
normalised value, m⁽ˡ⁾ a mask of dropout. Between them a formula may become too long to
be read: there, where a value is used again, and where a module ends, it gets a name
hₖ. So every formula is short, whatever the model, and every number in between is seen.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np

from chainrule.composites import activations, control, normalization
from chainrule.explanation.loops import LoopNames, is_loop, outer_writer
from chainrule.explanation.plain import behind_views, is_sampled
from chainrule.explanation.run import Run
from chainrule.explanation.signs import LOSS, slope_of
from chainrule.explanation.writer import Writer
from chainrule.graph.graph import users
from chainrule.graph.node import Array, Node, Value
from chainrule.nn.picture.attention import VIEWS, attention, factors, matrices
from chainrule.notation.expressions import Atom, Expr, Fence, Number, Script
from chainrule.notation.within import weight
from chainrule.primitives import (
    conv,
    elementwise,
    indexing,
    matmul,
    movement,
    random,
    windows,
)
from chainrule.primitives.matmul import parse_dims

PREDICTION = Atom(r"\hat{y}", "ŷ")
GRADIENT = Atom(r"\nabla_{\hat{y}} \mathcal{L}", "∇_ŷ ℒ")
NORMALISATIONS = (normalization.batch_norm, normalization.layer_norm)
LOOPS = (control.scan, control.cond)
#: What is seen on its own, however short its formula.
SEEN = (*NORMALISATIONS, *LOOPS, windows.window_max, windows.window_sum)
#: More to read than this gets a name; so does what is used again, or ends a module.
LONG, AGAIN, ENDS = 24, 7, 8
GREEK = {"gamma": r"\gamma", "beta": r"\beta", "alpha": r"\alpha"}
_LETTERS = {r"\gamma": "γ", r"\beta": "β", r"\alpha": "α", r"\delta": "δ"}


@lru_cache(maxsize=1024)
def symbol(letter: str, k: int) -> Script:
    """Return a symbol with its layer number as an exponent: W⁽²⁾."""
    above = Fence(Atom("("), Number(k), Atom(")"))
    return Script(Atom(letter, _LETTERS.get(letter, "")), above=above)


def hat(name: Expr) -> Expr:
    """Return a mathematical symbol with a hat: ẑ⁽¹⁾ of z⁽¹⁾."""
    if isinstance(name, Script):
        return Script(hat(name.base), name.above, name.below)
    assert isinstance(name, Atom)
    text = (name.shown or name.source) + "\N{COMBINING CIRCUMFLEX ACCENT}"
    return Atom(rf"\hat{{{name.source}}}", _composed(text))


def _composed(text: str) -> str:
    import unicodedata

    return unicodedata.normalize("NFC", text)


@dataclass(frozen=True, eq=False)
class Layer:
    """A layer recognised in a graph: a product with a parameter, z = W a + b.

    Attributes:
        weight, bias: the parameters W and b.
        input: what W multiplies.
        product: W a.
        z: W a + b; the product itself where there is no b.
        slides: whether W slides over its input, in a convolution.
        turned: whether it does so turned round, as in a transposed convolution.
    """

    weight: Value
    bias: Value | None
    input: Value
    product: Value
    z: Value
    slides: bool = False
    turned: bool = False


@dataclass(eq=False)
class Names:
    """The mathematical symbols of the graph values of a training step.

    Attributes:
        of: the name of each value that has one.
        layers: the layers in running order; layer l is ``layers[l − 1]``.
        forward: the named values of the forward pass, in running order.
        section: for each named value the layer to which it belongs (0: none yet).
        errors: for each named forward value with a derivative, in reverse order, the
            value of its derivative and the name of that.
        temporaries: named values of the backward pass.
        writer: writes formulas with these names.
    """

    run: Run
    of: dict[Value, Expr] = field(default_factory=dict[Value, Expr])
    layers: list[Layer] = field(default_factory=list[Layer])
    forward: list[Value] = field(default_factory=list[Value])
    section: dict[Value, int] = field(default_factory=dict[Value, int])
    errors: list[tuple[Value, Value, Expr]] = field(
        default_factory=list[tuple[Value, Value, Expr]]
    )
    temporaries: list[Value] = field(default_factory=list[Value])
    scores: Value | None = None
    dropped: set[int] = field(default_factory=set[int])

    def __post_init__(self) -> None:
        run = self.run
        graph = run.graph
        self.readers = users(graph)
        self._used = set[Expr]()
        self._h = self._g = 0
        self.at = 0  # the layer at hand
        self.named_ahead = self._ahead()
        self.factors = factors(graph.nodes)
        self.attention = attention(graph.nodes)
        self.writer = Writer(
            self.of,
            {v: number for v, (name, number) in run.scalars.items() if not name},
            run.arrays,
            run.n,
            run.y if run.y.dtype.is_integer else None,
            distributions=_distributions(run),
            matrices=matrices(graph.nodes),
        )
        self.writer.of_loop = self._of_loop
        self._name_inputs()
        for node in graph.nodes:
            if node.role == "forward":
                self._forward_node(node)
        self._name_prediction()
        self._name_again()
        self._name_errors()

    def _of_loop(self, node: Node, index: int) -> Expr | None:
        return LoopNames(node, self.outer).result(index) if is_loop(node) else None

    def outer(self, value: Value) -> Expr:
        """Return a graph value's formula as used within a loop, without views."""
        return outer_writer(self.writer)(value)

    def output(self, k: int) -> Value:
        """Return the graph value a⁽ᵏ⁾ of layer k: the next layer's input, or ŷ."""
        for value, name in self.of.items():
            if name == symbol("a", k):
                return value
        if k == len(self.layers):
            return behind_views(self.run.predictions[0])
        return self.layers[k - 1].z

    # -- what is given -----------------------------------------------------------------

    def _ahead(self) -> dict[Value, tuple[str, Layer]]:
        """Find a graph's layers; return each one's values z and a, with letters."""
        run = self.run
        for node in run.graph.nodes:
            layer = self._layer(node) if node.role == "forward" else None
            if layer is not None:
                self.layers.append(layer)
        ahead: dict[Value, tuple[str, Layer]] = {}
        for layer in self.layers:
            ahead[layer.z] = ("z", layer)
            ahead.setdefault(behind_views(layer.input), ("a", layer))
        return ahead

    def _layer(self, node: Node) -> Layer | None:
        """Return the layer whose matrix product a graph node computes, or None."""
        if node.primitive not in (matmul.dot_general, conv.conv):
            return None
        a, b = node.inputs
        for candidate, other in ((a, b), (b, a)):
            weight_, turned = self.parameter(other)
            if weight_ is None or len(weight_.shape) < 2:
                continue
            if self.parameter(candidate)[0] is not None:
                continue
            if (
                node.primitive is matmul.dot_general
                and parse_dims(node.attrs["dims"]).batch
            ):
                continue
            (product,) = node.outputs
            assert product is not None
            z, bias = self._biased(product)
            slides = node.primitive is conv.conv
            return Layer(weight_, bias, candidate, product, z, slides, turned)
        return None

    def parameter(self, value: Value) -> tuple[Value | None, bool]:
        """Return the parameter behind a graph value's views, and if it is flipped."""
        turned, value = False, behind_views(value)
        while value.node is not None and value.node.primitive in (
            movement.transpose,
            movement.flip,
        ):
            turned |= value.node.primitive is movement.flip
            value = behind_views(value.node.inputs[0])
        return (value if value in self.run.parameters else None), turned

    def _biased(self, product: Value) -> tuple[Value, Value | None]:
        """Return a layer's z and bias: product plus bias, or the product and None."""
        for node in self._reading(product):
            if node.primitive is elementwise.add:
                first = behind_views(node.inputs[0])
                other = node.inputs[1] if first is product else node.inputs[0]
                bias, _ = self.parameter(other)
                if bias is not None and len(bias.shape) == 1:
                    (z,) = node.outputs
                    assert z is not None
                    return z, bias
        return product, None

    def _name_inputs(self) -> None:
        run = self.run
        several = len(run.x) > 1
        for i, x in enumerate(run.x, 1):
            name = Script(Atom("x"), below=Number(i)) if several else Atom("x")
            self._give(x, name)
        self._give(run.y, Atom("y"))
        for k, layer in enumerate(self.layers, 1):
            for value, letter in ((layer.weight, "W"), (layer.bias, "b")):
                if value is not None and value not in self.of:
                    self._give(value, symbol(letter, k))
                    self.section[value] = k
        for value, (name, _) in run.scalars.items():
            if name:
                self._give(value, _named(name))

    # -- forward -----------------------------------------------------------------------

    def _forward_node(self, node: Node) -> None:
        self._name_parts(node)
        for out in node.outputs:
            if out is None or out in self.of:
                continue
            role, layer = self.named_ahead.get(out, ("", None))
            if role == "z":
                assert layer is not None
                self.at = self.layers.index(layer) + 1
                self._name_forward(out, symbol("z", self.at))
            elif out is self.run.loss:
                self._name_forward(out, LOSS)
            elif role == "a" and node.primitive not in VIEWS:
                self._name_forward(out, self._input_name())
            elif node.primitive in NORMALISATIONS:
                self._name_forward(out, self._hat_of(node.inputs[0]))
            elif self._must_be_seen(node, out):
                letter = self.attention.get(out)
                name = self._free(letter) if letter else self._next_h()
                self._name_forward(out, name)

    def _input_name(self) -> Expr:
        name = symbol("a", self.at)
        return self._next_h() if name in self._used else name

    def _hat_of(self, value: Value) -> Expr:
        base = behind_views(value)
        if base in self.of:
            name = hat(self.of[base])
            if name not in self._used:
                return name
        return self._next_h()

    def _next_h(self) -> Expr:
        self._h += 1
        return Script(Atom("u"), below=Number(self._h))

    def _must_be_seen(self, node: Node, out: Value) -> bool:
        if out in self.factors:
            return True
        if node.primitive in (*VIEWS, movement.transpose) or not out.shape:
            return False
        if not out.dtype.is_float or not (out.tracked or is_sampled(out)):
            return False
        if out is behind_views(self.run.predictions[0]):
            return False  # it is named ŷ
        if node.primitive in SEEN:
            return True
        if node.primitive is activations.softmax and len(out.shape) > 2:
            return True
        much = weight(self.writer.draft(out))
        if much > LONG:
            return True
        readers = list(self._reading(out))
        if much >= AGAIN and len(readers) > 1:
            return True
        ends = all(r.scope != node.scope for r in readers)
        return much >= ENDS and ends and bool(readers)

    def _reading(self, value: Value) -> Iterator[Node]:
        """Yield the forward nodes of a graph that read a value or a view of it."""
        for node in self.readers.get(value, ()):
            if node.role != "forward":
                continue
            if node.primitive in VIEWS:
                for out in node.outputs:
                    if out is not None:
                        yield from self._reading(out)
            else:
                yield node

    def _name_parts(self, node: Node) -> None:
        """Give symbols to parameters γ, β, embeddings and masks that a node reads."""
        if node.primitive in NORMALISATIONS:
            for value, letter in zip(node.inputs[1:], (r"\gamma", r"\beta")):
                base = behind_views(value)
                if base in self.run.tensors and base not in self.of:
                    self._give(base, self._free(letter))
        if node.primitive is indexing.take:
            base = behind_views(node.inputs[0])
            if base in self.run.parameters and base not in self.of:
                self._give(base, self._free("E"))
        for value in node.inputs:
            base = behind_views(value)
            if base in self.run.tensors and base not in self.of:
                self._give(base, self._own_name(self.run.tensors[base]))
        (out, *_) = node.outputs
        source = behind_views(node.inputs[0]).node if node.inputs else None
        if (
            out is not None
            and node.primitive is elementwise.less
            and source is not None
            and source.primitive is random.random_bits
        ):
            name = self._free("m")
            self.dropped.add(self.at)
            self._name_forward(out, name)

    def _free(self, letter: str) -> Expr:
        """Return an unused symbol: a letter with the current layer's number."""
        name: Expr = symbol(letter, self.at)
        count = 1
        while name in self._used:
            count += 1
            base = symbol(letter, self.at)
            name = Script(base.base, base.above, Number(count))
        return name

    def _own_name(self, path: str) -> Expr:
        """Return a symbol for a model's parameter, made from its name in the module."""
        word = path.rpartition(".")[2]
        for start, letter in (("weight_", "W"), ("bias_", "b")):
            if word.startswith(start):
                marks = word.removeprefix(start).replace("_l", ",").replace("_", ",")
                return self._unused(Script(Atom(letter), below=Atom(marks)))
        return self._unused(_named(word))

    def _unused(self, name: Expr) -> Expr:
        """Return a symbol, with a number added if it is used already."""
        candidate, count = name, 1
        while candidate in self._used:
            count += 1
            above = Fence(Atom("("), Number(count), Atom(")"))
            below = name.below if isinstance(name, Script) else None
            candidate = Script(
                name.base if isinstance(name, Script) else name, above, below
            )
        return candidate

    def _give(self, value: Value, name: Expr) -> None:
        self.of[value] = name
        self._used.add(name)
        self.section[value] = self.at

    def _name_forward(self, value: Value, name: Expr) -> None:
        self._give(value, name)
        self.forward.append(value)
        self.writer.forget()

    def _name_prediction(self) -> None:
        """Give the symbol ŷ to the prediction, or to the softmax within the loss."""
        run = self.run
        output = behind_views(run.predictions[0])
        last = self.layers[-1].z if self.layers else None
        if output is last:
            for node in run.graph.nodes:
                if node.primitive is activations.softmax:
                    source = behind_views(node.inputs[0])
                    if source is last and node.outputs[0] is not None:
                        self.scores = self.scores or node.outputs[0]
                        self.of[node.outputs[0]] = PREDICTION
                        self._used.add(PREDICTION)
            return
        if output in self.of or output.node is None:
            return
        self.at = max(
            (self.section[v] for v in self.forward if v is not run.loss), default=0
        )
        self._give(output, PREDICTION)
        self.forward.insert(self._place(output), output)

    def _name_again(self) -> None:
        """Give recomputed graph values the symbols of the first ones."""
        known: dict[Any, Node] = {}
        for node in self.run.graph.nodes:
            key = (node.primitive, node.inputs, repr(sorted(node.attrs.items())))
            first = known.setdefault(key, node)
            for old, new in zip(first.outputs, node.outputs):
                if old in self.of and new is not None and new not in self.of:
                    self.of[new] = self.of[old]

    def _place(self, value: Value) -> int:
        """Return a graph value's position among the values with symbols, in order."""
        order = {v: i for i, v in enumerate(self.run.graph.values())}
        before = [v for v in self.forward if order[v] < order[value]]
        return len(before)

    # -- backward ----------------------------------------------------------------------

    def _name_errors(self) -> None:
        """Give symbols to a graph's derivatives: δ⁽ˡ⁾ of each z, ∂ℒ/∂v of others."""
        run, zs = self.run, {layer.z: k for k, layer in enumerate(self.layers, 1)}
        named = [v for v in reversed(self.forward) if v is not run.loss]
        named += [v for v in run.tensors if v in run.parameters and v in self.of]
        wanted = sorted(named, key=lambda v: v not in zs)
        for value in wanted:
            g = run.cotangents.get(value)
            if g is None:
                continue
            k = zs.get(value)
            name = self._error_name(value, k)
            if g not in self.of:
                self.of[g] = name
                self._used.add(name)
                self.section[g] = self.section[value]
        for value in named:
            g = run.cotangents.get(value)
            if g is not None:
                k = zs.get(value)
                self.errors.append((value, g, self._error_name(value, k)))
        self.writer.forget()
        self._name_between()

    def _error_name(self, value: Value, k: int | None) -> Expr:
        """Return a derivative's symbol: δ⁽ˡ⁾ of z⁽ˡ⁾, ∇_ŷ ℒ of ŷ, or ∂ℒ/∂v."""
        if k:
            return symbol(r"\delta", k)
        name = self.of[value]
        return GRADIENT if name == PREDICTION else slope_of(name)

    def _name_between(self) -> None:
        """Give symbols to backward values whose formulas would be too long."""
        needed = _needed(self.of, [g for _, g, _ in self.errors])
        section = len(self.layers)
        for node in self.run.graph.nodes:
            if node.role != "backward":
                continue
            for out in node.outputs:
                if out is None or out not in needed:
                    continue
                if out in self.of:
                    section = self.section.get(out, section)
                    continue
                if node.primitive in (*VIEWS, movement.transpose) or not out.shape:
                    continue
                much = weight(self.writer.draft(out))
                again = len(self.readers.get(out, ())) > 1
                if much > LONG or (again and much >= AGAIN) or node.primitive in SEEN:
                    self._g += 1
                    self.of[out] = Script(Atom("g"), below=Number(self._g))
                    self.section[out] = section
                    self.temporaries.append(out)
                    self.writer.forget()


def _named(word: str) -> Expr:
    """Return a word as a mathematical symbol; Greek and single letters unchanged."""
    if word in GREEK:
        return Atom(GREEK[word], _LETTERS[GREEK[word]])
    if len(word) == 1:
        return Atom(word)
    return Atom(r"\text{" + word.replace("_", r"\_") + "}", word)


def _needed(of: Mapping[Value, Expr], roots: Iterable[Value]) -> set[Value]:
    """Return the graph values that derivatives are computed from."""
    needed: set[Value] = set()
    waiting = list(roots)
    while waiting:
        value = waiting.pop()
        if value in needed:
            continue
        needed.add(value)
        if value.node is not None and value.node.role != "forward":
            waiting.extend(value.node.inputs)
    return needed


def _distributions(run: Run) -> frozenset[Value]:
    """Return y and the graph values computed from it alone whose rows sum to 1."""
    known = {run.y, *run.scalars}
    for node in run.graph.nodes:
        if known.issuperset(node.inputs):
            known.update(v for v in node.outputs if v is not None)
    rows = {v: run.arrays[v] for v in known if len(v.shape) == 2}
    return frozenset(v for v, a in rows.items() if _sums_to_1(a))


def _sums_to_1(rows: Array) -> bool:
    return bool(np.allclose(rows.sum(axis=1), 1, rtol=0, atol=1e-6))
