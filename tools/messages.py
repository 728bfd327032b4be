"""The templates of everything that is said without ``tr``: errors, and recipes' lines.

They are read off the source. From each place where an error is made (and each ``print``
of a recipe) the walk goes back to the strings that may come there: through both sides
of a sum or a choice, into variables, parameters, tables, and what functions return. An
f-string becomes a template: ``f"{name!r} has {n} rows"`` is ``"{name} has {n} rows"``.
"""

from __future__ import annotations

import ast
import itertools
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "src" / "chainrule"
#: What speaks beside the package: what ``chainrule bench`` runs.
BENCH = ROOT / "benchmarks" / "frameworks"

#: What joins a piece to others.
_AROUND = re.compile(r"^[,;\s]+|[;\s]+$|, and$")
_PLACE = re.compile(r"\{\w*\}")
#: A word of a recipe's: no name of code, and no abbreviation.
_WORD = re.compile(r"(?<![\w./\\-])[A-Za-z][a-z]+(?![\w/-]|\.\w)")
#: What shows its texts: functions, and arguments of any.
SAYING = ("print", "set_title", "set_ylabel", "suptitle")
SHOWN = ("title", "source", "across", "up", "titles", "rows", "columns")
SHOWN += ("xlabel", "ylabel", "label")
#: Arguments that an error's answers are given by, whatever the function is called.
ANSWERS = ("what", "expected", "got", "fix")
#: What the operating system says of files.
OF_THE_SYSTEM = (
    "No such file or directory",
    "Permission denied",
    "Operation not permitted",
    "Is a directory",
    "Not a directory",
    "File exists",
    "File name too long",
    "No space left on device",
    "Read-only file system",
    "Directory not empty",
)
#: Functions that are given an error's answers by position.
RAISING = ("warn", "Question", "_ask", "refuse", "fail", "Problem")
#: A text with fewer words is a name, a number or code.
_WORDS = re.compile(r"\b[a-z]{2,}\b")
_SENTENCE = re.compile(r"[A-Za-z]+[,;:]? [A-Za-z({'\"]|[a-z]{3,}[.:]$")
#: Calls, settings, and what is quoted.
_CODE = re.compile(
    r"\w+ \(\S+:\d+\)|\{.*\}|[\w.]+\([^()]*\)|\b\w+\.\w{1,5}\b"
    r"|\w+ ?= ?\S+|'[^']*'|\"[^\"]*\"|%\S+"
)
#: Words that are said alone; other single words are names of arguments, columns, ….
_ALONE = ("nothing", "none", "integers", "numbers", "neither", "something else")
_ALONE += ("positive", "whole", "finite")
#: Types of values that may be text.
_TEXT = re.compile(r"\bstr\b|Answers|Told|Refusal")
#: Functions whose text is what they are given.
_PASSING = ("shortened", "visible", "visible_lines", "join", "marked", "next")
#: Functions whose result has the texts that they are given.
_KEEPING = ("dict", "zip", "list", "tuple", "sorted", "enumerate")
#: Names of options, not of anything that is shown.
_OPTIONS = (*SHOWN, "size", "signed", "log", "numbers", "how")
#: A sum of choices is spelled out up to here.
_AT_MOST = 64

Function = ast.FunctionDef | ast.AsyncFunctionDef
Scope = tuple[ast.Module | Function, ...]


def files() -> list[Path]:
    """All that speaks."""
    return [*sorted(PACKAGE.rglob("*.py")), *sorted(BENCH.rglob("*.py"))]


def place(path: Path) -> str:
    """Where a file is: in the package, or in the project where it is beside it."""
    folder = PACKAGE if PACKAGE in path.parents else ROOT
    return path.relative_to(folder).as_posix()


@cache
def parsed(path: Path) -> ast.Module:
    """A file's tree."""
    return ast.parse(path.read_text(encoding="utf-8"))


