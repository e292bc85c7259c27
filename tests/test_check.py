"""`conclave check` names every mistake of a folder at once, with its place, and shows no key."""

import re
import subprocess

from harness.conclave import binary
from harness.mapping import keyed

def good(name):
    return keyed(name, f"SECRET-{name}", "http://127.0.0.1:8011")


# file: (text, what its one wrong line holds; None where it is more than one line's)
MISTAKES = {
    "indent.yml": ("http:\n  routers:\n    a: {\n", None),
    "matcher.yml": (good("matcher").replace("HeaderRegexp", "headerRegexp"), "rule:"),
    "pattern.yml": (good("pattern").replace("^Bearer SECRET", "^Bearer (SECRET"), "rule:"),
    "service.yml": (good("service").replace("service: service", "service: missing"), None),
    "url.yml": (good("url").replace("http://127.0.0.1:8011", "127.0.0.1:8011"), "127.0.0.1:8011"),
}


def check(folder):
    return subprocess.run([binary(), "check", "--mappings", folder], text=True, capture_output=True, timeout=30)


def test_five_mistakes_in_five_files(tmp_path):
    (tmp_path / "good.yml").write_text(good("good"))
    for name, (text, _) in MISTAKES.items():
        (tmp_path / name).write_text(text)
    result = check(tmp_path)
    report = result.stdout + result.stderr
    assert result.returncode == 1, report
    for name, (text, marker) in MISTAKES.items():
        places = re.findall(rf"{name}:(\d+):(\d+): error", report)
        assert places, f"{name} is not reported:\n{report}"
        assert all(int(column) > 0 for _, column in places)
        if marker:
            (expected,) = [number for number, line in enumerate(text.splitlines(), 1) if marker in line]
            assert int(places[0][0]) == expected, f"{name}:\n{report}"
    assert "good.yml:" not in report
    assert "SECRET" not in report


def test_five_mistakes_in_one_file(tmp_path):
    (tmp_path / "many.yml").write_text("""\
http:
  routers:
    a:
      rule: "Header(`Authorization`)"
      service: s
    b:
      rule: "Path(`no-slash`)"
      service: s
    c:
      rule: "Key(`SECRET-1`) &&"
      service: s
    d:
      rule: "Key(`SECRET-2`)"
      service: s
      prioritee: 3
  services:
    s:
      loadBalancer:
        servers:
          - url: "ftp://127.0.0.1"
""")
    result = check(tmp_path)
    report = result.stdout + result.stderr
    assert result.returncode == 1
    lines = {int(line) for line, column in re.findall(r"many\.yml:(\d+):(\d+): (?:error|warning)", report)}
    assert lines >= {4, 7, 10, 15, 20}, report
    assert "SECRET" not in report


def test_a_good_folder(tmp_path):
    (tmp_path / "good.yml").write_text(good("good"))
    result = check(tmp_path)
    assert result.returncode == 0, result.stdout + result.stderr


def test_the_projects_own_mappings():
    from harness.conclave import ROOT

    result = check(ROOT / "mappings")
    assert result.returncode == 0, result.stdout + result.stderr
