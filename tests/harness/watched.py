"""`conclave up` as an operator watches it: both planes in one process, real Prometheus beside it."""

import os
import shutil
import subprocess

import httpx
import yaml

from .conclave import ROOT, answers, binary
from .process import Process, free_port, start_on_free_ports

TOKEN = "watch-admin-token"
MONITORING = ROOT / "monitoring"


class Sim:
    """A simulated llama-server."""

    def __init__(self, folder, model, *flags):
        start_on_free_ports(lambda: self.start(folder, model, flags))

    def start(self, folder, model, flags):
        self.url = f"http://127.0.0.1:{free_port()}"
        command = [binary("conclave-sim", "CONCLAVE_SIM_BIN"), "--listen", self.url.removeprefix("http://"),
                   "--model", model, *flags]
        self.process = Process(command, folder / f"sim-{model}-{self.url[-5:].strip(':')}.log")
        with httpx.Client(base_url=self.url, timeout=10) as http:
            self.process.until(lambda: answers(http, "/health"))

    def stop(self):
        self.process.stop()


class Up:
    """`conclave up`; `files` are mapping files by name, `config` a config.yaml."""

    def __init__(self, folder, files, config, *flags, environment=None):
        self.folder, self.flags = folder, flags
        self.environment = {"ADMIN_TOKEN": TOKEN, **(environment or {})}
        self.mappings = folder / "mappings"
        self.mappings.mkdir()
        for name, text in files.items():
            (self.mappings / name).write_text(text)
        (folder / "config.yaml").write_text(yaml.safe_dump(config))
        start_on_free_ports(self.start)

    def start(self):
        edge, admin, port = free_port(), free_port(), free_port()
        self.url, self.admin, self.aggregator = (f"http://127.0.0.1:{number}" for number in (edge, admin, port))
        self.process = Process(
            [binary(), "up", "--listen", f"127.0.0.1:{edge}", "--admin", f"127.0.0.1:{admin}", "--port", port,
             "--mappings", self.mappings, "--config", self.folder / "config.yaml", *self.flags],
            self.folder / f"up-{edge}.log", self.environment, self.folder,
        )
        with httpx.Client(base_url=self.admin, timeout=10) as http:
            self.process.until(lambda: answers(http, "/ready"))
        with httpx.Client(base_url=self.aggregator, timeout=10) as http:
            self.process.until(lambda: answers(http, "/v1/models"))

    def pages(self):
        """What Prometheus would read."""
        return [httpx.get(f"{base}/metrics", timeout=30).text for base in (self.admin, self.aggregator)]

    def chat(self, model, text="Say hello.", key=None, stream=True, seconds=60, **headers):
        """One whole conversation's turn; at the edge with a key, else at the aggregator."""
        if key:
            headers["Authorization"] = f"Bearer {key}"
        return httpx.post(
            f"{self.url if key else self.aggregator}/v1/chat/completions", headers=headers, timeout=seconds,
            json={"model": model, "stream": stream, "max_tokens": 8, "messages": [{"role": "user", "content": text}]},
        )

    def stop(self):
        return self.process.stop(seconds=15)


def program(name):
    """Debian's package, installed or unpacked into .tools by scripts/setup."""
    unpacked = ROOT / ".tools" / "prometheus" / "usr" / "bin" / name
    found = os.environ.get(f"CONCLAVE_{name.upper()}") or shutil.which(name) or (unpacked.exists() and str(unpacked))
    assert found, f"{name} is missing: run scripts/setup --tests"
    return found


def promtool(*arguments, **options):
    done = subprocess.run(
        [program("promtool"), *map(str, arguments)], capture_output=True, text=True, timeout=60, **options
    )
    return done.returncode, done.stdout + done.stderr


class Prometheus:
    """The project's own configuration, aimed at a running Conclave and made quick."""

    def __init__(self, folder, up):
        config = yaml.safe_load((MONITORING / "prometheus" / "prometheus.yml").read_text())
        config["global"].update(scrape_interval="1s", scrape_timeout="1s", evaluation_interval="1s")
        aims = {"conclave-edge": up.admin, "conclave-aggregator": up.aggregator}
        for job in config["scrape_configs"]:
            job["static_configs"] = [{"targets": [aims[job["job_name"]].removeprefix("http://")]}]
        shutil.copytree(MONITORING / "prometheus" / "rules", folder / "rules")
        self.folder, self.config = folder, folder / "prometheus.yml"
        self.config.write_text(yaml.safe_dump(config))
        start_on_free_ports(self.start)

    def start(self):
        port = free_port()
        self.http = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30)
        self.process = Process(
            [program("prometheus"), f"--config.file={self.config}", f"--storage.tsdb.path={self.folder / 'data'}",
             f"--web.listen-address=127.0.0.1:{port}"],
            self.folder / f"prometheus-{port}.log",
        )
        self.process.until(lambda: answers(self.http, "/-/ready"))

    def query(self, expression):
        """The samples that are numbers."""
        reply = self.http.get("/api/v1/query", params={"query": expression}).json()
        assert reply["status"] == "success", (expression, reply)
        return [sample for sample in reply["data"]["result"] if sample["value"][1] != "NaN"]

    def stop(self):
        self.http.close()
        self.process.stop()
