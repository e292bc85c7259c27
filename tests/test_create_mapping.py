"""scripts/create-mapping.sh under every shell of this machine: what it writes and sets aside, who sees the key."""

import hashlib
import os
import re
import shutil
import stat
import subprocess
import threading
from pathlib import Path

import pytest
import yaml

SCRIPT = Path(__file__).resolve().parent.parent / "scripts" / "create-mapping.sh"
BUSYBOX = os.environ.get("BUSYBOX") or shutil.which("busybox")
SHELLS = [[path] for name in ("dash", "bash") if (path := shutil.which(name))] + ([[BUSYBOX, "sh"]] if BUSYBOX else [])
# One of each character that a layer between the shell and the regular expression could trip over.
AWKWARD_KEYS = [
    "sk-" + "".join(chr(code) for code in range(0x21, 0x7F)),
    "a.b", "a+b*c?", "$HOME", "$(id)", "`id`", "^x$", "[a-z]{2}|(b)", "back\\slash", "two\\\\", '"quoted"', "it's",
    "-n", "-e\\n", "%s%d", "#no-comment", "key::v", "!bang", "&lt;", "~/x", "\\x60", "\\Qa\\E", "*", "x" * 4096,
]


@pytest.fixture(params=SHELLS, ids=lambda shell: Path(shell[0]).name)
def shell(request):
    return request.param


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "map pings"
    path.mkdir()
    return path


def start(shell, folder, *arguments, service="svc", port=8011, key=None, **options):
    environment = {name: value for name, value in os.environ.items() if name != "CONCLAVE_API_KEY"}
    if key is not None:
        environment["CONCLAVE_API_KEY"] = key
    environment.update(options.pop("env", {}))
    command = [*shell, str(SCRIPT), "--port", str(port), "--service", service, "--mappings", str(folder), *arguments]
    return subprocess.Popen(
        command, env=environment, text=True, stdin=options.pop("stdin", subprocess.DEVNULL),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options,
    )


def run(shell, folder, *arguments, input=None, **options):
    process = start(shell, folder, *arguments, stdin=subprocess.PIPE, **options)
    out, err = process.communicate(input or "", timeout=60)
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def create(*arguments, **options):
    result = run(*arguments, **options)
    assert result.returncode == 0, result.stderr
    return result


def live(folder):
    return sorted(path.name for path in folder.iterdir() if path.suffix in (".yml", ".yaml"))


def pattern_of(path):
    """The regular expression of a file's one rule, read as the proxy would read it."""
    (router,) = yaml.safe_load(path.read_text())["http"]["routers"].values()
    return re.fullmatch(r"HeaderRegexp\(`Authorization`, `([^`]*)`\)", router["rule"])[1]


def test_writes_what_the_original_wrote(shell, folder):
    result = create(shell, folder, "--api_key", "API_KEY-1", "--host", "http://10.0.0.7", service="llama-server-1")
    path = folder / "llama-server-1.yml"
    assert path.read_text() == (
        "http:\n  routers:\n    llama-server-1:\n"
        '      rule: "HeaderRegexp(`Authorization`, `^Bearer API_KEY-1$`)"\n'
        "      service: llama-server-1\n      entryPoints:\n        - llama-servers\n\n"
        "  services:\n    llama-server-1:\n      loadBalancer:\n        servers:\n"
        '          - url: "http://10.0.0.7:8011"\n'
    )
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert result.stdout.splitlines() == [
        f"Creating mapping file '{path}' for Traefik service 'llama-server-1' on 'http://10.0.0.7:8011'",
        "Good - API_KEY not found in any other mapping files.",
        f"Generated mapping file: {path}",
    ]
    assert os.listdir(folder) == ["llama-server-1.yml"], "nothing else is left behind"


@pytest.mark.parametrize("key", AWKWARD_KEYS, ids=range(len(AWKWARD_KEYS)))
def test_a_key_means_itself_and_nothing_else(shell, folder, key):
    create(shell, folder, key=key)
    pattern = pattern_of(folder / "svc.yml")
    assert re.search(pattern, f"Bearer {key}")
    for other in (f"Bearer {key}0", f"xBearer {key}", f"Bearer {key[:-1]}", "Bearer " + key.replace(".", "x") + "y"):
        assert not re.search(pattern, other)


@pytest.mark.parametrize("key", AWKWARD_KEYS, ids=range(len(AWKWARD_KEYS)))
@pytest.mark.parametrize("first", [[], ["--hash"]], ids=["plain", "hashed"])
def test_finds_a_key_again_in_either_form(shell, folder, key, first):
    create(shell, folder, *first, key=key, service="old")
    create(shell, folder, key=key + "x", service="neighbour")
    result = create(shell, folder, key=key, service="new")
    assert live(folder) == ["neighbour.yml", "new.yml"]
    assert f"Rotated {folder}/old.yml -> {folder}/old.yml.bak." in result.stdout


