"""People at browsers of their own, each with an ear for everything that goes wrong there."""

import os
import re
import shutil
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from django.conf import settings
from django.test import Client
from playwright.sync_api import Browser, ConsoleMessage, Page, Response, WebError, expect
from playwright.sync_api import TimeoutError as PlaywrightTimeout

ROOT = Path(__file__).resolve().parents[2]
AXE = ROOT / "node_modules" / "axe-core" / "axe.min.js"
WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
PATIENCE = 30_000  # milliseconds that a page may take on a busy machine
# How htmx says that a request was given up for a newer one or for the next page; one that failed has a word more.
GIVEN_UP = re.compile(r"htmx:(afterRequest|sendAbort)\b")
STATUS = re.compile(r"responded with a status of (\d+)")

FITS = "() => document.documentElement.scrollWidth <= document.documentElement.clientWidth"
OVER = """[...document.body.querySelectorAll("*")]
    .filter(one => one.getBoundingClientRect().right > document.documentElement.clientWidth + 1)
    .map(one => one.outerHTML.slice(0, 150))"""


def chromium() -> str | None:
    return os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")


class Visitor:
    """One person: a browser context with one page. `check` fails when anything was complained about on the way."""

    def __init__(self, browser: Browser, address: str, name: str = "somebody", **options) -> None:
        self.name, self.address = name, address
        self.complaints: list[str] = []
        self.awaited: Counter[str] = Counter()
        self.context = browser.new_context(base_url=address, viewport={"width": 1440, "height": 900}, **options)
        self.context.set_default_timeout(PATIENCE)
        self.context.on("console", self._hear)
        self.context.on("weberror", self._note_error)
        self.context.on("response", self._note_answer)
        self.page: Page = self.context.new_page()

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type != "error" and "Content Security Policy" not in message.text:
            return
        if GIVEN_UP.match(message.text):
            return
        status = STATUS.search(message.text)
        if status and self.awaited[status[1]]:
            self.awaited[status[1]] -= 1
        else:
            self.complaints.append(f"console on {message.page and message.page.url}: {message.text}")

    def _note_error(self, error: WebError) -> None:
        self.complaints.append(f"uncaught on {error.page and error.page.url}: {error.error}")

    def _note_answer(self, response: Response) -> None:
        if response.status >= 500:
            self.complaints.append(f"{response.status} from {response.request.method} {response.url}")

    @contextmanager
    def refused(self, status: int) -> Iterator[None]:
        """Within, one answer with this status is what the test is about; the browser's console will name it."""
        self.awaited[str(status)] += 1
        yield

    def check(self) -> None:
        heard, self.complaints = self.complaints, []
        assert heard == [], f"{self.name}'s browser complained: {heard}"

    def close(self) -> None:
        self.context.close()

    def open(self, path: str) -> Response | None:
        return self.page.goto(path)

    def enter(self, room: str) -> None:
        """Go to a room of the project by the sidebar."""
        self.page.get_by_role("navigation", name="Project").get_by_role("link", name=room, exact=True).click()

    def follow(self, name: str | re.Pattern[str]) -> None:
        self.page.get_by_role("main").get_by_role("link", name=name).first.click()

    def press(self, name: str | re.Pattern[str]) -> None:
        self.page.get_by_role("main").get_by_role("button", name=name).first.click()

    def fill(self, label: str, value: str) -> None:
        self.page.get_by_label(label, exact=True).fill(value)

    def sees(self, text: str | re.Pattern[str], timeout: float = PATIENCE) -> None:
        expect(self.page.get_by_role("main")).to_contain_text(text, timeout=timeout)

    def reload_until(self, text: str) -> None:
        """For what a worker adds to a page that does not renew itself."""
        deadline = time.monotonic() + PATIENCE / 1000
        while text not in self.page.get_by_role("main").inner_text():
            assert time.monotonic() < deadline, f"{self.page.url} never said “{text}”"
            self.page.reload()

    def titled(self, text: str | re.Pattern[str]) -> None:
        expect(self.page.get_by_role("heading", level=1)).to_have_text(text)

    def sign_in(self, email: str, password: str) -> None:
        self.open("/sign-in/")
        self.fill("E-mail", email)
        self.fill("Password", password)
        self.press("Sign in")
        self.page.wait_for_url(re.compile(r"/projects/"))

    def bring_session(self, client: Client) -> None:
        """Be signed in as whoever the test client is."""
        name = settings.SESSION_COOKIE_NAME
        self.context.add_cookies([{"name": name, "value": client.cookies[name].value, "url": self.address}])

    def post(self, path: str, **fields: str) -> tuple[int, str]:
        """A request that no button of the page makes, with the page's own CSRF token: status and text of the answer."""
        answer = self.page.evaluate(
            """async ([path, fields]) => {
                const answer = await fetch(path, {
                    method: "POST", headers: {"X-CSRFToken": document.body.dataset.csrf},
                    body: new URLSearchParams(fields),
                });
                const page = new DOMParser().parseFromString(await answer.text(), "text/html");
                return [answer.status, page.querySelector("main").textContent.replace(/\\s+/g, " ")];
            }""",
            [path, fields],
        )
        return answer[0], answer[1]

    def overhear(self, selector: str) -> list[str]:
        """Every text that this element will have shown, also after the page is gone."""
        heard: list[str] = []
        self.page.expose_function("overheard", lambda text: heard.append(text))  # noqa: PLW0108
        self.page.eval_on_selector(
            selector,
            """element => new MutationObserver(() => window.overheard(element.textContent))
                .observe(element, {childList: true, characterData: true, subtree: true})""",
        )
        return heard

    @contextmanager
    def slow_line(self, bytes_per_second: int) -> Iterator[None]:
        """Within, what the page sends takes its time."""
        line = self.context.new_cdp_session(self.page)
        speed = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": bytes_per_second}
        line.send("Network.enable")
        line.send("Network.emulateNetworkConditions", speed)
        yield
        line.detach()

    def axe(self) -> list[str]:
        """What axe finds of WCAG A and AA on the page as it stands, each with its first element."""
        if not self.page.evaluate("typeof axe === 'object'"):
            self.page.evaluate(AXE.read_text())  # by the debugger, since the page's policy takes no foreign script
        found = self.page.evaluate("rules => axe.run({runOnly: rules}).then(result => result.violations)", WCAG)
        nodes = [(one["id"], one["nodes"][0]) for one in found]
        return [f"{rule}: {node['html'][:150]} ({node['failureSummary']})" for rule, node in nodes]

    def too_wide(self) -> list[str]:
        """If the page can be scrolled sideways, charts having had their time: the elements that reach over the edge."""
        try:
            self.page.wait_for_function(FITS, timeout=2_000)
        except PlaywrightTimeout:
            return self.page.evaluate(OVER)[:3] or ["something that cannot be seen"]
        return []
