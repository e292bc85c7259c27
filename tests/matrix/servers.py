"""The servers behind the matrix, each behind a relay that remembers what it was sent."""

import json
import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import yaml

from harness.conclave import ROOT
from harness.llama import Llama
from harness.process import Process, free_port, start_on_free_ports
from harness.relay import Relay
from llama.make_gguf import Shape

from .standins import aimock, llmposter, own

AIMOCK = Path(__file__).parents[1] / "js" / "node_modules" / "@copilotkit" / "aimock" / "dist" / "cli.js"
# It does not start without one.
LITELLM_KEY = "sk-matrix-of-clients-and-backends"
CALLS_TOOLS = Shape(tool_bias=20, ends_after_call=True)
LLAMAS = {
    "words": (Shape(), []),
    "caller": (CALLS_TOOLS, []),
    "thinker": (Shape(thinks=True), []),
    "embedder": (Shape(), ["--embeddings"]),
}
LLAMA_FOR = {
    "tools": "caller", "tools stream": "caller", "tool choice": "caller",
    "thinking": "thinker", "thinking stream": "thinker", "embeddings": "embedder",
}


@dataclass
class Column:
    """One backend of the table: what it is to the aggregator, and which model of it answers what."""

    name: str
    kind: str  # the aggregator's `type`
    relays: dict  # by the model's name
    model_for: dict = field(default_factory=dict)  # by the feature, where it is not the one model
    real: bool = False  # a model answers, rather than a script
    notes: dict = field(default_factory=dict)  # by the feature: what to know of who answers it
    told: dict = field(default_factory=dict)  # what else the configuration says of its backends

    def model(self, feature):
        return self.model_for.get(feature) or next(iter(self.relays))

    def relay(self, feature):
        return self.relays[self.model(feature)]

    def take(self):
        return b"".join(relay.take() for relay in set(self.relays.values()))

    def backends(self):
        """Its entries in the aggregator's configuration: one a server, with the models that it is to be asked for."""
        servers = {}
        for model, relay in self.relays.items():
            servers.setdefault(relay.url, []).append(model)
        return [
            {"name": f"{self.name}-{number}", "type": self.kind, "url": url, "models": models, **self.told}
            for number, (url, models) in enumerate(servers.items())
        ]


class Servers:
    """Starts what is asked for, once, and stops it all."""

    def __init__(self, folder):
        self.folder, self.started, self.made = Path(folder), [], {}

    def stop(self):
        for thing in reversed(self.started):
            getattr(thing, "stop", None) and thing.stop()
            getattr(thing, "close", None) and thing.close()

    def once(self, name, make):
        if name not in self.made:
            self.made[name] = make()
        return self.made[name]

    def keep(self, thing):
        self.started.append(thing)
        return thing

    def relay(self, url):
        return self.keep(Relay(url))

    def llama(self, name):
        shape, flags = LLAMAS[name]
        return self.once(("llama", name), lambda: self.keep(Llama(self.folder, name, shape, *flags)))

    def aimock(self):
        def start():
            assert AIMOCK.exists(), "aimock is missing: run scripts/setup --tests"
            script = self.folder / "aimock.json"
            script.write_text(json.dumps(aimock.fixtures()))
            node = shutil.which("node")
            return self.listening(lambda port: [node, AIMOCK, "--port", port, "--fixtures", script], "/health")

        return self.once("aimock", start)

    def llmposter(self):
        def start():
            script = self.folder / "llmposter.yaml"
            script.write_text(yaml.safe_dump(llmposter.fixtures()))
            return self.listening(
                lambda port: [llmposter_binary(), "--fixtures", script, "--port", port], "/health"
            )

        return self.once("llmposter", start)

    def own(self):
        return self.once("own", lambda: self.keep(own.start()).url)

    def litellm(self):
        """LiteLLM's proxy, as a user would put it before llama-servers."""
        def start():
            config = self.folder / "litellm.yaml"
            config.write_text(yaml.safe_dump({
                "model_list": [
                    {
                        "model_name": f"litellm-{name}",
                        "litellm_params": {
                            "model": f"openai/{name}", "api_base": f"{self.llama(name).url}/v1", "api_key": "none",
                        },
                    }
                    for name in LLAMAS
                ],
                "general_settings": {"master_key": LITELLM_KEY},
                "litellm_settings": {"num_retries": 0, "telemetry": False, "drop_params": False},
            }))
            command = lambda port: [  # noqa: E731
                litellm_binary(), "--config", config, "--host", "127.0.0.1", "--port", port, "--telemetry", "False",
            ]
            return self.listening(command, "/health/liveliness", seconds=180, environment={
                "LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_MODE": "PRODUCTION", "LITELLM_LOG": "ERROR",
            })

        return self.once("litellm", start)

    def listening(self, command, path, seconds=30, environment=None):
        def start():
            port = free_port()
            arguments = command(port)
            log = self.folder / f"{Path(str(arguments[0])).name}-{port}.log"
            process = Process(arguments, log, environment)
            url = f"http://127.0.0.1:{port}"
            process.until(lambda: up(url + path), seconds)
            self.keep(process)
            return url

        return start_on_free_ports(start)


def up(url):
    try:
        return httpx.get(url, timeout=2).status_code == 200
    except httpx.TransportError:
        return False


def litellm_binary():
    return found("LITELLM_BIN", ROOT / ".tools" / "peers" / "litellm" / "bin" / "litellm")


def llmposter_binary():
    return found("LLMPOSTER_BIN", ROOT / ".tools" / "llmposter" / "bin" / "llmposter")


def found(variable, path):
    path = Path(os.environ.get(variable) or path)
    return path if path.exists() else None


def columns(servers, wanted):
    """The table's columns by name; a server that none of them needs is not started."""
    makers = {
        "llama-server": lambda: llama_column(servers),
        "llama-server-messages": lambda: messages_column(servers),
        "litellm": lambda: litellm_column(servers),
        **{f"aimock-{kind}": mock(servers, "aimock", kind) for kind in ("openai", "anthropic", "gemini", "ollama")},
        **{f"llmposter-{kind}": mock(servers, "llmposter", kind) for kind in ("anthropic", "gemini")},
    }
    return {name: make() for name, make in makers.items() if name in wanted}


def mock(servers, program, kind):
    """Where the mock falls short of the API that it mocks, our own stand-in answers, and the table says so."""
    def make():
        name = f"{program}-{kind}"
        relays, notes = {name: servers.relay(getattr(servers, program)())}, own.INSTEAD.get(name, {})
        if notes:
            relays[f"own-{kind}"] = servers.relay(servers.own())
        return Column(name, kind, relays, {feature: f"own-{kind}" for feature in notes}, notes=notes)

    return make


def llama_column(servers):
    relays = {name: servers.relay(servers.llama(name).url) for name in LLAMAS}
    return Column("llama-server", "openai", relays, dict(LLAMA_FOR), real=True)


def messages_column(servers):
    """The same servers by another name: their own /v1/messages, an Anthropic API that none of us wrote."""
    relays = {f"messages-{name}": servers.relay(servers.llama(name).url) for name in LLAMAS}
    model_for = {feature: f"messages-{name}" for feature, name in LLAMA_FOR.items()}
    return Column("llama-server-messages", "anthropic", relays, model_for, real=True)


def litellm_column(servers):
    proxy = servers.relay(servers.litellm())
    model_for = {feature: f"litellm-{name}" for feature, name in LLAMA_FOR.items()}
    models = {f"litellm-{name}": proxy for name in LLAMAS}
    return Column("litellm", "openai", models, model_for, real=True, told={"api_key": LITELLM_KEY})