class Source:
    """The package's modules, with their functions and calls by name."""

    def __init__(self, paths: Iterable[Path]) -> None:
        self.functions: defaultdict[str, list[tuple[Function, Scope]]]
        self.functions = defaultdict(list)
        self.calls: defaultdict[str, list[tuple[ast.Call, Scope]]] = defaultdict(list)
        self.places: dict[ast.AST, str] = {}
        self.modules: list[ast.Module] = []
        self.constants: defaultdict[str, list[tuple[ast.expr, Scope]]]
        self.constants = defaultdict(list)
        self.of_classes: defaultdict[str, list[tuple[ast.expr, Scope]]]
        self.of_classes = defaultdict(list)
        self.raised: set[ast.expr] = set()
        self.tables: list[tuple[ast.Dict, Scope]] = []
        self._results: set[ast.expr] = set()
        for path in sorted(paths):
            module = parsed(path)
            self.modules.append(module)
            self._place = place(path)
            self._read(module, (module,))
            for name, values in _assigned(module).items():
                if name.isupper():
                    self.constants[name] += [(value, (module,)) for value in values]

    def returned(self, node: ast.expr) -> bool:
        """Whether this is what a function returns: a result, whose keys are names."""
        return node in self._results

    def _read(self, node: ast.AST, scope: Scope) -> None:
        for child in ast.iter_child_nodes(node):
            self.places[child] = self._place
            inner = scope
            if isinstance(child, Function):
                self.functions[child.name].append((child, scope))
                inner = (*scope, child)
            elif isinstance(child, ast.Dict):
                self.tables.append((child, scope))
            elif isinstance(child, ast.Raise) and child.exc is not None:
                self.raised.add(child.exc)
            elif isinstance(child, ast.Return) and child.value is not None:
                self._results.add(child.value)
            elif isinstance(child, ast.ClassDef):
                for each in child.body:
                    match each:
                        case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr()):
                            if "ClassVar[str]" in ast.unparse(each.annotation):
                                self.of_classes[name].append((each.value, scope))
                        case _:
                            pass
                    if isinstance(each, Function) and each.name == "__init__":
                        self.functions[child.name].append((each, scope))
            elif isinstance(child, ast.Call):
                self.calls[_name(child.func)].append((child, scope))
            self._read(child, inner)


def _name(function: ast.expr) -> str:
    """The last word of what is called."""
    if isinstance(function, ast.Name):
        return function.id
    return function.attr if isinstance(function, ast.Attribute) else ""


