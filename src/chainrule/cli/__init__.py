"""The command line: one command in each file, shared code in ``common``."""

from chainrule.cli.common import AT_RUN_TIME, cli, main, run

# Each import adds its command to the group.
from chainrule.cli import (  # isort: skip
    bench,
    book,
    cache,
    check_work,
    derive,
    doctor,
    evaluate,
    explain,
    explore,
    export,
    lab,
    launch,
    new,
    predict,
    recipes,
    serve,
    train,
    worksheet,
)

__all__ = [
    "AT_RUN_TIME",
    "bench",
    "book",
    "cache",
    "check_work",
    "cli",
    "derive",
    "doctor",
    "evaluate",
    "explain",
    "explore",
    "export",
    "lab",
    "launch",
    "main",
    "new",
    "predict",
    "recipes",
    "run",
    "serve",
    "train",
    "worksheet",
]
