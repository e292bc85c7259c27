"""A real Prometheus on both planes with traffic: every panel and every documented query has data, every metric a page."""

import json
import re
import threading

import httpx
import pytest
import yaml

from harness.conclave import ROOT
from harness.mapping import keyed
from harness.process import eventually
from harness.watched import MONITORING, Prometheus, Sim, Up, promtool

DASHBOARD = json.loads((MONITORING / "grafana" / "dashboards" / "conclave.json").read_text())
PAGE = (ROOT / "docs" / "METRICS.md").read_text()
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
KEY, PLAIN = "sk-watched", "sk-plain"


def mapping(*urls):
    """One key with all that is shown: counted tokens, a queue, conversations that go back to their server."""
    balancer = {"strategy": "prefix", "maxInFlight": 1, "servers": [{"url": url} for url in urls]}
    return yaml.safe_dump({
        "http": {
            "routers": {"watched": {"rule": f"Key(`{KEY}`)", "service": "farm", "middlewares": ["watched-tokens"]}},
            "middlewares": {"watched-tokens": {"tokenLimit": {"amount": 10_000_000, "period": "24h"}}},
            "services": {"farm": {"loadBalancer": balancer}},
        }
    })


class Traffic:
    """Clients that come back until they are told to stop."""

    def __init__(self, up):
        self.up, self.over, self.failures = up, threading.Event(), []
        self.threads = [threading.Thread(target=self.work, args=(number,), daemon=True) for number in range(2)]
        for thread in self.threads:
            thread.start()

    def work(self, number):
        opening = f"Client {number} tells a story. " + "Once upon a time there was a lighthouse. " * 12
        turns = 0
        while not self.over.is_set():
            turns += 1
            try:
                # Each turn begins as the one before did.
                self.turn(opening + f"Turn {turns}.")
            except (httpx.HTTPError, AssertionError) as error:
                self.failures.append(repr(error))
                return
            self.over.wait(0.1)

    def turn(self, text):
        for reply in [
            self.up.chat("tiny", text, key=KEY),
            self.up.chat("tiny", text, key=KEY, stream=False),
            self.up.chat("tiny", text, key=PLAIN),
            self.up.chat("small"),
            self.up.chat("small", stream=False),
            self.up.chat("absent"),
        ]:
            assert reply.status_code == 200, (reply.status_code, reply.text[:300])
        assert self.up.chat("tiny", key="sk-unknown").status_code == 401
        # An answer that is an error, and says so in the metrics.
        assert self.up.chat("nobody-serves-this").status_code == 404
        broken = httpx.post(f"{self.up.aggregator}/v1/chat/completions", json={"model": "small", "messages": 7}, timeout=30)
        assert broken.status_code in (400, 422, 500, 502), broken.status_code

    def stop(self):
        self.over.set()
        for thread in self.threads:
            thread.join(60)
        assert not self.failures, self.failures


@pytest.fixture(scope="module")
def watched(tmp_path_factory):
    """Conclave with traffic, and a Prometheus that watches it."""
    folder = tmp_path_factory.mktemp("watched")
    quick = ["--prefill-rate", 0, "--decode-rate", 200]
    sims = [Sim(folder, model, *quick) for model in ("tiny", "tiny", "small")]
    config = {
        "backends": [{"name": "small-1", "type": "openai", "url": sims[2].url}],
        "routing": {"heartbeat_interval": 1, "fallbacks": {"absent": ["small"]}},
        "response_storage": {"enabled": True, "db_path": str(folder / "responses.db")},
        "server": {"auth": "none"},
    }
    files = {"watched.yml": mapping(sims[0].url, sims[1].url), "plain.yml": keyed("plain", PLAIN, sims[0].url)}
    up = Up(folder, files, config, "--journal", folder / "journal")
    prometheus = Prometheus(tmp_path_factory.mktemp("prometheus"), up)
    traffic = Traffic(up)
    yield up, prometheus
    traffic.stop()
    prometheus.stop()
    up.stop()
    for sim in sims:
        sim.stop()


