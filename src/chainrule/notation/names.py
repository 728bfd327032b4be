"""Mathematical symbols and function names, as text and as LaTeX."""

from __future__ import annotations

from chainrule.notation.expressions import Atom

#: The LaTeX of marks above letters.
_ACCENTS = {"\u0302": r"\hat", "\u0304": r"\bar", "\u0303": r"\tilde"}
#: The LaTeX of names that have a command of their own.
_COMMANDS = {
    "ln": r"\ln",
    "exp": r"\exp",
    "tanh": r"\tanh",
    "sin": r"\sin",
    "cos": r"\cos",
    "sinh": r"\sinh",
    "cosh": r"\cosh",
    "arcsin": r"\arcsin",
    "arccos": r"\arccos",
    "max": r"\max",
    "min": r"\min",
    "argmax": r"\arg\max",
    "argmin": r"\arg\min",
    "∑": r"\sum",
    "∏": r"\prod",
    "α": r"\alpha",
    "β": r"\beta",
    "γ": r"\gamma",
    "δ": r"\delta",
    "ε": r"\varepsilon",
    "η": r"\eta",
    "θ": r"\theta",
    "λ": r"\lambda",
    "μ": r"\mu",
    "π": r"\pi",
    "ρ": r"\rho",
    "σ": r"\sigma",
    "φ": r"\phi",
    "Φ": r"\Phi",
    "ψ": r"\psi",
    "Γ": r"\Gamma",
    "ζ": r"\zeta",
    "∇": r"\nabla",
    "∂": r"\partial",
    "ℒ": r"\mathcal{L}",
    "…": r"\ldots",
}


def symbol(text: str, *, tag: str = "", index: str | None = None) -> Atom:
    """Return a mathematical symbol: a letter, Greek letter, accented letter or word.

    Args:
        text: as a terminal shows it.
        tag: tells it from others that look the same.
        index: a letter for each of its axes.

    >>> [symbol(text).latex() for text in ("x", "δ", "x̂", "class_weight")]
    ['x', '\\\\delta', '\\\\hat{x}', '\\\\text{class\\\\_weight}']
    """
    letter, accent = (text, "") if text in _COMMANDS or text.isascii() else _apart(text)
    if letter in _COMMANDS or len(letter) == 1:
        source = _COMMANDS.get(letter, letter)
        source = f"{accent}{{{source}}}" if accent else source
    else:
        source = r"\text{" + text.replace("_", r"\_") + "}"
    return Atom(source, text, tag, index=index)


def _apart(text: str) -> tuple[str, str]:
    """Return a letter and the LaTeX of its accent, or the text and ""."""
    import unicodedata

    apart = unicodedata.normalize("NFD", text)
    marked = len(apart) == 2 and apart[1] in _ACCENTS
    return (apart[0], _ACCENTS[apart[1]]) if marked else (text, "")


def named(name: str) -> Atom:
    """Return a function's name as a symbol in upright type.

    >>> print(named("softmax").latex(), named("max").latex())
    \\operatorname{softmax} \\max
    """
    if name in _COMMANDS or len(name) == 1:
        return Atom(_COMMANDS.get(name, name), name)
    return Atom(r"\operatorname{" + name.replace("_", r"\_") + "}", name)
