"""Conclave's edge, and no proxy at all: the floor under every latency."""

import dataclasses
import os
import time
from pathlib import Path

from ..keys import key, key_sha256
from .base import Peer, Setup

ROUTERS_PER_FILE = 10_000

SERVICE = """http:
  services:
    origin:
      loadBalancer:
        servers:
          - url: "http://127.0.0.1:{port}"
"""


class Direct(Peer):
    """The load generator speaks to the origin itself."""

    name = "direct"
    title = "no proxy"
    note = "The load generator asks the origin itself: what is left when a proxy costs nothing."

    def binary(self) -> str:
        return ""

    def version(self) -> str:
        return ""

    def start(self, setup: Setup) -> None:
        self.setup = setup

    def stop(self) -> None:
        pass

    def load_arguments(self) -> list[str]:
        return ["--target", f"127.0.0.1:{self.setup.origin_port}"]


class Conclave(Peer):
    name = "conclave"
    title = "Conclave"
    http2 = True
    reloads = True

    def binary(self) -> str:
        return self.environment["conclave"]

    def version(self) -> str:
        return self.first_line(self.binary(), "--version").removeprefix("conclave ")

    def prepare(self, setup: Setup) -> None:
        mappings = setup.folder / "mappings"
        mappings.mkdir()
        (mappings / "000-service.yml").write_text(SERVICE.format(port=setup.origin_port))
        per_file = 1 if setup.file_per_key else ROUTERS_PER_FILE
        for first in range(0, setup.keys, per_file):
            numbers = range(first, min(first + per_file, setup.keys))
            (mappings / f"keys-{first:07d}.yml").write_text(mapping(numbers))

    def command(self, setup: Setup) -> list[str]:
        return [
            self.binary(), "edge",
            "--listen", f"127.0.0.1:{setup.port}",
            "--admin", f"127.0.0.1:{setup.admin_port}",
            "--mappings", str(setup.folder / "mappings"),
            "--aggregator", "none",
            "--threads", "1",
            "--log-level", "WARNING",
        ]  # fmt: skip

    def change_key(self, number: int, present: bool) -> None:
        path = self.setup.folder / "mappings" / f"added-{number}.yml"
        if present:
            replace(path, mapping([number]))
        else:
            path.unlink()


class ConclaveOneKey(Conclave):
    """Beside one with many keys: what the many cost."""

    name = "conclave-1-key"
    program = "conclave"
    title = "Conclave, 1 key"

    def prepare(self, setup: Setup) -> None:
        super().prepare(dataclasses.replace(setup, keys=1))


class ConclaveKeeping(Conclave):
    """Every exchange goes into a journal, bodies and all, before it is passed on."""

    program = "conclave"
    title = "Conclave, capture full"

    def command(self, setup: Setup) -> list[str]:
        return [*super().command(setup), "--journal", str(setup.folder / "journal"), "--capture", "full"]


class ConclaveWithoutJournal(Conclave):
    """Beside it: what keeping costs."""

    name = "conclave-without-journal"
    program = "conclave"
    title = "Conclave, no journal"


def mapping(numbers) -> str:
    """Routers for these keys: by turns in clear and hashed, as a folder that grew has both."""
    lines = ["http:", "  routers:"]
    for number in numbers:
        rule = f"KeySha256(`{key_sha256(number)}`)" if number % 2 else f"Key(`{key(number)}`)"
        lines += [f"    user-{number}:", f'      rule: "{rule}"', "      service: origin"]
    return "\n".join(lines) + "\n"


def replace(path: Path, text: str) -> None:
    """Whole or not at all: a reader never sees half of it."""
    temporary = path.with_name(f".{path.name}.{time.monotonic_ns()}")
    temporary.write_text(text)
    os.replace(temporary, path)
