"""Debian's Chromium on the pages, watched: what the console says, whom the page asks, what axe-core finds."""

import os
import shutil
from pathlib import Path
from urllib.parse import urlsplit

import pytest

AXE = Path(__file__).resolve().parents[1] / "js" / "node_modules" / "axe-core" / "axe.min.js"
WIDTHS = {390: 844, 1440: 900}


def chromium():
    path = os.environ.get("CONCLAVE_CHROMIUM") or shutil.which("chromium")
    if not path:
        pytest.skip("no chromium: run scripts/setup --tests")
    return path


class Tab:
    """One page of a browser, whose mistakes are remembered."""

    def __init__(self, browser, url, token, width=1440, scheme="light"):
        self.url, self.token = url, token
        self.troubles, self.hosts = [], set()
        self.context = browser.new_context(
            viewport={"width": width, "height": WIDTHS[width]}, color_scheme=scheme, reduced_motion="reduce",
        )
        # axe is brought by the test: the page's own policy would refuse it.
        self.page = self.context.new_page()
        self.page.set_default_timeout(20_000)
        self.page.on("console", self.heard)
        self.page.on("pageerror", lambda error: self.troubles.append(f"error: {error}"))
        self.page.on("request", lambda request: self.hosts.add(urlsplit(request.url).netloc))
        self.page.on("dialog", lambda dialog: (self.troubles.append("a script ran"), dialog.dismiss()))

    def heard(self, message):
        if message.type in ("error", "warning"):
            self.troubles.append(f"{message.type}: {message.text}")

    def sign_in(self, path="/ui"):
        self.page.goto(self.url + path)
        self.page.get_by_label("Token", exact=True).fill(self.token)
        self.page.get_by_role("button", name="Sign in").click()
        self.shown()

    def go(self, name, query=""):
        """By the address: a tab that was signed in stays so."""
        self.page.goto(f"{self.url}/ui/{name}{query}")
        self.shown()

    def click_to(self, title):
        self.page.get_by_role("navigation", name="Pages").first.get_by_role("link", name=title, exact=True).click()
        self.page.get_by_role("heading", level=1, name=title).wait_for()
        self.shown()

    def shown(self):
        self.page.wait_for_selector("#page:not([aria-busy]) .page h1")

    def shoot(self, folder, name):
        self.page.screenshot(path=Path(folder) / f"{name}.png", full_page=True, animations="disabled")

    def violations(self):
        """What axe-core finds, in short."""
        session = self.context.new_cdp_session(self.page)
        # In a world of its own: the page's policy stays in force while its markup is looked at.
        frame = session.send("Page.getFrameTree")["frameTree"]["frame"]["id"]
        world = session.send("Page.createIsolatedWorld", {"frameId": frame, "worldName": "axe"})["executionContextId"]

        def run(text, wait=False):
            answer = session.send("Runtime.evaluate", {
                "expression": text, "contextId": world, "awaitPromise": wait, "returnByValue": True,
            })
            assert "exceptionDetails" not in answer, answer["exceptionDetails"]
            return answer["result"].get("value")

        run(AXE.read_text() + ";0")
        found = run("""axe.run(document, {resultTypes: ["violations"]}).then((found) => found.violations.map((one) =>
            `${one.id}: ${one.nodes.slice(0, 3).map((node) => node.html.slice(0, 160) + " " + (node.any[0]?.message ?? "")).join(" | ")}`))""", True)
        session.detach()
        return found

    def overflows(self):
        """Whether the page is wider than the window."""
        return self.page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth")

    def check(self):
        """Nothing was complained of, and nobody else was asked."""
        assert not self.troubles, "\n".join(self.troubles)
        assert self.hosts <= {urlsplit(self.url).netloc, ""}, self.hosts

    def close(self):
        self.context.close()
