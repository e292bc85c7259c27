"""Many streams at once: what a token costs, how much later it comes, what a waiting stream holds."""

from ..context import Context, alternate
from ..peers import Peer
from ..table import Column, Table

TITLE = "Streams"
TEXT = (
    "Each stream brings a token at a fixed interval; the origin writes into it when it was sent, and the time "
    "from there to the client is what is shown (“no proxy” is the floor). Every token must come, once and in "
    "order, to the proper end. Memory is what a fresh process has more with its streams open than before, divided"
    " by them; the kernel's socket buffers are in nobody's figure. Each measurement has a freshly started proxy."
)
COLUMNS = [
    Column("cpu", "CPU s per 100,000 tokens", "s", ratio=True),
    Column("p50", "p50", "ms"),
    Column("added", "p50 over no proxy", "ms"),
    Column("p99", "p99", "ms", ratio=True),
    Column("p999", "p99.9", "ms"),
    Column("memory", "memory a stream", "KB", ratio=True),
]
# Streams, and milliseconds between two tokens: at most 20,000 tokens a second, which two cores carry.
CASES = [(100, 50), (500, 50), (2_000, 100), (10_000, 500)]
# For gateways that could not keep up with the smallest of them.
SLOW_CASE = (20, 500)
# Descriptors that a proxy needs besides two for each stream.
DESCRIPTORS_SPARE = 400
WARM_CONNECTIONS = 4


def run(ctx: Context) -> list[Table]:
    tables = []
    with ctx.origin_running():
        for wanted, interval_ms in ctx.pick(CASES[:3], [SLOW_CASE, *CASES]):
            streams = min(wanted, (ctx.descriptors - DESCRIPTORS_SPARE) // 2)
            table = Table(f"{streams:,} streams, a token every {interval_ms} ms", COLUMNS)
            if streams < wanted:
                table.note = f"{wanted:,} were wanted; this machine allows {ctx.descriptors:,} open files a process."
            rounds = ctx.pick(2 if streams == 500 else 1, 4 if streams < 5_000 else 3)
            duration = ctx.pick(1.0, 3.0)
            peers = ctx.peers(
                wanted=lambda peer, wanted=wanted: (
                    peer.streams_max >= wanted and (peer.exact or not ctx.quick or wanted < 500)
                )
            )
            if wanted == SLOW_CASE[0]:
                if not any(peer.slow for peer in peers):
                    continue
                duration, rounds = 6.0, 2
            alternate(
                peers, rounds, lambda peer, number: once(ctx, table, peer, number, streams, interval_ms, duration)
            )
            table.subtract("added", "p50", "direct")
            tables.append(table)
    return tables


def once(ctx: Context, table: Table, peer: Peer, number: int, streams: int, interval_ms: int, duration: float) -> None:
    if peer.title in ctx.missing or not ctx.start(peer):
        return
    try:
        # What is allocated once, by the first requests, is not a stream's.
        ctx.load(
            peer, "requests", "--connections", WARM_CONNECTIONS, "--warmup", 0, "--duration", 0.2, "--expect", "status"
        )
        before = peer.process.memory_kb()["pss_kb"] if peer.process else 0
        sample = ctx.load(
            peer, "streams", "--streams", streams, "--interval-ms", interval_ms, "--duration", duration,
            "--settle", ctx.pick(0.3, 1.0),
        )  # fmt: skip
    finally:
        peer.stop()
    latency, tokens = sample.summary.get("latency", {}), sample.summary.get("tokens")
    if not table.judge(peer, sample) or not tokens:
        return
    table.add(peer, number, p50=latency["p50_ms"], p99=latency["p99_ms"], p999=latency["p999_ms"])
    if sample.memory:
        cpu = sample.cpu_s / tokens * 100_000
        table.add(peer, number, cpu=cpu, memory=(sample.memory["pss_kb"] - before) / streams)
