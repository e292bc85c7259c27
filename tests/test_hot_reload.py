"""A mapping file works a moment after it appears, and stops a moment after it is gone; nothing is restarted."""

import os
import subprocess
import time
from pathlib import Path

import pytest

from harness.conclave import drop_in
from harness.mapping import keyed
from harness.origin import Origin
from harness.process import eventually

TAKES_EFFECT_SECONDS = 0.25
CREATE_MAPPING = Path(__file__).resolve().parent.parent / "scripts" / "create-mapping.sh"


@pytest.fixture
def origin():
    with Origin() as origin:
        yield origin


def status(edge, key):
    return edge.http.get("/anything", headers={"Authorization": f"Bearer {key}"}).status_code


def took(edge, key, wanted, change):
    """How long after `change` the key's answers become `wanted`."""
    change()
    begun = time.monotonic()
    eventually(lambda: status(edge, key) == wanted, 10, f"status {wanted}", interval=0.002)
    return time.monotonic() - begun


def test_appear_change_break_vanish(edge, origin):
    folder = edge.mappings
    good = keyed("a", "KEY-A", origin.url)
    assert status(edge, "KEY-A") == 401
    assert took(edge, "KEY-A", 200, lambda: drop_in(folder, "a.yml", good)) < TAKES_EFFECT_SECONDS

    # Another key in the same file: the new one works, the old one does not.
    changed = keyed("a", "KEY-B", origin.url)
    assert took(edge, "KEY-B", 200, lambda: drop_in(folder, "a.yml", changed)) < TAKES_EFFECT_SECONDS
    assert status(edge, "KEY-A") == 401

    # A broken file keeps its last good content and is reported.
    edge.put("a.yml", "http:\n  routers:\n   a: [\n")
    assert status(edge, "KEY-B") == 200
    assert edge.bad_files()["a.yml"]["problems"][0]["line"] > 0
    assert edge.health()["status"] == "degraded"

    assert took(edge, "KEY-B", 401, lambda: (folder / "a.yml").unlink()) < TAKES_EFFECT_SECONDS
    eventually(lambda: edge.health()["status"] == "ok", what="a healthy edge")


def test_a_broken_file_at_the_start_refuses_its_key_and_no_other(start_edge, origin):
    drop_in(start_edge.mappings, "good.yml", keyed("good", "KEY-A", origin.url))
    drop_in(start_edge.mappings, "bad.yml", keyed("bad", "KEY-B", origin.url).replace("loadBalancer", "loadBalanser"))
    edge = start_edge()
    assert [status(edge, key) for key in ("KEY-A", "KEY-B", "KEY-C")] == [200, 503, 401]
    assert took(edge, "KEY-B", 200, lambda: drop_in(edge.mappings, "bad.yml", keyed("bad", "KEY-B", origin.url))) \
        < TAKES_EFFECT_SECONDS


def test_an_editors_save_in_place(edge, origin):
    """Written in two halves: the first half alone never takes effect."""
    edge.put("a.yml", keyed("a", "KEY-A", origin.url))
    text = keyed("a", "KEY-A", origin.url + "/") + "# end\n"
    with open(edge.mappings / "a.yml", "w") as file:
        file.write(text[:40])
        file.flush()
        os.fsync(file.fileno())
        assert status(edge, "KEY-A") == 200
        file.write(text[40:])
    for _ in range(50):
        assert status(edge, "KEY-A") == 200


def test_only_mapping_files_are_read(edge, origin):
    text = keyed("a", "KEY-A", origin.url)
    for name in (".hidden.yml", "a.yml.bak", "a.yml.bak.20260101-000000", "a.yml~", ".a.yml.swp", "a.txt"):
        (edge.mappings / name).write_text(text)
    edge.put("b.yaml", keyed("b", "KEY-B", origin.url))
    assert [status(edge, key) for key in ("KEY-A", "KEY-B")] == [401, 200]


def test_a_hundred_files_at_once(edge, origin):
    for number in range(100):
        drop_in(edge.mappings, f"{number}.yml", keyed(f"r{number}", f"KEY-{number}", origin.url))
    eventually(lambda: edge.health()["mappings"]["keys"] == 100, 2, "a hundred keys")
    assert {status(edge, f"KEY-{number}") for number in range(100)} == {200}


def create_mapping(edge, key, service, url, *flags):
    host, _, port = url.rpartition(":")
    environment = {**os.environ, "CONCLAVE_API_KEY": key}
    subprocess.run(
        [CREATE_MAPPING, "--port", port, "--host", host, "--service", service, "--mappings", edge.mappings, *flags],
        env=environment, check=True, stdout=subprocess.DEVNULL,
    )


@pytest.mark.parametrize("flags", [[], ["--hash"]], ids=["plain", "hashed"])
@pytest.mark.parametrize("key", ["API_KEY-1", "sk-a.b+c*[d]{2}|(e)?^$`\\\"'x", "~!@#%&=:;,<>/_-"])
def test_what_create_mapping_writes_works_live(edge, origin, key, flags):
    took_seconds = took(edge, key, 200, lambda: create_mapping(edge, key, "one", origin.url, *flags))
    assert took_seconds < TAKES_EFFECT_SECONDS
    assert status(edge, key + "0") == 401 and status(edge, key.replace("a.b", "axb") + "!") == 401
    assert edge.bad_files() == {}

    # The key moves to another server; it never stops working.
    with Origin() as other:
        create_mapping(edge, key, "two", other.url, *flags)
        eventually(lambda: status(edge, key) == 200 and other.requests, what="the move")
    assert sorted(path.name for path in edge.mappings.glob("*.yml")) == ["two.yml"]
