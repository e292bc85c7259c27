"""`conclave key` beside a running edge: what is made works, what is exchanged goes over, what is revoked ends."""

import hashlib
import json
import os
import re
import signal
import stat
import subprocess
import threading
import time

import pytest
import yaml

from harness.conclave import binary, drop_in
from harness.mapping import keyed
from harness.origin import Origin
from harness.process import eventually

TAKES_EFFECT_SECONDS = 0.25
KEY = re.compile(r"cnc-[0-9A-Za-z]{49}")


@pytest.fixture
def origin():
    with Origin() as origin:
        yield origin


def command(folder, *arguments):
    action, *rest = arguments
    environment = {name: value for name, value in os.environ.items() if not name.startswith("CONCLAVE_")}
    # An edge of whoever runs these tests may know when its own alice was last there.
    environment["XDG_STATE_HOME"] = "/nonexistent"
    environment.pop("STATE_DIRECTORY", None)
    return [binary(), "key", action, *rest, "--mappings", folder], environment


def run(folder, *arguments):
    line, environment = command(folder, *arguments)
    return subprocess.run(line, env=environment, text=True, capture_output=True, timeout=60)


def key(folder, *arguments):
    """Standard output of a run that must succeed."""
    result = run(folder, *arguments)
    assert result.returncode == 0, result.stderr
    assert not KEY.search(result.stderr), "a key goes to standard output alone"
    return result.stdout.strip()


def refused(folder, *arguments):
    before = contents(folder)
    result = run(folder, *arguments)
    assert result.returncode == 1 and result.stdout == "", result
    assert contents(folder) == before
    return result.stderr


def contents(folder):
    return {path.name: path.read_text() for path in folder.iterdir() if path.is_file()}


def status(edge, key):
    return edge.http.get("/anything", headers={"Authorization": f"Bearer {key}"}).status_code


def soon(edge, key, wanted, within=TAKES_EFFECT_SECONDS):
    """The key's answers are `wanted` so many seconds after the command's end, which is now."""
    begun = time.monotonic()
    eventually(lambda: status(edge, key) == wanted, 10, f"status {wanted}", interval=0.002)
    assert time.monotonic() - begun < within


def test_new_works_at_once_and_revoked_ends_at_once(edge, origin):
    folder = edge.mappings
    made = key(folder, "new", "alice", "--service", origin.url)
    soon(edge, made, 200)
    assert KEY.fullmatch(made)
    text = (folder / "alice.yml").read_text()
    assert made not in text and hashlib.sha256(made.encode()).hexdigest() in text
    assert stat.S_IMODE((folder / "alice.yml").stat().st_mode) == 0o600
    assert [status(edge, other) for other in (made + "0", made[:-1], made.lower())] == [401] * 3
    for header in ("x-api-key", "api-key", "x-goog-api-key"):
        assert edge.http.get("/anything", headers={header: made}).status_code == 200

    # The one service there is; another key leaves alice alone.
    second = key(folder, "new", "bob")
    soon(edge, second, 200)
    assert status(edge, made) == 200

    assert key(folder, "revoke", "alice") == ""
    soon(edge, made, 401)
    assert status(edge, second) == 200, "bob's server is in alice's file"
    assert key(folder, "revoke", "bob") == ""
    soon(edge, second, 401)
    assert edge.bad_files() == {}