def test_hash_leaves_no_plaintext(shell, folder):
    create(shell, folder, "--hash", key="API_KEY-1")
    text = (folder / "svc.yml").read_text()
    digest = hashlib.sha256(b"API_KEY-1").hexdigest()
    assert f'rule: "KeySha256(`{digest}`)"' in text and "API_KEY-1" not in text


@pytest.mark.parametrize("rule", [
    "\"HeaderRegexp(`Authorization`, `^Bearer a.b$`)\"",            # the original: unescaped
    "'HeaderRegexp(`Authorization`, `^Bearer a\\.b$`)'",            # single-quoted YAML
    "'HeaderRegexp(\"Authorization\", \"^Bearer a.b$\")'",
    "Header(`Authorization`, `Bearer a.b`)",
    "Key(`a.b`) && Path(`/v1/chat/completions`)",
    "KeySha256(`%s`)" % hashlib.sha256(b"a.b").hexdigest().upper(),
])
def test_finds_a_key_written_by_hand(shell, folder, rule):
    (folder / "hand.yaml").write_text(f"http:\n  routers:\n    hand:\n      rule: {rule}\n")
    create(shell, folder, key="a.b")
    assert live(folder) == ["svc.yml"]


def test_api_key_1_is_not_api_key_10(shell, folder):
    create(shell, folder, key="API_KEY-10", service="ten")
    create(shell, folder, key="API_KEY-10", service="ten-hashed-twin", port=1)
    create(shell, folder, key="xAPI_KEY-1", service="x")
    before = live(folder)
    create(shell, folder, key="API_KEY-1", service="one")
    assert live(folder) == sorted([*before, "one.yml"])


def test_the_same_service_again_replaces_its_file(shell, folder):
    create(shell, folder, key="API_KEY-1", port=8011)
    create(shell, folder, key="API_KEY-1", port=8099)
    assert os.listdir(folder) == ["svc.yml"]
    assert "8099" in (folder / "svc.yml").read_text()


def test_no_backup_is_ever_overwritten(shell, folder):
    for _ in range(4):  # several in one second
        create(shell, folder, key="K", service="a")
        create(shell, folder, key="K", service="b")
    backups = [path for path in folder.iterdir() if ".bak." in path.name]
    assert len(backups) == 7 and live(folder) == ["b.yml"]


def test_leaves_comments_hidden_and_other_files_alone(shell, folder):
    line = "rule: \"HeaderRegexp(`Authorization`, `^Bearer K$`)\"\n"
    (folder / "commented.yml").write_text("# " + line)
    (folder / ".hidden.yml").write_text(line)
    (folder / "notes.txt").write_text(line)
    create(shell, folder, key="K")
    assert sorted(os.listdir(folder)) == [".hidden.yml", "commented.yml", "notes.txt", "svc.yml"]


def test_warns_when_a_rotated_file_held_other_keys(shell, folder):
    rule = "      rule: \"HeaderRegexp(`Authorization`, `^Bearer %s$`)\"\n"
    (folder / "team.yml").write_text("http:\n  routers:\n    a:\n" + rule % "K" + "    b:\n" + rule % "L")
    assert "team.yml held other routers as well" in create(shell, folder, key="K").stderr


@pytest.mark.parametrize("service, stem, name", [
    ("TheBloke/Tiny Llama:Q2_K", "TheBloke_Tiny_Llama_Q2_K", "TheBloke_Tiny_Llama_Q2_K"),
    ("../../etc/x", None, None),
    ("a\nb", "a_b", "a_b"), ("true", "true", "true"), ("8011", "8011", "8011"), ("-", "-", "-"), ("No", "No", "No"),
])
def test_service_names(shell, folder, service, stem, name):
    result = run(shell, folder, key="K", service=service)
    if stem is None:
        assert result.returncode == 1 and "must not begin with a dot" in result.stderr
        return
    assert result.returncode == 0, result.stderr
    parsed = yaml.safe_load((folder / f"{stem}.yml").read_text())["http"]
    assert list(parsed["routers"]) == list(parsed["services"]) == [name] == [parsed["routers"][name]["service"]]


