"""``chainrule lab --export``: a recorded run as a page in one file, without a server."""

from __future__ import annotations

import base64
import re
from pathlib import Path

from chainrule.html.arrays import policy
from chainrule.lab.app import page_files
from chainrule.lab.modules import bundled
from chainrule.lab.recording import Recording, record
from chainrule.runs.session import Origin
from chainrule.text import _
from chainrule.util import atomic_files

#: The file of the page.
PAGE = "index.html"


def export(origin: Origin, folder: Path) -> tuple[Path, Recording]:
    """Train a run, record it, and write it as a page; return the file.

    Args:
        origin: a run file, or a recipe that trains one network.
        folder: where ``index.html`` is written, a new one or one that is there.

    Raises:
        ChainruleError: a run that cannot be built, or a folder that cannot be written.
    """
    with atomic_files.refusals(
        _("The page cannot be written."),
        expected=_("a folder with some space at {path}", path=folder),
        fix=_("name another folder"),
    ):
        folder.mkdir(parents=True, exist_ok=True)  # before training
    recording = record(origin)
    path = folder / PAGE
    atomic_files.replace(path, page(recording.content).encode(), _("page"))
    return path, recording


def page(content: bytes) -> str:
    """Return the page of a recording: it loads nothing, not even from its own folder.

    Args:
        content: of the recording.
    """
    files = {name: body.decode() for name, (__, body) in page_files().items()}
    script = bundled({k: v for k, v in files.items() if k.endswith(".js")}, "js/main.js")
    icon = base64.b64encode(files["icon.svg"].encode()).decode()
    # Pictures that the page makes itself, to save them, are blobs.
    allowed = policy(script).replace("img-src data:", "img-src data: blob:")
    data = base64.b64encode(content).decode()
    html = files["index.html"]
    html = re.sub(
        r'<link rel="stylesheet" href="([^"]+)">',
        lambda link: f"<style>{files[link[1]]}</style>",
        html,
    )
    html = html.replace("icon.svg", f"data:image/svg+xml;base64,{icon}")
    html = html.replace('<meta charset="utf-8">', f'<meta charset="utf-8">\n{allowed}')
    html = html.replace('<script type="module" src="js/main.js"></script>\n', "")
    end = (
        f'<script type="application/octet-stream" id="recording">{data}</script>\n'
        f"<script>{script}</script>\n</body>"
    )
    return html.replace("</body>", end)
