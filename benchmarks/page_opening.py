"""How long the page of an explanation takes to open in a browser, and how large it is.

    python benchmarks/page_opening.py             # the networks of MNIST and of the GPT
    python benchmarks/page_opening.py mnist --runs 15

The pages are those of ``chainrule explain mnist`` and ``chainrule explain gpt``. A new
browser context opens each, in turns. Usable is a page once its script has run and the
first cell can be clicked. The time on the clock contains whatever else the machine
does; the main thread's work (parsing, style, layout, script, by Chromium's own count of
its CPU time) does so less. Medians with quartiles.

Needs Chromium and playwright (the extra ``test``).
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import tempfile
from pathlib import Path
from typing import Any

from chainrule.runs import explaining

#: The bars: bytes, and seconds until the page is usable.
BARS = {"mnist": (1_000_000, 1.0), "gpt": (5_000_000, 2.0)}
RUNS = 9
READY = "html[data-ready]"


def page_of(recipe: str, folder: Path) -> Path:
    """The explanation's page of a recipe's network, as a file."""
    file = folder / f"{recipe}.html"
    file.write_text(explaining.explained(recipe, None).explanation.to_html(), "utf-8")
    return file


def opened(browser: Any, file: Path) -> dict[str, float]:
    """What one opening takes, in seconds."""
    context = browser.new_context()
    page = context.new_page()
    session = context.new_cdp_session(page)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})
    page.goto("about:blank")
    before = metrics(session)
    page.goto(file.as_uri(), wait_until="commit")
    page.wait_for_selector(READY, state="attached")
    usable = page.evaluate("performance.now()") / 1000
    after = metrics(session)
    page.locator("table[data-v] td").first.click()
    page.wait_for_selector("#path:not([hidden])")
    clicked = page.evaluate("performance.now()") / 1000
    context.close()
    spent = {key: after[key] - before[key] for key in after}
    return {
        "usable": usable,
        "main thread": spent["TaskDuration"],
        "script": spent["ScriptDuration"],
        "style and layout": spent["RecalcStyleDuration"] + spent["LayoutDuration"],
        "first click": clicked,
    }


def metrics(session: Any) -> dict[str, float]:
    """Chromium's own counts of the work of a page's main thread."""
    names = ("TaskDuration", "ScriptDuration", "RecalcStyleDuration", "LayoutDuration")
    told = session.send("Performance.getMetrics")["metrics"]
    known = {each["name"]: each["value"] for each in told}
    return {name: known.get(name, 0.0) for name in names}


def spread(values: list[float]) -> dict[str, float]:
    """The median of some numbers, and their quartiles."""
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return {"median": middle, "low": low, "high": high}


def measure(recipes: list[str], runs: int) -> dict[str, Any]:
    """Open the pages in turns; return sizes and times."""
    from playwright.sync_api import sync_playwright

    path = os.environ.get("CHROMIUM") or shutil.which("chromium")
    results: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        files = {name: page_of(name, Path(folder)) for name in recipes}
        options: dict[str, Any] = {"executable_path": path, "args": ["--no-sandbox"]}
        browser = playwright.chromium.launch(**options)
        times: dict[str, list[dict[str, float]]] = {name: [] for name in recipes}
        for turn in range(runs + 1):
            for name, file in files.items():
                once = opened(browser, file)
                if turn:  # the first opening warms the browser up
                    times[name].append(once)
        browser.close()
        for name, file in files.items():
            keys = times[name][0]
            figures = {k: spread([once[k] for once in times[name]]) for k in keys}
            results[name] = {"bytes": file.stat().st_size, **figures}
    return results


def main() -> None:
    """Measure, and print a table or JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("recipes", nargs="*", default=list(BARS), metavar="RECIPE")
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    results = measure(given.recipes, given.runs)
    if given.json:
        print(json.dumps(results, indent=2))
        return
    print(f"load average {os.getloadavg()[0]:.1f}; medians of {given.runs} openings")
    for name, figures in results.items():
        size, seconds = BARS.get(name, (0, 0.0))
        print(f"\n{name}: {figures.pop('bytes'):,} bytes (bar: {size:,})")
        for key, value in figures.items():
            bar = f"   (bar: {seconds:g})" if key == "usable" else ""
            low, high = value["low"], value["high"]
            print(f"  {key:18}{value['median']:7.3f} s  {low:.3f} … {high:.3f}{bar}")


if __name__ == "__main__":
    main()
