"""Time from a slider's move to the new curve on the live page, in headless Chromium.

Needs the extra ``browser`` and Chromium on the path. Two figures of every slider: what the script
takes to the drawn curve, and what passes until the browser has shown the frame after it.

    python -m benchmarks.explore --page pfs_mr.html
"""

import argparse
import os
import shutil
from pathlib import Path
from statistics import median

from benchmarks.timing import machine

MOVES = 50
MOVE = """async ([name, share]) => {
  const slider = document.getElementById(`r-${name}`), begun = performance.now();
  slider.value = Number(slider.min) + share * (slider.max - slider.min);
  slider.dispatchEvent(new Event("input", { bubbles: true }));
  await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
  return [Number(document.body.dataset.milliseconds), performance.now() - begun];
}"""
SLIDERS = ("teff", "logg", "m_h", "mag", "seeing", "zenith_angle", "exp_count")


def measure(page: Path) -> str:
    """Markdown table of medians and largest of 50 moves of each slider [ms]."""
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    rows = []
    with sync_playwright() as running:
        browser = running.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        tab = browser.new_page(viewport={"width": 1280, "height": 900})
        tab.goto(page.resolve().as_uri())
        tab.wait_for_function("document.body.dataset.milliseconds")
        for name in SLIDERS:
            tab.evaluate(MOVE, [name, 0.5])  # compiles
            times = [tab.evaluate(MOVE, [name, 0.2 + 0.6 * k / MOVES]) for k in range(MOVES)]
            curve, frame = zip(*times, strict=True)
            rows.append(
                f"| {name} | {median(curve):.0f} | {max(curve):.0f} | {median(frame):.0f} |"
            )
        version = browser.version
        browser.close()
    head = f"{machine()}; Chromium {version}, {page.stat().st_size / 1e6:.1f} MB; "
    head += f"load {os.getloadavg()[0]:.1f}"
    return "\n".join(
        (
            head,
            "",
            "| slider | to the curve, median [ms] | largest | to the frame shown, median [ms] |",
            "|---|---:|---:|---:|",
            *rows,
        )
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--page", type=Path, required=True)
    print(measure(parser.parse_args().page))
