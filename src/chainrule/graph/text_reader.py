"""The parser that reads a graph's text form: text to blocks, blocks to graphs."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn, TypeVar, cast

from chainrule.errors import ChainruleError, ParseError, nearest
from chainrule.graph.graph import Graph
from chainrule.graph.node import Node, Value
from chainrule.graph.primitive import DERIVATIVES, Primitive, lookup
from chainrule.graph.text_writer import NUMBER, SOURCE, WORD, input_name, word
from chainrule.graph.types import FROM_SHORT, ArrayType, Dim, SymbolicDim
from chainrule.graph.verify import type_mismatch
from chainrule.text import _

_T = TypeVar("_T")

#: Deeper nesting of tuples or bodies than this is refused.
DEPTH = 50


def parse(text: str) -> Graph:
    """Parse the text form of a graph; return the graph of its first block.

    Raises:
        ParseError: with line and column, where the text is not a graph.
    """
    reader = _Reader(text)
    blocks = reader.blocks()
    return _Builder(reader, blocks).main()


def parse_type(text: str) -> ArrayType:
    """Parse a value's type in a graph's text form, such as ``f32[N,784]``.

    Raises:
        ParseError: no type.

    >>> parse_type("f32[N,784]").dtype.name
    'float32'
    """
    reader = _Reader(text)
    result = reader.type()
    if reader.skip() < len(text):
        reader.fail(_("This goes on behind a type."), _("nothing after ]"))
    return result


_SKIP = re.compile(r"(?:[ \t\r\n]+|#[^\n]*)*")
_KEY = re.compile(r"[^\W\d]\w*")
_STRING = re.compile(r'"(?:[^"\\\x00-\x1f]|\\.)*"')
_SIZE = re.compile(r"(?:-?[0-9]+\*)?[A-Z]\w*(?:\*[A-Z]\w*)*\b")
_FLOAT = re.compile(
    r"-?[0-9]+(?:\.[0-9]+(?:e[+-]?[0-9]+)?|e[+-]?[0-9]+)\b|-?inf\b|nan\b"
)
_COUNT = re.compile(r"[0-9]+\b(?!\.)")
_INT = re.compile(r"-?[0-9]+\b(?!\.)")


@dataclass
class _Name:
    """A name in a graph's text form, with its position for error messages."""

    text: str
    at: int


@dataclass
class _Line:
    """A parsed line of a graph: ``outputs = primitive(inputs) {attrs} ; tail``."""

    outputs: list[tuple[_Name, ArrayType]]
    primitive: _Name
    inputs: list[_Name]
    attrs: dict[str, Any] = field(default_factory=dict[str, Any])
    origin: dict[str, str] = field(default_factory=dict[str, str])


@dataclass
class _Body:
    """A parsed ``graph`` block of a text; other graphs are referred to by name."""

    name: str
    at: int
    inputs: list[tuple[_Name, ArrayType]]
    lines: list[_Line] = field(default_factory=list[_Line])
    outputs: list[_Name] = field(default_factory=list[_Name])


