"""What a store holds, asked as its owner would: through the aggregator's admin API."""

import httpx


def every_row(aggregator, token, **filters):
    """All of them, the newest first, page by page."""
    rows, cursor = [], None
    with httpx.Client(base_url=aggregator.url, headers={"Authorization": f"Bearer {token}"}, timeout=30) as admin:
        while True:
            parameters = {"limit": 1000, **filters, **({"cursor": cursor} if cursor else {})}
            reply = admin.get("/admin/responses", params=parameters)
            assert reply.status_code == 200, reply.text
            page = reply.json()
            rows += page["data"]
            cursor = page["next_cursor"]
            if cursor is None:
                return rows
