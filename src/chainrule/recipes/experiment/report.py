"""The report of a recipe's run: printed text and pictures, in their order."""

from __future__ import annotations

import contextlib
import io
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from chainrule import viz
from chainrule.recipes.experiment.directory import REPORT, Directory
from chainrule.text import _, translated
from chainrule.text.catalogue import current
from chainrule.text.languages import language
from chainrule.util.processes import is_writer
from chainrule.viz.report import sections
from chainrule.viz.seen import sentence_of


@dataclass(frozen=True)
class Block:
    """A block of a recipe's report: printed text, or a titled picture (PNG, GIF, SVG).

    Attributes:
        text: what was printed.
        title: of a picture.
        png: a PNG or GIF file.
        svg: an SVG element of ours.
        caption: what is to be seen in it.
    """

    text: str = ""
    title: str = ""
    png: bytes = b""
    svg: str = ""
    caption: str = ""


class Tee(io.TextIOBase):
    """A text stream that prints, and records what it prints.

    Args:
        stream: where it prints; None where standard output is closed, as in Python.
        record: the pieces that were printed.
    """

    def __init__(self, stream: Any, record: list[str]) -> None:
        self._stream, self._record = stream, record

    def write(self, text: str) -> int:
        self._record.append(text)
        if self._stream is not None:
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        if self._stream is not None:
            self._stream.flush()


class Report:
    """The report of a recipe's run: its printed text and its pictures.

    Args:
        directory: where pictures are written; without one none are drawn.

    Attributes:
        printed: the text that was printed within :meth:`recording`, in pieces.
        pictures: PNG and GIF files by their titles.
    """

    def __init__(self, directory: Directory) -> None:
        self.directory = directory
        self.printed: list[str] = []
        self.pictures: dict[str, bytes] = {}
        self._blocks: list[Block] = []
        self._shown = 0  # pieces of the text that are in blocks
        self._language: str | None = None  # that pictures are drawn in

    @contextlib.contextmanager
    def recording(self) -> Iterator[None]:
        """Record printed text within a block, for a recipe's report."""
        tee: Any = Tee(sys.stdout, self.printed)
        with contextlib.redirect_stdout(tee):
            yield

    def picture(
        self,
        name: str,
        draw: Callable[..., Any],
        *args: Any,
        title: str,
        **options: Any,
    ) -> None:
        """Draw a picture for a recipe's report; see :meth:`Experiment.draw`."""
        if self._draws():
            with self._legible():
                png = viz.gallery.picture(draw, *args, what=title, **options)
            drawn = {k: v for k, v in options.items() if k != "size"}
            self._add(f"{name}.png", png, title, sentence_of(draw, *args, **drawn))

    def film(
        self,
        name: str,
        draw: Callable[..., Any],
        frames: Iterable[Any],
        *,
        title: str,
        **options: Any,
    ) -> None:
        """Draw an animation for a recipe's report; see :meth:`Experiment.film`."""
        if self._draws():
            with self._legible():
                shots = [*frames]
                gif = viz.gallery.film(draw, shots, what=title, **options)
            self._add(f"{name}.gif", gif, title, sentence_of(draw, shots))

    def network(self, title: str, model: Any, data: Any) -> None:
        """Draw a network's graph for the report; see :meth:`Experiment.network`."""
        if self._draws():
            drawn = sections.network(model, data, current())
            self._add_text()
            shown = translated(title)
            block = Block(title=shown, svg=drawn.svg, caption=drawn.caption)
            self._blocks.append(block)

    def write(
        self,
        *,
        title: str,
        summary: str,
        references: Sequence[Mapping[str, Any]],
        **more: Any,
    ) -> None:
        """Write a recipe's ``report.html``, if it has a directory and matplotlib.

        Args:
            title, summary, references, more: see :func:`viz.write_experiment_report`.
        """
        self._add_text()
        if self._draws():
            assert self.directory.path is not None
            viz.write_experiment_report(
                self.directory.path / REPORT,
                title=title,
                summary=summary,
                references=[
                    {**r, "source": translated(r["source"])} for r in references
                ],
                blocks=[asdict(block) for block in self._blocks],
                **more,
            )
            self.directory.files.append(REPORT)

    def _draws(self) -> bool:
        return self.directory.path is not None and is_writer() and viz.can_plot()

    @contextlib.contextmanager
    def _legible(self) -> Iterator[None]:
        """Draw pictures in the current language, or in one that the fonts have."""
        if self._language is None:
            with viz.legible(_("pictures")):
                self._language = current()
        with language(self._language):
            yield

    def _add(self, name: str, picture: bytes, title: str, caption: str) -> None:
        self.directory.write(name, picture)
        self._add_text()
        shown = translated(title)
        self.pictures[shown] = picture
        self._blocks.append(Block(title=shown, png=picture, caption=caption))

    def _add_text(self) -> None:
        """Add the text printed since the last picture to a recipe's report."""
        text = "".join(self.printed[self._shown :]).strip("\n")
        self._shown = len(self.printed)
        if text:
            self._blocks.append(Block(text=text))
