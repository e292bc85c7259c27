"""The goals that the project set itself, each held against what was measured. A goal is reached, missed, not concluded
(the machine was too noisy, or the run was a quick one), or not measured."""

from dataclasses import dataclass

from .numbers import number, ratio, spread


@dataclass(frozen=True)
class Verdict:
    goal: str
    wanted: str
    found: str
    verdict: str


class Measured:
    """Looks figures up; what is not there is None."""

    def __init__(self, results: dict):
        self.scenarios = results["scenarios"]

    def table(self, scenario: str, start: str) -> dict | None:
        tables = self.scenarios.get(scenario, {}).get("tables", [])
        return next((table for table in tables if table["title"].startswith(start)), None)

    def figure(self, scenario: str, start: str, peer: str, key: str) -> float | None:
        row = _row(self.table(scenario, start), peer)
        return row["figures"][key]["median"] if row and key in row["figures"] else None

    def ratio(self, scenario: str, start: str, peer: str, key: str) -> dict | None:
        row = _row(self.table(scenario, start), peer)
        return row["ratios"].get(key) if row else None

    def conclusive(self, scenario: str, start: str) -> bool:
        table = self.table(scenario, start)
        return bool(table) and not table["noise"]["reasons"] and self.scenarios[scenario]["mode"] == "full"


def _row(table: dict | None, peer: str) -> dict | None:
    return next((row for row in (table or {}).get("rows", []) if row["peer"] == peer), None)


def all_checks(results: dict) -> list[Verdict]:
    seen = Measured(results)
    return [*small(seen), *keys(seen), *streams(seen), *capture(seen), *cancel(seen), *reload(seen), *aggregate(seen), *router(seen)]


def small(seen: Measured) -> list[Verdict]:
    verdicts = []
    for connections in ("32", "256"):
        for peer in ("nginx", "haproxy"):
            verdicts.append(
                _ratio(
                    seen, "small", f"{connections} conn", peer, "cpu", 1.00, f"CPU a request, {connections} connections"
                )
            )
            verdicts.append(
                _ratio(seen, "small", f"{connections} conn", peer, "p99", 1.00, f"p99, {connections} connections")
            )
    verdicts.append(_ratio(seen, "small", "32 conn", "litellm", "cpu", 0.10, "CPU a request, 32 connections"))
    verdicts.append(_ratio(seen, "small", "32 conn", "portkey", "cpu", 0.50, "CPU a request, 32 connections"))
    return verdicts


def keys(seen: Measured) -> list[Verdict]:
    most = next((start for start in ("1,000,000 keys", "100,000 keys") if seen.table("keys", start)), "1,000,000 keys")
    verdicts = [_ratio(seen, "keys", most, "conclave-1-key", "cpu", 1.10, f"CPU a request, {most} over 1 key")]
    for start in ("1 key", most):
        value = seen.figure("keys", start, "conclave", "wrong_over_right")
        verdicts.append(_value(seen, "keys", start, value, 1.00, f"CPU of a wrong key over a right one, {start}", ""))
    return verdicts


def streams(seen: Measured) -> list[Verdict]:
    verdicts = []
    for count in ("100", "500", "2,000"):
        verdicts.append(
            _ratio(seen, "streams", f"{count} streams", "nginx", "cpu", 1.00, f"CPU a token, {count} streams")
        )
    for count in ("500", "2,000"):
        start = f"{count} streams"
        verdicts.append(
            _value(
                seen,
                "streams",
                start,
                seen.figure("streams", start, "conclave", "added"),
                0.05,
                f"added p50, {start}",
                "ms",
            )
        )
        verdicts.append(_ratio(seen, "streams", start, "haproxy", "p99", 1.00, f"p99 of a token, {start}"))
        verdicts.append(
            _value(
                seen,
                "streams",
                start,
                seen.figure("streams", start, "conclave", "memory"),
                18,
                f"memory a stream, {start}",
                "KB",
            )
        )
    return verdicts


def capture(seen: Measured) -> list[Verdict]:
    peer = "conclave-without-journal"
    return [
        _ratio(seen, "capture", "32 conn", peer, "cpu", 1.10, "CPU a request with all of it kept, over without"),
        _ratio(seen, "capture", "500 streams", peer, "cpu", 1.10, "CPU a token with all of it kept, over without"),
        _ratio(seen, "capture", "32 conn", peer, "p99", 1.30, "p99 of a request with all of it kept, over without"),
    ]


def cancel(seen: Measured) -> list[Verdict]:
    verdicts = []
    for table in seen.scenarios.get("cancel", {}).get("tables", []):
        value = seen.figure("cancel", table["title"], "conclave", "p99")
        verdicts.append(
            _value(seen, "cancel", table["title"], value, 2.0, f"p99 to the origin's close. {table['title']}", "ms")
        )
    return verdicts or [Verdict("p99 from the client's going to the origin's close", "≤ 2 ms", "–", "not measured")]


def reload(seen: Measured) -> list[Verdict]:
    start = "To 100,000 keys, 10,000"
    failed = seen.figure("reload", start, "conclave", "failed")
    return [
        _value(
            seen,
            "reload",
            start,
            seen.figure("reload", start, "conclave", "added_max"),
            250,
            "a key added to 100,000 works, at the latest",
            "ms",
        ),
        _value(
            seen,
            "reload",
            start,
            seen.figure("reload", start, "conclave", "p99_ratio"),
            1.10,
            "the others' p99 meanwhile, over quiet",
            "",
        ),
        _value(seen, "reload", start, failed, 0, "failed requests meanwhile", ""),
    ]


def aggregate(seen: Measured) -> list[Verdict]:
    verdicts = []
    for path in ("`/v1/models`", "`/stats`"):
        goal = f"requests per CPU second over routheon-server's, {path}"
        found = seen.ratio("aggregate", path, "routheon-server", "per_cpu_s")
        if not found:
            verdicts.append(Verdict(goal, "≥ 100", "–", "not measured"))
            continue
        reached = found["median"] >= 100
        verdicts.append(Verdict(goal, "≥ 100", spread(found), _word(seen, "aggregate", path, reached)))
    return verdicts


def router(seen: Measured) -> list[Verdict]:
    # Fifty times the requests of a CPU second is a fiftieth of the CPU of a request.
    return [_ratio(seen, "router", "32 conn", "litellm", "cpu", 0.02, "CPU a request through the aggregator")]


def _ratio(seen: Measured, scenario: str, start: str, peer: str, key: str, most: float, goal: str) -> Verdict:
    found = seen.ratio(scenario, start, peer, key)
    title = next(
        (row["title"] for row in (seen.table(scenario, start) or {"rows": []})["rows"] if row["peer"] == peer), peer
    )
    wanted = f"≤ {most:.2f}" + ("" if peer.startswith("conclave") else f" × {title}")
    if not found:
        return Verdict(goal, wanted, "–", "not measured")
    # Two decimals are shown, so two decimals decide.
    return Verdict(goal, wanted, spread(found, ratio), _word(seen, scenario, start, round(found["median"], 2) <= most))


def _value(
    seen: Measured, scenario: str, start: str, value: float | None, most: float, goal: str, unit: str
) -> Verdict:
    wanted = f"≤ {most:g} {unit}".strip()
    if value is None:
        return Verdict(goal, wanted, "–", "not measured")
    return Verdict(goal, wanted, f"{number(value)} {unit}".strip(), _word(seen, scenario, start, value <= most))


def _word(seen: Measured, scenario: str, start: str, reached: bool) -> str:
    word = "reached" if reached else "**missed**"
    return word if seen.conclusive(scenario, start) else f"{word}, not concluded"
