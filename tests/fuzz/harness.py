"""Coverage-guided fuzzing of what reads files, with atheris (libFuzzer for Python).

    pip install -e '.[fuzz]'
    python -m tests.fuzz.harness csv -runs=100000
    python -m tests.fuzz.harness checkpoint found/ -max_total_time=600

The readers are ``checkpoint``, ``csv``, ``idx``, ``keras``, ``npz``, ``program``,
``toml`` and ``torch``. Folders keep the inputs that reach new lines; everything that
begins with a dash goes to libFuzzer. The search starts from right files, and what may
come of an input is a clear error or a right result: see ``readers.py``. Anything else
ends it with a traceback, and the input lies in ``crash-…`` in the working directory:

    python -m tests.fuzz.harness csv crash-…

gives it to the reader again. What was found belongs into ``test_regressions.py``.
"""

from __future__ import annotations

import importlib
import os
import sys
import tempfile
import warnings
from pathlib import Path

READERS = ("checkpoint", "csv", "idx", "keras", "npz", "program", "toml", "torch")
#: Packages whose branches guide the search.
WATCHED = [
    "chainrule.compilation.portable",
    "chainrule.data",
    "chainrule.graph",
    "chainrule.interop",
    "chainrule.runs",
    "chainrule.training",
    "chainrule.optim",
    "chainrule.nn",
    "tomllib",
    "zipfile",
    "gzip",
    "pickletools",
    "json",
]
#: What libFuzzer is told unless the command says otherwise; limits in s and MB.
DEFAULTS = ["-len_control=0", "-max_len=8192", "-timeout=30", "-rss_limit_mb=2048"]
MISSING = (
    "The search is guided by atheris, which is not installed.\n"
    "  fix: pip install -e '.[fuzz]' (Linux on x86-64); the hypothesis tests search\n"
    "       without a guide: pytest -m slow -k fuzz"
)


def main(arguments: list[str]) -> int:
    """Search; returns the exit code where there is nothing to search with."""
    if not arguments or arguments[0] not in READERS:
        print(f"{__doc__}\nWhich reader? {', '.join(READERS)}", file=sys.stderr)
        return 2
    try:
        import atheris
    except ImportError:
        print(MISSING, file=sys.stderr)
        return 0
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        with atheris.instrument_imports(include=WATCHED):
            readers = importlib.import_module("tests.fuzz.readers")
        reader = readers.READERS[arguments[0]](place)
        warnings.simplefilter("error")
        ours = importlib.import_module("chainrule.errors").ChainruleWarning
        warnings.simplefilter("ignore", ours)
        given = [sys.argv[0], *DEFAULTS, *arguments[1:]]
        if not any(os.path.isfile(item) for item in arguments[1:]):
            given += folders(arguments[1:], place, reader.seeds)
        atheris.Setup(given, reader.check)
        atheris.Fuzz()
    return 0


def folders(arguments: list[str], place: Path, seeds: list[bytes]) -> list[str]:
    """The folder of the seeds; before it one for what is found, if none is given."""
    start, found = place / "seeds", place / "found"
    start.mkdir()
    for number, content in enumerate(seeds):
        (start / f"{number:04}").write_bytes(content)
    if any(not item.startswith("-") for item in arguments):
        return [str(start)]
    found.mkdir()
    return [str(found), str(start)]


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
