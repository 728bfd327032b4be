"""Keys of a network's quantities (``z1``, ``dW2``), parsed from users' spellings.

>>> from chainrule.book.derivation.network import parse
>>> network = parse("2-2sigmoid-1")
>>> [key_of(name, network) for name in ("z1", "δ⁽²⁾", "∂ℒ/∂W⁽¹⁾", "ŷ", "2.weight")]
['z1', 'delta2', 'dW1', 'a2', 'W2']
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator

from chainrule.book.derivation.network import Network
from chainrule.errors import ArgumentError, nearest
from chainrule.text import _

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
    *((kind.casefold(), kind) for kind in MEANS + HATS),
)
_TAIL = r"(?P<layer>\d{1,3})(′|'|new|\+)?"


def key_of(name: str, network: Network, more: Iterable[str] = ()) -> str:
    """Return the key of a network's quantity (``z1``, ``delta2``, ``dW1``) by any name.

    Args:
        name: such a key, a symbol (``δ⁽²⁾``), LaTeX (``\\delta^{(2)}``), or a name of
            the ``state_dict`` (``2.weight`` is W⁽²⁾, ``2.weight.grad`` ∂ℒ/∂W⁽²⁾).
        network: whose quantity.
        more: keys of an optimiser's moments (``mW1``, ``mhatW1``), which are known too.

    Raises:
        ArgumentError: for another name, or a layer that is not there.
    """
    known = [*keys(network), *(key for key in more if _is_moment(key))]
    known_key = _state_key(name, network) or _key(name, network)
    if known_key in known:
        return known_key
    near = nearest(known_key or str(name), known)
    fix = _("did you mean {near}?", near=repr(near)) if near else None
    if known_key and _is_moment(known_key):
        others = any(map(_is_moment, known))
        fix = None if others else _("moments are those of an optimizer: give one")
    raise ArgumentError(
        _("Nothing of this network is called {name}.", name=repr(name)),
        expected=_listed(network, known),
        got=repr(name),
        fix=fix,
    )


def _is_moment(key: str) -> bool:
    return key.rstrip("0123456789") in MEANS + HATS


def keys(network: Network) -> Iterator[str]:
    """Yield the keys of a network's quantities (``z1``, …) in computing order."""
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


def _listed(network: Network, known: Iterable[str]) -> str:
    """Return the keys of a network's quantities as text, with ranges: ``z1 … z3``."""
    many = network.depth
    kinds = dict.fromkeys(key.rstrip("0123456789") for key in known)
    return ", ".join(
        kind
        if kind == "loss"
        else f"{kind}1" + (f" … {kind}{many}" if many > 1 else "")
        for kind in kinds
    )


def _state_key(name: str, network: Network) -> str | None:
    for k, path in enumerate(network.paths, 1):
        for letter, word in (("W", "weight"), ("b", "bias")):
            full = f"{path}.{word}" if path else word
            if name in (full, f"{full}.grad"):
                return f"{'d' if name.endswith('.grad') else ''}{letter}{k}"
    return None


def _key(name: str, network: Network) -> str | None:
    plain = unicodedata.normalize("NFKC", str(name)).casefold()
    plain = re.sub(rf"\\?hat\s*\{{?\s*([{CORRECTED}])\s*\}}?", r"\1hat", plain)
    plain = plain.replace("\u0302", "hat")
    plain = re.sub(r"\\?hat\s*\{?\s*y\s*\}?", "ŷ", plain)
    plain = re.sub(r"mathcal|frac", "", plain).replace("partial", "∂")
    plain = re.sub(r"[\s(){}\[\]^_\\·]", "", plain).replace("∂", "d")
    if plain in ("ŷ", "yhat", "prediction"):
        return f"a{network.depth}"
    if plain in ("loss", "l"):
        return "loss"
    for beginning, kind in _BEGINNINGS:
        match = re.fullmatch(beginning + _TAIL, plain)
        if match:
            return f"{kind}{int(match['layer'])}"
    return None