def test_where_the_key_comes_from(shell, folder, tmp_path):
    secret = tmp_path / "key"
    for text in ("FILE-KEY", "FILE-KEY\n", "FILE-KEY\r\n"):
        secret.write_text(text)
        create(shell, folder, "--api_key_file", str(secret), key="IGNORED")
        assert pattern_of(folder / "svc.yml") == "^Bearer FILE-KEY$"
    create(shell, folder, "--api_key_file", "-", input="STDIN-KEY\n")
    assert pattern_of(folder / "svc.yml") == "^Bearer STDIN-KEY$"
    create(shell, folder, key="ENV-KEY")
    assert pattern_of(folder / "svc.yml") == "^Bearer ENV-KEY$"


@pytest.mark.parametrize("arguments, status, message", [
    ([], 1, "--port, --service, and --api_key are required"),
    (["--api_key"], 1, "--api_key needs a value"),
    (["--api_key", "K", "--port", "http"], 1, "--port must be a number"),
    (["--api_key", "K", "--port", "65536"], 1, "--port must be a number"),
    (["--api_key", "K", "--port", "0"], 1, "--port must be a number"),
    (["--api_key", "K", "--host", "127.0.0.1"], 1, "must begin with its scheme"),
    (["--api_key", "K", "--host", 'http://h"\nx: y'], 1, "without blanks, quotes"),
    (["--api_key", "K", "--mappings", "/nonexistent"], 1, "Mapping directory does not exist at /nonexistent"),
    (["--api_key", "K", "--api_key_file", "-"], 1, "exclude each other"),
    (["--api_key_file", "/nonexistent/key"], 1, "cannot read /nonexistent/key"),
    (["--api_key=SECRET"], 1, "Unknown parameter passed: --api_key\n"),
    (["--api_key", "two words"], 1, "printable ASCII"),
    (["--api_key", "line\nbreak"], 1, "printable ASCII"),
    (["--api_key", "tab\there"], 1, "printable ASCII"),
    (["--api_key", "schlüssel"], 1, "printable ASCII"),
    (["--api_key", "del\x7f"], 1, "printable ASCII"),
])
def test_refusals(shell, folder, arguments, status, message):
    result = run(shell, folder, *arguments)
    assert (result.returncode, message in result.stderr) == (status, True), result.stderr
    assert os.listdir(folder) == []
    for secret in ("SECRET", "two words", "schlüssel"):
        assert secret not in result.stdout + result.stderr


def test_a_key_file_of_two_lines_is_refused(shell, folder, tmp_path):
    (tmp_path / "key").write_text("one\ntwo\n")
    result = run(shell, folder, "--api_key_file", str(tmp_path / "key"))
    assert result.returncode == 1 and "one line" in result.stderr


def test_help(shell, tmp_path):
    result = subprocess.run([*shell, str(SCRIPT), "--help"], text=True, capture_output=True)
    assert result.returncode == 0 and result.stdout.startswith("Usage:")


def without_flock(tmp_path):
    """A PATH with every program but flock."""
    programs = tmp_path / "bin"
    programs.mkdir()
    names = "awk cat chmod date find grep mkdir mktemp mv rm rmdir sed sha256sum sleep tr".split()
    for name in names:
        (programs / name).symlink_to(shutil.which(name))
    return {"PATH": str(programs)}


@pytest.fixture(params=["flock", "mkdir"])
def lock_environment(request, tmp_path, shell):
    if request.param == "mkdir":
        if shell[0] == BUSYBOX:
            pytest.skip("busybox has its flock built in")
        return without_flock(tmp_path)
    if not shutil.which("flock") and shell[0] != BUSYBOX:
        pytest.skip("no flock here")
    return {}


def finish(processes):
    for process in processes:
        out, err = process.communicate(timeout=120)
        assert process.returncode == 0, err


def test_fifty_runs_at_once_with_different_keys(shell, folder, lock_environment):
    finish([start(shell, folder, key=f"KEY-{n}", service=f"s{n}", env=lock_environment) for n in range(50)])
    assert {pattern_of(folder / name) for name in live(folder)} == {f"^Bearer KEY-{n}$" for n in range(50)}
    assert len(os.listdir(folder)) == 50


def test_fifty_runs_at_once_with_the_same_key(shell, folder, lock_environment):
    finish([start(shell, folder, key="KEY", service=f"s{n}", env=lock_environment) for n in range(50)])
    assert len(live(folder)) == 1, "the key has one home"
    assert len(os.listdir(folder)) == 50, "every other file is a backup"
    assert not [name for name in os.listdir(folder) if name.startswith(".")]