def test_the_checksum_tells_a_key_from_a_word(tmp_path, origin):
    digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    made = {key(tmp_path, "new", f"k{n}", "--service", origin.url) for n in range(20)}
    assert len(made) == 20
    for one in made:
        number = int.from_bytes(hashlib.sha256(one[:-6].encode()).digest()[:4], "big")
        assert one[-6:] == "".join(digits[number // 62**place % 62] for place in range(6))


def test_limits_are_written_as_middlewares(tmp_path, origin):
    made = json.loads(key(
        tmp_path, "new", "alice", "--service", origin.url, "--models", "a,b", "--rpm", "60", "--tokens-per-day", "5000",
        "--concurrent", "2", "--expires", "2999-12-31", "--note", "Alice: room 3", "--json",
    ))
    assert set(made) == {"name", "key", "file", "service", "expires_at"} and made["expires_at"] == "3000-01-01T00:00:00Z"
    text = (tmp_path / "alice.yml").read_text()
    assert "# Alice: room 3\n" in text
    http = yaml.safe_load(text)["http"]
    used = [http["middlewares"][name] for name in http["routers"]["alice"]["middlewares"]]
    assert used == [
        {"validity": {"notAfter": "3000-01-01T00:00:00Z"}},
        {"models": {"allow": ["a", "b"]}},
        {"rateLimit": {"average": 60, "period": "1m", "burst": 10}},
        {"inFlightReq": {"amount": 2}},
        {"tokenLimit": {"amount": 5000, "period": "24h", "count": "total"}},
    ]


def test_what_is_written_checks(tmp_path, origin):
    key(tmp_path, "new", "alice", "--service", origin.url, "--models", "a", "--rpm", "1", "--expires", "30d")
    check = subprocess.run([binary(), "check", "--mappings", tmp_path], text=True, capture_output=True, timeout=60)
    assert check.returncode == 0, check.stdout


def test_rotation_lets_both_work_and_then_one(edge, origin):
    folder = edge.mappings
    old = key(folder, "new", "alice", "--service", origin.url)
    soon(edge, old, 200)
    stop, homeless = threading.Event(), []

    def watch():
        while not stop.is_set():
            if status(edge, old) != 200:
                homeless.append(time.monotonic())

    watcher = threading.Thread(target=watch)
    watcher.start()
    rotated = json.loads(key(folder, "rotate", "alice", "--grace", "5s", "--json"))
    begun = time.monotonic()
    try:
        soon(edge, rotated["key"], 200)
        assert time.monotonic() - begun < 4, "the grace is not over"
    finally:
        stop.set()
        watcher.join()
    assert homeless == [], "the old key never stopped working"
    assert old not in "".join(contents(folder).values())

    eventually(lambda: status(edge, old) == 401, 10, "the old key's end", interval=0.05)
    assert 4.5 < time.monotonic() - begun < 7
    assert edge.http.get("/", headers={"x-api-key": old}).json()["error"]["code"] == "key_expired"
    assert status(edge, rotated["key"]) == 200


def test_rotation_of_a_hand_written_router_edits_its_rule_alone(edge, origin):
    folder = edge.mappings
    text = keyed("alice", "API_KEY-1", origin.url).replace("http:", "# ours\nhttp: # x", 1) + "# end\n"
    edge.put("team.yml", text)
    new = key(folder, "rotate", "alice", "--grace", "1h")
    soon(edge, new, 200)
    digest = hashlib.sha256(new.encode()).hexdigest()
    edited = (folder / "team.yml").read_text()
    assert edited == re.sub(r"HeaderRegexp\(.*?\$`\)", f"KeySha256(`{digest}`)", text)
    assert "API_KEY-1" not in (folder / "alice.old.yml").read_text()
    assert key(folder, "revoke", "alice.old") == ""
    soon(edge, "API_KEY-1", 401)
    assert status(edge, new) == 200

    plain = key(folder, "rotate", "alice", "--grace", "0s", "--plain")
    soon(edge, plain, 200)
    assert f"Key(`{plain}`)" in (folder / "team.yml").read_text()


def test_revoking_a_hand_written_router_keeps_the_rest(edge, origin):
    folder = edge.mappings
    alice, bob = "    # alice\n    alice: {rule: Key(`KEY-A`), service: gpu} # hers\n", \
        "    # bob\n    bob: {rule: Key(`KEY-B`), service: gpu}\n"
    head, tail = "http:\n  routers:\n", f"  services:\n    gpu: {{loadBalancer: {{servers: [{{url: '{origin.url}'}}]}}}}\n"
    edge.put("team.yml", head + alice + bob + tail)
    diff = key(folder, "revoke", "alice", "--dry-run")
    assert "-    alice: {rule: …, service: gpu} #…" in diff.replace("# …", "#…") and "KEY-" not in diff
    assert status(edge, "KEY-A") == 200
    key(folder, "revoke", "alice")
    soon(edge, "KEY-A", 401)
    assert status(edge, "KEY-B") == 200
    assert (folder / "team.yml").read_text() == head + "    # alice\n" + bob + tail
    key(folder, "revoke", "bob")
    soon(edge, "KEY-B", 401)
    assert edge.bad_files() == {}


def test_refusals_say_what_to_do_and_change_nothing(tmp_path, origin):
    folder = tmp_path / "mappings"
    folder.mkdir()
    drop_in(folder, "a.yml", keyed("alice", "KEY-A", origin.url))
    drop_in(folder, "b.yml", keyed("bob", "KEY-B", origin.url))
    for arguments, told in [
        (["new", "carol"], "alice, bob"),
        (["new", "alice", "--service", "bob"], "taken"),
        (["new", "../x", "--service", "bob"], "letters, digits"),
        (["new", "x", "--service", "nobody"], "alice, bob"),
        (["new", "x", "--service", "http://"], ""),
        (["new", "x", "--service", "bob", "--expires", "2020-01-01"], "over already"),
        (["new", "x", "--service", "bob", "--expires", "tomorrow"], "30d"),
        (["rotate", "nobody"], "alice, bob"),
        (["rotate", "alice", "--grace", "soon"], "24h"),
        (["revoke", "nobody"], "alice, bob"),
    ]:
        message = refused(folder, *arguments)
        assert told in message and "KEY-" not in message and not KEY.search(message), message
    assert run(folder, "new", "x", "--rpm", "0").returncode == 2
    assert "--mappings" in run(tmp_path / "nowhere", "new", "x").stderr


def test_a_broken_file_is_not_edited_behind_the_edges_back(edge, origin):
    folder = edge.mappings
    good = keyed("alice", "KEY-A", origin.url)
    edge.put("team.yml", good)
    edge.put("team.yml", good.replace("loadBalancer", "loadBalanser"))
    assert status(edge, "KEY-A") == 200, "its last good content"
    assert "does not check" in refused(folder, "revoke", "alice")


def test_the_same_name_at_once_is_made_once(tmp_path, origin):
    started = []
    for _ in range(12):
        line, environment = command(tmp_path, "new", "alice", "--service", origin.url)
        started.append(subprocess.Popen(line, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE))
    done = [(process.communicate(timeout=60), process.returncode) for process in started]
    winners = [out.strip() for (out, _), code in done if code == 0]
    assert len(winners) == 1
    assert hashlib.sha256(winners[0].encode()).hexdigest() in (tmp_path / "alice.yml").read_text()
    assert [path.name for path in tmp_path.iterdir()] == ["alice.yml"]


def test_different_names_at_once_are_all_made(edge, origin):
    started = []
    for number in range(12):
        line, environment = command(edge.mappings, "new", f"k{number}", "--service", origin.url)
        started.append(subprocess.Popen(line, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE))
    keys = [process.communicate(timeout=60)[0].strip() for process in started]
    for made in keys:
        soon(edge, made, 200, within=2)


def test_killed_in_the_middle_leaves_the_folder_valid(tmp_path, origin):
    """SIGKILL at many moments: whatever stands under a mapping's name is whole, and the old key has its router."""
    folder = tmp_path / "mappings"
    folder.mkdir()
    (folder / "filler.yml").write_text(
        "http:\n  routers:\n" + "".join(f"    f{n}: {{rule: 'Key(`f{n}`)', service: s}}\n" for n in range(2000))
    )
    text = keyed("alice", "API_KEY-1", origin.url)
    digests = [hashlib.sha256(b"API_KEY-1").hexdigest()]
    cut_off = 0
    for step in range(40):
        drop_in(folder, "team.yml", text)
        (folder / "alice.old.yml").unlink(missing_ok=True)
        line, environment = command(folder, "rotate", "alice", "--grace", "1h")
        process = subprocess.Popen(line, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        try:
            process.wait(timeout=0.004 * step)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            cut_off += 1
        process.communicate(timeout=60)
        texts = {path.name: path.read_text() for path in folder.iterdir() if path.suffix == ".yml"}
        for content in texts.values():
            yaml.safe_load(content)
        held = "API_KEY-1" in texts["team.yml"] or any(digest in texts.get("alice.old.yml", "") for digest in digests)
        assert held, "the old key has a router at every moment"
    assert cut_off > 0
    # What was cut off before is no hindrance now; a temporary that stayed is hidden from every watcher.
    drop_in(folder, "team.yml", text)
    assert KEY.fullmatch(key(folder, "rotate", "alice", "--grace", "1h"))
    assert {path.name for path in folder.iterdir() if not path.name.startswith(".")} == \
        {"filler.yml", "team.yml", "alice.old.yml"}


def test_list_shows_every_key_and_no_key(tmp_path, origin):
    folder = tmp_path / "mappings"
    folder.mkdir()
    made = key(folder, "new", "alice", "--service", origin.url, "--rpm", "60", "--models", "a,b", "--expires", "30d")
    drop_in(folder, "team.yml", "\n".join([
        "http:", "  routers:",
        "    two: {rule: Key(`KEY-1`) || Key(`KEY-2`), service: alice}",
        "    lost: {rule: Key(`KEY-3`), service: gone}",
        "    any: {rule: 'HeaderRegexp(`Authorization`, `Bearer sk-`)', service: alice}",
        "    old: {rule: Key(`KEY-4`), service: alice, middlewares: [over]}",
        "    open: {rule: Path(`/x`), service: alice}",
        "  middlewares: {over: {validity: {notAfter: 2020-01-01}}}",
    ]))
    drop_in(folder, "bad.yml", "http:\n  routers:\n    x: {rule: Key(`KEY-9`)}\n")
    listed = json.loads(key(folder, "list", "--json"))
    rows = {row["name"]: row for row in listed["keys"]}
    assert list(rows) == ["alice", "any", "lost", "old", "two"]
    alice = rows["alice"]
    assert alice["fingerprints"] == [hashlib.sha256(made.encode()).hexdigest()[:8]]
    assert alice["limits"] == [{"kind": "requests", "average": 60, "period_ms": 60000, "burst": 10}]
    assert (alice["state"], alice["models"], alice["service"]) == ("ok", ["a", "b"], "alice")
    assert alice["expires_at"] and alice["last_used_at"] is None
    assert {name: row["state"] for name, row in rows.items()} == \
        {"alice": "ok", "any": "ok", "lost": "broken", "old": "expired", "two": "ok"}
    assert (rows["two"]["keys"], rows["any"]["keys"], len(rows["two"]["fingerprints"])) == (2, None, 2)
    assert (rows["lost"]["file"], rows["lost"]["line"]) == ("team.yml", 4) and "gone" in rows["lost"]["problem"]
    assert [bad["file"] for bad in listed["bad_files"]] == ["bad.yml"]

    (folder / "bad.yml").unlink()
    rotated = key(folder, "rotate", "alice", "--grace", "2h")
    listed = json.loads(key(folder, "list", "--json"))
    rows = {row["name"]: row for row in listed["keys"]}
    assert "alice.old" not in rows and rows["alice"]["rotation"]["old_key_until"]
    assert rows["alice"]["rotation"]["fingerprint"] == hashlib.sha256(made.encode()).hexdigest()[:8]
    table = key(folder, "list")
    assert re.search(r"^two +2 keys +alice +ok", table, re.M) and "old key until" in table
    for secret in (made, rotated, "KEY-1", "KEY-2", "KEY-3", "KEY-4", "sk-"):
        assert secret not in table + json.dumps(listed)
