"""What the tests of several recipes do: quick runs, also such that are cut short."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import re
import unicodedata
from collections.abc import Callable, Generator, Iterable
from pathlib import Path
from typing import Any

import pytest

from chainrule import recipes, viz
from chainrule.recipes import Experiment
from chainrule.recipes.experiment.stages import Stages
from chainrule.training import loop as loops
from chainrule.training.loop import Loop
from chainrule.viz.report import glossary
from tests.viz.capitals import unexplained


def missing(*modules: str) -> list[str]:
    """Those of the modules that are not installed."""
    return [name for name in modules if importlib.util.find_spec(name) is None]


def need(*modules: str) -> None:
    """Skip the module that calls it where packages are missing."""
    if absent := missing(*modules):
        pytest.skip(f"needs {', '.join(absent)}", allow_module_level=True)


def needing(*modules: str) -> Any:
    """A mark that skips tests where packages are missing."""
    absent = missing(*modules)
    return pytest.mark.skipif(bool(absent), reason=f"needs {', '.join(absent)}")


def quick(name: str, out: Path | None, **options: Any) -> dict[str, Any]:
    """The result of a quick run, and the text that it printed."""
    experiment = Experiment(name, quick=True, out=out, threads=1, **options)
    with contextlib.redirect_stdout(io.StringIO()) as text:
        told = recipes.perform(experiment, again=True)
    return {"result": told["result"], "text": text.getvalue()}


def width(line: str) -> int:
    """The columns of a terminal that a line takes."""
    return sum(1 + (unicodedata.east_asian_width(c) in "WF") for c in line)


def check(whole: dict[str, Any], *pictures: str) -> None:
    """The text fits a terminal and says what was run; just these pictures are drawn."""
    assert max(map(width, whole["text"].splitlines())) <= 88
    assert "This was the quick run." in whole["text"]
    if viz.can_plot():
        files = [*whole["out"].glob("*.png"), *whole["out"].glob("*.gif")]
        assert {file.stem for file in files} == set(pictures)
        for file in files:
            assert file.read_bytes().startswith((b"\x89PNG\r\n\x1a\n", b"GIF8"))
            assert file.stat().st_size > 2000
        report = (whole["out"] / "report.html").read_text("utf-8")
        assert report.count("data:image/") == len(files)
        captions = re.findall(r'<img class="drawn".*?<figcaption>(.*?)</fig', report)
        assert len(captions) == len(files)
        assert all(len(caption) > 20 for caption in captions)
        assert "This was the quick run." in report
        said = re.sub(r"<pre>.*?</pre>", "", report, flags=re.DOTALL)
        assert not unexplained(glossary.text_of(said)), "abbreviations without an entry"


def cut_short(run: Callable[[], Any], after: Iterable[int]) -> None:
    """Run with a KeyboardInterrupt after so many steps of loops, again and again.

    A step is one of a lesson's own loop, or one of a Trainer's: its chunks, whose
    number depends on how fast the machine is, are of one step here.
    """
    steps, chunk = Stages.steps, Loop._chunk
    for most in after:
        left = [most]

        def count(left: list[int] = left) -> None:
            if left[0] == 0:
                raise KeyboardInterrupt
            left[0] -= 1

        def counted_steps(
            stages: Stages, *args: Any, count: Callable[[], None] = count
        ) -> Generator[int, None, None]:
            for step in steps(stages, *args):
                count()
                yield step

        def counted_chunk(loop: Loop, count: Callable[[], None] = count) -> bool:
            count()
            return chunk(loop)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Stages, "steps", counted_steps)
            patch.setattr(Loop, "_chunk", counted_chunk)
            patch.setattr(loops, "CHUNK", 0.0)
            with pytest.raises(KeyboardInterrupt):
                run()
