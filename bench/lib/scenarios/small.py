"""600-byte answers over 1, 32 and 256 kept-alive connections."""

from ..context import Context
from ..table import Table
from .requests import COLUMNS, Plan

TITLE = "Small requests"
TEXT = (
    "A chat of 200 bytes, an answer of 600 bytes, one key. Throughput and CPU in a closed loop (each connection "
    "sends its next request when the last is answered); latencies in an open loop at half the throughput of the "
    "slowest of the fast ones, counted from when a request was due. A gateway with less than a quarter of the "
    "best one's throughput gets half of its own as its rate."
)
# Where gateways that write the JSON anew, and are orders of magnitude behind, take part.
SLOW_CONNECTIONS = 32


def run(ctx: Context) -> list[Table]:
    tables = []
    with ctx.origin_running(answer_bytes=600), ctx.running(ctx.peers()) as peers:
        for connections in (1, 32, 256):
            table = Table(f"{connections} connection{'s' * (connections > 1)}", COLUMNS)
            arguments = ["--connections", connections, "--answer-bytes", 600]
            Plan(
                ctx,
                table,
                [peer for peer in peers if connections == SLOW_CONNECTIONS or peer.exact],
                lambda peer, arguments=arguments: arguments,
                rounds=ctx.pick(2, 5),
                duration=ctx.pick(0.5, 2.0),
                slow_rounds=ctx.pick(1, 2),
            ).run()
            tables.append(table)
    return tables
