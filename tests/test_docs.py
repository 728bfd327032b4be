"""What documents show is what happens: their blocks run, their outputs are compared.

A document's ```python blocks run from top to bottom in one namespace. What a block
prints must be what the ```text block behind it shows; a block that prints nothing has
none. Text must agree to the letter, spaces included; a decimal number of three digits
or more may differ by one unit in the last one, so that another processor's rounding is
no error. The last line of an output may be ``…``: more follows, and is not compared.

A block whose first line is a comment with a file name, such as ``# neuron.py``, runs
under that name, with its own line numbers. So the places that graphs print stay as
they are when the document changes elsewhere. A ```toml block whose first line names a
file is written to that file.

A ```console block with lines that begin with ``$ chainrule`` runs these commands, and
what they write to standard output must be what stands below each of them. There ``…``
stands for anything within a line, and a line that is ``…`` alone for any lines.

``python tests/test_docs.py docs/built/tour.md`` checks one document; ``--write``
replaces the outputs by what was printed. Read the difference before you commit it.
With ``--no-pictures`` pictures are empty files, which are written at once, and with
``--apart`` each document has a process of its own, which has the package imported.
The blocks of a page in ``docs/zh-TW``, and of ``README.zh-TW.md``, run while Chainrule
speaks Chinese, all others in English. ``test_translated_docs.py`` compares the pages of
the two languages.
"""

from __future__ import annotations

import contextlib
import doctest
import importlib
import importlib.util
import io
import linecache
import os
import re
import shlex
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src"
HAS_LLVMLITE = importlib.util.find_spec("llvmlite") is not None

#: Documents with blocks that run.
DOCUMENTS = (
    "README.md",
    "CONTRIBUTING.md",
    "docs/learn/first-network.md",
    "docs/built/tour.md",
    "docs/built/design.md",
    "docs/how-to/your-data.md",
    "docs/how-to/data.md",
    "docs/how-to/from-pytorch.md",
    "docs/how-to/from-keras.md",
    "docs/how-to/published-weights.md",
    "docs/reference/arrays.md",
    "docs/reference/derivatives.md",
    "docs/measured/benchmarks.md",
    "docs/how-to/loops.md",
    "docs/how-to/onnx.md",
    "docs/how-to/trainer.md",
    "docs/how-to/scaling.md",
    "docs/how-to/doctor.md",
    "docs/how-to/onnx-import.md",
    "docs/how-to/scikit-learn.md",
    "docs/how-to/notebooks.md",
    "docs/how-to/classroom.md",
    "docs/how-to/explanations.md",
    "docs/how-to/pictures.md",
    "docs/how-to/serving.md",
    "docs/how-to/lab.md",
    "docs/how-to/reinforcement.md",
    "docs/how-to/recommender.md",
    "docs/learn/explore.md",
    "docs/learn/clinics.md",
    "src/chainrule/engines/native/README.md",
)
#: What the examples of documents and modules need of the extra ``parity``.
NEEDS = {
    "docs/how-to/data-from-libraries.md": ("torch", "pyarrow", "datasets"),
    "docs/how-to/trackers.md": ("tensorboard", "mlflow"),
    "docs/how-to/search.md": ("optuna",),
    "docs/how-to/xla.md": ("jax",),
    "src/chainrule/tracking/mlflow.py": ("mlflow",),
    "src/chainrule/tracking/optuna.py": ("optuna",),
    "src/chainrule/tracking/tensorboard.py": ("tensorboard",),
    "src/chainrule/tracking/wandb.py": ("trackio",),
}
#: Documents that do: each is a test of its own.
WITH_PACKAGES = tuple(name for name in NEEDS if name.endswith(".md"))
#: What people read first, and what may declare primitives: the fast suite runs these.
FIRST = tuple(
    name
    for name in DOCUMENTS
    if name == "docs/learn/first-network.md"
    or not re.match("docs/(how-to|learn|measured)", name)
)


