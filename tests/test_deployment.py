"""What an operator installs: units, manifests, the compose file, completions, manual pages. The package is test_package.py's.

No container engine runs here. What is held is that manifests are Kubernetes' own shape, that every file a container is given is
there, and that no container is given flags which the binary does not know.
"""

import os
import re
import shutil
import subprocess
from pathlib import Path

import kubernetes_validate
import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
KUBERNETES = sorted((ROOT / "deploy" / "kubernetes").glob("*.yaml"))
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
OURS = "conclave:demo"


def documents(path):
    return [document for document in yaml.safe_load_all(path.read_text()) if document]


MANIFESTS = [manifest for path in KUBERNETES if path.name != "kustomization.yaml" for manifest in documents(path)]


def manifest(kind, name):
    (found,) = [one for one in MANIFESTS if (one["kind"], one["metadata"]["name"]) == (kind, name)]
    return found


def conclave(*arguments, **more):
    command = [os.environ["CONCLAVE_BIN"], *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, **more)


def flags_of(command):
    return set(re.findall(r"(?<=\s)--[a-z][a-z_-]*", conclave(command, "--help").stdout))


def assert_known(arguments):
    command, *rest = arguments
    used = {argument.partition("=")[0] for argument in rest if argument.startswith("--")}
    assert used and used <= flags_of(command), used - flags_of(command)


@pytest.mark.parametrize("one", MANIFESTS, ids=lambda one: f"{one['kind']}/{one['metadata']['name']}")
def test_manifests_have_kubernetes_own_shape(one):
    kubernetes_validate.validate(one, "1.33", strict=True)


def test_kustomization_names_every_manifest():
    (kustomization,) = documents(ROOT / "deploy" / "kubernetes" / "kustomization.yaml")
    assert sorted(kustomization["resources"]) == [path.name for path in KUBERNETES if path.name != "kustomization.yaml"]


