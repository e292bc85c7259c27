"""The Debian package: installed, used, upgraded and purged, on a copy of this machine's Debian that is thrown away."""

import os
import shutil
import subprocess
from pathlib import Path

import httpx
import pytest

from harness.conclave import ROOT, answers
from harness.machine import Machine
from harness.process import eventually, free_port

pytestmark = [
    pytest.mark.full,
    pytest.mark.skipif(not shutil.which("dpkg-deb") or os.geteuid() != 0, reason="Debian's dpkg and root are needed"),
]
UNITS = ("conclave-edge.service", "conclave-edge.socket", "conclave-aggregator.service", "conclave-aggregator.socket")


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    """Of the binary under test."""
    folder = tmp_path_factory.mktemp("package")
    subprocess.run([ROOT / "scripts" / "package"], check=True, timeout=900)
    (made,) = (ROOT / "target").glob("conclave_*.deb")
    return Path(shutil.copy(made, folder / "conclave.deb"))


@pytest.fixture
def machine(package, tmp_path):
    machine = Machine(tmp_path, package.parent)
    yield machine
    machine.remove()


def install(machine, package):
    return machine.ok(f"dpkg -i {package} 2>&1")


def test_it_holds_what_it_should(package):
    listed = subprocess.run(["dpkg-deb", "-c", package], capture_output=True, text=True, check=True).stdout
    for path in ("usr/bin/conclave", "usr/bin/create-mapping.sh", "usr/lib/systemd/system/conclave-edge.socket",
                 "usr/share/man/man1/conclave-edge.1.gz", "usr/share/bash-completion/completions/conclave",
                 "usr/lib/sysusers.d/conclave.conf", "usr/share/doc/conclave/docs/MAPPINGS.md"):
        assert f"./{path}\n" in listed, path
    # What is in /etc is made by whoever administers the machine; nothing asks at an upgrade.
    assert "./etc/" not in listed and "./usr/local" not in listed


def test_it_is_installed_used_upgraded_and_purged(package, machine, tmp_path):
    install(machine, package)
    assert machine.ok("id -un conclave; getent passwd conclave | cut -d : -f 6,7").split() == [
        "conclave", "/var/lib/conclave:/usr/sbin/nologin"]
    for path, mode in [("/etc/conclave", "755 root:root"), ("/etc/conclave/mappings", "2770 root:conclave"),
                       ("/etc/conclave/llama-server", "700 root:root"), ("/usr/bin/conclave", "755 root:root"),
                       ("/usr/lib/systemd/system/conclave-edge.service", "644 root:root")]:
        assert machine.mode(path) == mode, path
    assert machine.ok("command -v conclave").strip() == "/usr/bin/conclave"
    machine.ok("zcat /usr/share/man/man1/conclave-edge.1.gz | grep -q mappings")
    # The units name programs that are there; llama-server is the machine's own to bring.
    machine.ok("systemd-analyze verify --man=no " + " ".join(f"/usr/lib/systemd/system/{unit}" for unit in UNITS))

    # As root makes a key, so may the service's account read it, and nobody else.
    key = machine.ok("conclave key new alice --service http://127.0.0.1:9 --mappings /etc/conclave/mappings")
    assert machine.mode("/etc/conclave/mappings/alice.yml") == "640 root:conclave", key
    machine.ok("conclave check --mappings /etc/conclave/mappings", user="conclave:conclave")
    assert machine.run("cat /etc/conclave/mappings/alice.yml", user="nobody:nogroup").returncode != 0
    serve(machine, tmp_path)

    machine.ok(f"systemctl enable {' '.join(UNITS)} 2>&1")
    assert machine.ok("find /etc/systemd/system -name 'conclave-*' -type l")
    said = install(machine, package)
    assert machine.mode("/etc/conclave/mappings/alice.yml") == "640 root:conclave", said

    machine.ok("dpkg -r conclave 2>&1")
    assert machine.run("command -v conclave").returncode != 0
    assert machine.mode("/etc/conclave/mappings/alice.yml"), "keys outlive the package"
    said = machine.ok("dpkg -P conclave 2>&1")
    assert "/etc/conclave/mappings is left as it is" in said, said
    assert machine.mode("/etc/conclave/mappings/alice.yml") == "640 root:conclave"
    assert machine.ok("find /etc/systemd/system -name 'conclave-*' -type l") == ""
    assert machine.mode("/etc/conclave/llama-server") == "", "it was empty"


def serve(machine, logs):
    """The installed binary, as the unit's account: `conclave aggregator` on the folder of the package."""
    port = free_port()
    process = machine.start(f"exec conclave aggregator --port {port}", logs / "aggregator.log", user="conclave:conclave")
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=10) as client:
            eventually(lambda: process.poll() is not None or answers(client, "/v1/models"), 30, "an answer")
            assert process.poll() is None, (logs / "aggregator.log").read_text()
            assert client.get("/v1/models").json()["object"] == "list"
    finally:
        process.kill()
        process.wait(30)


def test_a_package_that_was_not_used_leaves_nothing_but_its_account(package, machine):
    before = set(machine.ok("find /etc /usr/bin /usr/lib/systemd /var/lib -xdev").splitlines())
    install(machine, package)
    machine.ok("dpkg -P conclave 2>&1")
    left = set(machine.ok("find /etc /usr/bin /usr/lib/systemd /var/lib -xdev").splitlines()) - before
    # Databases of accounts and of packages keep copies of themselves.
    ours = {path for path in left if "conclave" in path}
    assert not ours, ours
    assert machine.ok("id -un conclave").strip() == "conclave"
