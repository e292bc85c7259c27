"""Files that decide, as an operator meets them: what is refused, what is said of it, and what mends it."""

import os
import subprocess

import pytest

from harness.conclave import binary
from harness.mapping import keyed
from harness.origin import Origin
from harness.process import eventually
from harness.wire import request, send


def status(edge, key):
    return send(edge.address, request("/v1/models", headers=[f"Authorization: Bearer {key}"])).status


def check(folder, *flags):
    return subprocess.run([binary(), "check", "--mappings", folder, *flags], text=True, capture_output=True, timeout=60)


def test_what_everybody_may_write_is_refused_until_its_mode_is_mended(start_edge):
    folder = start_edge.mappings
    with Origin() as origin:
        for name in ("good", "open"):
            (folder / f"{name}.yml").write_text(keyed(name, f"k-{name}", origin.url))
        (folder / "open.yml").chmod(0o666)
        os.mkfifo(folder / "fifo.yml")
        edge = start_edge("--mappings-poll", "0.1")
        assert (status(edge, "k-good"), status(edge, "k-open")) == (200, 401)
        bad = edge.bad_files()
        assert set(bad) == {"open.yml", "fifo.yml"}
        (problem,) = bad["open.yml"]["problems"]
        # The fix is a command, and it works.
        assert f"`chmod o-w {folder}/open.yml`" in problem["fix"]
        reported = check(folder)
        assert reported.returncode == 1 and "chmod o-w" in reported.stdout and "2 errors" in reported.stdout
        subprocess.run(["chmod", "o-w", folder / "open.yml"], check=True, timeout=10)
        (folder / "fifo.yml").unlink()
        eventually(lambda: status(edge, "k-open") == 200, what="the mended file is served")
        assert check(folder).returncode == 0
        # From now on nothing is taken from the folder, and what is there goes on.
        folder.chmod(0o777)
        eventually(lambda: edge.health()["status"] != "ok", what="the folder is reported")
        (folder / "intruder.yml").write_text(keyed("intruder", "k-intruder", origin.url))
        (folder / "good.yml").unlink()
        eventually(lambda: status(edge, "k-good") == 401, what="a deleted key stops")
        assert (status(edge, "k-intruder"), status(edge, "k-open")) == (401, 200)
        assert "chmod o-w" in check(folder).stderr


def test_a_file_system_that_knows_no_modes_can_be_trusted(start_edge):
    folder = start_edge.mappings
    with Origin() as origin:
        (folder / "a.yml").write_text(keyed("a", "k", origin.url))
        (folder / "a.yml").chmod(0o777)
        folder.chmod(0o777)
        edge = start_edge("--trust-writable-files")
        assert status(edge, "k") == 200
        assert check(folder).returncode == 1 and check(folder, "--trust-writable-files").returncode == 0


def test_a_folder_that_is_mounted_read_only_is_nobody_s_to_write(tmp_path):
    """Kubernetes mounts a ConfigMap so: mode 0777, read-only, each file a link through `..data`."""
    folder, version = tmp_path / "map", tmp_path / "map" / "..v1"
    version.mkdir(parents=True)
    (version / "a.yml").write_text(keyed("a", "k", "http://127.0.0.1:1"))
    (folder / "..data").symlink_to("..v1")
    (folder / "a.yml").symlink_to("..data/a.yml")
    folder.chmod(0o777)
    assert check(folder).returncode == 1
    mounted = f'mount --bind "{folder}" "{folder}" && mount -o remount,bind,ro "{folder}" || exit 77; exec "$0" "$@"'
    result = subprocess.run(["unshare", "--mount", "sh", "-c", mounted, binary(), "check", "--mappings", folder],
                            text=True, capture_output=True, timeout=60)
    if result.returncode == 77 or "unshare" in result.stderr:
        pytest.skip("nothing may be mounted here")
    assert result.returncode == 0, result.stdout + result.stderr
    assert "1 key: 0 errors" in result.stdout, result.stdout


@pytest.mark.parametrize("flag", ["--config", "--stats-config-file", "--council-templates"])
def test_no_command_waits_for_a_pipe(tmp_path, flag):
    (tmp_path / "mappings").mkdir()
    named = tmp_path / "named"
    if flag == "--council-templates":
        named.mkdir()
        os.mkfifo(named / "a.yaml")
    else:
        os.mkfifo(named)
    result = check(tmp_path / "mappings", flag, named)
    assert result.returncode == 1 and "regular file" in result.stdout + result.stderr