class Walk:
    """The strings that may come to a place."""

    def __init__(self, source: Source, says: Callable[[str], bool]) -> None:
        self.source, self.says = source, says
        self.seen: set[int] = set()
        self.found: dict[str, str] = {}
        self.ahead: list[tuple[ast.expr, Scope]] = []

    def come(self, node: ast.expr | None, scope: Scope) -> None:
        """Find every template that an expression may be made of, at the next walk."""
        if node is not None and id(node) not in self.seen:
            self.seen.add(id(node))
            self.ahead.append((node, scope))

    def go(self) -> None:
        """Walk until nothing is ahead."""
        while self.ahead:
            self._step(*self.ahead.pop())

    def _step(self, node: ast.expr, scope: Scope) -> None:
        file = self.source.places.get(node, "")
        for text in _templates(node):
            if self.says(text):
                self.found.setdefault(text, f"{file}:{getattr(node, 'lineno', 0)}")
        for part in self.parts(node):
            self.come(part, scope)
        if isinstance(node, ast.Name):
            self._variable(node.id, scope)
        elif isinstance(node, ast.Attribute):
            self._attribute(node.attr, scope)
        elif isinstance(node, ast.Call) and _name(node.func) not in ("tr", "retold"):
            self._returned(_name(node.func))

    def parts(self, node: ast.expr) -> Iterator[ast.expr]:
        """The expressions within one whose text comes to the same place."""
        return _parts(node)

    def _variable(self, name: str, scope: Scope) -> None:
        for depth in range(len(scope), 0, -1):
            here = scope[depth - 1]
            found = _assigned(here).get(name, [])
            for value in found:
                self.come(value, scope[:depth])
            if isinstance(here, Function) and name in (kinds := _parameters(here)):
                if _textual(kinds[name]):
                    self._given(here, name)
                return
            if found:
                return
        for value, place in self.source.constants.get(name, ()):
            self.come(value, place)

    def _attribute(self, name: str, scope: Scope) -> None:
        known = _assigned(scope[0])
        for value in (*known.get(name, ()), *known.get(f".{name}", ())):
            self.come(value, scope)
        for value, place in self.source.of_classes.get(name, ()):
            self.come(value, place)

    def _returned(self, name: str) -> None:
        for function, scope in self.source.functions[name]:
            if id(function) in self.seen or not _textual(function.returns):
                continue
            self.seen.add(id(function))
            for node in ast.walk(function):
                if isinstance(node, ast.Return | ast.Yield):
                    self.come(node.value, (*scope, function))

    def _given(self, function: Function, name: str) -> None:
        """What the calls of a function give for a parameter."""
        key = hash((id(function), name))
        if key in self.seen:
            return
        self.seen.add(key)
        a = function.args
        positional = [p.arg for p in (*a.posonlyargs, *a.args)]
        defaults: dict[str, ast.expr | None] = {}
        defaults |= zip(reversed(positional), reversed(a.defaults))
        defaults |= zip((p.arg for p in a.kwonlyargs), a.kw_defaults)
        self.come(defaults.get(name), (function,))
        if positional[:1] in (["self"], ["cls"]):
            positional = positional[1:]
        called = function.name
        if called == "__init__":
            called = next(
                (
                    name
                    for name, made in self.source.functions.items()
                    if name != "__init__" and any(f is function for f, _ in made)
                ),
                called,
            )
        for call, scope in self.source.calls[called]:
            for i, argument in enumerate(call.args):
                if i < len(positional) and positional[i] == name:
                    self.come(argument, scope)
            for keyword in call.keywords:
                if keyword.arg == name:
                    self.come(keyword.value, scope)


class Shown(Walk):
    """The same where names, the keys of tables, are shown too."""

    def parts(self, node: ast.expr) -> Iterator[ast.expr]:
        yield from _parts(node)
        match node:
            case ast.Dict(keys=keys):
                result = self.source.returned(node)
                yield from (k for k in keys if k and (not result or _spaced(k)))
            case ast.DictComp(key=key):
                yield key
            case ast.Call(func=ast.Name(id=name), args=args) if name in _KEEPING:
                yield from args
            case _:
                return

    def _variable(self, name: str, scope: Scope) -> None:
        super()._variable(name, scope)
        for key in _keys(scope[-1]).get(name, ()):
            self.come(key, scope)


def _spaced(key: ast.expr) -> bool:
    """Whether a key is made to be read: it has a blank."""
    return isinstance(key, ast.Constant) and " " in str(key.value)


@cache
def _keys(here: ast.AST) -> Mapping[str, list[ast.expr]]:
    """What stands in brackets where something is put into a table."""
    found: defaultdict[str, list[ast.expr]] = defaultdict(list)
    for node in ast.walk(here):
        match node:
            case ast.Subscript(value=ast.Name(id=name), slice=key, ctx=ast.Store()):
                found[name].append(key)
            case _:
                continue
    return found


def _parameters(function: Function) -> dict[str, ast.expr | None]:
    """Its parameters with their annotations."""
    a = function.args
    return {p.arg: p.annotation for p in (*a.posonlyargs, *a.args, *a.kwonlyargs)}


def _textual(annotation: ast.expr | None) -> bool:
    """Whether a value of this type may be text."""
    return annotation is None or bool(_TEXT.search(ast.unparse(annotation)))


