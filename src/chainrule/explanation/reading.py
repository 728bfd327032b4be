r"""From the LaTeX that primitives declare to expressions.

The subset is what formulas need: sums, products (written side by side, with
``\odot``, ``/``, ``*``), scripts, functions, brackets, relations, and placeholders.

>>> read(r"-\ln\operatorname{softmax}(z^{(3)})_{y}").text()
'−ln softmax(z⁽³⁾)_y'
>>> read(r"\frac{\partial \mathcal{L}}{\partial W^{(1)}}").text()
'∂ℒ/∂W⁽¹⁾'
"""

from __future__ import annotations

import re
import string
import unicodedata
from functools import lru_cache

from chainrule.errors import ParseError
from chainrule.notation.expressions import (
    Atom,
    Call,
    Expr,
    Fence,
    Listing,
    Number,
    Prefix,
    Product,
    Quotient,
    Relation,
    Script,
    Slot,
    Sum,
)

_TOKEN = re.compile(r"\\slot\{\d+\}|\\[A-Za-z]+|\\[;,! ]|\d+\.?\d*|\s+|.")

_SYMBOLS = {
    r"\alpha": "α",
    r"\beta": "β",
    r"\gamma": "γ",
    r"\delta": "δ",
    r"\varepsilon": "ε",
    r"\epsilon": "ε",
    r"\eta": "η",
    r"\theta": "θ",
    r"\lambda": "λ",
    r"\mu": "μ",
    r"\pi": "π",
    r"\rho": "ρ",
    r"\sigma": "σ",
    r"\phi": "φ",
    r"\Phi": "Φ",
    r"\nabla": "∇",
    r"\infty": "∞",
    r"\ldots": "…",
    r"\prime": "′",
    r"\cdot": "·",
    "'": "′",
}
#: Operators that apply to what follows: how they look, and how far they reach.
_OPERATORS = {
    r"\ln": ("ln", ""),
    r"\log": ("log", ""),
    r"\exp": ("exp", ""),
    r"\tanh": ("tanh", ""),
    r"\sin": ("sin", ""),
    r"\cos": ("cos", ""),
    r"\max": ("max", ""),
    r"\min": ("min", ""),
    r"\arg": ("arg", ""),
    r"\sum": ("∑", "wide"),
    r"\prod": ("∏", "wide"),
    r"\partial": ("∂", "tight"),
}
_RELATIONS = {
    "<": "<",
    ">": ">",
    "=": "=",
    r"\le": "≤",
    r"\ge": "≥",
    r"\leftarrow": "←",
}
_ACCENTS = {r"\hat": "\u0302", r"\bar": "\u0304", r"\tilde": "\u0303"}
_CALLABLE = {r"\sigma", r"\Phi", r"\phi", "f"}
_BRACKETS = {"[": ("]", "]"), "|": ("|", "|"), r"\lfloor": (r"\rfloor", "⌋")}
_CLOSING = {"}", ")", "]", "|", r"\rfloor"}


@lru_cache(maxsize=1024)
def read(latex: str) -> Expr:
    r"""The expression that a piece of LaTeX stands for.

    Raises:
        ParseError: where the LaTeX is outside the subset.

    >>> read(r"(W^{(2)})^T \delta^{(2)}").text()
    '(W⁽²⁾)ᵀ δ⁽²⁾'
    """
    reader = _Reader(latex)
    made = reader.listing()
    if reader.next is not None:
        raise reader.error()
    return made


@lru_cache(maxsize=1024)
def template(formula: str) -> Expr:
    r"""A primitive's declared formula, with a :class:`Slot` for each placeholder.

    >>> template(r"\max({0}, {1})").text()
    'max(□, □)'
    """
    named = {name for _, name, _, _ in string.Formatter().parse(formula) if name}
    count = max(map(int, named), default=-1) + 1
    return read(formula.format(*(rf"\slot{{{i}}}" for i in range(count))))


