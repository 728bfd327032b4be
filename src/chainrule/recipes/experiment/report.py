"""The report of a recipe's run: printed text and pictures, in their order."""

from __future__ import annotations

import contextlib
import io
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from chainrule import viz
from chainrule.recipes.experiment.directory import REPORT, Directory
from chainrule.text import _, tr, translated
from chainrule.text.catalogue import current
from chainrule.text.languages import language
from chainrule.util.processes import is_writer
from chainrule.viz.behind import Behind
from chainrule.viz.report import sections
from chainrule.viz.seen import sentence_of, table_of


@dataclass(frozen=True)
class Block:
    """A block of a recipe's report: printed text, or a titled picture (PNG, GIF, SVG).

    Attributes:
        text: what was printed.
        title: of a picture.
        png: a PNG or GIF file.
        svg: an SVG element of ours.
        caption: what is to be seen in it.
        file: the name of the picture's file in the run's directory.
        words: that stand in the picture.
        table: the numbers behind it.
        network: whether it is the picture of a network that the recipe trains.
    """

    text: str = ""
    title: str = ""
    png: bytes = b""
    svg: str = ""
    caption: str = ""
    file: str = ""
    words: str = ""
    table: Behind | None = None
    network: bool = False


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
                drawn = viz.gallery.picture_with_words(
                    draw, *args, what=title, **options
                )
            shown = {k: v for k, v in options.items() if k != "size"}
            self._add(
                *drawn,
                file=f"{name}.png",
                title=title,
                caption=sentence_of(draw, *args, **shown),
                table=table_of(draw, *args, **shown),
            )

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
            caption = sentence_of(draw, shots)
            self._add(gif, "", file=f"{name}.gif", title=title, caption=caption)

    def network(self, title: str, model: Any, data: Any) -> None:
        """Draw a network's graph for the report; see :meth:`Experiment.network`."""
        if self._draws():
            self._add_text()
            self._blocks.append(self._network(title, model, data))

    def networks(self, shown: Mapping[str, Callable[[], Any]]) -> None:
        """Draw the networks that a recipe has trained, for a section of their own.

        Args:
            shown: by their names, each a function that returns the model, what its
                picture is given, and whether the model has learned: else its weights
                are not those of the run, and its title says so.
        """
        if self._draws():
            self._add_text()
            for name, made in shown.items():
                model, data, learned = made()
                title = name
                if not learned:
                    title = tr("{name}, before it has learned", name=name)
                block = self._network(title, model, data)
                known = [_unnamed(known.svg) for known in self._blocks]
                if _unnamed(block.svg) not in known:  # the recipe has drawn it itself
                    self._blocks.append(replace(block, network=True))

    def _network(self, title: str, model: Any, data: Any) -> Block:
        shown = translated(title)
        drawn = sections.network(model, data, current(), shown)
        return Block(title=shown, svg=drawn.svg, caption=drawn.caption)

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
                blocks=[vars(block) for block in self._blocks],
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

    def _add(
        self, picture: bytes, words: str, *, file: str, title: str, **more: Any
    ) -> None:
        self.directory.write(file, picture)
        self._add_text()
        shown = translated(title)
        self.pictures[shown] = picture
        self._blocks.append(
            Block(title=shown, png=picture, file=file, words=words, **more)
        )

    def _add_text(self) -> None:
        """Add the text printed since the last picture to a recipe's report."""
        text = "".join(self.printed[self._shown :]).strip("\n")
        self._shown = len(self.printed)
        if text:
            self._blocks.append(Block(text=text))


def _unnamed(svg: str) -> str:
    """Return a drawing without what it is called."""
    return re.sub(r'aria-label="[^"]*"|<title>[^<]*</title>', "", svg)
