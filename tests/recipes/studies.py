"""What the tests of several studies do: a quick run, and a look at its pictures."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path
from typing import Any

from chainrule import recipes
from chainrule.recipes import Experiment


def quick(name: str, out: Path, engine: str, again: bool = False) -> dict[str, Any]:
    """A quick run; ``text`` is what it printed."""
    experiment = Experiment(
        name, quick=True, out=out, engine=engine, checkpoint_every=0
    )
    with contextlib.redirect_stdout(io.StringIO()) as text:
        told = recipes.perform(experiment, again=again)
    return {**told, "text": text.getvalue()}


def pictures(out: Path) -> set[str]:
    """The pictures that a study left; each is one."""
    files = list(out.glob("*.png"))
    for file in files:
        assert file.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
        assert file.stat().st_size > 3000
    return {file.stem for file in files}
