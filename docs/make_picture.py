"""Make docs/dashboard.png from the running demo: `make demo` in one shell, then

.venv/bin/python docs/make_picture.py http://localhost:8000
"""

import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
SIGN_IN = ("admin@demo.example", "correct horse battery staple")


def main(address: str) -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=ARGUMENTS)
        page = browser.new_page(viewport={"width": 1280, "height": 820}, device_scale_factor=1.5)
        page.goto(f"{address}/accounts/login/")
        page.fill("input[name=login]", SIGN_IN[0])
        page.fill("input[name=password]", SIGN_IN[1])
        page.click("button.primary")
        page.wait_for_load_state("networkidle")
        page.screenshot(path=Path(__file__).with_name("dashboard.png"))
        browser.close()


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "http://localhost:8000")
