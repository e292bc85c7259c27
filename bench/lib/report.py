"""RESULTS.md and the plots, from results.json alone: writing them again changes nothing but the words."""

from . import machine, svg
from .checks import all_checks
from .numbers import ratio, spread
from .paths import BENCH
from .peers import ALL
from .svg import Bar

FILE = BENCH / "RESULTS.md"
PLOTS = BENCH / "plots"

HEAD = """# Results

Written by `bench/run`; [README.md](README.md) says what is measured and how to read it. Medians over the rounds, with
the least and the most in brackets. “÷” columns are Conclave's figure over that peer's, round by round: below 1 Conclave
is ahead (for requests per CPU second: above 1).
"""


def write(results: dict) -> None:
    """Both, for every scenario that was ever run here."""
    from . import scenarios

    known = {name: results["scenarios"][name] for name in scenarios.ALL if name in results["scenarios"]}
    parts = [HEAD, conditions(known), checks(results)]
    PLOTS.mkdir(exist_ok=True)
    for name, scenario in known.items():
        parts.append(section(name, scenario, alone=len({key_of(one) for one in known.values()}) > 1))
    parts.append(peers_and_commands(known))
    FILE.write_text("\n".join(parts).rstrip() + "\n")


def key_of(scenario: dict) -> tuple:
    """What must be the same for two scenarios to belong to one run."""
    return scenario["mode"], str(scenario["machine"]), scenario["at"][:10]


def conditions(known: dict) -> str:
    if not known:
        return "Nothing has been measured yet.\n"
    lines = ["## Conditions", ""]
    for one in {key_of(scenario): scenario for scenario in known.values()}.values():
        names = ", ".join(name for name, scenario in known.items() if key_of(scenario) == key_of(one))
        where = machine.in_words(one["machine"])
        lines.append(f"- **{one['mode']} run**, {one['at'][:10]} ({names}): {where}; {one['cores']}.")
    noisy = [bool(table["noise"]["reasons"]) for scenario in known.values() for table in scenario["tables"]]
    if any(noisy):
        lines.append(
            f"- **The machine was too noisy to conclude in {sum(noisy)} of {len(noisy)} cases**; "
            "they are marked below with the reason."
        )
    else:
        lines.append(
            f"- Quiet enough: in none of the {len(noisy)} cases did other work or the spread of the rounds "
            "call the result in question."
        )
    if any(scenario["mode"] == "quick" for scenario in known.values()):
        lines.append("- A quick run has few and short rounds: it shows that everything works, and orders of magnitude.")
    wrong = sum(len(table["errors"]) for scenario in known.values() for table in scenario["tables"])
    lines.append(
        "- Every answer was right."
        if not wrong
        else f"- {wrong} kinds of failed or wrong answers, named in their tables."
    )
    return "\n".join(lines) + "\n"


def checks(results: dict) -> str:
    rows = ["## Goals", "", "| goal | wanted | found | |", "|-|-|-|-|"]
    rows += [f"| {one.goal} | {one.wanted} | {one.found} | {one.verdict} |" for one in all_checks(results)]
    return "\n".join(rows) + "\n"


def section(name: str, scenario: dict, alone: bool) -> str:
    lines = [f"## {scenario['title']} (`{name}`)", "", scenario["text"], ""]
    if alone:
        lines += [f"A {scenario['mode']} run of {scenario['at']}.", ""]
    if plot(name, scenario):
        lines += [f"![{scenario['title']}](plots/{name}.svg)", ""]
    for table in scenario["tables"]:
        lines += table_lines(table)
    absent = [title for title, reason in scenario["missing"].items() if reason.startswith("no ")]
    if absent:
        lines += [f"Not on `PATH` here: {', '.join(absent)}.", ""]
    for title, reason in scenario["missing"].items():
        if title not in absent:
            lines.append(f"- {title}: not measured ({reason}).")
    return "\n".join(lines) + "\n"


def table_lines(table: dict) -> list[str]:
    shown = [column for column in table["columns"] if any(column["key"] in row["figures"] for row in table["rows"])]
    head, rule = [""], ["-"]
    for column in shown:
        head.append(f"{column['title']}{unit(column)}")
        rule.append("-:")
        if column["ratio"]:
            head.append("÷")
            rule.append("-:")
    lines = [f"### {table['title']}", ""]
    for reason in table["noise"]["reasons"]:
        lines += [f"> **Too noisy to conclude:** {reason}.", ""]
    if not table["rows"]:
        return [*lines, "Nothing was measured.", ""]
    lines += ["| " + " | ".join(head) + " |", "|" + "|".join(rule) + "|"]
    lines += ["| " + " | ".join(row_cells(row, shown)) + " |" for row in table["rows"]]
    lines.append("")
    if table["note"]:
        lines += [table["note"], ""]
    for error in table["errors"]:
        lines += [f"- Wrong or failed: {error}"]
    return [*lines, ""] if table["errors"] else lines


def unit(column: dict) -> str:
    return f", {column['unit']}" if column["unit"] and column["unit"] not in ("s", "1/s") else ""


def row_cells(row: dict, shown: list[dict]) -> list[str]:
    cells = [f"**{row['title']}**" if row["peer"] == "conclave" else row["title"]]
    for column in shown:
        found = row["figures"].get(column["key"])
        cells.append(spread(found) if found else "–")
        if column["ratio"]:
            found = row["ratios"].get(column["key"])
            cells.append(spread(found, ratio) if found else "")
    return cells


def plot(name: str, scenario: dict) -> bool:
    """The first figure with a ratio, over all cases."""
    groups, column = [], None
    for table in scenario["tables"]:
        column = column or next((column for column in table["columns"] if column["ratio"]), None)
        bars = [
            Bar(row["peer"], row["title"], *(row["figures"][column["key"]][key] for key in ("median", "min", "max")))
            for row in table["rows"]
            if column and column["key"] in row["figures"] and row["figures"][column["key"]]["median"] > 0
        ]
        if bars:
            groups.append((table["title"].replace("`", ""), bars))
    if not groups:
        return False
    (PLOTS / f"{name}.svg").write_text(svg.bars(f"{scenario['title']}: {column['title']}", column["unit"], groups))
    return True


def peers_and_commands(known: dict) -> str:
    versions, commands = {}, {}
    for scenario in known.values():
        versions |= scenario["versions"]
        for name, command in scenario["commands"].items():
            commands.setdefault(name, command)
    kinds = {kind.name: kind for kind in ALL}
    lines = ["## Versions and commands", "", "| | version | |", "|-|-|-|"]
    for name, version in versions.items():
        kind = kinds.get(name)
        lines.append(f"| {kind.title if kind else name} | {version} | {kind.note if kind else ''} |")
    lines += [
        "",
        "Configurations are in [peers/](peers/). Of the load generator's commands, the first of each kind:",
        "",
        "```",
    ]
    lines += list(commands.values())
    return "\n".join([*lines, "```"]) + "\n"