class _Reader:
    """The parser of a graph's text form, with its position in the text."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def fail(
        self,
        problem: str,
        expected: str,
        *,
        at: int | None = None,
        got: str | None = None,
        fix: str | None = None,
    ) -> NoReturn:
        """Raise a graph text's parse error with line and column of a position."""
        at = self.skip() if at is None else at
        line = self.text.count("\n", 0, at) + 1
        column = at - self.text.rfind("\n", 0, at)
        if got is None:
            match = re.match(r"[\w.\-%@]+|[^\n]{1,12}", self.text[at:])
            got = repr(match.group()) if match else _("the end")
        raise ParseError(
            _(
                "Line {line}, column {column}: {problem}",
                line=line,
                column=column,
                problem=problem,
            ),
            expected=expected,
            got=got,
            fix=fix or _("write it as str(graph) does"),
        )

    def skip(self) -> int:
        """Skip white space and comments; return the position of the next token."""
        match = _SKIP.match(self.text, self.at)
        self.at = match.end() if match else self.at
        return self.at

    def take(self, pattern: re.Pattern[str]) -> str | None:
        """Read the next token of a graph's text if it matches, else return None."""
        match = pattern.match(self.text, self.skip())
        if match is None:
            return None
        self.at = match.end()
        return match.group()

    def takes(self, token: str) -> bool:
        """Read ``token`` if it is next in a graph's text; return whether it was."""
        if not self.text.startswith(token, self.skip()):
            return False
        end = self.at + len(token)
        if token[-1].isalpha() and WORD.match(self.text, end):
            return False
        self.at = end
        return True

    def need(self, token: str, where: str) -> None:
        if not self.takes(token):
            self.fail(_("{where} is not complete.", where=where), repr(token))

    def string(self) -> str | None:
        """Read a quoted string if one is next in a graph's text, else return None."""
        start = self.skip()
        quoted = self.take(_STRING)
        if quoted is None:
            return None
        try:
            return json.loads(quoted)
        except ValueError:
            self.fail(
                _("This text has an unknown escape."), r"\" \\ \n \u00e9", at=start
            )

    def required(
        self, what: str, pattern: re.Pattern[str], expected: str, *, quoted: bool = True
    ) -> str:
        """Read a required token of a graph's text; raise a parse error if missing."""
        text = self.string() if quoted else None
        if text is None:
            text = self.take(pattern)
        if text is None:
            self.fail(_("Here {what} is missing.", what=what), expected)
        return text

    def word(self, what: str) -> str:
        return self.required(what, WORD, _("a word, or a text in quotes"))

    def several(self, read: Callable[[], _T]) -> list[_T]:
        """Read one or more items, separated by commas, of a graph's text."""
        items = [read()]
        while self.takes(","):
            items.append(read())
        return items

    def listed(self, close: str, where: str, read: Callable[[], _T]) -> list[_T]:
        """Read a list in a graph's text: items separated by commas, up to ``close``."""
        items = [] if self.takes(close) else self.several(read)
        if items and not self.takes(close):
            self.fail(
                _("{where} does not end.", where=where),
                _("',' or {close!r}", close=close),
            )
        return items

    def blocks(self) -> list[_Body]:
        blocks: list[_Body] = []
        while not blocks or self.at < len(self.text):
            at = self.skip()
            if not self.takes("graph"):
                self.fail(_("Here a graph should begin."), "'graph name(inputs) {'")
            name = self.word("the graph's name")
            if any(block.name == name for block in blocks):
                self.fail(
                    _("Two graphs are called {name!r}.", name=name),
                    _("names of their own"),
                    at=at,
                )
            self.need("(", _("The first line of the graph"))
            block = _Body(name, at, self.listed(")", _("The inputs"), self.declared))
            self.need("{", _("The first line of the graph"))
            while not self.takes("return"):
                block.lines.append(self.line())
            if not self.takes("}"):
                block.outputs = self.several(self.value)
                self.need("}", _("The graph"))
            blocks.append(block)
            self.skip()
        return blocks

    def value(self) -> _Name:
        """Read the name of a value, ``%name``, in a graph's text."""
        at = self.skip()
        if not self.takes("%"):
            self.fail(_("Here a value is missing."), _("a value such as %x or %1"))
        if self.text[self.at : self.at + 1] == '"':
            name = self.string()
            if name is None:
                self.fail(_("This name does not end."), _('a closing "'))
            return _Name(input_name(name), at)
        match = WORD.match(self.text, self.at)
        if match is None:
            self.fail(
                _("This value has no name."), _("a value such as %x or %1"), at=at
            )
        self.at = match.end()
        return _Name(match.group(), at)

    def declared(self) -> tuple[_Name, ArrayType]:
        """Read a declaration of a value, ``%name: type``, in a graph's text."""
        name = self.value()
        self.need(":", _("The declaration of %{text}", text=name.text))
        return name, self.type()

    def type(self) -> ArrayType:
        """Read a value's type, such as ``f32[N,784]``, in a graph's text."""
        at = self.skip()
        short = self.take(_KEY) or ""
        if short not in FROM_SHORT:
            fix = _near(short, FROM_SHORT)
            self.fail(
                _("This is no element type."), ", ".join(FROM_SHORT), at=at, fix=fix
            )
        self.need("[", _("The type"))
        shape = tuple(self.listed("]", _("The shape"), self.dim))
        return ArrayType(shape, FROM_SHORT[short])

    def dim(self) -> Dim:
        if text := self.take(_SIZE):
            return self.size(text)
        if text := self.take(_COUNT):
            return self.integer(text)
        return self.fail(_("This is no size."), _("an integer ≥ 0, or N, or 4*N*T"))

    def size(self, text: str) -> SymbolicDim:
        first, *rest = text.split("*")
        if first.lstrip("-").isdigit():
            return SymbolicDim(*rest, factor=self.integer(first))
        return SymbolicDim(first, *rest)

    def integer(self, digits: str) -> int:
        try:
            return int(digits)
        except ValueError:  # Python refuses thousands of digits.
            self.fail(
                _("This number is too long."), _("fewer digits"), got=digits[:12] + "…"
            )

    def line(self) -> _Line:
        outputs = self.several(self.declared)
        self.need("=", _("The node"))
        at = self.skip()
        name = self.required(
            _("the primitive"), WORD, _("a name such as add"), quoted=False
        )
        self.need("(", _("The node"))
        inputs = self.listed(")", _("The arguments"), self.value)
        line = _Line(outputs, _Name(name, at), inputs)
        if self.takes("{"):
            self.listed("}", _("The attributes"), lambda: self.attribute(line.attrs))
        if self.takes(";"):
            self.tail(line.origin)
        return line

    def attribute(self, attrs: dict[str, Any]) -> None:
        key = self.required(_("an attribute"), _KEY, "key=value", quoted=False)
        if key in attrs:
            self.fail(
                _("The attribute {key} is given twice.", key=key),
                _("each of them once"),
            )
        self.need("=", _("The attribute"))
        attrs[key] = self.literal()

    def tail(self, origin: dict[str, str]) -> None:
        for key in ("scope", "role"):
            if self.takes(key):
                self.need("=", f"The {key}")
                origin[key] = self.word(f"the {key}")
        if self.takes("at"):
            expected = _("file:line, or a text in quotes")
            origin["source"] = self.required(_("the source"), SOURCE, expected)
        if not origin:
            self.fail(_("Nothing follows the semicolon."), _("scope=…, role=… or at …"))

    def literal(self, depth: int = 0) -> Any:
        at = self.skip()
        if self.takes("("):
            if depth == DEPTH:
                self.fail(
                    _("The tuples are nested too deep."),
                    _("at most {DEPTH}", DEPTH=DEPTH),
                    at=at,
                )
            return self.tuple(depth)
        if self.takes("@"):
            return _Name(self.word("the graph's name"), at)
        text = self.string()
        if text is not None:
            return text
        for pattern, convert in (
            (_SIZE, self.size),
            (_FLOAT, float),
            (_INT, self.integer),
        ):
            if word := self.take(pattern):
                return convert(word)
        word = self.take(_KEY)
        if word in ("true", "false"):
            return word == "true"
        if word in FROM_SHORT:
            return FROM_SHORT[word]
        expected = _('true, 7, 0.5, "text", (1, 2), f32, 4*N or @graph')
        self.fail(_("This is no attribute."), expected, at=at)

    def tuple(self, depth: int) -> tuple[Any, ...]:
        items: list[Any] = []
        while not self.takes(")"):
            items.append(self.literal(depth + 1))
            if self.takes(","):
                continue
            if len(items) == 1 or not self.takes(")"):
                fix = _("write a tuple of one as (1,)") if len(items) == 1 else None
                self.fail(_("The tuple does not end."), "','", fix=fix)
            break
        return tuple(items)


