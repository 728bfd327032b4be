"""The served model: a program with its reader of rows, from a run or a program file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from chainrule.compilation.portable.file import KEY
from chainrule.compilation.portable.loaded import LoadedProgram, load_program
from chainrule.errors import ChainruleError
from chainrule.graph.node import Array
from chainrule.graph.types import as_dtype
from chainrule.interop.safetensors_files import header_of
from chainrule.runs import exporting
from chainrule.runs.trained import Trained
from chainrule.serving.rows import Reader, batched, reader_of
from chainrule.util.atomic_files import open_file

#: Rows of one call of the program; more go one call after the other.
MOST = 64


@dataclass
class Served:
    """A model that is served.

    Attributes:
        name: what it is called.
        program: what predicts.
        reader: reads rows for it.
        together: whether rows of several requests may go into one call.
        trained: the run, which can be explained; None of a program file.
    """

    name: str
    program: LoadedProgram
    reader: Reader
    together: bool
    trained: Trained | None = None

    @classmethod
    def load(cls, place: Path, engine: Any = "auto") -> Served:
        """Load what is to be served from a run's directory, a checkpoint or a program.

        Everything is compiled that a request may need.

        Raises:
            CheckpointError: nothing there that can be read.
            ArgumentError: a run that is no single graph.
        """
        if _is_program(place):
            trained, program = None, load_program(place, engine=engine)
            name = str(program.metadata.get("run") or place.stem)
        else:
            trained = Trained.load(place)
            name = trained.name
            program = LoadedProgram(exporting.program_of(trained), engine=engine)
        reader = reader_of(program)
        served = cls(name, program, reader, batched(program), trained)
        if served.together:
            served.prepare()
            served.together = served._rows_are_apart()
        return served

    def prepare(self) -> None:
        """Compile a program for the numbers of rows that its calls have."""
        (rows,) = self.program.graph.size_names
        for count in (1 << i for i in range(MOST.bit_length())):
            if self.program.compiles_each_size or count == MOST:
                self.program.prepare(**{rows: count})

    def _rows_are_apart(self) -> bool:
        """Return whether rows give together what each gives alone, on an example."""
        draw = np.random.default_rng(0)
        arrays = [
            _example(draw, t.dtype.numpy, (3, *t.shape[1:]), name in self.program.codes)
            for name, t in self.program.inputs.items()
        ]
        try:
            all_rows = self.predict(arrays, 3)
            alone = [self.predict([a[i : i + 1] for a in arrays], 1) for i in range(3)]
        except ChainruleError:
            return False
        return all(
            np.allclose(a, np.concatenate(parts), rtol=1e-4, atol=1e-6, equal_nan=True)
            for a, parts in zip(all_rows, zip(*alone))
        )

    def predict(self, arrays: list[Array], count: int) -> list[Array]:
        """Return the program's outputs for rows, in calls of at most ``MOST``."""
        if count <= MOST or not self.together:
            return self._call(arrays, count)
        parts = [
            self._call([a[i : i + MOST] for a in arrays], min(MOST, count - i))
            for i in range(0, count, MOST)
        ]
        return [np.concatenate(outputs) for outputs in zip(*parts)]

    def _call(self, arrays: list[Array], count: int) -> list[Array]:
        """Call the program with a number of rows that its engine has compiled it for.

        Most compile each number of rows: there rows are added up to a power of two.
        """
        if not self.together or not self.program.compiles_each_size:
            return self.program.run(arrays)
        more = (1 << (count - 1).bit_length()) - count
        if more:
            arrays = [np.concatenate([a, a[:1].repeat(more, 0)]) for a in arrays]
        return [a[:count] for a in self.program.run(arrays)]


def _is_program(place: Path) -> bool:
    """Return whether there is a program file, judging by its header."""
    if not place.is_file():
        return False
    try:
        with open_file(place) as file:
            texts = header_of(file).get("__metadata__")
    except (OSError, ValueError):
        return False
    return isinstance(texts, dict) and KEY in texts


def _example(draw: Any, dtype: Any, shape: tuple[Any, ...], coded: bool) -> Array:
    """Return an array for an input: numbers near 1, small integers, the first text."""
    if as_dtype(dtype).is_float:
        return draw.uniform(0.5, 1.5, shape).astype(dtype)
    return np.zeros(shape, dtype) if coded else draw.integers(0, 2, shape).astype(dtype)
