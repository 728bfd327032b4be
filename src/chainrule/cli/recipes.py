"""``chainrule recipes``."""

from __future__ import annotations

from typing import Any

from chainrule.cli.common import cli, command, tell


@cli.command(epilog="Example: chainrule recipes --json")
@command
def recipes(as_json: bool) -> int:
    """List the recipes, simple ones first."""
    from chainrule import recipes as registry

    found = [_described(name, registry.find(name)) for name in registry.names()]
    width = max(len(item["name"]) for item in found)
    lines = [f"{item['name']:{width}}  {item['summary']}" for item in found]
    lines += ["", "Run one with: chainrule train NAME"]
    tell({"recipes": found}, as_json, "\n".join(lines))
    return 0


def _described(name: str, recipe: Any) -> dict[str, Any]:
    from chainrule import recipes as registry

    described = {"name": name, "kind": registry.kind(recipe), "summary": recipe.SUMMARY}
    if described["kind"] == "training":
        described |= {
            "epochs": recipe.EPOCHS,
            "batch_size": recipe.BATCH_SIZE,
            "lr": recipe.LR,
        }
    return described
