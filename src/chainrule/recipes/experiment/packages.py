"""Imports of recipes' optional packages, and folders of data in packages."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

from chainrule.errors import ArgumentError
from chainrule.text import _


def imported(recipe: str, module: str, install: str) -> Any:
    """Import a module of an optional package, or raise an error with the fix.

    Args:
        recipe: the name of the recipe, for the error.
        module: its name.
        install: what pip installs for it, such as ``"chainrule[rules]"``.

    Raises:
        ArgumentError: it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise _missing(recipe, module, install) from error


def folder(recipe: str, module: str, install: str) -> Path:
    """Return the folder of an installed package, without importing the package.

    Args:
        recipe, module, install: as for :func:`imported`.

    Raises:
        ArgumentError: it is not installed.
    """
    name, path, spec = "", None, None
    for part in module.split("."):  # importlib.util.find_spec imports the parents
        name = f"{name}.{part}".lstrip(".")
        specs = (finder.find_spec(name, path) for finder in sys.meta_path)
        spec = next(filter(None, specs), None)
        if spec is None:
            raise _missing(recipe, module, install)
        path = spec.submodule_search_locations
    if spec is None or spec.origin is None:
        raise _missing(recipe, module, install)
    return Path(spec.origin).parent


def _missing(recipe: str, module: str, install: str) -> ArgumentError:
    words = [f"'{word}'" if "[" in word else word for word in install.split()]
    return ArgumentError(
        _("The recipe {name!r} needs {module}.", name=recipe, module=module),
        expected=_("{module} installed", module=module),
        got=_("no module {module}", module=module),
        fix=_("pip install {words}", words=" ".join(words)),
    )
