"""``chainrule lab --export``: a recorded run as a page that needs no server."""

from __future__ import annotations

import base64
import binascii
import errno
import json
import os
import re
from html import escape
from pathlib import Path
from urllib.parse import unquote

from chainrule.errors import ArgumentError
from chainrule.html.arrays import policy
from chainrule.lab.app import page_files
from chainrule.lab.choices import START
from chainrule.lab.models import Target
from chainrule.lab.modules import bundled
from chainrule.lab.recording import Recording, record
from chainrule.lab.settings import run_file
from chainrule.runs.diagnosing import origin_named
from chainrule.runs.session import Origin
from chainrule.text import _
from chainrule.training import Trainer
from chainrule.util import atomic_files

#: The file of the page.
PAGE = "index.html"
#: What a page of a recording has, and no other one.
MARK = '<script type="application/octet-stream" id="recording">'
#: Where the link of a lab says its network, and what its page hides.
_LINK = re.compile(r"#run=([\w-]+)")
_HIDES = re.compile(r"[#&]hide=([^&]*)")


def export(target: str | None, folder: Path) -> tuple[Path, Recording]:
    """Train a run from its start, and write it as a page; return the file.

    Args:
        target: a run file, a recipe that trains one network, the directory of a run, a
            checkpoint, or a link of a lab; None for the lab's first network.
        folder: where ``index.html`` is written, a new one or one that is there.

    Raises:
        ChainruleError: a run that cannot be built, or a folder that cannot be written.
    """
    path = folder / PAGE
    _check_place(path)
    origin, trained = _named(target)
    with atomic_files.refusals(
        _("The page cannot be written."),
        expected=_("a folder with some space at {path}", path=folder),
        fix=_("name another folder"),
    ):
        folder.mkdir(parents=True, exist_ok=True)  # before training
    recording = record(origin, trained=trained)
    whole = page(recording.content, hidden(target or ""))
    atomic_files.replace(path, whole.encode(), _("page"))
    return path, recording


def _check_place(path: Path) -> None:
    """Refuse to replace a file that is no page of a recording.

    Raises:
        SaveError: it is another one, or a directory, or cannot be read.
    """
    with atomic_files.refusals(
        _("The page cannot be written."),
        expected=_("no file at {path}, or a page that was exported before", path=path),
        fix=_("name another folder"),
    ):
        if not path.exists():
            return
        ours = path.is_file() and MARK in path.read_text("utf-8", "replace")
        if not ours:
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))


def _named(target: str | None) -> tuple[Origin, Trainer | None]:
    """Return what is recorded; of a run also its Trainer, as it was saved."""
    if target is None:
        return run_file(START, Path()), None
    if "#run=" in target:
        return run_file(linked(target), Path()), None
    if Target.of(target) is not None:
        raise ArgumentError(
            _("A page shows the runs of run files; a network of a file has none."),
            expected=_("a run file, a recipe, a run, a checkpoint, or a link"),
            got=target,
            fix=_("open it in the lab: chainrule lab FILE"),
        )
    path = Path(target)
    origin = origin_named(target)
    is_run = path.exists() and (path.is_dir() or path.suffix == ".ckpt")
    return origin, Trainer.load(path) if is_run else None


def linked(link: str) -> dict[str, object]:
    """Return the network that a link of a lab says: sections of a run file.

    Raises:
        ArgumentError: it says none.
    """
    match = _LINK.search(link)
    try:
        code = match[1] if match else ""
        run = json.loads(base64.urlsafe_b64decode(code + "=" * (-len(code) % 4)))
        if not isinstance(run, dict):
            raise ValueError(type(run).__name__)
    except (ValueError, binascii.Error) as error:
        raise ArgumentError(
            _("This link does not say a network."),
            expected=_("a link that the lab's page copied"),
            got=repr(link[:60]),
        ) from error
    return run


def hidden(link: str) -> str:
    """Return the parts that the page of a link hides, as the link names them.

    >>> hidden("http://127.0.0.1:8642/#run=e30&hide=noise,doctor"), hidden("mnist")
    ('noise,doctor', '')
    """
    match = _HIDES.search(link)
    return unquote(match[1]) if match else ""


def page(content: bytes, hide: str = "") -> str:
    """Return the page of a recording: it loads nothing, not even from its own folder.

    Args:
        content: of the recording.
        hide: the parts of the page that are hidden until somebody shows everything.
    """
    files = {name: body.decode() for name, (__, body) in page_files().items()}
    script = bundled(
        {k: v for k, v in files.items() if k.endswith(".js")}, "js/main.js"
    )
    icon = base64.b64encode(files["icon.svg"].encode()).decode()
    # Pictures that the page makes itself, to save them, are blobs.
    allowed = policy(script).replace("img-src data:", "img-src data: blob:")
    none = "default-src 'none'; base-uri 'none'; form-action 'none'"
    allowed = allowed.replace("default-src 'none'", none)
    data = base64.b64encode(content).decode()
    html = files["index.html"]
    if hide:
        said = f'<html lang="en" data-hide="{escape(hide)}">'
        html = html.replace('<html lang="en">', said, 1)
    html = re.sub(
        r'<link rel="stylesheet" href="([^"]+)">',
        lambda link: f"<style>{files[link[1]]}</style>",
        html,
    )
    html = html.replace("icon.svg", f"data:image/svg+xml;base64,{icon}")
    html = html.replace('<meta charset="utf-8">', f'<meta charset="utf-8">\n{allowed}')
    html = html.replace('<script type="module" src="js/main.js"></script>\n', "")
    end = f"{MARK}{data}</script>\n<script>{script}</script>\n</body>"
    return html.replace("</body>", end)
