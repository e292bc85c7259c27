"""The image: its Dockerfile's last stage, step by step, and what a container of it does. No container engine runs here.

An overlay over this machine's Debian stands in for `debian:bookworm-slim`: nobody can pull that one here. What slim leaves out
and matters, the certificates, is taken out first. Not run: the stage that compiles, whose binary is the one under test.
"""

import json
import os
import re
import shlex
import shutil

import httpx
import pytest
import yaml

from harness.conclave import ROOT, answers, binary
from harness.machine import Machine
from harness.mapping import keyed
from harness.process import eventually, free_port

pytestmark = [
    pytest.mark.full,
    pytest.mark.skipif(not shutil.which("dpkg") or os.geteuid() != 0, reason="a Debian and root are needed"),
]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())


def instructions(text):
    """`(name, rest)` of each, comments and continuations put together."""
    lines = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    joined = re.sub(r"\\\n\s*", "", lines)
    return [tuple(line.split(None, 1)) for line in joined.splitlines() if line.strip()]


def is_sent(source):
    return f"!{source}" in (ROOT / ".dockerignore").read_text().splitlines()


class Image:
    """The last stage of the Dockerfile, made on a machine."""

    # What the stage that compiles would have made; and what Debian's images for compilers hold.
    BUILT = {"/out/conclave": binary, "/etc/ssl/certs/ca-certificates.crt": lambda: "/etc/ssl/certs/ca-certificates.crt"}

    def __init__(self, machine, given):
        self.machine, self.given = machine, given
        self.account, self.folder, self.environment, self.said = None, "/", {}, {}
        machine.ok("rm -rf /etc/ssl/certs /usr/share/ca-certificates /etc/conclave; ! getent passwd conclave")
        steps = instructions((ROOT / "Dockerfile").read_text())
        last = max(index for index, (name, _) in enumerate(steps) if name == "FROM")
        assert steps[last][1] == "debian:bookworm-slim"
        for name, rest in steps[last + 1:]:
            self.step(name, rest)

    def step(self, name, rest):
        if name == "RUN":
            self.machine.ok(rest, **self.how())
        elif name == "COPY":
            self.copy(*shlex.split(rest))
        elif name == "USER":
            self.account = self.machine.ok(f"echo $(id -u {rest}):$(id -g {rest})").strip()
        elif name == "WORKDIR":
            self.folder = rest
        elif name == "ENV":
            self.environment |= dict(word.split("=", 1) for word in shlex.split(rest))
        elif name in ("ENTRYPOINT", "CMD"):
            self.said[name] = json.loads(rest)
        elif name == "HEALTHCHECK":
            self.said[name] = json.loads(rest[rest.index("CMD") + 3:])
        else:
            assert name == "EXPOSE", f"{name} is not known here"

    def copy(self, *words):
        *options, source, target = words
        options = dict(option.removeprefix("--").split("=") for option in options)
        assert "from" in options or is_sent(source), f"{source} is not among what .dockerignore lets through"
        path = self.BUILT[source]() if "from" in options else ROOT / source
        brought = shutil.copy(path, self.given)
        mode = options.get("chmod", "0755" if os.access(path, os.X_OK) else "0644")
        self.machine.ok(f"install -D -m {mode} {brought} {target}")

    def how(self):
        return {"user": self.account, "folder": self.folder, "environment": self.environment}

    def start(self, log, *arguments, environment=None):
        """A container as the compose file has it: nobody's root, and a root that is not written."""
        command = shlex.join([*self.said["ENTRYPOINT"], *map(str, arguments or self.said["CMD"])])
        how = {**self.how(), "environment": {**self.environment, **(environment or {})}}
        return self.machine.start(f"exec {command}", log, read_only=True, **how)


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    folder = tmp_path_factory.mktemp("image")
    given = folder / "given"
    (given / "mappings").mkdir(parents=True)
    folder.chmod(0o755), given.chmod(0o755)
    # Volumes, as an engine makes them of the image's folder.
    for name in ("edge", "aggregator"):
        (given / name).mkdir(mode=0o750)
        os.chown(given / name, 10001, 10001)
    machine = Machine(folder, given)
    yield Image(machine, given)
    machine.remove()