class _Reader:
    """A recursive descent; each method reads what binds tighter than the one before."""

    def __init__(self, latex: str) -> None:
        self.latex = latex
        self.tokens = [
            t
            for t in _TOKEN.findall(latex)
            if not t.isspace() and not re.fullmatch(r"\\[;,! ]", t)
        ]
        self.at = 0
        self.literal = False

    @property
    def next(self) -> str | None:
        return self.tokens[self.at] if self.at < len(self.tokens) else None

    def take(self, wanted: str | None = None) -> str:
        token = self.next
        if token is None or wanted not in (None, token):
            raise self.error(wanted)
        self.at += 1
        return token

    def error(self, wanted: str | None = None) -> ParseError:
        return ParseError(
            f"This formula cannot be read: {self.latex}",
            expected=repr(wanted) if wanted else "the LaTeX of an expression",
            got=repr(self.next) if self.next else "its end",
            fix="use the commands listed in reading.py, or add one",
        )

    def group(self) -> str:
        """The characters between the braces that follow."""
        self.take("{")
        made = ""
        while self.next != "}":
            made += self.take()
        self.take("}")
        return made

    def listing(self) -> Expr:
        items = [self.relation()]
        while self.next == ",":
            self.take()
            items.append(self.relation())
        return items[0] if len(items) == 1 else Listing(tuple(items))

    def relation(self) -> Expr:
        items, signs = [self.sum()], []
        while self.next in _RELATIONS or self.next in (r"\mathrel", r"\text"):
            token = self.take()
            if token == r"\mathrel":
                source = f"{{{self.group()}}}{self.take()}"
                signs.append(Atom(r"\mathrel" + source, re.sub("[{}]", "", source)))
            elif token == r"\text":
                word = self.group()
                signs.append(Atom(rf"\text{{ {word} }}", word))
            else:
                signs.append(Atom(token, _RELATIONS[token]))
            items.append(self.sum())
        return items[0] if not signs else Relation(tuple(items), tuple(signs))

    def sum(self) -> Expr:
        sign = 1
        if self.next in ("-", "+"):
            sign = -1 if self.take() == "-" else 1
        terms = [(sign, self.product())]
        while self.next in ("-", "+"):
            sign = -1 if self.take() == "-" else 1
            terms.append((sign, self.product()))
        return terms[0][1] if terms == [(1, terms[0][1])] else Sum(tuple(terms))

    def product(self) -> Expr:
        made = self.juxtaposed()
        while self.next in ("/", "*", r"\odot"):
            sign = self.take()
            other = self.juxtaposed()
            if sign == "/":
                made = Quotient(made, other)
            else:
                made = Product("odot" if sign == r"\odot" else "conv", (made, other))
        return made

    def juxtaposed(self) -> Expr:
        factors = [self.prefixed()]
        while self.starts():
            factors.append(self.prefixed())
        kind = "scale" if isinstance(factors[0], Number) else "dot"
        return factors[0] if len(factors) == 1 else Product(kind, tuple(factors))

    def starts(self) -> bool:
        """Whether an operand begins here."""
        token = self.next
        if token is None or token in _CLOSING or token in _RELATIONS:
            return False
        return token not in (
            *(",", "+", "-", "/", "*", "^", "_", r"\odot", r"\mathrel", r"\text"),
        )

    def prefixed(self) -> Expr:
        token = self.next
        if token in _OPERATORS or token == r"\operatorname":
            head, reach = self.operator()
            if self.next == "(":
                return self.scripts(self.call(head))
            if self.starts():
                argument = self.product() if reach == "wide" else self.prefixed()
                return Prefix(head, argument, reach)
            return head
        return self.scripts(self.atom())

    def operator(self) -> tuple[Expr, str]:
        token = self.take()
        if token == r"\operatorname":
            name = self.group()
            head: Expr = Atom(rf"\operatorname{{{name}}}", name)
            reach = ""
        else:
            shown, reach = _OPERATORS[token]
            if token == r"\arg" and self.next in (r"\max", r"\min"):
                token += (follower := self.take())
                shown += _OPERATORS[follower][0]
            head = Atom(token, shown)
        while self.next in ("^", "_"):
            head = self.script(head)
        return head, reach

    def call(self, head: Expr) -> Call:
        self.take("(")
        inner = self.listing()
        self.take(")")
        return Call(head, inner.items if isinstance(inner, Listing) else (inner,))

    def scripts(self, base: Expr) -> Expr:
        while self.next in ("^", "_", "[", "'"):
            if self.next == "[":
                self.take()
                inner = self.listing()
                self.take("]")
                base = Call(base, (inner,), "[]")
            else:
                base = self.script(base)
        name = base.base if isinstance(base, Script) else base
        applies = isinstance(name, Atom) and name.source in _CALLABLE
        return self.scripts(self.call(base)) if applies and self.next == "(" else base

    def script(self, base: Expr) -> Script:
        mark = self.take()
        if mark == "'":
            return Script(base, above=Atom(r"\prime", "′"))
        saved, self.literal = self.literal, True
        inner = self.atom()
        self.literal = saved
        known = (
            isinstance(base, Script)
            and (base.below if mark == "^" else base.above)
            and not (base.above if mark == "^" else base.below)
        )
        if known and isinstance(base, Script):
            above, below = (inner, base.below) if mark == "^" else (base.above, inner)
            return Script(base.base, above, below)
        return Script(base, inner) if mark == "^" else Script(base, below=inner)

    def atom(self) -> Expr:
        token = self.take()
        if token.startswith(r"\slot"):
            return Slot(index=int(token[6:-1]))
        if token == "{":
            made = self.listing()
            self.take("}")
            return made
        if token == "(":
            inner = self.listing()
            self.take(")")
            # A layer's number keeps its parentheses: W^{(1)}.
            return Fence(Atom("("), inner, Atom(")")) if self.literal else inner
        if token in _BRACKETS:
            closing, shown = _BRACKETS[token]
            inner = self.relation() if token == "|" else self.listing()
            self.take(closing)
            left = {"|": "|", "[": "[", r"\lfloor": "⌊"}[token]
            return Fence(Atom(token, left), inner, Atom(closing, shown))
        if token == r"\sqrt":
            return Fence(Atom(r"\sqrt{", "√("), self.atom(), Atom("}", ")"))
        if token == r"\frac":
            parts = self.atom(), self.atom()
            half = parts == (Number(1), Number(2))  # which is written so
            return Number(0.5) if half else Quotient(*parts, bar=True)
        if token == r"\mathcal":
            letter = self.group()
            return Atom(rf"\mathcal{{{letter}}}", {"L": "ℒ"}.get(letter, letter))
        if token in _ACCENTS:
            letter = self.group()
            shown = unicodedata.normalize("NFC", letter + _ACCENTS[token])
            return Atom(rf"{token}{{{letter}}}", shown)
        if token in _SYMBOLS:
            return Atom(token, _SYMBOLS[token])
        if token[0].isdigit():
            return Number(float(token))
        if token.isalpha():
            return Atom(token)
        self.at -= 1
        raise self.error()
