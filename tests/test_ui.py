"""The pages as an operator meets them: in a real browser, over the real binary, before simulated servers."""

import json
import os
import re
import subprocess
import time
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest

from harness.browser import Tab, chromium
from harness.conclave import Aggregator, Edge, binary, drop_in
from harness.mapping import keyed
from harness.process import Process, eventually

sync_api = pytest.importorskip("playwright.sync_api")

TOKEN = "admin-token-of-the-tests"
PAGES = ["overview", "backends", "keys", "mappings", "responses", "council", "try"]
MARKUP = "<img src=x onerror=alert(1)><script>alert(2)</script><b>bold</b>"
BROKEN = """http:
  routers:
    bob:
      rule: "Key(`sk-canary-of-bob`)"
      prioriti: 7
      service: tiny
"""


def sim(name, folder, *flags):
    process = Process(
        [binary("conclave-sim", "CONCLAVE_SIM_BIN"), "--listen", "127.0.0.1:0", "--model", name, "--decode-rate", 200,
         "--answer-tokens", 24, *flags],
        folder / f"{name}.log",
    )
    process.url = process.until(lambda: (found := re.search(r"http://\S+:\d+", process.output)) and found[0])
    return process


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Two servers, an edge and an aggregator that keep what passes."""
    folder = tmp_path_factory.mktemp("ui")
    mappings, logs, journal = folder / "mappings", folder / "logs", folder / "journal"
    mappings.mkdir(), logs.mkdir()
    sims = [sim("tiny", logs), sim("large", logs)]
    for name, server in zip(("tiny", "large"), sims):
        (mappings / f"{name}.yml").write_text(keyed(name, f"API_KEY-{name}", server.url))
    aggregator = Aggregator(
        mappings, logs, "--db-path", folder / "responses.db", "--journal", journal, environment={"ADMIN_TOKEN": TOKEN},
    )
    edge = Edge(mappings, logs, "--journal", journal, aggregator=aggregator)
    admin = httpx.Client(base_url=aggregator.url, headers={"Authorization": f"Bearer {TOKEN}"}, timeout=30)
    yield SimpleNamespace(
        url=aggregator.url, edge=edge, mappings=mappings, admin=admin, sims=sims, folder=folder, aggregator=aggregator,
    )
    admin.close()
    edge.stop()
    aggregator.stop()
    for one in sims:
        one.stop()


@pytest.fixture(scope="module")
def browser():
    path = chromium()
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """Where pictures of the pages go: CONCLAVE_PICTURES, else the test's own folder."""
    folder = Path(os.environ.get("CONCLAVE_PICTURES") or tmp_path_factory.mktemp("pictures"))
    folder.mkdir(parents=True, exist_ok=True)
    print(f"pictures: {folder}")
    return folder


@pytest.fixture
def tab(place, browser):
    tab = Tab(browser, place.url, TOKEN)
    yield tab
    tab.close()


def ask(place, key, text="Say hello.", model="tiny", **more):
    body = {"model": model, "messages": [{"role": "user", "content": text}], **more}
    return place.edge.http.post("/v1/chat/completions", json=body, headers={"Authorization": f"Bearer {key}"})


def test_nothing_is_shown_without_the_token_and_a_wrong_one_is_told(place, browser):
    tab = Tab(browser, place.url, "not-the-token")
    tab.page.goto(place.url + "/ui")
    tab.page.get_by_role("dialog", name="Admin token").wait_for()
    assert "tiny" not in tab.page.content()
    tab.page.get_by_label("Token", exact=True).fill("not-the-token")
    tab.page.keyboard.press("Enter")
    tab.page.locator("#gate-trouble", has_text="admin token").wait_for()
    tab.page.get_by_label("Token", exact=True).fill(TOKEN)
    tab.page.keyboard.press("Enter")
    tab.page.get_by_role("heading", level=1, name="Overview").wait_for()
    assert tab.page.context.cookies() == []
    assert tab.page.evaluate("JSON.stringify(localStorage)") == "{}"
    tab.page.get_by_role("button", name="Sign out").click()
    tab.page.get_by_role("dialog", name="Admin token").wait_for()
    assert tab.page.evaluate("sessionStorage.length") == 0
    tab.close()
    for path in ("part", "live"):
        for page in PAGES:
            assert httpx.get(f"{place.url}/ui/{path}/{page}").status_code == 401, page


