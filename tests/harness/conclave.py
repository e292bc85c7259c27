"""The real binary's edge and aggregator, each a process of its own."""

import os
from pathlib import Path

import httpx

from .process import Process, eventually, free_port, start_on_free_ports

ROOT = Path(__file__).resolve().parents[2]


def binary(name="conclave", variable="CONCLAVE_BIN"):
    path = Path(os.environ.get(variable) or ROOT / "target" / "debug" / name).resolve()
    assert path.exists(), f"{path} is missing: build it with `cargo build --workspace`, or set {variable}"
    return path


class Edge:
    """`conclave edge` on a folder of mappings."""

    def __init__(self, mappings, logs, *flags, aggregator=None):
        self.mappings, self.logs = Path(mappings), Path(logs)
        self.flags = [*flags, "--aggregator", aggregator.url if aggregator else "none"]
        start_on_free_ports(self.start)

    def start(self):
        self.address, self.admin = ("127.0.0.1", free_port()), ("127.0.0.1", free_port())
        self.process = Process(
            [binary(), "edge", "--listen", "%s:%d" % self.address, "--admin", "%s:%d" % self.admin,
             "--mappings", self.mappings, *self.flags],
            self.logs / f"edge-{self.address[1]}.log",
        )
        self.http = httpx.Client(base_url=self.url, timeout=30)
        self.operator = httpx.Client(base_url="http://%s:%d" % self.admin, timeout=10)
        self.process.until(lambda: answers(self.operator, "/ready"))

    @property
    def url(self):
        return "http://%s:%d" % self.address

    def health(self):
        return self.operator.get("/health").json()

    def put(self, name, text):
        """Makes a file appear whole, as every careful writer does, and waits until the edge has taken notice."""
        before = self.health()["mappings"]["reloads"]
        drop_in(self.mappings, name, text)
        self.await_reload(before)

    def remove(self, name):
        before = self.health()["mappings"]["reloads"]
        (self.mappings / name).unlink()
        self.await_reload(before)

    def await_reload(self, before):
        eventually(lambda: self.health()["mappings"]["reloads"] > before, what="a reload")

    def bad_files(self):
        return {file["file"]: file for file in self.health()["mappings"]["bad_files"]}

    def stop(self):
        self.http.close()
        self.operator.close()
        return self.process.stop()


class Aggregator:
    """`conclave aggregator` on a folder of mappings."""

    def __init__(self, mappings, logs, *flags, environment=None):
        self.mappings, self.logs, self.flags = Path(mappings), Path(logs), flags
        self.environment = environment
        start_on_free_ports(self.start)

    def start(self):
        self.port = free_port()
        self.process = Process(
            [binary(), "aggregator", "--mappings", self.mappings, "--port", self.port, *self.flags],
            # A configuration keeps responses in ./data unless it says otherwise.
            self.logs / f"aggregator-{self.port}.log", self.environment, self.logs,
        )
        self.http = httpx.Client(base_url=self.url, timeout=30)
        self.process.until(lambda: answers(self.http, "/v1/models"))

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def stop(self):
        self.http.close()
        return self.process.stop()


def answers(client, path):
    try:
        return client.get(path).status_code == 200
    except httpx.TransportError:
        return False


def drop_in(folder, name, text):
    unfinished = Path(folder) / f".{name}.unfinished"
    unfinished.write_text(text)
    unfinished.rename(Path(folder) / name)