@dataclass
class Block:
    """One fenced block.

    Attributes:
        language: what stands behind the first fence.
        line: the number of the first line of the text, from 1.
        text: the lines between the fences.
    """

    language: str
    line: int
    text: str

    @property
    def end(self) -> int:
        """The number of the line with the closing fence."""
        return self.line + self.text.count("\n")


def blocks(document: str) -> list[Block]:
    """The fenced blocks of a Markdown document, in order."""
    found: list[Block] = []
    inside: Block | None = None
    for number, line in enumerate(document.split("\n"), 1):
        if inside is not None and line.rstrip() == "```":
            found.append(inside)
            inside = None
        elif inside is not None:
            inside.text += line + "\n"
        elif line.startswith("```"):
            inside = Block(line[3:].strip(), number + 1, "")
    if inside is not None:
        raise ValueError(f"the block of line {inside.line} has no end")
    return found


_NUMBER = re.compile(r"-?[0-9]+\.[0-9]*(?:e[+-]?[0-9]+)?")


def agree(shown: str, printed: str) -> bool:
    """Whether an output is as shown, up to one unit in the last digit of a number."""
    if shown.endswith("\n…\n"):
        shown = shown[:-2]
        printed = "".join(printed.splitlines(keepends=True)[: shown.count("\n")])
    if _NUMBER.sub("#", shown) != _NUMBER.sub("#", printed):
        return False
    pairs = zip(_NUMBER.findall(shown), _NUMBER.findall(printed), strict=True)
    return all(_close(a, b) for a, b in pairs)


def _close(shown: str, printed: str) -> bool:
    digits, _, exponent = shown.partition("e")
    if len(digits.lstrip("-0.").replace(".", "")) < 3:
        return float(shown) == float(printed)
    unit = 10.0 ** (int(exponent or 0) - len(digits.partition(".")[2]))
    return abs(float(shown) - float(printed)) <= 1.01 * unit


@dataclass
class Difference:
    """A block that did not print what the document shows."""

    block: Block
    shown: Block | None
    printed: str

    def __str__(self) -> str:
        shown = self.shown.text if self.shown else "(no text block behind it)\n"
        return (
            f"the block of line {self.block.line} prints\n{self.printed}"
            f"but the document shows\n{shown}"
        )


def run(document: str, name: str) -> list[Difference]:
    """Run the python blocks of a document; where it shows something else than happens.

    Raises:
        Exception: what a block raises.
        ValueError: a text block that belongs to no python block.
    """
    namespace: dict[str, Any] = {"__name__": "__main__"}
    different: list[Difference] = []
    found = blocks(document)
    for i, block in enumerate(found):
        if block.language == "text" and (not i or found[i - 1].language != "python"):
            raise ValueError(f"nothing prints the output of line {block.line}")
        if block.language == "console":
            printed = _answers(block.text)
            if not matches(block.text, printed):
                different.append(Difference(block, block, printed))
            continue
        if block.language == "toml":
            _write(block.text)
            continue
        if block.language != "python":
            continue
        after = found[i + 1] if i + 1 < len(found) else None
        shown = after if after and after.language == "text" else None
        printed = _printed(block, name, namespace)
        if not agree(shown.text if shown else "", printed):
            different.append(Difference(block, shown, printed))
    return different


def _printed(block: Block, name: str, namespace: dict[str, Any]) -> str:
    named = re.match(r"# ([\w-]+\.py)\n", block.text)
    if named:
        name, source = named[1], block.text
    else:
        source = "\n" * (block.line - 1) + block.text
    # Tracebacks show lines of the document.
    linecache.cache[name] = (len(source), None, source.splitlines(True), name)
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        exec(compile(source, name, "exec"), namespace)
    return output.getvalue()


def _write(text: str) -> None:
    """Write a block to the file that its first line names, if it does."""
    named = re.match(r"# ([\w-]+\.toml)\n", text)
    if named:
        Path(named[1]).write_text(text, encoding="utf-8")


