"""Count which PyTorch programs use nothing that Chainrule does not have.

    python tools/census.py FILES_OR_FOLDERS…   # add --clean to list the clean files

Each Python file that imports ``torch`` is parsed, not run. Its uses are: names behind
``torch`` and behind what it imports from there, keywords of calls of these, and methods
that PyTorch's tensors, modules or optimisers have. A file is clean where all of them
are here. Printed are the share of clean files, and what is missing by the number of
files that use it. What runs on a GPU alone, by the test of an ``if`` around it, is left
out. Whether a name is refused when it is called, such as ``.cuda()``, is not seen; nor
is what stands behind another package that is built on PyTorch.

PyTorch must be installed: it says which attributes are methods of its objects.
"""

from __future__ import annotations

import argparse
import ast
import functools
import importlib
import inspect
import re
import sys
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

import chainrule as cr
from chainrule.errors import ChainruleError

#: Packages built on PyTorch: files that import one need it too.
BUILT_ON = {
    *("torchvision", "torchaudio", "torchtext", "transformers", "diffusers", "timm"),
    *("lightning", "pytorch_lightning", "accelerate", "apex", "ignite", "einops"),
    *("torch_geometric", "torchmetrics", "fairscale", "deepspeed", "labml_nn"),
}
#: Methods that other objects have as well: whose they are is not seen.
COMMON = {
    name
    for kind in (str, bytes, list, dict, set, int, float, complex, object, type)
    for name in dir(kind)
} | set(dir(np.ndarray))


def methods(package: Any) -> set[str]:
    """Return the methods of the tensors, modules and optimisers of a package."""
    kinds = (package.Tensor, package.nn.Module, package.optim.Optimizer)
    return {name for kind in kinds for name in dir(kind)}


THEIRS, OURS = methods(torch) - COMMON, methods(cr)


def found(package: Any, path: str) -> Any:
    """Return what a dotted path names in a package, or raise AttributeError."""
    item = package
    walked = package.__name__
    for name in path.split(".")[1:]:
        walked += "." + name
        try:
            item = getattr(item, name)
        except (AttributeError, ChainruleError):
            try:
                item = importlib.import_module(walked)
            except Exception as error:
                raise AttributeError(walked) from error
    return item


@functools.cache
def missing(path: str) -> str:
    """Return the shortest part of a name of PyTorch that is not here, or ""."""
    parts = path.split(".")
    for i in range(2, len(parts) + 1):
        part = ".".join(parts[:i])
        try:
            theirs = found(torch, part)
        except AttributeError:
            return ""  # PyTorch does not have it either
        try:
            found(cr, part)
        except AttributeError:
            return part
        if not inspect.ismodule(theirs) and not inspect.isclass(theirs):
            return ""  # an attribute of a value
    return ""


@functools.cache
def takes(path: str, keyword: str) -> bool:
    """Return whether the function of a name takes a keyword, where PyTorch's does."""
    try:
        parameters = inspect.signature(found(cr, path)).parameters
    except (AttributeError, ValueError, TypeError):
        return True
    return keyword in parameters or any(
        p.kind == inspect.Parameter.VAR_KEYWORD for p in parameters.values()
    )


