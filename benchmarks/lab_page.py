"""What the lab's page shows and how soon, in a browser, while a network trains.

    python benchmarks/lab_page.py

``frames`` are those that the browser paints a second, ``changed`` those of them in
which the map of the network is another one. A click is one on a number, from the event
to the path that stands on the page. It needs Chromium and playwright.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from typing import Any

#: Seconds of frames, and clicks.
SECONDS, CLICKS = 10.0, 50
FRAMES = """(seconds) => new Promise((done) => {
  const canvas = document.querySelector("#output canvas");
  const context = canvas.getContext("2d");
  const begun = performance.now();
  let frames = 0, changed = 0, before = "";
  const frame = () => {
    const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
    let sum = 0;
    for (let i = 0; i < data.length; i += 4) {
      sum = (sum * 31 + data[i] + data[i + 2]) | 0;
    }
    frames += 1;
    changed += sum !== before;
    before = sum;
    const spent = (performance.now() - begun) / 1000;
    if (spent < seconds) requestAnimationFrame(frame);
    else done({ frames: frames / spent, changed: changed / spent });
  };
  requestAnimationFrame(frame);
})"""
CLICK = """(i) => new Promise((done) => {
  const all = document.querySelectorAll(".equation .matrix button");
  const path = document.querySelector("#path");
  path.replaceChildren();
  const begun = performance.now();
  const seen = new MutationObserver(() => {
    if (!path.querySelector("table")) return;
    seen.disconnect();
    requestAnimationFrame(() => done(performance.now() - begun));
  });
  seen.observe(path, { childList: true, subtree: true });
  all[(i * 37) % all.length].click();
})"""


@contextlib.contextmanager
def lab() -> Iterator[str]:
    """A lab of its own process; its address."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "chainrule", "lab", "--no-browser", "--json"]
        served = subprocess.Popen(
            [*command, "--port", "0", "--out", folder], stdout=subprocess.PIPE
        )
        assert served.stdout is not None
        try:
            yield json.loads(served.stdout.readline())["url"]
        finally:
            served.terminate()
            served.wait()


def measured(seconds: float, clicks: int) -> dict[str, Any]:
    """Frames a second, and milliseconds of clicks, while circles train."""
    from playwright.sync_api import sync_playwright

    path = os.environ.get("CHROMIUM") or shutil.which("chromium")
    with sync_playwright() as playwright, lab() as url:
        browser = playwright.chromium.launch(
            executable_path=path, args=["--no-sandbox"]
        )
        page = browser.new_page(viewport={"width": 1300, "height": 1000})
        page.goto(url)
        page.wait_for_selector("#train:enabled")
        page.fill('.option[data-key="epochs"] input', "100000000")
        page.click("#build")
        page.wait_for_selector("#build:enabled")
        page.click("#open")
        page.wait_for_selector(".equation.backward")
        page.click("#train")
        page.wait_for_timeout(2000)
        frames = page.evaluate(FRAMES, seconds)
        times = [page.evaluate(CLICK, i) for i in range(clicks)]
        browser.close()
    low, middle, high = statistics.quantiles(times, n=4)
    return {
        **frames,
        "click_ms": middle,
        "click_quartiles_ms": [low, high],
        "click_p95_ms": sorted(times)[int(0.95 * clicks)],
        "load": os.getloadavg()[0],
    }


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=SECONDS)
    parser.add_argument("--clicks", type=int, default=CLICKS)
    given = parser.parse_args()
    print(json.dumps(measured(given.seconds, given.clicks)))


if __name__ == "__main__":
    main()