def _answers(text: str) -> str:
    """The commands of a console block, each with what it prints when it is run."""
    lines: list[str] = []
    for line in text.splitlines():
        if not line.startswith("$ chainrule "):
            continue
        output, said = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(output), contextlib.redirect_stderr(said):
            code = importlib.import_module("chainrule.cli").run(shlex.split(line)[2:])
        if code:
            raise RuntimeError(f"{line}\nends with {code}: {said.getvalue()}")
        lines += [line, *output.getvalue().splitlines()]
    return "".join(line + "\n" for line in lines) or text


def matches(shown: str, printed: str) -> bool:
    """Whether commands answered as shown, ``…`` standing for anything."""
    escaped = re.escape(shown.rstrip("\n"))
    pattern = re.sub(r"(?m)^…$\n?", r"(?:.*(?:\n|$))*?", escaped.replace("\\\n", "\n"))
    return bool(re.fullmatch(pattern.replace("…", "[^\n]*"), printed.rstrip("\n")))


def rewritten(document: str, different: list[Difference]) -> str:
    """The document with the outputs that were printed."""
    lines = document.split("\n")
    for d in sorted(different, key=lambda d: d.block.line, reverse=True):
        printed = d.printed.splitlines()
        if d.shown and d.shown.text.endswith("\n…\n"):
            printed = [*printed[: d.shown.text.count("\n") - 1], "…"]
        if d.block.language == "console":
            lines[d.block.line - 1 : d.block.end - 1] = printed
            continue
        made = ["```text", *printed, "```"] if printed else []
        if d.shown:
            lines[d.shown.line - 2 : d.shown.end] = made
        else:
            lines[d.block.end : d.block.end] = made
    return "\n".join(lines)


def main(arguments: list[str]) -> int:
    """Check (or with ``--write`` rewrite) the documents of these paths."""
    os.environ["COLUMNS"] = "80"  # as wide as outputs may become
    os.fsync = os.fstat  # pyright: ignore  # waits for no disk
    paths = [a for a in arguments if not a.startswith("--")]
    if "--apart" in arguments and hasattr(os, "fork"):
        for name in ("cli", "viz", "engines.native.runtime.compiler"):
            with contextlib.suppress(ImportError):  # llvmlite, an extra
                importlib.import_module(f"chainrule.{name}")
        options = [a for a in arguments if a.startswith("--") and a != "--apart"]
        return max([_in_a_child([*options, path]) for path in paths], default=0)
    wrong = 0
    if "--no-pictures" in arguments:
        drawing: Any = importlib.import_module("chainrule.viz.drawing")
        drawing.png, drawing.svg = lambda *_, **__: b"", lambda *_: ""
    for path in map(Path, paths):
        chinese = any("zh-TW" in part for part in path.resolve().parts[-3:])
        spoken = "zh-TW" if chinese else "en"
        importlib.import_module("chainrule.text.languages").set_language(spoken)
        importlib.import_module("chainrule").manual_seed(0)  # as in a new process
        document = path.read_text(encoding="utf-8")
        with (
            tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder,
            contextlib.chdir(folder),
        ):
            different = run(document, path.name)
        if "--write" in arguments and different:
            path.write_text(rewritten(document, different), encoding="utf-8")
            print(f"{path}: {len(different)} outputs rewritten")
            continue
        for d in different:
            print(f"{path}: {d}", file=sys.stderr)
        wrong += len(different)
    return 1 if wrong else 0


def _in_a_child(arguments: list[str]) -> int:
    """What main comes to in a copy of this process."""
    child = os.fork()
    if not child:
        code = 1
        try:
            code = main(arguments)
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code:
        print(f"{arguments[-1]} ends with {code}", file=sys.stderr)
    return abs(code)


# -- the documents -------------------------------------------------------------------


def runs_here(name: str) -> bool:
    """Whether a document can run here, where there may be no native engine."""
    asks = 'engine="native"' in (ROOT / name).read_text("utf-8")
    return HAS_LLVMLITE or not (asks or "native" in re.split(r"[./]", name))