class Uses(ast.NodeVisitor):
    """The names, methods and keywords of PyTorch that a file uses.

    Attributes:
        paths: dotted names that begin with ``torch``.
        keywords: of calls, as pairs of a name and a keyword.
        methods: attributes that are called, of whatever object.
        built_on: packages built on PyTorch that the file imports.
    """

    def __init__(self, tree: ast.AST) -> None:
        self.known: dict[str, str] = {}
        self.paths: set[str] = set()
        self.keywords: set[tuple[str, str]] = set()
        self.methods: set[str] = set()
        self.built_on: set[str] = set()
        defined = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
        self.own = {node.name for node in ast.walk(tree) if isinstance(node, defined)}
        self.modules: set[str] = set()  # names of modules that are none of PyTorch's
        for node in ast.walk(tree):  # an import within a function counts too
            if isinstance(node, ast.Import | ast.ImportFrom):
                self.imported(node)
        self.visit(tree)

    def imported(self, node: ast.Import | ast.ImportFrom) -> None:
        """Note what an import makes known."""
        whole = node.module or "" if isinstance(node, ast.ImportFrom) else ""
        for alias in node.names:
            path = f"{whole}.{alias.name}" if whole else alias.name
            name = alias.asname or alias.name
            first = path.split(".")[0]
            if getattr(node, "level", 0) or first != "torch":
                self.built_on |= {first} & BUILT_ON
                self.modules.add(name.split(".")[0])
                continue
            if alias.name == "*":
                self.paths.add(whole)
                continue
            self.paths.add(path)
            self.known[name if alias.asname or whole else "torch"] = (
                path if alias.asname or whole else "torch"
            )

    def path(self, node: ast.AST) -> str:
        """Return the dotted name of an expression, or "" for another one."""
        if isinstance(node, ast.Name):
            return self.known.get(node.id, "")
        if isinstance(node, ast.Attribute):
            before = self.path(node.value)
            return f"{before}.{node.attr}" if before else ""
        return ""

    def visit_Attribute(self, node: ast.Attribute) -> None:
        """Note a dotted name."""
        path = self.path(node)
        if path:
            self.paths.add(path)
        else:
            self.generic_visit(node)

    def visit_If(self, node: ast.If | ast.IfExp) -> None:
        """Leave out what runs on a GPU alone: ``x.cuda() if use_cuda else x``."""
        test = ast.unparse(node.test)
        if "cuda" not in test or re.search(r"\bnot\b|cpu", test):
            self.generic_visit(node)
            return
        self.visit(node.test)
        rest = node.orelse if isinstance(node.orelse, list) else [node.orelse]
        for part in rest:
            self.visit(part)

    visit_IfExp = visit_If  # noqa: N815

    def visit_Call(self, node: ast.Call) -> None:
        """Note the keywords of a call, and a method."""
        path = self.path(node.func)
        if path:
            self.keywords |= {(path, k.arg) for k in node.keywords if k.arg}
        elif isinstance(node.func, ast.Attribute):
            root = node.func.value
            while isinstance(root, ast.Attribute):
                root = root.value
            foreign = isinstance(root, ast.Name) and root.id in self.modules
            if not foreign and node.func.attr not in self.own:
                self.methods.add(node.func.attr)
        self.generic_visit(node)

    def lacking(self) -> Iterator[str]:
        """Yield what the file uses and Chainrule does not have."""
        for path in self.paths:
            yield missing(path)
        for path, keyword in self.keywords:
            if not missing(path) and not takes(path, keyword):
                yield f"{path}({keyword}=)"
        for name in self.methods & THEIRS - OURS:
            yield f"x.{name}()"


def files(paths: list[Path]) -> Iterator[Path]:
    """Yield the Python files of paths and folders; links in folders are left out."""
    for path in paths:
        found = sorted(path.rglob("*.py")) if path.is_dir() else [path]
        yield from (
            p for p in found if p is path or (p.is_file() and not p.is_symlink())
        )


def uses(path: Path) -> Uses | None:
    """Return what a file uses; None where it does not import PyTorch, or is broken."""
    text = path.read_text("utf-8", errors="replace")
    if "torch" not in text:
        return None
    try:
        made = Uses(ast.parse(text))
    except (SyntaxError, ValueError):
        return None
    return made if made.paths else None


def main(arguments: list[str]) -> int:
    """Print the census of the files of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("paths", nargs="+", type=Path)
    parser.add_argument("--clean", action="store_true", help="list the clean files")
    parser.add_argument("--top", type=int, default=100, help="missing names to print")
    how = parser.parse_args(arguments)
    warnings.simplefilter("ignore")  # of PyTorch's deprecated names
    count: Counter[str] = Counter()
    read = {path: made for path in files(how.paths) if (made := uses(path))}
    lacks = {path: {*made.lacking()} - {""} for path, made in read.items()}
    clean = [path for path, names in lacks.items() if not names]
    alone = [path for path in clean if not read[path].built_on]
    for names in lacks.values():
        count.update(names)
    share = 100 * len(clean) / max(len(read), 1)
    print(f"{len(read)} files import torch; {len(clean)} of them ({share:.0f} %) use")
    print(f"nothing of it that is missing here; {len(alone)} import nothing else that")
    print("is built on PyTorch.")
    for path in clean if how.clean else ():
        print(f"  {path}")
    print(f"\n{len(count)} missing names, by the number of files that use them:")
    for name, number in count.most_common(how.top):
        print(f"{number:6}  {name}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
