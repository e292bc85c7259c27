"""bench/run [--quick] [SCENARIO…]"""

import argparse
import os
import signal
import sys
import tempfile
import time
from pathlib import Path

from . import machine, programs, report, results, scenarios
from .context import Context
from .peers import ALL
from .programs import say


def main(words: list[str]) -> int:
    arguments = parser().parse_args(words)
    chosen = [name for name in scenarios.ALL if name in (arguments.scenario or scenarios.ALL)]
    only = set(arguments.only.split(",")) if arguments.only else None
    if arguments.report:
        report.write(results.read())
        return 0
    built = programs.build()
    wanted = {kind.name for kind in ALL if chosen != ["aggregate"] and (only is None or kind.name in only)}
    wanted |= {program for name, program in (("aggregate", "routheon"), ("http2", "h2load")) if name in chosen}
    installed = programs.install(wanted)
    # Ended from outside, it still stops what it started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="conclave-bench-") as folder:
        ctx = Context(
            quick=arguments.quick,
            programs=built | installed,
            cores=machine.cores(),
            descriptors=machine.raise_descriptors(),
            folder=Path(folder),
            only=only,
        )
        # The orchestrator stays off the proxy's core, and its own children are placed one by one.
        os.sched_setaffinity(0, {ctx.cores.load})
        say(f"pinned: {ctx.cores}")
        for name in chosen:
            run_scenario(ctx, name)
    say(f"done in {time.monotonic() - started:.0f} s: bench/RESULTS.md, bench/results.json")
    return 0


def run_scenario(ctx: Context, name: str) -> None:
    """Runs one and writes what is known so far: an interrupted run has not been for nothing."""
    scenario = scenarios.ALL[name]
    say(f"{name}: {scenario.TITLE}")
    started = time.monotonic()
    ctx.commands, ctx.missing, ctx.origin_reserved = {}, {}, False
    tables = [table.finish() for table in scenario.run(ctx)]
    seconds = time.monotonic() - started
    say(f"  {seconds:.0f} s")
    results.put(ctx, name, scenario, tables, seconds)
    report.write(results.read())


def parser() -> argparse.ArgumentParser:
    names = ", ".join(scenarios.ALL)
    parser = argparse.ArgumentParser(prog="bench/run", description=__doc__, epilog=f"Scenarios: {names}.")
    parser.add_argument(
        "scenario", nargs="*", choices=[*scenarios.ALL, []], metavar="SCENARIO", help="which; all unless named"
    )
    parser.add_argument(
        "--quick", action="store_true", help="smaller counts and fewer rounds: five minutes, and less to be concluded"
    )
    parser.add_argument("--only", metavar="PEER,…", help="measure only these peers beside Conclave")
    parser.add_argument(
        "--report",
        action="store_true",
        help="write RESULTS.md and the plots from results.json again, measuring nothing",
    )
    return parser
