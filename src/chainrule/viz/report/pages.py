"""Links between the report of a run and the explanations that stand beside it.

The report has a list of links, which is empty until an explanation is there. What
writes an explanation into the directory of a run fills it (:func:`refresh`), and a
report that is written anew begins with what is there: none of its links is dead.
"""

from __future__ import annotations

import html
import re
from pathlib import Path
from urllib.parse import quote

from chainrule.text import _
from chainrule.util import atomic_files
from chainrule.viz.words import LANGUAGES, read_words

#: The names of a report, and of the explanations beside it.
REPORT, EXPLANATIONS = "report.html", "explanation*.html"
#: So much of a file is read for its title, and of a report at most.
_HEAD, _LARGEST = 1 << 16, 1 << 28
_LIST = re.compile(r'<ul class="pages">.*?</ul>', re.DOTALL)
_TITLE = re.compile(r"<title>(.*?)</title>", re.DOTALL)
_LANGUAGE = re.compile(r'<html lang="([\w-]+)"')


def name_of(network: str = "") -> str:
    """Return the name of the file of a network's explanation.

    >>> name_of(), name_of("CartPole-v1/actor")
    ('explanation.html', 'explanation-CartPole-v1-actor.html')
    """
    kept = re.sub(r"[^\w.-]+", "-", network).strip("-")
    return f"explanation-{kept}.html" if kept else "explanation.html"


def links(directory: Path, lang: str) -> str:
    """Return the list of links to the explanations in a directory, as HTML.

    A link says what its page is called, which is read from the page.

    Args:
        directory: of the run.
        lang: of the report.
    """
    label = read_words(lang)["explained"]
    items = []
    for path in sorted(directory.glob(EXPLANATIONS)):
        found = _TITLE.search(_head(path))
        if found is not None:
            title = html.escape(label.format(html.unescape(found[1])))
            items.append(f'<li><a href="{quote(path.name)}">{title}</a></li>')
    return f'<ul class="pages">{"".join(items)}</ul>'


def refresh(directory: Path) -> Path | None:
    """Write the links to a run's explanations into its report; return its path.

    Returns:
        None, where the directory has no report with room for them.

    Raises:
        SaveError: the report cannot be written.
    """
    path = directory / REPORT
    if not path.is_file():
        return None
    text = atomic_files.read_file(path, _LARGEST).decode("utf-8", "replace")
    spoken = _LANGUAGE.search(text)
    lang = spoken[1] if spoken and spoken[1] in LANGUAGES else "en"
    made, count = _LIST.subn(lambda __: links(directory, lang), text, count=1)
    if not count:
        return None
    atomic_files.replace(path, made.encode(), _("report"))
    return path


def _head(path: Path) -> str:
    with path.open("rb") as file:
        return file.read(_HEAD).decode("utf-8", "replace")
