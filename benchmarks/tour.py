"""The pictures of docs/tour.md: Chromium takes pictures of the pages of the project that `eyeshot demo` makes.

`python -m benchmarks.tour`: about five minutes on two quiet cores, nearly all of them for the project. `--folder` keeps
the project, and the same command then takes the pictures again without making it anew; `--out` is where they go.
"""

from __future__ import annotations

import argparse
import io
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
WIDTH, HEIGHT = 1280, 860
QUALITY = 80
SETTLED_MS = 1500
"""Pictures of a page come after it, and nothing says that the last is there."""


@contextmanager
def served(folder: Path, *words: str) -> Iterator[str]:
    """A command that serves a page, and the address of the page."""
    command = [sys.executable, "-u", "-m", "eyeshot", *words, "--no-open"]
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True, encoding="utf-8")
    try:
        assert process.stdout is not None
        for line in process.stdout:
            if found := re.search(r"http://\S+", line):
                yield found[0]
                return
        raise RuntimeError(f"eyeshot {' '.join(words)} ended without an address")
    finally:
        process.terminate()
        process.wait(timeout=30)


def take(
    browser: Any,
    address: str,
    file: Path,
    *,
    ready: str = "body",
    height: int = HEIGHT,
    act: Callable[[Any], object] | None = None,
) -> None:
    """A picture of the top of a page, after `act` has pressed what it wants."""
    page = browser.new_page(viewport={"width": WIDTH, "height": height})
    page.goto(address)
    page.wait_for_selector(ready)
    page.wait_for_timeout(SETTLED_MS)
    if act is not None:
        act(page)
        page.wait_for_timeout(SETTLED_MS)
    Image.open(io.BytesIO(page.screenshot())).convert("RGB").save(file, "WEBP", quality=QUALITY, method=6)
    page.close()
    print(f"{file.name}: {file.stat().st_size / 1024:.0f} kB", flush=True)


def show_two_labels(page: Any) -> None:
    """The picture under two labels, which a policy has decided about."""
    page.check("#decided")
    page.select_option("#kind", "conflict")


def take_all(folder: Path, out: Path) -> None:
    """All pictures of the tour."""
    from playwright.sync_api import sync_playwright

    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    results = folder / "eyeshot-out"
    with sync_playwright() as playwright:
        arguments = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        browser = playwright.chromium.launch(executable_path=program, args=arguments)
        for name in ("audit", "models", "augmentations", "errors", "report"):
            height = 1240 if name == "models" else HEIGHT  # so that the chart is on it
            take(browser, (results / name / f"{name}.html").as_uri(), out / f"{name}.webp", height=height)
        with served(folder, "review") as address:
            take(browser, address, out / "review.webp", act=show_two_labels, height=700)
        with served(folder, "open") as address:
            take(browser, address, out / "overview.webp", ready="html[data-ready]", height=760)
            tab = f"{address}{'&' if '?' in address else '?'}tab=experiments"
            take(
                browser, tab, out / "experiments.webp", ready="html[data-ready]", height=1000,
                act=lambda page: page.select_option("#sort", "created"),
            )  # fmt: skip
        browser.close()


def main() -> None:
    """Make the project, and take its pictures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "pictures")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = (options.folder or Path(temporary)).resolve()
        subprocess.run([sys.executable, "-m", "eyeshot", "demo", "--out", str(folder), "--no-serve"], check=True)
        options.out.mkdir(parents=True, exist_ok=True)
        take_all(folder, options.out)


if __name__ == "__main__":
    main()