def test_the_pod_is_given_flags_that_exist_and_volumes_that_are_there():
    pod = manifest("StatefulSet", "conclave")["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert_known(container["args"])
    volumes = {volume["name"] for volume in pod["volumes"]} | {"data"}
    assert {mount["name"] for mount in container["volumeMounts"]} == volumes
    assert container["securityContext"]["readOnlyRootFilesystem"] and pod["securityContext"]["runAsNonRoot"]
    ports = {port["name"] for port in container["ports"]}
    probed = {container[probe]["httpGet"]["port"] for probe in ("readinessProbe", "startupProbe", "livenessProbe")}
    served = {port["targetPort"] for service in ("conclave", "conclave-internal")
              for port in manifest("Service", service)["spec"]["ports"]}
    assert probed <= ports and served == ports


def test_the_manifests_files_are_ones_conclave_takes(tmp_path):
    mappings = tmp_path / "mappings"
    mappings.mkdir()
    for name, text in manifest("Secret", "mappings")["stringData"].items():
        (mappings / name).write_text(text)
    (tmp_path / "config.yaml").write_text(manifest("ConfigMap", "config")["data"]["config.yaml"])
    checked = conclave("check", "--mappings", mappings, "--config", tmp_path / "config.yaml",
                       env={**os.environ, "ADMIN_TOKEN": "a token"})
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_compose_gives_containers_files_that_are_there_and_flags_that_exist():
    ours = {name: service for name, service in COMPOSE["services"].items() if service.get("image") == OURS}
    assert {"edge", "aggregator", "create-mapping"} <= set(ours)
    for name in ("edge", "aggregator"):
        assert_known(ours[name]["command"])
        assert ours[name]["read_only"] and ours[name]["cap_drop"] == ["ALL"]
    for name, service in COMPOSE["services"].items():
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            there = (ROOT / source).exists() if source.startswith(".") else source in COMPOSE["volumes"]
            assert there, f"{name}: {source}"
        for other in service.get("depends_on", []):
            assert other in COMPOSE["services"], f"{name}: {other}"


def test_without_the_profile_compose_brings_the_originals_demo():
    plain = {name for name, service in COMPOSE["services"].items() if not service.get("profiles")}
    assert plain == {"edge", "aggregator", "llama-server-1", "llama-server-2", "create-mapping"}


def docker_compose():
    """The program, whichever of its two forms is installed."""
    if shutil.which("docker-compose"):
        return ["docker-compose"]
    found = shutil.which("docker") and subprocess.run(["docker", "compose", "version"], capture_output=True).returncode == 0
    return ["docker", "compose"] if found else pytest.skip("no docker-compose: scripts/setup --full")


@pytest.mark.full
@pytest.mark.parametrize("profile", [[], ["--profile", "full"]], ids=["plain", "full"])
def test_docker_compose_itself_reads_the_file(profile):
    done = subprocess.run([*docker_compose(), *profile, "config"], cwd=ROOT, capture_output=True, text=True, timeout=60,
                          env={**os.environ, "ADMIN_TOKEN": "a-token-of-tests"})
    assert done.returncode == 0, done.stderr
    told = yaml.safe_load(done.stdout)["services"]
    assert {"edge", "aggregator"} <= set(told) and told["aggregator"]["environment"] == {"ADMIN_TOKEN": "a-token-of-tests"}


def test_composes_configuration_checks():
    folder = ROOT / "deploy" / "compose"
    checked = conclave("check", "--mappings", ROOT / "mappings", "--config", folder / "config.yaml", "--config",
                       ROOT / "traefik.yml", env={**os.environ, "ADMIN_TOKEN": ""})
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_published_ports_but_the_edges_are_of_this_machine_alone():
    for name, service in COMPOSE["services"].items():
        for port in service.get("ports", []):
            assert port.startswith("127.0.0.1:") or (name, port) == ("edge", "8080:8080"), f"{name}: {port}"


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd is not installed")
def test_units_verify(tmp_path):
    for program in ("conclave", "create-mapping.sh", "llama-server"):
        (tmp_path / program).write_text("#!/bin/sh\n")
        (tmp_path / program).chmod(0o755)
    for source in (ROOT / "scripts" / "systemd").glob("*.service"):
        unit = tmp_path / source.name
        # The programs are installed nowhere here.
        unit.write_text(re.sub(r"/usr/local/bin/", f"{tmp_path}/", source.read_text()))
        verified = subprocess.run(["systemd-analyze", "verify", "--man=no", unit], capture_output=True, text=True, timeout=60)
        about_it = [line for line in verified.stderr.splitlines() if source.name.split("@")[0] in line]
        assert verified.returncode == 0 and not about_it, verified.stderr


def test_bash_completes_subcommands_and_flags():
    script = """
        source <("$CONCLAVE_BIN" completions bash)
        COMP_WORDS=(conclave key r) COMP_CWORD=2
        _conclave conclave r key
        echo "${COMPREPLY[@]}"
        COMP_WORDS=(conclave edge --tls-l) COMP_CWORD=2
        _conclave conclave --tls-l edge
        echo "${COMPREPLY[@]}"
    """
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout.split("\n")[:2] == ["rotate revoke", "--tls-listen"], done


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_every_command_is_in_every_shells_completions(shell):
    script = conclave("completions", shell).stdout
    for command in commands():
        assert command in script, command


def commands():
    listed = conclave("--help").stdout.split("Commands:")[1].split("Options:")[0]
    return [name for name in re.findall(r"^  ([a-z-]+)  ", listed, re.M) if name != "help"]


def test_every_command_has_a_manual_page_that_holds_its_flags(tmp_path):
    assert conclave("man", tmp_path).returncode == 0
    assert {"up", "edge", "key"} <= set(commands())
    for command in commands():
        page = (tmp_path / f"conclave-{command}.1").read_text().replace("\\-", "-")
        assert not (missing := [flag for flag in flags_of(command) if flag not in page]), (command, missing)
