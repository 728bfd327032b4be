"""The lessons of the recipes, in the reader's language.

The lesson of a recipe is the docstring of its file, in English. Its translation is
``zh-TW/NAME.txt``, a file for each recipe.
"""

from __future__ import annotations

import inspect
from pathlib import Path
from types import ModuleType

from chainrule.text.catalogue import current

FOLDER = Path(__file__).parent


def lesson(name: str, module: ModuleType) -> str:
    """Return a recipe's lesson in the current language; "" without docstrings.

    Args:
        name: of the recipe.
        module: its file.

    >>> from chainrule.recipes import xor
    >>> from chainrule.text.languages import language
    >>> lesson("xor", xor).splitlines()[0]
    'XOR: impossible for a single neuron, solved by two layers (1.3, 2.8).'
    >>> with language("zh-TW"):
    ...     lesson("xor", xor).splitlines()[0]
    'XOR：單一神經元做不到，兩層就做得到（1.3、2.8）。'
    """
    translation = FOLDER / current() / f"{name}.txt"
    if translation.exists():
        return translation.read_text(encoding="utf-8").strip()
    return inspect.cleandoc(module.__doc__ or "")
