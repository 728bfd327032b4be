"""Hooks of the documentation site: reference, links into the source, languages.

``mkdocs build --strict`` calls them, see ``mkdocs.yml``. The documents link to files of
the repository, as readers of the repository expect. On the site such a file is a page
of its own, so that every link leads somewhere without a network.
"""

from __future__ import annotations

import importlib
import inspect
import logging
import posixpath
import re
import sys
from pathlib import Path
from typing import Any

import jieba
from mkdocs.structure.files import File, Files

from chainrule.operations import FAMILIES, declared
from chainrule.operations.op import OPS, Op

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tools"))

from site_docstrings import markdown  # noqa: E402

#: What it says fails a strict build.
LOG = logging.getLogger("mkdocs.hooks.site")
jieba.setLogLevel(logging.WARNING)

LINK = re.compile(r"(\]\()([^)#\s]+)(#[^)]*)?(\))")
LANGUAGES = {".py": "python", ".toml": "toml", ".sh": "sh", ".md": "md", "": "text"}

#: The folder of the pages in Traditional Chinese.
CHINESE = "zh-TW/"
LANGUAGE_NAMES = {"en": "English", "zh-TW": "繁體中文"}

#: Pages of the reference: the objects that each documents.
REFERENCE = {
    "tensors": ("Tensors", ["chainrule.Tensor"]),
    "random": ("Random numbers", ["chainrule.random"]),
    "fft": ("Frequencies", ["chainrule.fft"]),
    "distributions": ("Distributions", ["chainrule.distributions"]),
    "derivatives": ("Derivatives of functions", ["chainrule.transforms.derivatives"]),
    "autograd": ("Derivatives of one's own", ["chainrule.autograd"]),
    "vmap": ("Many samples at once", ["chainrule.transforms.vectorization"]),
    "checkpoint": ("Recomputation", ["chainrule.utils.checkpoint"]),
    "control": ("Loops and branches", ["chainrule.transforms.control"]),
    "compile": ("Compiled functions", ["chainrule.compile"]),
    "nn": ("Layers and losses", ["chainrule.nn"]),
    "nn-functional": ("Layers as functions", ["chainrule.nn.functional"]),
    "nn-init": ("Initial weights", ["chainrule.nn.init"]),
    "nn-utils": ("Tools for layers", ["chainrule.nn.utils"]),
    "optim": ("Optimisers and schedules", ["chainrule.optim"]),
    "lr-scheduler": ("Schedulers to step", ["chainrule.optim.lr_scheduler"]),
    "data": ("Data", ["chainrule.data"]),
    "utils-data": ("Data sets and loaders", ["chainrule.utils.data"]),
    "metrics": ("Metrics", ["chainrule.metrics"]),
    "training": ("Training", ["chainrule.training"]),
    "tracking": ("Trackers", ["chainrule.tracking"]),
    "rl": ("Agents", ["chainrule.rl"]),
    "explain": (
        "Explanation",
        ["chainrule.explain", "chainrule.derive", "chainrule.check_work"],
    ),
    "diagrams": ("Pictures", ["chainrule.diagrams"]),
    "check": ("Checks of derivatives", ["chainrule.check_gradients"]),
    "testing": ("Assertions", ["chainrule.testing"]),
    "doctor": (
        "The doctor",
        ["chainrule.diagnose", "chainrule.lr_find", "chainrule.doctor"],
    ),
    "models": (
        "Published architectures",
        [
            "chainrule.models",
            *("chainrule.models.resnet", "chainrule.models.mobilenet"),
            *("chainrule.models.vit", "chainrule.models.efficientnet"),
            *("chainrule.models.bert", "chainrule.models.gpt2"),
            "chainrule.models.tokens",
        ],
    ),
    "files": (
        "Weights and ONNX files",
        [
            *("chainrule.load_torch", "chainrule.load_keras"),
            *("chainrule.export_onnx", "chainrule.load_onnx"),
        ],
    ),
    "programs": (
        "Programs and their service",
        ["chainrule.load_program", "chainrule.serving"],
    ),
    "sklearn": ("Estimators for scikit-learn", ["chainrule.sklearn"]),
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
    declared()
    for family in FAMILIES:
        module = sys.modules[f"chainrule.operations.{family}"]
        head = (module.__doc__ or "").partition("\n")[0].rstrip(".")
        lines.append(f"## {head}\n")
        lines += [_entry(op) for op in OPS[family] if op.public or op.module]
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
    names = sorted(op.name for op in declared() if op.method and op.public)
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


def on_page_content(html: str, page: Any, **__: Any) -> str:
    """Warn of names in the reference that are not public, and of lost lists."""
    text = re.sub(r"<(pre|code)\b.*?</\1>", "", html, flags=re.S)
    for lost in re.findall(r"<p>(?:(?!</p>).)*?\n((?:[-*|]|\d+\.) .*)", text, re.S):
        line = lost.partition("\n")[0]
        LOG.warning("%s: within a paragraph: %s", page.file.src_uri, line)
    for path, name in re.findall(r'<h3 id="(chainrule[.\w]*)\.(\w+)"', html):
        owner = _object(path)
        if inspect.ismodule(owner) and name not in getattr(owner, "__all__", ()):
            LOG.warning("%s: %s.%s is not public", page.file.src_uri, path, name)
    for name in re.findall(r'<h\d id="(chainrule[.\w]*\.__\w+)"', html):
        LOG.warning("%s: %s is Python's own", page.file.src_uri, name)
    return html


def _object(path: str) -> Any:
    """Return the module, or the object of one, with a dotted name."""
    try:
        return importlib.import_module(path)
    except ImportError:
        module, _, name = path.rpartition(".")
        return getattr(_object(module), name)


def on_page_context(context: Any, *, page: Any, config: Any, **__: Any) -> Any:
    """Set the language of a page, and lead the switch of languages to its translation.

    The folder ``zh-TW`` mirrors the pages; one without a translation leads to the
    other language's first page.
    """
    here = page.file.src_uri
    chinese = here.startswith(CHINESE)
    english = here.removeprefix(CHINESE)
    translated = (Path(config.docs_dir) / CHINESE / english).exists()
    config.theme["language"] = "zh-TW" if chinese else "en"
    pages = {
        "en": english,
        "zh-TW": CHINESE + (english if translated else "learn/first-network.md"),
    }
    config.extra["alternate"] = [
        {"name": LANGUAGE_NAMES[lang], "link": f"{name[:-3]}.html", "lang": lang}
        for lang, name in pages.items()
    ]
    return context


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
