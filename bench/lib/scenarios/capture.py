"""What it costs to keep everything: the same edge with a journal and without, turn about."""

from ..context import Context, alternate
from ..peers import ConclaveKeeping, ConclaveWithoutJournal
from ..table import Table
from . import streams
from .requests import COLUMNS, Plan

TITLE = "Keeping everything"
TEXT = (
    "The edge with `--journal DIR --capture full`, which appends every piece of an answer to its journal before "
    "it passes it on, and the request with it, beside the edge without. Small requests as in that scenario; streams as in theirs. "
    "The journal lies in the bench's temporary folder and is read by nobody meanwhile: what taking it in costs "
    "is the aggregator's."
)
CONNECTIONS = 32
STREAMS, INTERVAL_MS = 500, 50


def run(ctx: Context) -> list[Table]:
    return [small_requests(ctx), many_streams(ctx)]


def both(ctx: Context) -> list[ConclaveKeeping | ConclaveWithoutJournal]:
    return [kind(ctx.cores, ctx.programs) for kind in (ConclaveKeeping, ConclaveWithoutJournal)]


def small_requests(ctx: Context) -> Table:
    table = Table(f"{CONNECTIONS} connections, answers of 600 bytes", COLUMNS)
    arguments = ["--connections", CONNECTIONS, "--answer-bytes", 600]
    with ctx.origin_running(answer_bytes=600), ctx.running(both(ctx)) as peers:
        # Short rounds and many: the difference is smaller than what the machine does in a minute.
        plan = Plan(ctx, table, peers, lambda peer: arguments, rounds=ctx.pick(3, 12), duration=ctx.pick(0.5, 1.5))
        plan.run()
    return table


def many_streams(ctx: Context) -> Table:
    table = Table(f"{STREAMS} streams, a token every {INTERVAL_MS} ms", streams.COLUMNS)
    duration = ctx.pick(1.0, 3.0)
    with ctx.origin_running():
        alternate(
            both(ctx),
            ctx.pick(2, 6),
            lambda peer, number: streams.once(ctx, table, peer, number, STREAMS, INTERVAL_MS, duration),
        )
    return table
