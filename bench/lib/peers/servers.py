"""Proxies and web servers: nginx, HAProxy, Caddy from Debian; Traefik and Envoy where they are on PATH."""

import json
import re
import signal
import socket
import subprocess
from pathlib import Path

from ..keys import key
from .base import Peer, Setup
from .conclave import replace


class Nginx(Peer):
    name = "nginx"
    title = "nginx"
    http2 = True
    http2_apart = True
    reloads = True
    note = "Keys in a `map`; one worker; kept-alive upstream connections; buffering off for chats."

    def version(self) -> str:
        return self.first_line(self.binary(), "-v").rpartition("/")[2]

    def prepare(self, setup: Setup) -> None:
        self.added: set[int] = set()
        (setup.folder / "keys.map").write_text(self.lines(range(setup.keys)))
        (setup.folder / "added.map").write_text("")
        # Large enough that nginx does not search for a size of its own for minutes.
        size = 1 << max(11, (setup.keys * 2).bit_length())
        # Below a sixteenth of free connections nginx closes clients that have not yet spoken.
        self.write("nginx.conf", hash_size=size, connections=setup.descriptors * 3 // 2)
        for folder in ("body", "proxy"):
            (setup.folder / folder).mkdir(exist_ok=True)

    @staticmethod
    def lines(numbers) -> str:
        return "".join(f'"Bearer {key(number)}" origin;\n' for number in numbers)

    def command(self, setup: Setup) -> list[str]:
        return [self.binary(), "-e", "stderr", "-p", str(setup.folder), "-c", str(setup.folder / "nginx.conf")]

    def change_key(self, number: int, present: bool) -> None:
        (self.added.add if present else self.added.discard)(number)
        replace(self.setup.folder / "added.map", self.lines(sorted(self.added)))
        self.process.signal(signal.SIGHUP)


class Haproxy(Peer):
    name = "haproxy"
    title = "HAProxy"
    http2 = True
    http2_apart = True
    reloads = True
    note = "Keys in a map file; one thread; `http-no-delay`, `abortonclose`; keys are added over its socket."

    def version(self) -> str:
        return re.search(r"version (\S+)", self.first_line(self.binary(), "-v"))[1]

    def prepare(self, setup: Setup) -> None:
        with (setup.folder / "keys.map").open("w") as out:
            out.writelines(f"{key(number)} origin\n" for number in range(setup.keys))
        self.write("haproxy.cfg", connections=(setup.descriptors - 128) // 2)

    def command(self, setup: Setup) -> list[str]:
        return [self.binary(), "-db", "-f", str(setup.folder / "haproxy.cfg")]

    def change_key(self, number: int, present: bool) -> None:
        path = self.setup.folder / "keys.map"
        text = f"add map {path} {key(number)} origin" if present else f"del map {path} {key(number)}"
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(self.setup.folder / "socket"))
            client.sendall(text.encode() + b"\n")
            client.recv(4096)


class Caddy(Peer):
    name = "caddy"
    title = "Caddy"
    http2 = True
    reloads = True
    keys_max = 10_000
    note = "Keys in a `map`, which it searches in order: at most 10,000 here. `GOMAXPROCS=1`."

    def version(self) -> str:
        return self.first_line(self.binary(), "version").split()[0].removeprefix("v")

    def prepare(self, setup: Setup) -> None:
        self.added: set[int] = set()
        self.write_config()

    def write_config(self) -> Path:
        numbers = [*range(self.setup.keys), *sorted(self.added)]
        lines = "\n".join(f'\t\t"Bearer {key(number)}" origin' for number in numbers)
        return self.write("Caddyfile", keys=lines)

    def command(self, setup: Setup) -> list[str]:
        return [self.binary(), "run", "--config", str(setup.folder / "Caddyfile"), "--adapter", "caddyfile"]

    def process_environment(self, setup: Setup) -> dict[str, str]:
        # Its own folders, so that nothing is left in a home.
        return {"GOMAXPROCS": "1", "XDG_DATA_HOME": str(setup.folder), "XDG_CONFIG_HOME": str(setup.folder)}

    def change_key(self, number: int, present: bool) -> None:
        (self.added.add if present else self.added.discard)(number)
        config = self.write_config()
        admin = f"127.0.0.1:{self.setup.admin_port}"
        command = [self.binary(), "reload", "--config", str(config), "--adapter", "caddyfile", "--address", admin]
        subprocess.run(command, check=True, capture_output=True, timeout=120)


class Traefik(Peer):
    name = "traefik"
    title = "Traefik"
    reloads = True
    keys_max = 10_000
    note = "A router for each key, as Routheon writes them; a request asks them in turn. `GOMAXPROCS=1`."

    def version(self) -> str:
        return self.first_line(self.binary(), "version").split()[-1]

    def prepare(self, setup: Setup) -> None:
        (setup.folder / "mappings").mkdir()
        self.write("traefik.yml")
        self.write("mappings/service.yml", "service.yml")
        (setup.folder / "mappings" / "keys.yml").write_text(self.routers(range(setup.keys)))

    @staticmethod
    def routers(numbers) -> str:
        lines = ["http:", "  routers:"]
        for number in numbers:
            lines += [
                f"    user-{number}:",
                f'      rule: "Header(`Authorization`, `Bearer {key(number)}`)"',
                "      service: origin",
            ]
        return "\n".join(lines) + "\n"

    def command(self, setup: Setup) -> list[str]:
        return [self.binary(), f"--configFile={setup.folder / 'traefik.yml'}"]

    def process_environment(self, setup: Setup) -> dict[str, str]:
        return {"GOMAXPROCS": "1"}

    def change_key(self, number: int, present: bool) -> None:
        path = self.setup.folder / "mappings" / f"added-{number}.yml"
        if present:
            replace(path, self.routers([number]))
        else:
            path.unlink()


class Envoy(Peer):
    name = "envoy"
    title = "Envoy"
    keys_max = 100_000
    note = "Keys in an exact-match tree over the Authorization header; one worker thread."

    def version(self) -> str:
        return self.first_line(self.binary(), "--version").split("/")[1]

    def prepare(self, setup: Setup) -> None:
        action = {"action": {"name": "route", "typed_config": json.loads(self.write("route.json").read_text())}}
        keys = {f"Bearer {key(number)}": action for number in range(setup.keys)}
        self.write("envoy.yaml", keys=json.dumps(keys), connections=setup.descriptors // 2)

    def command(self, setup: Setup) -> list[str]:
        return [
            self.binary(),
            "-c",
            str(setup.folder / "envoy.yaml"),
            "--concurrency",
            "1",
            "--log-level",
            "error",
            "--use-dynamic-base-id",
        ]