def test_a_key_is_made_used_seen_and_revoked(place, tab):
    tab.sign_in("/ui/keys")
    page = tab.page
    page.get_by_role("button", name="New key").first.click()
    form = page.get_by_role("dialog", name="New key")
    form.get_by_label("Name").fill("alice")
    form.get_by_label("Leads to").fill("nowhere")
    form.get_by_role("button", name="Make key").click()
    form.get_by_text("No mapping file has a service of this name").wait_for()
    # The browser itself says of every refusal that it was one.
    assert ["400" in trouble for trouble in tab.troubles] == [True]
    tab.troubles.clear()
    form.get_by_label("Leads to").fill("tiny")
    form.get_by_label("Tokens a day").fill("1000")
    form.get_by_role("button", name="Make key").click()
    once = page.get_by_role("dialog", name="The key of alice")
    key = once.get_by_label("The key").text_content()
    assert re.fullmatch(r"cnc-[0-9A-Za-z]{49}", key)
    once.get_by_role("button", name="I have it").click()
    row = page.get_by_role("row", name=re.compile("^alice"))
    row.wait_for()
    assert key not in page.content(), "a key is shown once"
    assert "0 of 1k" in row.text_content()

    eventually(lambda: ask(place, key).status_code == 200, what="the key to work")
    # Without a reload: the page follows.
    page.get_by_role("row", name=re.compile("^alice.* 1 request")).wait_for()
    ask(place, key)
    page.get_by_role("row", name=re.compile("^alice.* 2 requests")).wait_for()
    assert "0 of 1k" not in row.text_content()

    page.get_by_role("button", name="Rotate alice").click()
    page.get_by_role("dialog", name="Rotate alice").get_by_role("button", name="Rotate").click()
    second = page.get_by_role("dialog", name="The key of alice").get_by_label("The key").text_content()
    assert second != key
    page.get_by_role("button", name="I have it").click()
    page.get_by_role("row", name=re.compile("^alice.*old key until")).wait_for()
    eventually(lambda: ask(place, second).status_code == 200, what="the new key to work")
    assert ask(place, key).status_code == 200, "the old key works for a while"

    page.get_by_role("button", name="Revoke alice").click()
    sure = page.get_by_role("dialog", name="Revoke alice?")
    sure.get_by_role("button", name="Cancel").click()
    assert ask(place, second).status_code == 200, "cancelled"
    page.get_by_role("button", name="Revoke alice").click()
    sure.get_by_role("button", name="Revoke").click()
    row.wait_for(state="detached")
    eventually(lambda: ask(place, second).status_code == 401, what="the key to end")
    assert ask(place, key).status_code == 401
    assert not (place.mappings / "alice.yml").exists()
    tab.check()


def test_a_broken_mapping_is_found_with_its_line_and_without_its_key(place, tab):
    drop_in(place.mappings, "bob.yml", BROKEN)
    tab.sign_in()
    page = tab.page
    page.get_by_role("link", name=re.compile("1 mapping file does not check|mapping")).first.wait_for()
    tab.click_to("Mappings")
    page.get_by_role("link", name="With problems").click()
    file = page.get_by_role("article", name="bob.yml")
    file.get_by_text("bob.yml:5:").first.wait_for()
    line = file.locator(".code-line.it")
    assert "5" in line.text_content() and "prioriti" in line.text_content()
    assert "Key(…)" in file.text_content() and "canary" not in page.content()
    drop_in(place.mappings, "bob.yml", BROKEN.replace("prioriti", "priority"))
    page.get_by_text("Nothing is broken").wait_for()
    (place.mappings / "bob.yml").unlink()
    tab.check()


