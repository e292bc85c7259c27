"""Prompts of 128 KB up, embeddings of 1 MB down."""

from ..context import Context
from ..table import Table
from .requests import COLUMNS, Plan

TITLE = "Long requests and answers"
TEXT = (
    "16 connections, one key; up: a chat of 128 KB (some 32,000 tokens), an answer of 600 bytes; down: an answer "
    "of 1 MB."
)
PROMPT_BYTES = 128 << 10
EMBEDDING_BYTES = 1 << 20


def run(ctx: Context) -> list[Table]:
    up = ["--connections", 16, "--body-bytes", PROMPT_BYTES, "--answer-bytes", 600]
    down = ["--connections", 16, "--kind", "embedding", "--path", "/v1/embeddings", "--answer-bytes", EMBEDDING_BYTES]
    tables = [Table("Prompts of 128 KB", COLUMNS), Table("Embeddings of 1 MB", COLUMNS)]
    # Gateways that parse JSON are not told apart from each other by a megabyte of it.
    peers = ctx.peers(wanted=lambda peer: peer.exact and not peer.slow)
    with ctx.origin_running(answer_bytes=600, embedding_bytes=EMBEDDING_BYTES), ctx.running(peers) as running:
        for table, arguments in zip(tables, (up, down)):
            plan = Plan(
                ctx, table, running, lambda peer, arguments=arguments: arguments,
                rounds=ctx.pick(1, 4), duration=ctx.pick(0.7, 2.0),
            )  # fmt: skip
            plan.run()
    return tables