def test_a_killed_run_leaves_no_lock_that_holds(shell, folder, lock_environment):
    """The lock of a run that was killed with SIGKILL does not stop the next one for long."""
    gate = folder / "slow.yml"
    os.mkfifo(folder / "gate")
    gate.symlink_to(folder / "gate")  # reading this "mapping" keeps the run inside its lock
    process = start(shell, folder, key="K", env=lock_environment, start_new_session=True)
    for line in process.stdout:
        break
    writer = os.open(folder / "gate", os.O_WRONLY)  # returns once awk has opened the other end
    os.killpg(process.pid, 9)
    process.communicate()
    os.close(writer)
    gate.unlink()
    script = SCRIPT.read_text().replace("LOCK_WAIT_SECONDS=60", "LOCK_WAIT_SECONDS=1")
    impatient = folder.parent / "create-mapping.sh"
    impatient.write_text(script)
    environment = {**os.environ, **lock_environment, "CONCLAVE_API_KEY": "K"}
    result = subprocess.run(
        [*shell, str(impatient), "--port", "1", "--service", "after", "--mappings", str(folder)],
        env=environment, text=True, capture_output=True, timeout=30,
    )
    assert result.returncode == 0, result.stderr
    assert live(folder) == ["after.yml"]


def test_no_reader_ever_sees_a_partial_file(shell, folder):
    create(shell, folder, key="KEY", port=1000)
    path, stop, seen = folder / "svc.yml", threading.Event(), set()

    def read():
        while not stop.is_set():
            seen.add(path.read_text())

    reader = threading.Thread(target=read)
    reader.start()
    try:
        for port in range(1001, 1031):
            create(shell, folder, key="KEY", port=port)
    finally:
        stop.set()
        reader.join()
    assert len(seen) > 3, "the reader did watch"
    for text in seen:
        assert text.startswith("http:\n") and re.search(r':10\d\d"\n$', text)


def test_the_key_is_never_without_a_home_while_it_moves(shell, folder):
    create(shell, folder, key="KEY", service="s0")
    stop, homeless = threading.Event(), []

    def watch():
        while not stop.is_set():
            # A listing is no snapshot: ask for each name, the newer one last.
            if not any((folder / f"s{n}.yml").exists() for n in (0, 1, 0, 1)):
                homeless.append(os.listdir(folder))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        for n in range(1, 21):
            create(shell, folder, key="KEY", service=f"s{n % 2}")
    finally:
        stop.set()
        watcher.join()
    assert homeless == []


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="needs /proc")
@pytest.mark.parametrize("source", ["env", "file", "stdin"])
@pytest.mark.parametrize("form", [[], ["--hash"]], ids=["plain", "hashed"])
def test_no_process_shows_the_key(shell, folder, tmp_path, source, form):
    key = "VERY-SECRET-KEY-31415"
    (tmp_path / "key").write_text(key)
    create(shell, folder, *form, key=key, service="old")
    arguments = {"env": [], "file": ["--api_key_file", str(tmp_path / "key")], "stdin": ["--api_key_file", "-"]}[source]
    caught, watched, stop = [], [0], threading.Event()

    def scan():
        while not stop.is_set():
            for pid in filter(str.isdigit, os.listdir("/proc")):
                try:
                    command = Path(f"/proc/{pid}/cmdline").read_bytes()
                except OSError:
                    continue
                watched[0] += str(folder).encode() in command
                if key.encode() in command:
                    caught.append(command)

    scanner = threading.Thread(target=scan)
    scanner.start()
    try:
        for n in range(8):
            create(
                shell, folder, *form, *arguments, service=f"s{n % 2}", key=key if source == "env" else None,
                input=key if source == "stdin" else None,
            )
    finally:
        stop.set()
        scanner.join()
    assert watched[0] > 0, "the scanner did see the script"
    assert caught == []


def test_no_program_is_handed_the_key(shell, folder, tmp_path):
    """Every program the script starts writes down its arguments and its environment first."""
    if shell[0] == BUSYBOX:
        pytest.skip("busybox runs its own applets first")
    key, log = "VERY-SECRET-KEY-31415", tmp_path / "calls"
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in "awk cat chmod date find flock grep mktemp mv rm sed sha256sum tr".split():
        real = shutil.which(name)
        spy = programs / name
        spy.write_text(f'#!/bin/bash\n{{ printf "%s\\n" {name} "$@"; env; }} >>"{log}"\nexec {real} "$@"\n')
        spy.chmod(0o755)
    # Names that the script assigns, exported by its caller, would carry the key to every child.
    environment = {"PATH": f"{programs}:{os.environ['PATH']}", "api_key": "x", "escaped": "x", "rule": "x", "rest": "x"}
    for n, form in enumerate([[], ["--hash"], []]):
        create(shell, folder, *form, key=key, service=f"s{n}", env=environment)
    calls = log.read_text()
    assert "sha256sum" in calls and "awk" in calls and "mv" in calls
    assert key not in calls
