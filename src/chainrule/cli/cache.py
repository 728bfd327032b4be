"""``chainrule cache``: the cache of compiled machine code."""

from __future__ import annotations

from chainrule.cli import speaking
from chainrule.cli.common import cli, command, tell
from chainrule.text import ngettext, tr


@cli.command(epilog="Example: chainrule cache --clear")
@command
@speaking.option("--clear", is_flag=True, help="Remove all that is in it.")
def cache(clear: bool, as_json: bool) -> int:
    """Show where compiled machine code is kept, or remove it.

    CHAINRULE_CACHE=0 turns the cache off, CHAINRULE_CACHE=PATH is another place.
    """
    from chainrule.engines.native.runtime.code_cache import VARIABLE, code_cache

    store = code_cache()
    if store is None:
        text = tr("No machine code is kept: {name} is 0.", name=VARIABLE)
        tell({"folder": None}, as_json, text)
        return 0
    removed = store.clear() if clear else 0
    files = store.entries()
    size = sum(file.size for file in files)
    data = {"folder": str(store.folder), "entries": len(files), "bytes": size}
    data |= {"at_most": store.at_most, "removed": removed}
    lines = [
        tr(
            "{folder}: {entries}, {size} MiB of at most {most} MiB",
            folder=store.folder,
            entries=ngettext("{n:,} entry", "{n:,} entries", n=len(files)),
            size=f"{size / 2**20:,.1f}",
            most=store.at_most >> 20,
        )
    ]
    if clear:
        lines.append(
            tr(
                ngettext(
                    "{n:,} entry was removed.",
                    "{n:,} entries were removed.",
                    n=removed,
                )
            )
        )
    tell(data, as_json, "\n".join(lines))
    return 0