def expressions():
    """Every query of the dashboard, and every one that docs/METRICS.md has in council-router's place."""
    for panel in PANELS:
        for target in panel["targets"]:
            yield panel["title"], target["expr"].replace("$__rate_interval", "20s")
    table = PAGE.split("## council-router's metrics")[1].split("\n## ")[0]
    for line in table.splitlines():
        cells = re.match(r"\| ([^|]+) \| `(.+)` \|$", line)
        if cells:
            yield f"METRICS.md: {cells[1]}", cells[2].replace("[5m]", "[20s]")


def test_every_panel_and_every_documented_query_has_data(watched):
    _, prometheus = watched
    every = list(expressions())
    assert len(PANELS) >= 20 and len([title for title, _ in every if title.startswith("METRICS.md")]) == 11
    empty = dict.fromkeys(every)

    def all_have_data():
        for title, expression in list(empty):
            if prometheus.query(expression):
                del empty[title, expression]
        return not empty

    try:
        eventually(all_have_data, seconds=90, interval=0.2, what="data in every panel")
    except AssertionError as error:
        raise AssertionError(f"no data in {list(empty)}") from error


def test_both_planes_are_scraped_and_the_rules_are_well(watched):
    _, prometheus = watched
    up = eventually(lambda: len(found := prometheus.query("up == 1")) == 2 and found, seconds=60)
    assert {sample["metric"]["job"] for sample in up} == {"conclave-edge", "conclave-aggregator"}

    def evaluated():
        groups = prometheus.http.get("/api/v1/rules").json()["data"]["groups"]
        rules = [rule for group in groups for rule in group["rules"]]
        return rules and all(rule["health"] != "unknown" for rule in rules) and rules

    rules = eventually(evaluated, seconds=60, what="evaluated rules")
    assert len(rules) == 16
    assert [rule["name"] for rule in rules if rule["health"] != "ok"] == []


def test_the_pages_are_clean_and_documented(watched):
    up, _ = watched
    eventually(lambda: "gen_ai_server_time_per_output_token_seconds_count" in up.pages()[1], seconds=60)
    documented = set(re.findall(r"^\| `([a-z_]+)` \|", PAGE, re.MULTILINE))
    for page in up.pages():
        code, said = promtool("check", "metrics", input=page)
        assert (code, said) == (0, ""), said
        families = set(re.findall(r"^# TYPE (\S+) ", page, re.MULTILINE))
        assert len(families) > 15
        assert families - documented == set(), "not in docs/METRICS.md"
        assert KEY not in page and PLAIN not in page and "sk-unknown" not in page


def test_the_configuration_and_the_rules_are_checked():
    for arguments in (
        ("check", "config", MONITORING / "prometheus" / "prometheus.yml"),
        ("check", "rules", MONITORING / "prometheus" / "rules" / "conclave.yml"),
        ("test", "rules", MONITORING / "prometheus" / "tests" / "conclave.yml"),
    ):
        code, said = promtool(*arguments)
        assert code == 0, said


def test_the_rules_tests_know_every_alert():
    rules = yaml.safe_load((MONITORING / "prometheus" / "rules" / "conclave.yml").read_text())
    alerts = {rule["alert"] for group in rules["groups"] for rule in group["rules"]}
    tests = (MONITORING / "prometheus" / "tests" / "conclave.yml").read_text()
    assert set(re.findall(r'alertname="(\w+)"', tests)) == alerts


def test_the_dashboard_is_whole():
    provisioned = yaml.safe_load((MONITORING / "grafana" / "provisioning" / "datasources" / "prometheus.yml").read_text())
    uid = provisioned["datasources"][0]["uid"]
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(ids) == len(set(ids))
    taken = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        cells = {
            (x, y) for x in range(place["x"], place["x"] + place["w"]) for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, f"{panel['title']} lies over another panel"
        taken |= cells
    for panel in PANELS:
        assert panel["datasource"]["uid"] == uid and panel["fieldConfig"]["defaults"]["unit"]
        for target in panel["targets"]:
            assert target["datasource"]["uid"] == uid and target["expr"] and target["legendFormat"], panel["title"]
    titles = {panel["title"] for panel in PANELS}
    assert titles >= {"Request rate", "p95 latency", "Tokens per second", "Backend status", "Active requests",
                      "Fallback activations"}