@cache
def _assigned(here: ast.AST) -> Mapping[str, list[ast.expr]]:
    """What is assigned within a module or function: by variable, by ``.attribute``."""
    found: defaultdict[str, list[ast.expr]] = defaultdict(list)
    for node in ast.walk(here):
        match node:
            case ast.Assign(targets=targets, value=value):
                pass
            case (
                ast.AnnAssign(target=target, value=ast.expr() as value)
                | ast.AugAssign(target=target, value=value)
                | ast.NamedExpr(target=target, value=value)
                | ast.For(target=target, iter=value)
                | ast.comprehension(target=target, iter=value)
            ):
                targets = [target]
            case ast.Call(
                func=ast.Attribute(value=target, attr="append" | "add"), args=[value]
            ):
                targets = [target]
            case _:
                continue
        for each in (part for target in targets for part in _bound(target)):
            if isinstance(each, ast.Name):
                found[each.id].append(value)
            elif isinstance(each, ast.Attribute):
                found[f".{each.attr}"].append(value)
    return found


def _bound(target: ast.expr) -> Iterator[ast.AST]:
    """What a target binds: of ``self.name`` the attribute, not ``self`` too."""
    ahead: list[ast.AST] = [target]
    while ahead:
        node = ahead.pop()
        yield node
        if not isinstance(node, ast.Attribute):
            ahead += ast.iter_child_nodes(node)


def _parts(node: ast.expr) -> Iterator[ast.expr]:
    """The expressions within one whose text comes to the same place."""
    match node:
        case ast.JoinedStr(values=values):
            for value in values:
                if isinstance(value, ast.FormattedValue):
                    yield value.value
        case ast.BinOp(left=left, right=right):
            yield from (left, right)
        case ast.IfExp(body=body, orelse=orelse):
            yield from (body, orelse)
        case ast.BoolOp(values=values):
            yield from values
        case ast.Dict(values=values):
            yield from values
        case ast.List(elts=elts) | ast.Tuple(elts=elts) | ast.Set(elts=elts):
            yield from elts
        case ast.Starred(value=value) | ast.NamedExpr(value=value):
            yield value
        case ast.Subscript(value=value):
            yield value
        case ast.GeneratorExp(elt=elt) | ast.ListComp(elt=elt) | ast.SetComp(elt=elt):
            yield elt
        case ast.DictComp(value=value):
            yield value
        case ast.Call(func=function, args=args):
            if _name(function) in _PASSING:
                yield from args
            elif isinstance(function, ast.Attribute) and function.attr != "format":
                yield function.value  # text.replace(…), text[:80].strip()
        case _:
            return


def _templates(node: ast.expr) -> list[str]:
    """The templates that an expression is, as far as it is text itself."""
    if isinstance(node, ast.Constant | ast.JoinedStr | ast.BinOp):
        return [_AROUND.sub("", _written(pieces)) for pieces in _pieces(node)]
    return []


def _pieces(node: ast.expr) -> list[tuple[str | ast.expr, ...]]:
    """The sums of text and values that an expression may be."""
    match node:
        case ast.Constant(value=str(text)):
            return [(text,)]
        case ast.JoinedStr(values=values):
            parts = [
                [(v.value,)] if isinstance(v, ast.FormattedValue) else _pieces(v)
                for v in values
            ]
            return [tuple(itertools.chain(*each)) for each in itertools.product(*parts)]
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            pairs = itertools.product(_pieces(left), _pieces(right))
            return [a + b for a, b in itertools.islice(pairs, _AT_MOST)]
        case ast.IfExp(body=body, orelse=orelse):
            return _pieces(body) + _pieces(orelse)
        case _:
            return [(node,)]


def _written(pieces: tuple[str | ast.expr, ...]) -> str:
    """A template, its places named after what stands there."""
    used: dict[str, str] = {}

    def place(code: str, name: str) -> str:
        if code not in used:
            numbered = (f"{name}{i or ''}" for i in (0, *range(2, 99)))
            used[code] = next(n for n in numbered if n not in used.values())
        return f"{{{used[code]}}}"

    text = ""
    for piece in pieces:
        if isinstance(piece, str):
            literal = piece.replace("{", "{{").replace("}", "}}")
            first, *rest = literal.split("{{}}")  # filled by replace or format
            text += first + "".join(place("{}", "name") + part for part in rest)
        else:
            code = ast.unparse(piece)
            words = re.findall(r"[A-Za-z_][A-Za-z_0-9]*", re.sub(r"'[^']*'", "", code))
            text += place(code, _worded(piece) or (words[-1] if words else "value"))
    return text


