"""The client goes: how long does the origin's side of the exchange live on?"""

import contextlib

from ..context import Context, alternate
from ..peers import Peer
from ..table import Column, Table

TITLE = "The client goes"
TEXT = (
    "A GPU generates until the connection to it closes. One exchange at a time, no other load; from the client's "
    "close to the origin's. “Never” counts the exchanges (of three tried) whose upstream lived two seconds on; a "
    "phase that a proxy does not have, because it keeps the request or the head to itself, is left out."
)
COLUMNS = [
    Column("p50", "p50", "ms", ratio=True),
    Column("p99", "p99", "ms", ratio=True),
    Column("max", "max", "ms"),
    Column("unclosed", "never"),
]
PHASES = {
    "upload": "While half of a 256 KB request is up",
    "prefill": "The request is up, nothing has come (a stream)",
    "unstreamed": "The request is up, nothing has come (an answer in one piece)",
    "head": "The response head has come, no token",
    "stream": "Between tokens",
}


def run(ctx: Context) -> list[Table]:
    tables = {phase: Table(title, COLUMNS) for phase, title in PHASES.items()}
    peers = ctx.peers(wanted=lambda peer: peer.name != "direct" and (not ctx.quick or not peer.slow))
    ctx.reserve_origin_port()
    with contextlib.ExitStack() as stack:
        # The peers want an answer at their start; then the load generator takes the origin's place.
        with ctx.origin_running():
            running = stack.enter_context(ctx.running(peers))
        for phase, table in tables.items():
            alternate(running, ctx.pick(1, 3), lambda peer, number: once(ctx, table, peer, number, phase))
    return list(tables.values())


def once(ctx: Context, table: Table, peer: Peer, number: int, phase: str) -> None:
    origin = f"127.0.0.1:{ctx.origin_port}"
    sample = ctx.load(peer, "cancel", "--origin", origin, "--phase", phase, "--count", ctx.pick(50, 200))
    summary = sample.summary
    if not table.judge(peer, sample) or not summary:
        return
    latency = summary["latency"]
    if latency["count"]:
        table.add(peer, number, p50=latency["p50_ms"], p99=latency["p99_ms"], max=latency["max_ms"])
    if latency["count"] or summary["unclosed"]:
        table.add(peer, number, unclosed=summary["unclosed"])