def skipped_where_absent(name: str, path: Path) -> Any:
    """A case for ``name``, which is skipped where a package of it is missing."""
    file = path.relative_to(ROOT).as_posix()
    reason = "the native engine needs llvmlite, which has no wheel here"
    marks = [pytest.mark.skipif(not runs_here(file), reason=reason)]
    for package in NEEDS.get(file, ()):
        absent = importlib.util.find_spec(package) is None
        reason = f"needs {package}: pip install it"
        marks += [pytest.mark.parity, pytest.mark.skipif(absent, reason=reason)]
    return pytest.param(name, marks=marks)


def problem(*names: str, options: tuple[str, ...] = (), warnings: str = "error") -> str:
    """What is wrong with documents, whose blocks run in a process of their own."""
    paths = (str(ROOT / name) for name in names)
    made = subprocess.run(
        [sys.executable, "-W", warnings, __file__, *options, *paths],
        cwd=ROOT,
        capture_output=True,
        encoding="utf-8",
        timeout=600,
        env=os.environ
        | {"PYTHONUTF8": "1", "PYTHONPATH": str(SOURCE), "LANGUAGE": "en"},
    )
    return made.stderr or str(made.returncode) if made.returncode else ""


def test_what_people_read_first() -> None:
    """Each in a process of its own: blocks may declare primitives."""
    assert not problem(*filter(runs_here, FIRST), options=("--apart",))


@pytest.mark.documents
def test_the_other_documents() -> None:
    """Importing the package takes longer than their blocks do: one process for all.

    Pictures of such runs are drawn by the README's blocks.
    """
    others = [name for name in DOCUMENTS if name not in FIRST]
    assert not problem(*others, options=("--no-pictures",))


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", [skipped_where_absent(name, ROOT / name) for name in WITH_PACKAGES]
)
def test_documents_that_need_packages(name: str) -> None:
    """Others' packages, and these warn of each other."""
    assert not problem(name, warnings="ignore")


def test_every_document_with_python_is_listed() -> None:
    """But for the Chinese ones, which ``test_translated_docs.py`` knows."""
    written = {
        path.relative_to(ROOT).as_posix()
        for folder in (ROOT, ROOT / "docs", SOURCE, ROOT / "benchmarks")
        for path in (folder.glob("*.md") if folder == ROOT else folder.rglob("*.md"))
        if any(
            b.language == "python" or (b.language == "console" and "$ " in b.text)
            for b in blocks(path.read_text("utf-8"))
        )
    }
    assert {name for name in written if "zh-TW" not in name} <= {
        *DOCUMENTS,
        *WITH_PACKAGES,
    }


# -- the runner itself ---------------------------------------------------------------


def _document(*parts: str) -> str:
    """Blocks of language and text, alternating."""
    pairs = zip(parts[::2], parts[1::2], strict=True)
    return "\n\n".join(f"```{language}\n{text}\n```" for language, text in pairs)


def test_a_wrong_output_is_seen() -> None:
    right = _document("python", "x = 2", "python", "print(x + 1)", "text", "3")
    assert not run(right, "d.md")
    (different,) = run(right.replace("\n3\n", "\n4\n"), "d.md")
    assert different.printed == "3\n"
    assert "line 6 prints\n3\nbut the document shows\n4\n" in str(different)
    assert rewritten(right.replace("\n3\n", "\n4\n"), [different]) == right


def test_an_output_that_is_not_shown_is_seen() -> None:
    silent = _document("python", "print(1)", "python", "print(2)", "text", "2")
    (different,) = run(silent, "d.md")
    assert different.shown is None
    assert not run(rewritten(silent, [different]), "d.md")


def test_a_cut_output_stays_cut() -> None:
    long = _document("python", "for i in range(9): print(i)", "text", "0\n1\n…")
    assert not run(long, "d.md")
    changed = long.replace("range(9)", "range(5, 9)")
    (different,) = run(changed, "d.md")
    assert rewritten(changed, [different]).endswith("```text\n5\n6\n…\n```")