def _worded(node: ast.expr) -> str:
    """A word for a value: its own name, or what a function is given."""
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name.strip("_")
        case ast.Call(args=[first, *_]):
            return _worded(first)
        case ast.Subscript(value=value):
            return _worded(value)
        case _:
            return ""


def told(text: str) -> bool:
    """Whether a text says something: names and code are the same everywhere."""
    bare = _PLACE.sub("X", text).strip()
    if bare.startswith(("<", ".")) or bare.lower() == "the x":
        return False  # of a page; what might be anybody's
    words = _CODE.sub("X", bare)
    return bare in _ALONE or bool(_WORDS.search(words) and _SENTENCE.search(words))


def shown(text: str) -> bool:
    """The same for what a recipe shows, where a word alone says something too."""
    return text not in _OPTIONS and bool(_WORD.search(_PLACE.sub("", text)))


@cache
def of_errors() -> dict[str, str]:
    """Every template of an error, a warning or a note, with its place."""
    source = Source(files())
    walk = Walk(source, told)
    for name, calls in list(source.calls.items()):
        for call, scope in calls:
            raised = name.endswith("Error") or name in RAISING or call in source.raised
            if isinstance(call.func, ast.Call):  # type(error)(…)
                raised |= _name(call.func.func) == "type"
            for argument in call.args if raised else ():
                walk.come(argument, scope)
            for keyword in call.keywords:
                if keyword.arg in ANSWERS or (raised and keyword.arg is None):
                    walk.come(keyword.value, scope)
            match call.func:
                case ast.Attribute(value=ast.Name("notes"), attr="append") | (
                    ast.Attribute(value=ast.Attribute(attr="notes"), attr="append")
                ):
                    walk.come(call.args[0], scope)
                case _:
                    pass
    for module in source.modules:
        for value in _assigned(module).get("notes", ()):
            walk.come(value, (module,))
    for function, scope in source.functions["told"]:  # of columns that are left out
        for node in ast.walk(function):
            if isinstance(node, ast.Return):
                walk.come(node.value, (*scope, function))
    for node, scope in source.tables:
        for key, value in zip(node.keys, node.values):
            if isinstance(key, ast.Constant) and key.value in ANSWERS:
                walk.come(value, scope)
    walk.go()
    return walk.found | dict.fromkeys(OF_THE_SYSTEM, "the system")


@cache
def of_recipes() -> dict[str, str]:
    """Every template of what recipes print and draw."""
    beside = ("__init__", "study")
    files = [p for p in PACKAGE.glob("recipes/*.py") if p.stem not in beside]
    source = Source([*files, PACKAGE / "viz/scenes.py"])
    walk = Shown(source, shown)
    for name, calls in list(source.calls.items()):
        for call, scope in calls:
            if name in ("draw", "film"):
                for argument in call.args[2:]:
                    walk.come(argument, scope)
            if name in SAYING:
                for argument in call.args:
                    walk.come(argument, scope)
            for keyword in call.keywords:
                if keyword.arg in SHOWN or (keyword.arg is None and name == "draw"):
                    walk.come(keyword.value, scope)
    for module in source.modules:
        for value in _assigned(module).get("SUMMARY", ()):
            walk.come(value, (module,))
    walk.go()
    return walk.found


def templates() -> dict[str, dict[str, str]]:
    """All of them, by their kind."""
    return {"errors": of_errors(), "recipes": of_recipes()}


if __name__ == "__main__":
    for kind, found in templates().items():
        for text, place in found.items():
            print(place, repr(text))
        print(len(found), kind)
