"""Clients of every manner, each a thread that goes on until it is told to stop."""

import collections
import http.client
import itertools
import json
import random
import socket
import threading
import time
import traceback

# An error is kept with its words this often; all are counted.
FAULTS_MAX = 200
PAUSE_S = 0.02


class Crowd:
    def __init__(self, conclave, folder, clients):
        self.conclave, self.folder = conclave, folder
        self.answers, self.faults = collections.Counter(), []
        self.lock, self.stopped = threading.Lock(), threading.Event()
        self.numbers = itertools.count()
        manners = [self.reads_a_stream, self.leaves_a_stream, self.asks_whole, self.guesses_keys, self.is_over_its_limit,
                   self.sends_nonsense, self.asks_the_dead, self.lists, self.asks_the_aggregator]
        jobs = [manner for manner in manners for _ in range(clients)] + [self.changes_the_folder]
        self.threads = [threading.Thread(target=self.go_on, args=(job,), daemon=True) for job in jobs]
        for thread in self.threads:
            thread.start()

    def stop(self):
        self.stopped.set()
        for thread in self.threads:
            thread.join(30)
            if thread.is_alive():
                self.note("a client hangs")

    def note(self, fault):
        with self.lock:
            if len(self.faults) < FAULTS_MAX:
                self.faults.append(fault)

    def count(self, what, status, *expected):
        with self.lock:
            self.answers[f"{what} {status}"] += 1
        if status not in expected:
            self.note(f"{what}: {status} where {expected} was expected")

    def go_on(self, manner):
        while not self.stopped.wait(PAUSE_S):
            try:
                manner()
            except Exception:  # noqa: BLE001: whatever it is, it is a fault, and the run goes on
                if not self.stopped.is_set():
                    self.note(f"{manner.__name__}: {traceback.format_exc(limit=-2)[-400:]}")
                    time.sleep(1)

    def chat(self, key, stream, address=None, words=40, **headers):
        connection = http.client.HTTPConnection(*(address or self.conclave.address), timeout=60)
        number = next(self.numbers)
        text = f"conversation {number % 50} " + "word " * random.randrange(1, words)
        body = {"model": "sim-one", "stream": stream, "max_tokens": 60, "messages": [{"role": "user", "content": text}]}
        connection.request("POST", "/v1/chat/completions", json.dumps(body),
                           {"Content-Type": "application/json", "Authorization": f"Bearer {key}", **headers})
        return connection, connection.getresponse()

    def whole(self, what, key, *expected, **options):
        connection, response = self.chat(key, False, **options)
        body = response.read()
        connection.close()
        self.count(what, response.status, *expected)
        if response.status == 200 and b'"choices"' not in body:
            self.note(f"{what}: an answer without choices")

    def asks_whole(self):
        self.whole("whole", random.choice(["soak-steady", "soak-counted"]), 200, words=4000)

    def reads_a_stream(self):
        connection, response = self.chat("soak-steady", True)
        body = response.read()
        connection.close()
        self.count("stream", response.status, 200)
        if response.status == 200 and not body.rstrip().endswith(b"data: [DONE]"):
            self.note("stream: it ended without its end")

    def leaves_a_stream(self):
        connection, response = self.chat("soak-counted", True)
        self.count("left", response.status, 200)
        response.read(random.randrange(1, 400))
        connection.sock and connection.sock.close()
        connection.close()

    def guesses_keys(self):
        self.whole("guess", f"guess-{random.getrandbits(64):x}", 401)

    def is_over_its_limit(self):
        self.whole("limited", "soak-limited", 200, 429)

    def asks_the_dead(self):
        self.whole("dead", "soak-dead", 502, 503)

    def asks_the_aggregator(self):
        self.whole("aggregator", "none", 200, address=self.conclave.aggregator)

    def lists(self):
        for address, path in ((self.conclave.address, "/v1/models"), (self.conclave.address, "/stats"),
                              (self.conclave.admin, "/metrics"), (self.conclave.aggregator, "/metrics")):
            connection = http.client.HTTPConnection(*address, timeout=60)
            connection.request("GET", path)
            response = connection.getresponse()
            response.read()
            connection.close()
            self.count(f"list {path}", response.status, 200)

    def sends_nonsense(self):
        nonsense = random.choice([
            b"GET / HTTP/1.1\nHost: h\n\n", b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3, 3\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer a\r\nx-api-key: b\r\n\r\n", random.randbytes(300),
            b"GET / HTTP/1.1\r\nHost: h\r\nx: " + b"y" * 10_000 + b"\r\n\r\n", b"POST / HTTP/1.1\r\n",
        ])
        with socket.create_connection(self.conclave.address, timeout=60) as connection:
            connection.sendall(nonsense)
            connection.shutdown(socket.SHUT_WR)
            try:
                answer = connection.recv(200)
            except ConnectionResetError:
                answer = b""
        status = int(answer.split(b" ")[1]) if answer.startswith(b"HTTP/1.1 ") else 0
        self.count("nonsense", status, 0, 400, 401, 431)

    def changes_the_folder(self):
        key = self.folder.change()
        deadline = time.monotonic() + 30
        while not self.stopped.is_set():
            connection, response = self.chat(key, False)
            response.read()
            connection.close()
            if response.status == 200:
                self.count("new key", 200, 200)
                break
            if time.monotonic() > deadline:
                self.count("new key", response.status, 200)
                break
            time.sleep(0.05)
        self.stopped.wait(2)