def test_a_drained_backend_gets_nothing_until_it_is_undrained(place, tab):
    name = place.sims[1].url.removeprefix("http://")
    tab.sign_in("/ui/backends")
    card = tab.page.get_by_role("article", name=name)
    card.get_by_text("up", exact=True).wait_for()
    card.get_by_role("button", name="Drain").click()
    card.get_by_text("drained").wait_for()
    body = {"model": "large", "messages": [{"role": "user", "content": "hi"}]}
    refused = httpx.post(place.url + "/v1/chat/completions", json=body)
    assert refused.status_code == 503, refused.text
    card.get_by_role("button", name="Undrain").click()
    card.get_by_text("up", exact=True).wait_for()
    assert httpx.post(place.url + "/v1/chat/completions", json=body, timeout=30).status_code == 200
    tab.check()


def test_a_council_is_asked_and_watched_side_by_side(place, tab, pictures):
    tab.sign_in("/ui/council")
    page = tab.page
    page.get_by_label("debate", exact=False).first.check()
    page.get_by_label("Question").fill("Tabs or spaces?")
    page.get_by_label("Model", exact=True).select_option("tiny")
    page.get_by_role("button", name="Ask").click()
    members = page.locator(".member")
    # By looking again and again: the page's policy forbids what wait_for_function does.
    speaks = page.locator(".member .badge").get_by_text("speaks", exact=True)
    eventually(lambda: speaks.count() > 1, seconds=60, what="two members who speak at once")
    page.locator("[data-stage]", has_text="The council has ended").wait_for()
    assert members.count() == 2
    for index in range(2):
        said = members.nth(index).locator(".words").all_text_contents()
        assert len(said) == 2 and all(len(words) > 20 for words in said), said
    assert len(page.locator("[data-answer]").text_content()) > 20
    tab.shoot(pictures, "council-asked-1440-light")
    tab.check()


def test_a_chat_as_administrator_and_with_a_key(place, tab, pictures):
    tab.sign_in("/ui/try")
    page = tab.page
    page.get_by_label("Model", exact=True).select_option("tiny")
    page.get_by_label("Message").fill("Hello there")
    page.keyboard.press("Enter")
    page.get_by_text("24 written").wait_for()
    page.get_by_label("A key", exact=True).check()
    page.get_by_label("Key", exact=True).fill("API_KEY-large")
    page.get_by_role("button", name="Look it up").click()
    page.get_by_text("It is large's").wait_for()
    assert page.get_by_label("Model", exact=True).locator("option").all_text_contents() == ["large"]
    page.get_by_label("Message").fill(f"Repeat: {MARKUP}")
    page.get_by_role("button", name="Send").click()
    page.locator(".message.assistant .quiet").nth(1).wait_for()
    assert page.locator(".messages img, .messages b, .messages script").count() == 0
    tab.shoot(pictures, "try-asked-1440-light")
    tab.check()


