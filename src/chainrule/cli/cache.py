"""``chainrule cache``."""

from __future__ import annotations

import click

from chainrule.cli.common import cli, command, tell


@cli.command(epilog="Example: chainrule cache --clear")
@command
@click.option("--clear", is_flag=True, help="Remove all that is in it.")
def cache(clear: bool, as_json: bool) -> int:
    """Show where compiled machine code is kept, or remove it.

    CHAINRULE_CACHE=0 turns the cache off, CHAINRULE_CACHE=PATH is another place.
    """
    from chainrule.engines.native.code_cache import VARIABLE, code_cache

    kept = code_cache()
    if kept is None:
        tell({"folder": None}, as_json, f"No machine code is kept: {VARIABLE} is 0.")
        return 0
    removed = kept.clear() if clear else 0
    files = kept.entries()
    size = sum(file.size for file in files)
    found = {"folder": str(kept.folder), "entries": len(files), "bytes": size}
    found |= {"at_most": kept.at_most, "removed": removed}
    lines = [f"{kept.folder}: {len(files):,} entries, {size / 2**20:,.1f} MiB"]
    lines[0] += f" of at most {kept.at_most >> 20} MiB"
    if clear:
        lines.append(f"{removed:,} entries were removed.")
    tell(found, as_json, "\n".join(lines))
    return 0