def test_a_command_is_run_and_its_answer_compared(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    version = importlib.import_module("chainrule").__version__
    right = _document("console", f"$ chainrule --version\nchainrule {version}")
    assert not run(right, "d.md")
    wrong = right.replace(f"chainrule {version}", "chainrule 9")
    (different,) = run(wrong, "d.md")
    assert rewritten(wrong, [different]) == right
    assert not run(_document("console", "ls\nanything"), "d.md")  # not ours: not run
    with pytest.raises(RuntimeError, match="ends with 2"):
        run(_document("console", "$ chainrule trian mnist"), "d.md")


@pytest.mark.parametrize(
    ("shown", "printed", "same"),
    [
        ("$ a\nb\n", "$ a\nb\n", True),
        ("$ a\nb\n", "$ a\nc\n", False),
        ("took … s\n", "took 2.5 s\n", True),
        ("took … s\n", "took\n2.5 s\n", False),
        ("a\n…\nd\n", "a\nb\nc\nd\n", True),
        ("a\n…\nd\n", "a\nd\n", True),
        ("a\n…\n", "a\nb\nc\n", True),
        ("a\n…\nd\n", "a\nb\nc\n", False),
        ("a.c\n", "abc\n", False),
    ],
)
def test_what_answers_match(shown: str, printed: str, same: bool) -> None:
    assert matches(shown, printed) is same


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (_document("text", "1"), "nothing prints the output of line 2"),
        (_document("python", "1", "sh", "ls", "text", "1"), "line 10"),
        ("```python\nx = 1\n", "the block of line 2 has no end"),
    ],
)
def test_a_document_out_of_order_is_refused(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        run(text, "d.md")


def test_an_error_names_the_line_of_the_document() -> None:
    document = "# Title\n\n" + _document("python", "x = 1\nx.y")
    with pytest.raises(AttributeError) as error:
        run(document, "d.md")
    last = traceback.extract_tb(error.value.__traceback__)[-1]
    assert (last.filename, last.lineno, last.line) == ("d.md", 5, "x.y")


@pytest.mark.parametrize(
    ("shown", "printed", "same"),
    [
        ("0.5987\n", "0.5988\n", True),
        ("0.5987\n", "0.5989\n", False),
        ("-1.23e-05\n", "-1.24e-05\n", True),
        ("1.23e-05\n", "1.23e-04\n", False),
        ("0.5987\n", "-0.5987\n", False),
        ("1.0\n", "0.9\n", False),
        ("0.05\n", "0.06\n", False),
        ("[0.5 1.0]\n", "[0.5  1.0]\n", False),
        ("12\n", "13\n", False),
        ("2.\n", "3.\n", False),
        ("2.\n", "2.\n", True),
        ("a\n…\n", "a\nb\nc\n", True),
        ("a\n…\n", "b\n", False),
        ("a\n", "a\nb\n", False),
        ("x 0.5\n", "y 0.5\n", False),
        ("nan\n", "0.5\n", False),
    ],
)
def test_what_counts_as_the_same(shown: str, printed: str, same: bool) -> None:
    assert agree(shown, printed) is same


# -- docstrings ----------------------------------------------------------------------


def _modules() -> Iterator[Any]:
    """Every module with examples, as a case of its own."""
    for path in sorted((SOURCE / "chainrule").rglob("*.py")):
        if ">>>" not in path.read_text("utf-8"):
            continue
        parts = path.relative_to(SOURCE).with_suffix("").parts
        name = ".".join(parts).removesuffix(".__init__")
        yield skipped_where_absent(name, path)


@pytest.mark.parametrize("name", list(_modules()))
def test_docstring_examples(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    module = importlib.import_module(name)
    runner = doctest.DocTestRunner(verbose=False)
    report = io.StringIO()
    # What an example declares is the example's own, not the package's.
    own = {"__name__": "__main__"}
    finder = doctest.DocTestFinder(exclude_empty=True)
    for case in finder.find(module, extraglobs=own):
        runner.run(case, out=report.write)
    assert runner.tries, "the examples were not found"
    assert not runner.failures, report.getvalue()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
