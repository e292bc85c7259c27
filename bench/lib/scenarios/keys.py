"""1 to 1,000,000 keys: does the cost grow, what does a wrong key cost, does an attack hurt the others?"""

from ..context import Context
from ..peers import ConclaveOneKey, Peer
from ..table import Column, Table
from .requests import Plan

TITLE = "Keys"
TEXT = (
    "32 connections, each request with a key drawn at random from all that exist, or with one that does not exist"
    " and never comes again. “Attacked” is the p99 of right keys while every other request brings a wrong one; "
    "both latencies are taken at a quarter of the throughput of the slowest of the fast ones, the attack's "
    "requests come on top. Start is from the program's start to its first answer. “Conclave, 1 key” runs beside, "
    "in the same rounds."
)
COLUMNS = [
    Column("cpu", "CPU s per 100,000, right keys", "s", ratio=True),
    Column("wrong", "CPU s, wrong keys", "s", ratio=True),
    Column("wrong_over_right", "wrong ÷ right"),
    Column("per_s", "requests/s", "1/s"),
    Column("p99", "p99", "ms", ratio=True),
    Column("attacked_p99", "p99, attacked", "ms", ratio=True),
    Column("memory", "memory", "MB"),
    Column("start", "start", "s"),
]
COUNTS = [1, 1_000, 100_000, 1_000_000]
LOAD_SHARE = 0.25


def run(ctx: Context) -> list[Table]:
    tables = []
    with ctx.origin_running(answer_bytes=600):
        for count in ctx.pick([1, 100_000], COUNTS):
            table = Table(f"{count:,} key{'s' * (count > 1)}", COLUMNS)
            peers = ctx.peers(wanted=lambda peer, count=count: peer.keyed and not peer.slow and peer.keys_max >= count)
            peers = [peer for peer in peers if peer.name != "direct"]
            if count > 1:
                peers.insert(1, ConclaveOneKey(ctx.cores, ctx.programs))
            with ctx.running(peers, keys=count) as running:
                one_case(ctx, table, running, count)
            tables.append(table)
    return tables


def one_case(ctx: Context, table: Table, peers: list[Peer], count: int) -> None:
    def arguments(peer: Peer) -> list[object]:
        keys = 1 if isinstance(peer, ConclaveOneKey) else count
        return ["--connections", 32, "--answer-bytes", 600, "--keys", keys]

    plan = Plan(ctx, table, peers, arguments, rounds=ctx.pick(2, 5), duration=ctx.pick(0.5, 1.5))
    for peer in peers:
        table.add(peer, 0, start=peer.started_s)

    def closed(peer: Peer, number: int) -> None:
        plan.closed(peer, number)
        plan.closed(peer, number, "wrong", ("--wrong-share", 1))

    plan.rounds_of(closed)
    for row in table.rows.values():
        pairs = zip(row.get("wrong", []), row.get("cpu", []))
        row["wrong_over_right"] = [wrong / right if wrong and right else None for wrong, right in pairs]
    rates = plan.rates(LOAD_SHARE)

    def opened(peer: Peer, number: int) -> None:
        if rate := rates.get(peer.name):
            plan.opened(peer, number, rate)
            plan.opened(peer, number, 2 * rate, "attacked_", ("--wrong-share", 0.5))

    plan.rounds = ctx.pick(1, 3)
    plan.rounds_of(opened)
    plan.note_rates(rates)
