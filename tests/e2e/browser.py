"""A Chromium for the tests of the dashboard: Debian's, led by Playwright (tools/get-playwright)."""

import contextlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def playwright_folder():
    """Where Playwright's package is, or empty."""
    found = subprocess.run([ROOT / "tools/get-playwright", "--find"], capture_output=True, text=True, check=True)
    return found.stdout.strip()


def missing():
    """What these tests lack, or empty."""
    if not shutil.which("chromium"):
        return "Chromium is not installed: tools/install-deps test"
    return "" if playwright_folder() else "Playwright is not there: tools/get-playwright"


@contextlib.contextmanager
def chromium():
    """A running browser; Playwright is imported from its cache folder."""
    sys.path.insert(0, playwright_folder())
    from playwright.sync_api import sync_playwright
    with sync_playwright() as playwright:
        # Chromium's sandbox does not work for root.
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"),
                                             args=["--no-sandbox"] if os.geteuid() == 0 else [])
        try:
            yield browser
        finally:
            browser.close()
