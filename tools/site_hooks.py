"""Hooks of the documentation site: pages of the reference, links into the source.

``mkdocs build --strict`` calls them, see ``mkdocs.yml``. The documents link to files of
the repository, as readers of the repository expect. On the site such a file is a page
of its own, so that every link leads somewhere without a network.
"""

from __future__ import annotations

import inspect
import posixpath
import re
import sys
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

from chainrule.operations import FAMILIES
from chainrule.operations.op import OPS, Op

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tools"))

from site_docstrings import markdown  # noqa: E402

LINK = re.compile(r"(\]\()([^)#\s]+)(#[^)]*)?(\))")
LANGUAGES = {".py": "python", ".toml": "toml", ".sh": "sh", ".md": "md", "": "text"}

#: Pages of the reference: the objects that each documents.
REFERENCE = {
    "tensors": ("Tensors", ["chainrule.Tensor"]),
    "random": ("Random numbers", ["chainrule.random"]),
    "distributions": ("Distributions", ["chainrule.distributions"]),
    "derivatives": ("Derivatives of functions", ["chainrule.transforms.derivatives"]),
    "control": ("Loops and branches", ["chainrule.transforms.control"]),
    "compile": ("Compiled functions", ["chainrule.compile"]),
    "nn": ("Layers and losses", ["chainrule.nn"]),
    "nn-functional": ("Layers as functions", ["chainrule.nn.functional"]),
    "nn-init": ("Initial weights", ["chainrule.nn.init"]),
    "optim": ("Optimisers and schedules", ["chainrule.optim"]),
    "data": ("Data", ["chainrule.data"]),
    "metrics": ("Metrics", ["chainrule.metrics"]),
    "training": ("Training", ["chainrule.training"]),
    "explain": (
        "Explanation",
        ["chainrule.explain", "chainrule.derive", "chainrule.check_work"],
    ),
    "check": ("Checks of derivatives", ["chainrule.check_gradients"]),
    "viz": ("Pictures", ["chainrule.viz"]),
    "errors": ("Errors", ["chainrule.errors"]),
}


def on_files(files: Files, config: Any) -> Files:
    """Add the pages of the reference, and a page for each file that is linked to."""
    for name, (title, objects) in REFERENCE.items():
        text = f"# {title}\n\n" + "".join(f"::: {item}\n\n" for item in objects)
        if name == "tensors":
            text += _methods()
        files.append(File.generated(config, f"reference/api/{name}.md", content=text))
    page = File.generated(config, "reference/api/functions.md", content=_functions())
    files.append(page)
    linked: set[str] = set()
    for page in files.documentation_pages():
        for target in _outside(page.src_uri, page.content_string):
            linked.add(target)
    for target in sorted(linked):
        page = File.generated(config, _page(target), content=_source(target))
        files.append(page)
    return files


def _functions() -> str:
    """Return the page of tensor functions, which follow from declarations."""
    lines = ["# Functions of tensors\n"]
    for family in FAMILIES:
        own = [op for op in OPS if op.function.__module__ == family.__name__]
        head = (family.__doc__ or "").partition("\n")[0].rstrip(".")
        lines.append(f"## {head}\n")
        lines += [_entry(op) for op in own if op.public or op.module]
    return "\n".join(lines)


def _entry(op: Op) -> str:
    """Return the entry of one function: signature, docstring, its other names."""
    signature = re.sub(r"'(.*?)'", r"\1", str(op.__signature__))
    where = f"cr.{op.module}" if op.module else "cr"
    forms = [f"`{where}.{name}`" for name in op.names]
    forms += [f"`Tensor.{op.name}`"] * op.method
    forms += [f"`Tensor.{op.name}_`, in place"] * op.in_place
    also = f"\nAlso {'; '.join(forms)}.\n" if forms else ""
    text = inspect.cleandoc(op.function.__doc__ or "")
    text = re.sub(r"^(Args|Raises):$", r"**\1**\n", markdown(text), flags=re.M)
    text = re.sub(r"^ {4}(\w[\w, ]*):", r"- `\1`:", text, flags=re.M)
    call = f"```python\n{where}.{op.name}{signature}\n```"
    name = f"{op.module}.{op.name}" if op.module else op.name
    return f"### {name}\n\n{call}\n\n{text}\n{also}"


def _methods() -> str:
    """Return the list of methods that are functions too, with links to them."""
    names = sorted(op.name for op in OPS if op.method and op.public)
    links = ", ".join(f"[`{name}`](functions.md#{name})" for name in names)
    return f"## Methods that are functions too\n\n{links}\n"


def on_page_markdown(markdown: str, page: Any, **__: Any) -> str:
    """Return a page whose links to files of the repository lead to their pages."""
    here = page.file.src_uri

    def led(match: re.Match[str]) -> str:
        target = _repository_path(here, match[2])
        if target is None:
            return match[0]
        place = posixpath.relpath(_page(target), posixpath.dirname(here) or ".")
        return f"{match[1]}{place}{match[4]}"

    return LINK.sub(led, markdown)


def _repository_path(here: str, link: str) -> str | None:
    """Return the path of a linked file outside of the documents; None for others."""
    if "://" in link or link.startswith(("#", "mailto:", "source/")):
        return None
    path = posixpath.normpath(posixpath.join("docs", posixpath.dirname(here), link))
    inside = path == "docs" or path.startswith("docs/")
    return None if inside or not (ROOT / path).exists() else path


def _outside(here: str, text: str) -> list[str]:
    found = (_repository_path(here, match[2]) for match in LINK.finditer(text))
    return [path for path in found if path is not None]


def _page(target: str) -> str:
    return f"source/{target}{'/index' if (ROOT / target).is_dir() else ''}.md"


def _source(target: str) -> str:
    """Return the page of a file or a folder of the repository."""
    path = ROOT / target
    if path.is_dir():
        names = sorted(p.name for p in path.iterdir())
        parts = [name for name in names if name[0] not in "_."]
        return f"# {target}\n\n" + "".join(f"- `{name}`\n" for name in parts)
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".md":
        return text
    language = LANGUAGES.get(path.suffix, "text")
    return f"# {target}\n\n~~~~{language}\n{text}\n~~~~\n"
