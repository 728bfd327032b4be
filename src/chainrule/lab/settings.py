"""Settings of a page as a run file: checked like one, and kept as one.

A page says sections of a run file as JSON. It may name data that come with the
framework or that were uploaded to this lab, and none that lie elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from chainrule.errors import ArgumentError
from chainrule.lab.characters import NAMES as NAMES_READ
from chainrule.lab.characters import Reading
from chainrule.lab.from_file import FromFile
from chainrule.lab.models import Target
from chainrule.runs import RunFile, RunFileError, Session, messages, parse
from chainrule.runs.data_section import NAMES
from chainrule.runs.diagnosing import origin_named
from chainrule.runs.problems import Problem, SectionError
from chainrule.runs.session import Origin
from chainrule.runs.values import key, show, to_toml
from chainrule.text import _

#: The sections that a page may say. Callbacks and output write files.
SECTIONS = ("data", "model", "loss", "optimizer", "schedule", "training")
#: The name that a lab's run has in messages and checkpoints.
NAME = "lab.toml"
#: Characters of the run file, most of them of layers.
LONGEST = 100_000


@dataclass(frozen=True)
class Own:
    """Data of a file that the command line has named: a page may name them too.

    Attributes:
        folder: of the file.
        sources: the data that it names.
        model: the file of a network that was opened, as the command line named it.
    """

    folder: Path
    sources: tuple[Any, ...] = ()
    model: str | None = None

    @classmethod
    def by(cls, origin: Origin) -> Self | None:
        """Return the data of a run file; None for a recipe, which has its own."""
        if not isinstance(origin, RunFile):
            return None
        data = origin.settings.data
        named = (data.source, data.validation, data.test)
        sources = tuple(n for n in named if isinstance(n, str | list))
        return cls(origin.folder.resolve(), sources)

    @classmethod
    def of(cls, said: Any) -> Self | None:
        """Return what :meth:`to_dict` gave."""
        if not said:
            return None
        return cls(Path(said["folder"]), tuple(said["sources"]), said["model"])

    @classmethod
    def of_model(cls, target: str) -> Self:
        """Return the file of a network: a page may build with it, by its name."""
        return cls(Path.cwd(), (), target)

    def to_dict(self) -> dict[str, Any]:
        """Return it as data for JSON."""
        folder, sources = str(self.folder), [*self.sources]
        return {"folder": folder, "sources": sources, "model": self.model}


def opened(target: str, out: Path) -> Session:
    """Return the session of what the command line names; it leaves files in ``out``.

    Args:
        target: a run file, a recipe, the directory of a run, or a checkpoint, from
            which the run goes on.
        out: a directory of the lab.

    Raises:
        ChainruleError: nothing of the kind, or nothing that the lab can show.
    """
    path = Path(target)
    origin = origin_named(target)
    if path.exists() and (path.is_dir() or path.suffix == ".ckpt"):
        session = Session.restore(path)
        session.directory = out
        return session
    return Session.begin(origin, out)


def said_by(origin: Origin | FromFile) -> dict[str, Any] | None:
    """Return a run file as a page says it; None for a recipe."""
    if isinstance(origin, FromFile):
        return origin.said
    if not isinstance(origin, RunFile):
        return None
    table = origin.settings.to_table()
    return {name: table[name] for name in SECTIONS if table.get(name)}


def of_file(said: Mapping[str, Any] | None) -> bool:
    """Return whether a page asks for the network of a file, not for layers."""
    model = None if said is None else said.get("model")
    return isinstance(model, dict) and "file" in model


def origin_said(
    said: Mapping[str, Any], folder: Path, own: Own | None = None
) -> RunFile | FromFile:
    """Return what a page asks for: layers, or the network that was opened.

    Args:
        said: the sections; ``model.file`` names the network that was opened, or a text
            that was uploaded.
        folder: the lab's own, where uploaded data are.
        own: what the command line has named.

    Raises:
        RunFileError, ArgumentError: see :func:`run_file`; another network than the one
            that was opened.
    """
    if not of_file(said):
        return run_file(said, folder, own)
    model = said["model"]
    target = None if own is None or own.model is None else Target.of(own.model)
    if target is None or target.said != model["file"]:
        target = _text(model["file"], folder) or target
    if (
        target is None
        or model["file"] != target.said
        or (len(model) > 1 and not target.reads)
    ):
        raise ArgumentError(
            _("The lab has opened no such network."),
            expected=_("none") if target is None else target.said,
            got=show(model.get("file"), 200),
            fix=_("open it: chainrule lab FILE"),
        )
    mine = said.get("data") == {"source": target.said}
    if target.reads:
        _check_reading({k: v for k, v in model.items() if k != "file"}, target.said)
    if target.reads and not mine:
        raise ArgumentError(
            _("A network that reads characters has the text that it is for."),
            expected=target.said,
            got=show(said.get("data"), 200),
            fix=_("choose layers of your own for other data"),
        )
    stands_for = {**said, "model": {"layers": ["Linear"]}}
    if mine:
        stands_for["data"] = {"source": "xor"}
    return FromFile(target, run_file(stands_for, folder), mine, {**said})


def _text(name: Any, folder: Path) -> Target | None:
    """Return a text that was uploaded to a lab; None for anything else."""
    target = Target.of(name) if name in uploaded(folder) else None
    if target is None or not target.reads:
        return None
    return Target(folder / target.path)


def _check_reading(sizes: dict[str, Any], text: str) -> None:
    """Refuse sizes that no network has which reads the characters of a text.

    Raises:
        RunFileError: all that is wrong with them.
    """
    try:
        Reading.read(sizes)
        if text == NAMES_READ and "length" in sizes:
            raise Problem(
                ("length",),
                _("names have their own length."),
                expected=_("none"),
                got=show(sizes["length"], 50),
                fix=_("leave it out"),
            )
    except SectionError as error:
        placed = {("model", *where): what for where, what in error.problems.items()}
        problems = messages.problems(SectionError(placed))
        raise RunFileError(NAME, problems, {}) from None
    except Problem as error:
        raise RunFileError(NAME, [Problem.of(error, "model")], {}) from None


def run_file(said: Mapping[str, Any], folder: Path, own: Own | None = None) -> RunFile:
    """Return the run file of what a page asks for, checked.

    Args:
        said: the sections.
        folder: the lab's own, where uploaded data are.
        own: other data that it may name.

    Raises:
        RunFileError: all that is wrong with it.
        ArgumentError: sections that a page may not say; data that are not of this lab.
    """
    strange = [name for name in said if name not in SECTIONS]
    if strange or not all(isinstance(part, dict) for part in said.values()):
        raise ArgumentError(
            _("The lab does not know such a part of a run."),
            expected=", ".join(SECTIONS),
            got=", ".join(map(str, strange))[:200] or _("no table"),
        )
    data = said.get("data", {})
    check_data(data, folder, own)
    if own is not None and data.get("source") in own.sources:
        folder = own.folder
    return parse(text_of(said), name=NAME, folder=folder)


def check_data(data: Mapping[str, Any], folder: Path, own: Own | None = None) -> None:
    """Refuse data that are neither by name, nor uploaded, nor of the file that is open.

    All parts are of one kind: a run's data lie in one folder.
    """
    mine = own is not None and data.get("source") in own.sources
    known = [*own.sources] if own is not None and mine else uploaded(folder)
    for part in ("source", "validation", "test"):
        source = data.get(part)
        named = part == "source" and isinstance(source, str) and source in NAMES
        if named or (part != "source" and not isinstance(source, str | list)):
            continue
        if source not in known:
            raise ArgumentError(
                _("The lab has no such data."),
                expected=_("{names}, or data uploaded here", names=", ".join(NAMES)),
                got=repr(source)[:200],
                fix=_("drop the file onto the page"),
            )


def uploaded(folder: Path) -> list[str]:
    """Return the names of the data that were uploaded to a lab, the newest last."""
    if not folder.is_dir():
        return []
    found = [p for p in folder.iterdir() if p.name.startswith("data-")]
    return [p.name for p in sorted(found, key=lambda p: p.stat().st_mtime)]


def text_of(said: Mapping[str, Any]) -> str:
    """Return the text of a run file; a layer has a line of its own.

    >>> print(text_of({"data": {"source": "moons"}, "model": {"layers": ["Linear"]}}))
    [data]
    source = "moons"
    <BLANKLINE>
    [model]
    layers = [
      "Linear",
    ]
    <BLANKLINE>
    """
    parts: list[str] = []
    for section in (name for name in SECTIONS if said.get(name)):
        lines = [f"[{section}]"]
        for name, value in said[section].items():
            if value is None:
                continue
            if section == "model" and name == "layers" and isinstance(value, list):
                layers = [f"  {to_toml(layer)}," for layer in value]
                lines += [f"{key(name)} = [", *layers, "]"]
            else:
                lines.append(f"{key(name)} = {to_toml(value)}")
        parts.append("\n".join(lines) + "\n")
    text = "\n".join(parts)
    if len(text) > LONGEST:
        raise ArgumentError(
            _("This network is too long to write down."),
            expected=_("at most {n:,} characters of a run file", n=LONGEST),
            got=f"{len(text):,}",
        )
    return text