def until_answers(process, log, url, path):
    with httpx.Client(base_url=url, timeout=10) as client:
        eventually(lambda: process.poll() is not None or answers(client, path), 30, "an answer")
    assert process.poll() is None, log.read_text()


def test_it_is_nobodys_root_and_holds_what_it_should(image):
    assert image.account == "10001:10001" and image.folder == "/var/lib/conclave"
    for path, mode in [("/var/lib/conclave", "750 conclave:conclave"), ("/etc/conclave/mappings", "2750 root:conclave"),
                       ("/usr/local/bin/conclave", "755 root:root"), ("/usr/local/bin/create-mapping.sh", "755 root:root")]:
        assert image.machine.mode(path) == mode, path
    assert "conclave " in image.machine.ok("conclave --version", **image.how())
    # What is linked is in every Debian image.
    linked = set(re.findall(r"^\s+(\S+?)\.so", image.machine.ok("ldd /usr/local/bin/conclave"), re.M))
    assert linked <= {"linux-vdso", "libgcc_s", "libm", "libc", "libstdc++", "/lib64/ld-linux-x86-64"}, linked


def test_each_of_our_services_runs_as_compose_has_it_and_is_found_healthy(image, tmp_path):
    """Addresses are free ones of this machine's; the rest is the compose file's."""
    mappings = image.given / "mappings"
    (mappings / "alice.yml").write_text(keyed("alice", "key-of-alice", "http://127.0.0.1:9"))
    edge, admin, aggregator = free_port(), free_port(), free_port()
    started = []
    try:
        log = tmp_path / "aggregator.log"
        process = image.start(log, "aggregator", f"--mappings={mappings}", "--host=127.0.0.1", f"--port={aggregator}",
                              f"--db-path={image.given / 'aggregator' / 'responses.db'}",
                              environment={"STATE_DIRECTORY": str(image.given / "aggregator")})
        started.append(process)
        until_answers(process, log, f"http://127.0.0.1:{aggregator}", "/v1/models")
        log = tmp_path / "edge.log"
        process = image.start(log, "edge", "--mappings", mappings, "--listen", f"127.0.0.1:{edge}", "--admin",
                              f"127.0.0.1:{admin}", "--aggregator", f"http://127.0.0.1:{aggregator}",
                              environment={"STATE_DIRECTORY": str(image.given / "edge")})
        started.append(process)
        until_answers(process, log, f"http://127.0.0.1:{admin}", "/ready")
        assert httpx.get(f"http://127.0.0.1:{edge}/v1/models", timeout=30).status_code == 200
        asked = {"Authorization": "Bearer key-of-alice"}
        assert httpx.post(f"http://127.0.0.1:{edge}/v1/chat/completions", json={}, headers=asked, timeout=30).status_code == 502
        # Both health checks, the image's own and the aggregator's in the compose file.
        own, composed = image.said["HEALTHCHECK"], COMPOSE["services"]["aggregator"]["healthcheck"]["test"][1:]
        for check, port in [(own, admin), (composed, aggregator)]:
            program, _, path = check
            image.machine.ok(shlex.join([program, str(port), path]), **image.how())
            assert image.machine.run(shlex.join([program, str(free_port()), path]), **image.how()).returncode != 0
    finally:
        for process in started:
            process.kill()
            process.wait(30)


def test_a_mapping_is_made_as_compose_makes_it(image):
    mappings, service = image.given / "mappings", COMPOSE["services"]["create-mapping"]
    (program,) = service["entrypoint"]
    command = [program, *service["command"][:-1], str(mappings)]
    assert service["command"][-2] == "--mappings"
    image.machine.ok(shlex.join(command), user=service["user"], environment=service["environment"])
    (made,) = mappings.glob("*llama-server-2*.yml")
    image.machine.ok(f"conclave check --mappings {mappings}", **image.how())
    assert "http://llama-server-2:8012" in made.read_text()


def test_without_certificates_what_asks_by_http_works_on(image):
    """A machine or an image that has none needs none, until an address is https."""
    port = free_port()
    bare = "rm -f /etc/ssl/certs/*; "
    once = image.machine.run(f"{bare} conclave top --once --edge-admin none --aggregator http://127.0.0.1:{port}")
    assert "certificates" not in once.stdout + once.stderr and "cannot be reached" in once.stdout + once.stderr, once
