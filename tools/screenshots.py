"""Pictures of every page at two widths and in both colour schemes, and what the browser complained about.

python tools/screenshots.py URL_OF_A_PROJECT EMAIL PASSWORD FOLDER [page ...]; AXE=1 also asks for accessibility.
"""

import json
import os
import shutil
import sys
from pathlib import Path
from urllib.parse import urljoin, urlparse

from playwright.sync_api import Browser, ConsoleMessage, Page, StorageState, sync_playwright

WIDTHS = {"1440": (1440, 900), "390": (390, 844)}
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
ROOMS = {
    "overview": "",
    "datasets": "datasets/",
    "runs": "runs/",
    "bases": "bases/",
    "adapters": "adapters/",
    "evaluations": "evaluations/",
    "deployments": "deployments/",
    "lineage": "lineage/",
    "costs": "costs/",
    "ledger": "costs/ledger/",
    "settings": "settings/",
    "members": "members/",
    "tokens": "tokens/",
    "audit": "audit/",
    "workers": "/workers/",
}
# One thing of each kind, found by the first link on its list that looks like it.
DETAILS = {
    "dataset": ("datasets/", "/datasets/"),
    "version": ("datasets/", "/versions/"),
    "upload": ("datasets/", "/uploads/"),
    "run": ("runs/", "/runs/"),
    "new-run": ("runs/new/", ""),
    "base": ("bases/", "/bases/"),
    "adapter": ("adapters/", "/adapters/"),
    "evaluation": ("evaluations/", "/evaluations/"),
    "slot": ("deployments/", "/slots/"),
    "request": ("deployments/", "/requests/"),
}
AXE = Path(__file__).resolve().parents[1] / "node_modules" / "axe-core" / "axe.min.js"


def sign_in(page: Page, project_url: str, email: str, password: str) -> None:
    page.goto(urljoin(project_url, "/sign-in/"))
    page.fill("input[type=email], input[name=username]", email)
    page.fill("input[type=password]", password)
    page.click("form [type=submit]")
    page.wait_for_load_state()


def addresses(page: Page, project_url: str, wanted: list[str]) -> dict[str, str]:
    """Name -> address of every page that can be found."""
    found = {name: urljoin(project_url, path) for name, path in ROOMS.items()}
    for name, (path, mark) in DETAILS.items():
        page.goto(urljoin(project_url, path))
        if not mark:
            found[name] = page.url
            continue
        links = page.eval_on_selector_all("main a[href]", "links => links.map(link => link.getAttribute('href'))")
        hits = [link for link in links if mark in link and link.rstrip("/").split("/")[-1].isdigit()]
        if hits:
            found[name] = urljoin(project_url, hits[0])
    return {name: address for name, address in found.items() if not wanted or name in wanted}


def axe(page: Page) -> list[str]:
    """WCAG 2 A and AA findings, each with its first element."""
    if not AXE.exists():
        return []
    page.evaluate(AXE.read_text())
    rules = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]
    result = page.evaluate(f"axe.run({{runOnly: {json.dumps(rules)}}})")
    return [f"{found['id']}: {found['nodes'][0]['html'][:120]}" for found in result["violations"]]


def visit(browser: Browser, state: StorageState, pages: dict[str, str], folder: Path, width: str, scheme: str) -> None:
    with_axe = "AXE" in os.environ
    size = WIDTHS[width]
    context = browser.new_context(
        storage_state=state,
        viewport={"width": size[0], "height": size[1]},
        color_scheme=scheme,  # type: ignore[arg-type]
        bypass_csp=False,
    )
    page, complaints = context.new_page(), list[str]()

    def hear(message: ConsoleMessage) -> None:
        if message.type == "error":
            complaints.append(message.text)

    page.on("console", hear)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    for name, address in pages.items():
        answer = page.goto(address)
        page.wait_for_load_state("load")
        page.wait_for_timeout(700)  # figures are drawn after the page is there
        page.screenshot(path=str(folder / f"{name}-{width}-{scheme}.png"), full_page=True)
        wide = page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth")
        if answer is None or not answer.ok:
            complaints.append(f"status {answer and answer.status}")
        if wide:
            complaints.append("wider than the screen")
        if with_axe:
            complaints += axe(page)
        for complaint in complaints:
            print(f"{name} {width} {scheme}: {complaint}")
        complaints.clear()
    context.close()


def main(project_url: str, email: str, password: str, folder: str, *wanted: str) -> None:
    out = Path(folder)
    out.mkdir(parents=True, exist_ok=True)
    assert urlparse(project_url).path.startswith("/projects/")
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        context = browser.new_context()
        page = context.new_page()
        sign_in(page, project_url, email, password)
        pages = addresses(page, project_url, list(wanted))
        state = context.storage_state()
        for width in WIDTHS:
            for scheme in ("light", "dark"):
                visit(browser, state, pages, out, width, scheme)
        print(f"{len(pages)} pages: {', '.join(pages)}")


if __name__ == "__main__":
    main(*sys.argv[1:])
