"""Asks for one thing again and again on a kept connection, and prints when each answer came and how long it took.

A process of its own: threads of a busy test would measure each other. Ends when its standard input does.
"""

import http.client
import json
import sys
import threading
import time
from urllib.parse import urlsplit

INTERVAL_S = 0.02


def main():
    url = urlsplit(sys.argv[1])
    connection = http.client.HTTPConnection(url.hostname, url.port, timeout=30)
    ended = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), ended.set()), daemon=True).start()
    seen = []
    while not ended.wait(INTERVAL_S):
        began = time.monotonic()
        connection.request("GET", url.path)
        reply = connection.getresponse()
        body = reply.read()
        assert reply.status == 200, reply.status
        seen.append([began, time.monotonic() - began, len(json.loads(body)["data"])])
    print(json.dumps(seen))


if __name__ == "__main__":
    main()
