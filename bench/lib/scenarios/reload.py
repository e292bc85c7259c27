"""A key is added while others are served: when does it work, and do the others notice?"""

import threading
import time

from ..context import Context, alternate
from ..keys import ADDED_FROM
from ..load import measure
from ..peers import Peer
from ..table import Column, Table

TITLE = "Adding a key under load"
TEXT = (
    "2,000 requests a second with the keys that stay, and meanwhile a key is added, used as soon as it works, and"
    " taken away again, over and over. “Works after” counts from the change (a file written, a reload asked for, "
    "a command sent) to the first 200 on a fresh connection, asked every 2 ms; “gone after” to the first 401. "
    "“Quiet” is the others' p99 without any change. A request that failed in any way is counted, and none is "
    "tried again: a kept-alive connection that a reload closes under a request is one of them."
)
COLUMNS = [
    Column("added", "works after", "ms", ratio=True),
    Column("added_max", "at most", "ms"),
    Column("removed", "gone after", "ms"),
    Column("p99_quiet", "others' p99, quiet", "ms"),
    Column("p99", "others' p99, changing", "ms"),
    Column("p99_ratio", "changing ÷ quiet"),
    Column("failed", "failed requests"),
    Column("cpu", "CPU s per change", "s"),
]
RATE = 2_000
# Keys, and whether each has a file of its own.
CASES = [(10, True), (10_000, True), (100_000, False), (100_000, True)]
# Between two changes.
PAUSE_S = 0.15


def run(ctx: Context) -> list[Table]:
    tables = []
    with ctx.origin_running(answer_bytes=600):
        for count, file_per_key in ctx.pick([CASES[0], CASES[2]], CASES):
            title = f"To {count:,} keys" + ("" if file_per_key else ", 10,000 in a file")
            table = Table(title, COLUMNS)
            peers = ctx.peers(wanted=lambda peer, count=count: peer.reloads and peer.keys_max >= count)
            if count == CASES[-1][0] and file_per_key:
                # Only Conclave's keys are files.
                peers = [peer for peer in peers if peer.name == "conclave"]
                table.title += ", a file for each"
            with ctx.running(peers, keys=count, file_per_key=file_per_key) as running:
                alternate(running, ctx.pick(1, 3), lambda peer, number: once(ctx, table, peer, number, count))
            tables.append(table)
    return tables


def once(ctx: Context, table: Table, peer: Peer, number: int, count: int) -> None:
    duration = ctx.pick(1.2, 3.0)
    others = [
        "--connections", 32, "--rate", RATE, "--keys", count, "--answer-bytes", 600,
        "--warmup", 0.3, "--duration", duration,
    ]  # fmt: skip
    quiet = ctx.load(peer, "requests", *others)
    times: dict[bool, list[float]] = {True: [], False: []}
    stop = threading.Event()
    changing = threading.Thread(target=change_keys, args=(ctx, peer, stop, times))
    changing.start()
    try:
        busy = ctx.load(peer, "requests", *others)
    finally:
        stop.set()
        changing.join()
    if not (table.judge(peer, quiet) and table.judge(peer, busy)) or not times[True] or "latency" not in busy.summary:
        return
    before, during = quiet.summary["latency"].get("p99_ms"), busy.summary["latency"].get("p99_ms")
    changes = len(times[True]) + len(times[False])
    table.add(
        peer,
        number,
        added=middle(times[True]),
        added_max=max(times[True]),
        removed=middle(times[False]),
        p99_quiet=before,
        p99=during,
        p99_ratio=during / before if before and during else None,
        failed=busy.summary["failed"] + busy.summary["unanswered"],
        cpu=max(0.0, busy.cpu_s - quiet.cpu_s) / changes,
    )


def middle(values: list[float]) -> float | None:
    return sorted(values)[len(values) // 2] if values else None


def change_keys(ctx: Context, peer: Peer, stop: threading.Event, times: dict[bool, list[float]]) -> None:
    """Adds and removes one key after another, each a pause after the last has taken effect."""
    number = ADDED_FROM
    present = True
    # An old worker of nginx's may still answer for a moment after a new one does; the pause lets it go.
    while not stop.wait(PAUSE_S):
        took = change_key(ctx, peer, number, present)
        if took is None:
            return
        times[present].append(took)
        number += not present
        present = not present


def change_key(ctx: Context, peer: Peer, number: int, present: bool) -> float | None:
    """Milliseconds until the change took effect."""
    changed_ns = []

    def change() -> None:
        changed_ns.append(time.monotonic_ns())
        peer.change_key(number, present)

    status = 200 if present else 401
    arguments = ["probe", *peer.load_arguments(), "--key", str(number), "--until", str(status), "--limit", "20"]
    sample = measure(ctx.programs["load"], arguments, ctx.cores, None, None, on_open=change)
    if not sample.summary.get("reached") or not changed_ns:
        return None
    return (sample.summary["reached_ns"] - changed_ns[0]) / 1e6
