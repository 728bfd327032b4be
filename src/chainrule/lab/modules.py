"""The page's modules as one script, for a page that is a single file.

Browsers load no modules from ``file:`` addresses. The modules of the page import and
export by a few forms alone; each becomes a function that returns what it exports, in
the order of what needs what.
"""

from __future__ import annotations

import graphlib
import posixpath
import re
from collections.abc import Mapping

#: What a bundle calls its modules.
NAME = "$modules"
_IMPORT = re.compile(r'^import (?:(\w+)|\{([^}]*)\}) from "([^"]+)";$', re.MULTILINE)
_EXPORT = re.compile(r"^export ((?:async )?(?:function|class|const|let)) (\w+)", re.M)
_DEFAULT = re.compile(r"^export \{ (\w+) as default \};$", re.MULTILINE)
#: Code that is commented out; licences begin otherwise.
_OUT = re.compile(r"^/\*\n.*?\*/$", re.MULTILINE | re.DOTALL)
#: A line that is an import or an export of another form.
_OTHER = re.compile(r"^(import|export)\b.*$", re.MULTILINE)


def bundled(sources: Mapping[str, str], main: str) -> str:
    """Return modules as one script that does what the main module does.

    Args:
        sources: the text of each module by its path.
        main: the path of the one that a page loads.

    Raises:
        ValueError: a module that imports or exports in another way, or that has the
            bundle's own name.

    >>> print(bundled({"a.js": 'import { b } from "./b.js";\\nalert(b);\\n',
    ...                "b.js": "export const b = 1;\\n"}, "a.js"))
    "use strict";
    const $modules = {};
    $modules["b.js"] = (() => {
    const b = 1;
    return { b };
    })();
    $modules["a.js"] = (() => {
    const { b } = $modules["b.js"];
    alert(b);
    return {  };
    })();
    <BLANKLINE>
    """
    needs = {name: _imports(name, text) for name, text in sources.items()}
    order = graphlib.TopologicalSorter(needs).static_order()
    needed = _needed(needs, main)
    parts = [_function(name, sources[name]) for name in order if name in needed]
    return "\n".join(['"use strict";', "const $modules = {};", *parts, ""])


def _imports(name: str, text: str) -> list[str]:
    return [_place(name, match[3]) for match in _IMPORT.finditer(text)]


def _needed(needs: Mapping[str, list[str]], main: str) -> set[str]:
    found, waiting = set[str](), [main]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += needs[name]
    return found


def _place(name: str, said: str) -> str:
    return posixpath.normpath(posixpath.join(posixpath.dirname(name), said))


def _function(name: str, text: str) -> str:
    text = _OUT.sub("", text)
    exports = [match[2] for match in _EXPORT.finditer(text)]
    exports += [f"default: {match[1]}" for match in _DEFAULT.finditer(text)]

    if NAME in text:  # its own would hide the bundle's
        raise ValueError(f"{name}: {NAME}")

    def imported(match: re.Match[str]) -> str:
        names = f"default: {match[1]}" if match[1] else match[2].replace(" as ", ": ")
        return f'const {{ {names.strip()} }} = $modules["{_place(name, match[3])}"];'

    text = _DEFAULT.sub("", _EXPORT.sub(r"\1 \2", _IMPORT.sub(imported, text)))
    if other := _OTHER.search(text):
        raise ValueError(f"{name}: {other[0]}")
    body = text.strip("\n")
    returned = ", ".join(exports)
    return f'$modules["{name}"] = (() => {{\n{body}\nreturn {{ {returned} }};\n}})();'