def test_what_is_stored_is_found_filtered_read_and_taken_out(place, tab, pictures):
    tools = [{"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {}}}}]
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": f"What is {MARKUP} zebra?"},
        {"role": "assistant", "content": None, "reasoning_content": MARKUP, "tool_calls": [
            {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": json.dumps({"where": MARKUP})}}]},
        {"role": "tool", "tool_call_id": "call_1", "content": MARKUP},
    ]
    body = {"model": "tiny", "messages": messages, "tools": tools}
    assert httpx.post(place.url + "/v1/chat/completions", json=body, timeout=30).status_code == 200
    eventually(lambda: place.admin.get("/admin/responses?text=zebra").json()["data"], what="the exchange in the store")
    tab.sign_in("/ui/responses")
    page = tab.page
    page.get_by_label("Words").fill("zebra")
    page.get_by_role("button", name="Filter", exact=True).click()
    page.wait_for_url("**text=zebra")
    rows = page.locator("table.cards tbody tr")
    eventually(lambda: rows.count() == 1, what="the one row that is left")
    with page.expect_download() as download:
        page.get_by_role("button", name="Export", exact=True).click()
    assert "zebra" in Path(download.value.path()).read_text()
    rows.first.get_by_role("link").click()
    page.locator(".message.assistant .call").wait_for()
    assert page.locator(".message").count() == 5
    page.get_by_text("Thinking").first.click()
    assert MARKUP in page.locator(".thinking .words").first.text_content()
    assert MARKUP in page.locator(".call dd").first.text_content()
    assert page.locator(".talk img, .talk b, .talk script").count() == 0
    tab.shoot(pictures, "conversation-1440-light")
    assert tab.violations() == []
    page.get_by_label("About this exchange").get_by_role("button", name="Delete").click()
    page.get_by_role("dialog", name="Delete this exchange?").get_by_role("button", name="Delete").click()
    page.wait_for_url("**/ui/responses")
    assert place.admin.get("/admin/responses?text=zebra").json()["data"] == []
    tab.check()


@pytest.mark.parametrize("width", [390, 1440])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_is_clean_in_every_form(place, browser, pictures, width, scheme):
    ask(place, "API_KEY-tiny")
    tab = Tab(browser, place.url, TOKEN, width, scheme)
    tab.page.goto(place.url + "/ui")
    tab.page.get_by_role("dialog", name="Admin token").wait_for()
    tab.shoot(pictures, f"sign-in-{width}-{scheme}")
    # Each scheme and each width once.
    look = tab.violations if (width, scheme) in [(390, "dark"), (1440, "light")] else list
    found = {"sign-in": look()}
    tab.sign_in()
    for name in PAGES:
        tab.go(name)
        tab.shoot(pictures, f"{name}-{width}-{scheme}")
        found[name] = look()
        assert not tab.overflows(), f"{name} is wider than {width} px"
    assert {name: all for name, all in found.items() if all} == {}
    tab.check()
    tab.close()


def test_the_keyboard_alone_reaches_everything_in_order(tab, place):
    tab.sign_in()
    page = tab.page
    page.goto(place.url + "/ui/overview")
    tab.shown()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to content"
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("document.querySelector('main').contains(document.activeElement)")
    link = page.get_by_role("link", name="Keys", exact=True)
    link.focus()
    page.keyboard.press("Enter")
    page.get_by_role("heading", level=1, name="Keys").wait_for()
    assert page.evaluate("document.activeElement.tagName") == "H1", "what is new has the focus"
    page.get_by_role("button", name="New key").first.focus()
    page.keyboard.press("Enter")
    page.get_by_role("dialog", name="New key").wait_for()
    page.keyboard.press("Escape")
    assert not page.get_by_role("dialog", name="New key").is_visible()
    page.get_by_role("button", name=re.compile("Colours")).click()
    assert page.evaluate("[document.documentElement.dataset.theme, localStorage['conclave.theme']]") == ["light", "light"]
    tab.check()


def test_scripts_can_do_what_the_pages_do(place):
    admin = place.admin
    made = admin.post("/admin/keys", json={"name": "robot", "service": "tiny", "requests_per_minute": 60})
    assert made.status_code == 201 and made.headers["cache-control"] == "no-store"
    key = made.json()["key"]
    listed = admin.get("/admin/keys", params={"search": "robot"}).json()
    assert [row["name"] for row in listed["data"]] == ["robot"] and key not in json.dumps(listed)
    assert admin.post("/admin/keys/identify", json={"key": key}).json() == {"object": "key", "name": "robot", "models": ["tiny"]}
    assert admin.post("/admin/keys", json={"name": "robot", "service": "tiny"}).json()["error"]["code"] == "key_refused"
    assert admin.post("/admin/keys", json={"nam": "robot"}).json()["error"]["code"] == "invalid_body"
    assert admin.post("/admin/keys/robot/rotate", json={"grace": "soon"}).status_code == 400
    assert admin.delete("/admin/keys/robot").json()["names"] == ["robot"]
    assert admin.delete("/admin/keys/robot").status_code == 400
    assert {file["file"]: file["state"] for file in admin.get("/admin/mappings").json()["data"]}["tiny.yml"] == "loaded"
    series = admin.get("/admin/series", params={"span": "1h", "by": "key"}).json()
    assert series["source"] == "store" and all(len(one["parts"]) == series["parts"] for one in series["data"])
    assert admin.get("/admin/series", params={"span": "2h"}).status_code == 400
    assert admin.post("/admin/backends/nobody/drain").status_code == 404
    body = {"model": "tiny", "messages": [{"role": "user", "content": "hi"}]}
    assert admin.post("/admin/chat", json=body).status_code == 200
    for method, path in [("GET", "/admin/keys"), ("POST", "/admin/keys"), ("DELETE", "/admin/keys/x"), ("GET", "/admin/mappings"),
                         ("POST", "/admin/keys/x/rotate"), ("POST", "/admin/keys/identify"), ("GET", "/admin/series"),
                         ("POST", "/admin/backends/x/drain"), ("POST", "/admin/chat"), ("POST", "/admin/council/chat")]:
        assert httpx.request(method, place.url + path, json={}).status_code == 401, path


@pytest.mark.full
def test_pages_stay_small_and_quick_with_a_thousand_keys_fifty_backends_and_a_million_responses(tmp_path, browser, pictures):
    mappings, database = tmp_path / "mappings", tmp_path / "responses.db"
    mappings.mkdir()
    # Nobody listens there: what is shown of a server that is down is more than of one that is up.
    servers = [f"http://127.0.0.1:{port}" for port in range(2, 52)]
    for number in range(1_000):
        (mappings / f"key-{number:04}.yml").write_text(keyed(f"key-{number:04}", f"API_KEY-{number}", servers[number % 50]))
    fill(database, 1_000_000)
    aggregator = Aggregator(mappings, tmp_path, "--db-path", database, environment={"ADMIN_TOKEN": TOKEN})
    admin = httpx.Client(base_url=aggregator.url, headers={"Authorization": f"Bearer {TOKEN}"}, timeout=60)
    sizes = {}
    tab = Tab(browser, aggregator.url, TOKEN)
    try:
        tab.sign_in()
        for name in ["overview", "overview?span=24h&by=key", "overview?span=30d", "backends", "keys", "mappings", "responses",
                     "responses?key=key-0007", "council", "try"]:
            admin.get(f"/ui/part/{name}")
            began = time.monotonic()
            answer = admin.get(f"/ui/part/{name}")
            sizes[name] = (len(answer.content), time.monotonic() - began)
            assert answer.status_code == 200
        for name in PAGES:
            tab.go(name)
            tab.shoot(pictures, f"million-{name}")
        paint = tab.page.evaluate("performance.getEntriesByType('paint').find((one) => one.name === 'first-contentful-paint').startTime")
    finally:
        tab.close()
        admin.close()
        aggregator.stop()
    print(json.dumps(sizes, indent=1), paint)
    assert all(size < 200_000 for size, _ in sizes.values()), sizes
    assert all(seconds < 0.5 for _, seconds in sizes.values()), sizes


def fill(database, count):
    now_us = int(time.time() * 1e6)

    def line(number):
        return json.dumps({
            "id": f"01900000-0000-7000-8000-{number:012x}", "started_at_us": now_us - number * 1_000_000,
            "key": f"key-{number % 1000:04}", "model": f"model-{number % 7}", "backend": f"127.0.0.1:{2 + number % 50}",
            "status": "upstream_failed" if number % 97 == 0 else "complete", "input_tokens": 50, "output_tokens": number % 200,
            "duration_us": 1_500_000, "text": f"answer {number}",
        })

    seed = subprocess.Popen([binary().parent / "examples" / "store_seed", database], stdin=subprocess.PIPE, text=True)
    for number in range(count):
        seed.stdin.write(line(number) + "\n")
    seed.stdin.close()
    assert seed.wait(900) == 0
