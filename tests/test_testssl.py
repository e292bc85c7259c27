"""What testssl.sh finds to fault of an edge as it comes: nothing that is the edge's to mend."""

import json
import shutil
import subprocess

import pytest

from harness.mapping import keyed
from harness.process import free_port
from test_tls import Authority

TESTSSL = shutil.which("testssl") or shutil.which("testssl.sh")
pytestmark = [
    pytest.mark.full, pytest.mark.skipif(not TESTSSL, reason="testssl.sh is not installed (Debian: `testssl.sh`)")
]

# Whoever issues certificates says where they are revoked, and whoever has the name says who may issue for it; the last
# is of the machine that looks.
OTHERS = {"cert_revocation", "OCSP_stapling", "DNS_CAArecord", "engine_problem", "scanTime"}


def test_nothing_is_faulted(start_edge, tmp_path):
    folder = tmp_path / "certificates"
    folder.mkdir()
    authority = Authority(folder, "authority")
    certificate, key = authority.issue("edge", ["localhost"], days=90)
    (start_edge.mappings / "alice.yml").write_text(keyed("alice", "sk-alice", "http://127.0.0.1:1"))
    port, report = free_port(), tmp_path / "report.json"
    start_edge(
        "--tls-listen", f"127.0.0.1:{port}", "--tls-cert", certificate, "--tls-key", key, "--hsts", "31536000"
    )
    subprocess.run(
        [TESTSSL, "--quiet", "--color", "0", "--warnings", "off", "--add-ca", authority.file, "--jsonfile", report,
         f"https://localhost:{port}/"],
        capture_output=True, timeout=1500,
    )
    findings = json.loads(report.read_text())
    assert any(finding["id"] == "heartbleed" for finding in findings), "it came to its end"
    faults = [
        (finding["severity"], finding["id"], finding["finding"]) for finding in findings
        if finding["severity"] not in ("OK", "INFO") and finding["id"] not in OTHERS
    ]
    assert not faults
