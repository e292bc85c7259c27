"""Gateways for language models, each with the one key or the headers that its users would have without a database."""

import json
from pathlib import Path

from .base import Peer, Setup


class LiteLlm(Peer):
    name = "litellm"
    title = "LiteLLM"
    exact = False
    keyed = False
    slow = True
    streams_max = 20
    fixed_key = "sk-bench-master"
    note = "Its proxy with a `config.yaml`, its master key and one model; more keys need a database. One worker."

    def binary(self) -> str:
        return self.on_path("litellm")

    def version(self) -> str:
        # Asking the program itself takes longer than some scenarios.
        found = Path(self.binary()).parent.parent.glob("lib/python*/site-packages/litellm-*.dist-info")
        return next((path.name.removeprefix("litellm-").removesuffix(".dist-info") for path in found), "unknown")

    def prepare(self, setup: Setup) -> None:
        self.write("config.yaml")

    def command(self, setup: Setup) -> list[str]:
        return [
            self.binary(), "--config", str(setup.folder / "config.yaml"),
            "--host", "127.0.0.1", "--port", str(setup.port), "--num_workers", "1", "--telemetry", "False",
        ]  # fmt: skip

    def process_environment(self, setup: Setup) -> dict[str, str]:
        # Its price list comes with it; without this it fetches a newer one at every start.
        return {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_MODE": "PRODUCTION", "LITELLM_LOG": "ERROR"}


class Portkey(Peer):
    # Its package.json here pins @hono/node-server: with the versions it would get, every stream fails
    # (Portkey-AI/gateway#1389).
    name = "portkey"
    title = "Portkey"
    exact = False
    keyed = False
    streams_max = 500
    headers = ("x-portkey-provider: openai", "x-portkey-custom-host: http://127.0.0.1:{origin_port}/v1")
    note = "Where a request goes is said by its headers, and the key is passed on; it knows no keys of its own."

    def binary(self) -> str:
        return self.on_path("portkey")

    def version(self) -> str:
        package = Path(self.binary()).parent.parent / "package.json"
        return json.loads(package.read_text())["version"]

    def command(self, setup: Setup) -> list[str]:
        return ["node", self.binary(), "--headless", f"--port={setup.port}"]

    def process_environment(self, setup: Setup) -> dict[str, str]:
        return {"NODE_ENV": "production"}


class Olla(Peer):
    name = "olla"
    title = "Olla"
    exact = False
    keyed = False
    streams_max = 500
    note = "Its own engine `olla`, one endpoint; it knows no keys."

    def version(self) -> str:
        return self.first_line(self.binary(), "--version").split()[-1]

    def prepare(self, setup: Setup) -> None:
        self.write("config.yaml")

    def command(self, setup: Setup) -> list[str]:
        return [self.binary(), "--config", str(setup.folder / "config.yaml")]

    def process_environment(self, setup: Setup) -> dict[str, str]:
        return {"GOMAXPROCS": "1"}

    def load_arguments(self) -> list[str]:
        return [*super().load_arguments(), "--path", "/olla/openai/v1/chat/completions"]


class Bifrost(Peer):
    name = "bifrost"
    title = "Bifrost"
    exact = False
    keyed = False
    streams_max = 500
    note = "One custom provider of the OpenAI kind, logging off."

    def binary(self) -> str:
        return self.on_path("bifrost-http")

    def version(self) -> str:
        return self.first_line(self.binary(), "-version").split()[-1]

    def prepare(self, setup: Setup) -> None:
        self.write("config.json")

    def command(self, setup: Setup) -> list[str]:
        return [
            self.binary(),
            "-app-dir",
            str(setup.folder),
            "-host",
            "127.0.0.1",
            "-port",
            str(setup.port),
            "-log-level",
            "error",
        ]

    def process_environment(self, setup: Setup) -> dict[str, str]:
        return {"GOMAXPROCS": "1"}


class LlamaSwap(Peer):
    name = "llama-swap"
    title = "llama-swap"
    exact = False
    keyed = False
    streams_max = 500
    note = "One model whose process is the origin, which runs already."

    def version(self) -> str:
        return self.first_line(self.binary(), "-version").split()[1]

    def prepare(self, setup: Setup) -> None:
        self.write("config.yaml")

    def command(self, setup: Setup) -> list[str]:
        return [self.binary(), "--config", str(setup.folder / "config.yaml"), "--listen", f"127.0.0.1:{setup.port}"]

    def process_environment(self, setup: Setup) -> dict[str, str]:
        return {"GOMAXPROCS": "1"}
