"""What people call the quantities of a network, and the one key of each.

>>> from chainrule.explanation.derivation.network import parse
>>> network = parse("2-2sigmoid-1")
>>> [key_of(name, network) for name in ("z1", "δ⁽²⁾", "∂ℒ/∂W⁽¹⁾", "ŷ", "2.weight")]
['z1', 'delta2', 'dW1', 'a2', 'W2']
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator

from chainrule.errors import ArgumentError, nearest
from chainrule.explanation.derivation.network import Network
from chainrule.translation import tr

#: What an optimiser keeps of the gradients, by the letters of their formulas: momentum,
#: running means, a sum; and those that Adam corrects: m̂ and v̂.
MOMENTS, CORRECTED = "mvsu", "mv"
MEANS = tuple(f"{moment}{of}" for moment in MOMENTS for of in "Wb")
HATS = tuple(f"{moment}hat{of}" for moment in CORRECTED for of in "Wb")

#: How a name begins, without spaces, parentheses and case, and which kind it means.
_BEGINNINGS = (
    (r"(delta|δ|dz|d(l|loss)/dz)", "delta"),
    (r"(dw|d(l|loss)/dw|gradw)", "dW"),
    (r"(db|d(l|loss)/db|gradb)", "db"),
    (r"z", "z"),
    (r"[ah]", "a"),
    (r"w(new)?", "W"),
    (r"b(new)?", "b"),
)
_TAIL = r"(?P<layer>\d{1,3})(′|'|new|\+)?"


def key_of(name: str, network: Network, more: Iterable[str] = ()) -> str:
    """The key of a quantity: ``z1``, ``a1``, ``delta2``, ``dW1``, ``db1``, ``W1``, ….

    Args:
        name: such a key, a symbol (``δ⁽²⁾``), LaTeX (``\\delta^{(2)}``), or a name of
            the ``state_dict`` (``2.weight`` is W⁽²⁾, ``2.weight.grad`` ∂ℒ/∂W⁽²⁾).
        network: whose quantity.
        more: keys of an optimiser's moments (``mW1``, ``mhatW1``), which are known too.

    Raises:
        ArgumentError: for another name, or a layer that is not there.
    """
    known = {*keys(network), *more}
    found = _state_key(name, network) or _key(name, network, known)
    if found in known:
        return found
    near = nearest(found or str(name), known)
    raise ArgumentError(
        tr("Nothing of this network is called {name}.", name=repr(name)),
        expected=_listed(network),
        got=repr(name),
        fix=tr("did you mean {near}?", near=repr(near)) if near else None,
    )


def keys(network: Network) -> Iterator[str]:
    """The keys of all quantities, in the order in which they are worked out."""
    for k in network.layers:
        yield from (f"z{k}", f"a{k}")
    yield "loss"
    yield from (f"delta{k}" for k in reversed(network.layers))
    for k in reversed(network.layers):
        yield from _of_layer("d", k, network)
    for k in network.layers:
        yield from _of_layer("", k, network)


def _of_layer(before: str, k: int, network: Network) -> Iterator[str]:
    yield f"{before}W{k}"
    if network.bias(k):
        yield f"{before}b{k}"


def _listed(network: Network) -> str:
    many = network.depth
    if many == 1:
        return "z1, a1, loss, delta1, dW1, db1, W1, b1"
    kinds = ("z", "a", "delta", "dW", "db", "W", "b")
    ranges = [f"{kind}1 … {kind}{many}" for kind in kinds]
    return ", ".join([*ranges[:2], "loss", *ranges[2:]])


def _state_key(name: str, network: Network) -> str | None:
    for k, path in enumerate(network.paths, 1):
        for letter, word in (("W", "weight"), ("b", "bias")):
            full = f"{path}.{word}" if path else word
            if name in (full, f"{full}.grad"):
                return f"{'d' if name.endswith('.grad') else ''}{letter}{k}"
    return None


def _key(name: str, network: Network, known: Iterable[str]) -> str | None:
    plain = unicodedata.normalize("NFKC", str(name)).casefold()
    plain = re.sub(rf"hat\{{([{CORRECTED}])\}}", r"\1hat", plain)
    plain = plain.replace("\u0302", "hat")
    plain = re.sub(r"mathcal|partial|hat\{y\}|frac", _word, plain)
    plain = re.sub(r"[\s(){}\[\]^_\\·]", "", plain).replace("∂", "d")
    if plain in ("ŷ", "yhat", "prediction"):
        return f"a{network.depth}"
    if plain in ("loss", "l"):
        return "loss"
    for beginning, kind in _BEGINNINGS:
        found = re.fullmatch(beginning + _TAIL, plain)
        if found:
            return f"{kind}{int(found['layer'])}"
    plain = re.sub("(′|'|new|\\+)$", "", plain)
    return next((key for key in known if key.casefold() == plain), None)


def _word(found: re.Match[str]) -> str:
    return {"partial": "∂", "hat{y}": "ŷ"}.get(found[0], "")
