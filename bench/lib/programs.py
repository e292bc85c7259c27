"""Where the programs come from: ours are built, peers are taken from Debian, PyPI and npm, the rest only from PATH."""

import os
import shutil
import subprocess
from pathlib import Path

from .paths import PEERS, ROOT, TEMPLATES, TOOLS

# Sets PATH (cmake may be in .tools/) and, for a folder with a blank in its name, another target folder.
BUILD = """
. scripts/lib/common.sh
choose_target_folder
cargo build --release "$@" >&2
printf '%s' "${CARGO_TARGET_DIR:-$ROOT/target}"
"""
# Package, program, and the variable that names one built before.
OURS = [
    ("conclave", "conclave", "CONCLAVE_BIN"),
    ("sim", "conclave-sim", "CONCLAVE_SIM_BIN"),
    ("load", "load", "LOAD_BIN"),
]
# While these are installed nothing of them may be started as a service.
POLICY = Path("/usr/sbin/policy-rc.d")


def say(text: str) -> None:
    print(text, flush=True)


def build() -> dict[str, str]:
    """Conclave, its simulator and the load generator, in release."""
    found = {program: os.environ[variable] for _, program, variable in OURS if os.environ.get(variable)}
    missing = [(package, program) for package, program, _ in OURS if program not in found]
    if missing:
        say(f"building {', '.join(program for _, program in missing)} (release)")
        subprocess.run([str(ROOT / "scripts" / "setup")], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
        packages = [word for package, _ in missing for word in ("-p", package)]
        done = subprocess.run(
            ["bash", "-c", BUILD, "build", *packages], cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True
        )
        found |= {program: str(Path(done.stdout) / "release" / program) for _, program in missing}
    return found


def install(names: set[str]) -> dict[str, str]:
    """What can be had of these peers; one that cannot be is left out, and the tables say so."""
    found = {}
    PEERS.mkdir(parents=True, exist_ok=True)
    debian = [name for name in ("nginx", "haproxy", "caddy") if name in names and not _which(name)]
    if debian:
        _apt(debian)
    for name in ("nginx", "haproxy", "caddy"):
        if path := _which(name):
            found[name] = path
    if "h2load" in names:
        if not _which("h2load"):
            _apt(["nghttp2-client"])
        if path := _which("h2load"):
            found["h2load"] = path
    if "litellm" in names and (path := _pip("litellm", "litellm")):
        found["litellm"] = path
    if "routheon" in names and (path := _pip("routheon", "routheon-server")):
        found["routheon-server"] = path
    if "portkey" in names and (path := _npm()):
        found["portkey"] = path
    return found


def _which(program: str) -> str | None:
    return shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")


def _run(*command: str, cwd: Path | None = None) -> bool:
    with (TOOLS / "bench-install.log").open("ab") as log:
        env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        return subprocess.run(command, cwd=cwd, env=env, stdout=log, stderr=log, check=False).returncode == 0


def _apt(packages: list[str]) -> None:
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        say(f"not root, or not Debian: {', '.join(packages)} must be installed by hand to be measured")
        return
    say(f"installing {', '.join(packages)} (apt-get)")
    ours = not POLICY.exists()
    if ours:
        POLICY.write_text("#!/bin/sh\nexit 101\n")
        POLICY.chmod(0o755)
    try:
        install = ("apt-get", "install", "-y", "-q", "--no-install-recommends", *packages)
        if not _run(*install) and not (_run("apt-get", "update", "-q") and _run(*install)):
            say("  failed; see .tools/bench-install.log")
    finally:
        if ours:
            POLICY.unlink()


def _pip(name: str, program: str) -> str | None:
    """A virtual environment of its own, made again when the pinned versions change."""
    folder, wanted = PEERS / name, TEMPLATES / name / "requirements.txt"
    stamp, path = folder / ".installed", folder / "bin" / program
    if not (path.exists() and stamp.exists() and stamp.read_text() == wanted.read_text()):
        say(f"installing {wanted.read_text().strip()} (PyPI)")
        shutil.rmtree(folder, ignore_errors=True)
        make = f'. scripts/lib/common.sh; make_venv "{folder}"'
        if not (
            _run("bash", "-c", make, cwd=ROOT)
            and _run(str(folder / "bin" / "python"), "-m", "pip", "install", "-q", "-r", str(wanted))
        ):
            say("  failed; see .tools/bench-install.log")
            return None
        stamp.write_text(wanted.read_text())
    return str(path)


def _npm() -> str | None:
    folder, wanted = PEERS / "portkey", TEMPLATES / "portkey" / "package.json"
    stamp = folder / ".installed"
    path = folder / "node_modules" / "@portkey-ai" / "gateway" / "build" / "start-server.js"
    if not (path.exists() and stamp.exists() and stamp.read_text() == wanted.read_text()):
        if not shutil.which("npm"):
            say("no npm: Portkey's gateway is left out")
            return None
        say("installing @portkey-ai/gateway (npm)")
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(wanted, folder / "package.json")
        if not _run("npm", "install", "--no-package-lock", "--ignore-scripts", "--no-audit", "--no-fund", cwd=folder):
            say("  failed; see .tools/bench-install.log")
            return None
        stamp.write_text(wanted.read_text())
    return str(path)
