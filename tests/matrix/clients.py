"""The table's rows: how each client is run, and a job's cells as they come out of it."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from harness.conclave import ROOT

TESTS = Path(__file__).resolve().parents[1]
OLD_ANTHROPIC = ROOT / ".tools" / "anthropic-old"
JOB_SECONDS_MAX = 240
# What the clients read from the environment.
THEIRS = ("OPENAI_", "ANTHROPIC_", "OLLAMA_", "GOOGLE_", "GEMINI_", "LANGCHAIN_", "LANGSMITH_")


@dataclass(frozen=True)
class Client:
    name: str
    dialect: str
    module: str = ""  # below matrix.drivers
    script: str = ""  # below js/matrix
    before: Path = None  # a folder of packages that stand in for the installed ones

    def command(self):
        if self.script:
            return [shutil.which("node"), str(TESTS / "js" / "matrix" / self.script)]
        return [sys.executable, "-m", f"matrix.drivers.{self.module}"]

    def environment(self):
        paths = [str(path) for path in (self.before, TESTS) if path]
        # Nobody's own key or address may find its way into a client.
        kept = {name: value for name, value in os.environ.items() if not name.startswith(THEIRS)}
        return {**kept, "PYTHONPATH": os.pathsep.join(paths), "NO_PROXY": "127.0.0.1", "LANGSMITH_TRACING": "false"}

    def run(self, job, cells, log):
        """Yields each of the job's `cells` as soon as the client is through with it, and before the next begins."""
        with open(log, "wb") as errors:
            child = subprocess.Popen(
                self.command(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True,
                env=self.environment(), cwd=TESTS,
            )
        try:
            child.stdin.write(job + "\n")
            for _ in range(cells):
                child.stdin.write("\n")
                child.stdin.flush()
                line = child.stdout.readline()
                if not line:
                    break
                yield json.loads(line)
            child.stdin.close()
            code = child.wait(JOB_SECONDS_MAX)
        finally:
            child.kill()
            child.stdout.close()
            child.wait()
        assert code == 0, f"{self.name} ended with {code}: {log.read_text(errors='replace')[-2000:]}"


CLIENTS = [
    Client("openai, Python", "openai", "openai_python"),
    Client("openai, JS", "openai", script="openai.mjs"),
    Client("langchain-openai", "openai", "langchain_openai"),
    Client("ollama, Python", "ollama", "ollama_python"),
    Client("ollama, JS", "ollama", script="ollama.mjs"),
    Client("anthropic, Python", "anthropic", "anthropic_python"),
    Client("anthropic 0.125, Python", "anthropic", "anthropic_python", before=OLD_ANTHROPIC),
    Client("anthropic, JS", "anthropic", script="anthropic.mjs"),
    Client("google-genai", "gemini", "gemini_python"),
]
