"""Kept-alive clients that do nothing."""

from ..context import Context, alternate
from ..peers import Peer
from ..table import Column, Table

TITLE = "Idle clients"
TEXT = (
    "Clients that have made one request and keep their connection. Memory is what a fresh process has more than "
    "before, divided by them; CPU is what the process spends on them while nothing happens; afterwards each makes"
    " another request, and a connection that did not live is counted."
)
COLUMNS = [
    Column("memory", "memory a client", "KB", ratio=True),
    Column("cpu", "CPU while idle", "ms/s"),
    Column("lost", "connections lost"),
]
# A proxy admits no more clients than it has descriptors for both sides.
DESCRIPTORS_SPARE = 400


def run(ctx: Context) -> list[Table]:
    clients = min(ctx.pick(2_000, 10_000), (ctx.descriptors - DESCRIPTORS_SPARE) // 2)
    table = Table(f"{clients:,} clients", COLUMNS)
    peers = ctx.peers(wanted=lambda peer: peer.name != "direct" and not peer.slow)
    with ctx.origin_running(answer_bytes=600):
        alternate(peers, ctx.pick(1, 3), lambda peer, number: once(ctx, table, peer, number, clients))
    return [table]


def once(ctx: Context, table: Table, peer: Peer, number: int, clients: int) -> None:
    if peer.title in ctx.missing or not ctx.start(peer):
        return
    try:
        ctx.load(peer, "requests", "--connections", 4, "--warmup", 0, "--duration", 0.2, "--expect", "status")
        before = peer.process.memory_kb()["pss_kb"]
        sample = ctx.load(
            peer, "idle", "--connections", clients, "--settle", ctx.pick(0.3, 1), "--duration", ctx.pick(1, 5)
        )
    finally:
        peer.stop()
    if table.judge(peer, sample) and sample.memory:
        table.add(
            peer,
            number,
            memory=(sample.memory["pss_kb"] - before) / clients,
            cpu=1000 * sample.cpu_s / sample.wall_s,
            lost=clients - sample.summary["alive"],
        )