def _near(name: str, names: Iterable[str]) -> str | None:
    near = nearest(name, names)
    return _("did you mean {near!r}?", near=near) if near else None


# Reading: blocks to graphs


class _Builder:
    """The builder of graphs out of the parsed blocks of a text."""

    def __init__(self, reader: _Reader, blocks: Sequence[_Body]) -> None:
        self.reader = reader
        self.blocks = blocks
        self.named = {block.name: block for block in blocks}
        self.graphs: dict[str, Graph] = {}
        self.open: list[str] = []

    def main(self) -> Graph:
        graph = self.build(self.blocks[0])
        for block in self.blocks:
            if block.name not in self.graphs:
                self.reader.fail(
                    _("Nothing uses the graph {name!r}.", name=block.name),
                    _("an attribute @{name}", name=word(block.name)),
                    at=block.at,
                    fix=_("remove it; one text holds one graph and its bodies"),
                )
        return graph

    def build(self, block: _Body) -> Graph:
        self.open.append(block.name)
        values: dict[str, Value] = {}

        def read(name: _Name) -> Value:
            if name.text not in values:
                self.reader.fail(
                    _("%{text} is not defined before it is used.", text=name.text),
                    _("an input, or the result of a line above"),
                    at=name.at,
                    fix=_near(name.text, values),
                )
            return values[name.text]

        def define(name: _Name, value: Value) -> Value:
            if name.text in values:
                self.reader.fail(
                    _("%{text} is defined twice.", text=name.text),
                    _("a name of its own"),
                    at=name.at,
                )
            values[name.text] = value
            return value

        inputs = [
            define(name, _value(t, name=_plain(name.text), tracked=t.dtype.is_float))
            for name, t in block.inputs
        ]
        for line in block.lines:
            arguments = tuple(read(name) for name in line.inputs)
            attrs = {key: self.resolve(item) for key, item in line.attrs.items()}
            primitive = self.primitive(line, arguments, attrs)
            node = Node(primitive, arguments, attrs, **line.origin)
            # What was a constant for derivatives is not told by the text: nothing is.
            tracked = primitive in DERIVATIVES and any(v.tracked for v in arguments)
            outputs = [
                define(name, _value(t, node=node, index=i, tracked=tracked))
                for i, (name, t) in enumerate(line.outputs)
            ]
            node.set_outputs(tuple(outputs))
        graph = Graph(block.name, inputs, [read(name) for name in block.outputs])
        self.open.pop()
        self.graphs[block.name] = graph
        return graph

    def primitive(
        self, line: _Line, arguments: Sequence[Value], attrs: dict[str, Any]
    ) -> Primitive:
        """Look up a parsed line's primitive, and check the types declared there."""
        at, declared = line.primitive.at, [t for __, t in line.outputs]
        try:
            primitive = lookup(line.primitive.text)
            inputs = [v.type for v in arguments]
            problem = type_mismatch(primitive, inputs, attrs, declared)
        except ChainruleError as error:
            expected = error.expected or _("inputs and attributes that fit")
            self.reader.fail(error.what, expected, at=at, got=error.got, fix=error.fix)
        if problem:
            self.reader.fail(
                _("The declared types are not those of {name}.", name=primitive.name),
                problem[0],
                at=line.outputs[0][0].at,
                got=problem[1],
            )
        return primitive

    def resolve(self, item: Any) -> Any:
        """Return a parsed attribute with names of graphs replaced by the graphs."""
        if isinstance(item, tuple):
            item = cast("tuple[Any, ...]", item)
            return tuple(self.resolve(part) for part in item)
        if not isinstance(item, _Name):
            return item
        if item.text in self.graphs:
            return self.graphs[item.text]
        if item.text not in self.named:
            self.reader.fail(
                _("No graph is called {text!r}.", text=item.text),
                _("the name of another block"),
                at=item.at,
                fix=_near(item.text, self.named),
            )
        if item.text in self.open:
            self.reader.fail(
                _("The graph {text!r} contains itself.", text=item.text),
                _("bodies that do not use the graph they belong to"),
                at=item.at,
            )
        if len(self.open) == DEPTH:
            self.reader.fail(
                _("Bodies nest too deep."),
                _("at most {DEPTH}", DEPTH=DEPTH),
                at=item.at,
            )
        return self.build(self.named[item.text])


def _value(t: ArrayType, **facts: Any) -> Value:
    return Value(None, t.shape, t.dtype, **facts)


def _plain(name: str) -> str | None:
    """Return a graph input's name without quotes; None for a number (no name)."""
    if NUMBER.fullmatch(name):
        return None
    return json.loads(name) if name.startswith('"') else name
