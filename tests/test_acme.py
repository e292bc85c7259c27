"""Certificates by ACME, from a real authority: Pebble makes its own connections to what it is to prove."""

import base64
import re
import signal
import socket
import ssl
import stat
import subprocess
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from cryptography import x509

from harness.acme import INSTALLED, Pebble, Suggesting, renewal_id, suggestion
from harness.mapping import keyed
from harness.origin import Answer, Origin
from harness.process import eventually, free_port
from harness.relay import Relay
from test_tls import Authority

pytestmark = pytest.mark.skipif(not INSTALLED, reason="pebble is not installed (Debian: `apt install pebble`)")

HEADERS = {"Authorization": "Bearer sk-alice"}


@pytest.fixture
def world(tmp_path, start_edge):
    """Starts an authority and an edge that gets its certificates from it."""
    folder = tmp_path / "authority"
    folder.mkdir()
    ours = Authority(folder, "directory")
    certificate, key = ours.issue("pebble", ["localhost"])
    running = []

    class World:
        state = tmp_path / "state"

        def authority(self, **options):
            running.append(Pebble(folder, certificate, key, **options))
            return running[-1]

        def suggesting(self, **options):
            """What stands before an authority, and the root of what that issues."""
            behind = self.authority(**options)
            running.append(Suggesting(behind.directory.removesuffix("/dir"), certificate, key))
            return running[-1], behind.root()

        def edge(self, directory, tls_port, *flags):
            self.edge_flags = [
                "--tls-listen", f"127.0.0.1:{tls_port}", "--state", self.state, "--acme-directory", directory,
                "--acme-ca", ours.file, "--acme-agree-tos", "--acme-contact", "operator@conclave.test", *flags,
            ]
            return start_edge(*self.edge_flags)

    with Origin(lambda _: Answer(body=b'{"ok":true}')) as origin:
        (start_edge.mappings / "alice.yml").write_text(keyed("alice", "sk-alice", origin.url))
        yield World()
    for authority in running:
        authority.stop()


def certificate(port, name, root, whole=False):
    """What a client that trusts the authority is shown for `name`; `None` where it is turned away. `whole`: in DER."""
    context = ssl.create_default_context(cadata=root)
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=30) as raw:
            with context.wrap_socket(raw, server_hostname=name) as secured:
                return secured.getpeercert(whole)
    except (ssl.SSLError, ConnectionError):
        return None


def names(shown):
    return sorted(name for kind, name in shown["subjectAltName"] if kind == "DNS")


def orders(edge, result):
    found = re.search(rf'conclave_edge_acme_orders_total{{result="{result}"}} (\d+)', edge.operator.get("/metrics").text)
    return int(found[1]) if found else 0


def test_certificates_come_over_tls_and_are_kept(world, start_edge, tmp_path):
    port = free_port()
    authority = world.authority(tls_port=port)
    edge = world.edge(authority.directory, port, "--acme-domain", "a.test+www.a.test", "--acme-domain", "b.test")
    root = authority.root()
    first = eventually(lambda: certificate(port, "www.a.test", root), seconds=60, what="a first certificate")
    assert names(first) == ["a.test", "www.a.test"]
    second = eventually(
        lambda: (shown := certificate(port, "b.test", root)) and names(shown) == ["b.test"] and shown,
        seconds=60, what="a second one",
    )
    assert orders(edge, "complete") == 2
    trusting = ssl.create_default_context(cadata=root)
    trusting.check_hostname = False
    answer = httpx.get(f"https://localhost:{port}/v1/models", headers=HEADERS, verify=trusting)
    assert answer.json() == {"ok": True}

    folder = world.state / "acme"
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert {path.name for path in files} == {"account.json", "a.test.pem", "b.test.pem"}
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in files)
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o700 for path in [folder, *folder.iterdir()])
    assert "PRIVATE KEY" not in edge.process.output and "sk-alice" not in edge.process.output

    # The next process has them from its first moment, whether or not the authority is there.
    edge.stop()
    authority.stop()
    edge = start_edge(*world.edge_flags)
    again = certificate(port, "b.test", root)
    assert again["serialNumber"] == second["serialNumber"] and orders(edge, "complete") == 0


@pytest.mark.parametrize("flag", [pytest.param("--listen", marks=pytest.mark.full), "--redirect-listen"])
def test_certificates_come_over_http(world, flag):
    port, way = free_port(), Relay("http://127.0.0.1:1")
    authority = world.authority(http_port=way.port)
    flags = ["--acme-domain", "a.test", "--acme-challenge", "http-01"]
    plain = free_port()
    if flag == "--redirect-listen":
        flags += [flag, f"127.0.0.1:{plain}"]
    edge = world.edge(authority.directory, port, *flags)
    way.target = ("127.0.0.1", plain) if flag == "--redirect-listen" else edge.address

    def shown():
        # It may have looked before the way was open, and waits minutes then: an operator asks for another attempt.
        edge.process.child.send_signal(signal.SIGHUP)
        return certificate(port, "a.test", authority.root())

    assert names(eventually(shown, seconds=60, what="a certificate", interval=0.2)) == ["a.test"]
    token = "/.well-known/acme-challenge/token"
    assert edge.http.get(token).status_code == 401, "what nobody asked for is a request as any other"
    if flag == "--redirect-listen":
        moved = httpx.get(f"http://127.0.0.1:{plain}{token}")
        assert (moved.status_code, moved.headers["location"]) == (301, f"https://127.0.0.1:{port}{token}")


@pytest.mark.full
def test_an_account_made_elsewhere_is_bound(world):
    port = free_port()
    key = base64.urlsafe_b64encode(bytes(range(32))).decode().rstrip("=")
    authority = world.authority(tls_port=port, external={"kid-1": key})
    file = world.state.parent / "eab"
    file.write_text(key + "\n")
    world.edge(
        authority.directory, port, "--acme-domain", "a.test", "--acme-eab-id", "kid-1", "--acme-eab-key-file", file
    )
    assert eventually(lambda: certificate(port, "a.test", authority.root()), seconds=60, what="a certificate")


def test_a_failure_is_explained_and_an_operator_may_hasten(world):
    port, elsewhere = free_port(), free_port()
    authority = world.authority(tls_port=elsewhere)
    edge = world.edge(authority.directory, port, "--acme-domain", "a.test")
    eventually(lambda: orders(edge, "failed") >= 1, seconds=60, what="a failed order")
    log = edge.process.output
    assert "a certificate was not issued" in log and "a.test" in log and "Port 443" in log, log
    # Nothing is proven by a certificate that nobody signed: until there is one, nobody is let in.
    unsure = subprocess.run(
        ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-servername", "a.test"],
        input=b"", capture_output=True, timeout=60,
    )
    assert unsure.returncode != 0 and b"BEGIN CERTIFICATE" not in unsure.stdout
    assert edge.http.get("/v1/models", headers=HEADERS).json() == {"ok": True}, "the door without TLS is open"
    edge.process.child.send_signal(signal.SIGHUP)
    eventually(lambda: orders(edge, "failed") >= 2, seconds=60, what="the attempt that was asked for")


@pytest.mark.full
@pytest.mark.parametrize("challenge", ["tls-alpn-01", "http-01"])
def test_a_certificate_is_renewed_before_it_ends(world, challenge):
    port, plain = free_port(), free_port()
    authority = world.authority(tls_port=port, http_port=plain, life=60)
    edge = world.edge(
        authority.directory, port, "--acme-domain", "a.test", "--acme-challenge", challenge,
        "--redirect-listen", f"127.0.0.1:{plain}",
    )
    root = authority.root()
    first = eventually(lambda: certificate(port, "a.test", root), seconds=60, what="a first certificate")

    def next_one():
        shown = certificate(port, "a.test", root)
        assert shown, "a valid certificate is shown at any time"
        return shown["serialNumber"] != first["serialNumber"] and shown

    second = eventually(next_one, seconds=90, what="a renewed certificate", interval=0.2)
    assert ssl.cert_time_to_seconds(second["notBefore"]) < ssl.cert_time_to_seconds(first["notAfter"])
    assert orders(edge, "complete") >= 2 and orders(edge, "failed") == 0


def test_who_must_show_a_certificate_does_not_stand_in_the_authority_s_way(world, tmp_path):
    folder = tmp_path / "clients"
    folder.mkdir()
    clients = Authority(folder, "clients")
    mine, key = clients.issue("me", ["me"])
    port = free_port()
    authority = world.authority(tls_port=port)
    world.edge(authority.directory, port, "--acme-domain", "a.test", "--tls-client-ca", clients.file)
    context = ssl.create_default_context(cadata=authority.root())
    context.check_hostname = False
    context.load_cert_chain(mine, key)

    def served():
        try:
            return httpx.get(f"https://localhost:{port}/v1/models", headers=HEADERS, verify=context).json()
        except httpx.TransportError:
            return None

    assert eventually(served, seconds=60, what="a certificate") == {"ok": True}


def test_an_authority_may_have_a_certificate_back_early(world, start_edge):
    """Of several certificates in use, those are renewed at the start that the authority wants back, whatever else it says.
    Renewal information comes from a stand-in before the real authority (`Suggesting`)."""
    port, hour = free_port(), timedelta(hours=1)
    authority, root = world.suggesting(tls_port=port)
    # They are judged in this order, one after the other: once the last is renewed, the others were kept.
    domains = ["later.test", "broken.test", "endless.test", "disputed.test", "early.test"]
    flags = [flag for domain in domains for flag in ("--acme-domain", domain)]
    edge = world.edge(authority.directory, port, *flags)

    def ids():
        shown = {domain: certificate(port, domain, root, whole=True) for domain in domains}
        return {domain: renewal_id(x509.load_der_x509_certificate(der)) for domain, der in shown.items() if der}

    first = eventually(lambda: len(found := ids()) == 5 and found, seconds=120, what="certificates", interval=0.2)
    assert not authority.asked and all("replaces" not in order for order in authority.orders)
    edge.stop()

    now = datetime.now(UTC)
    past = suggestion(now - 2 * hour, now - hour)
    authority.says = {
        first["later.test"]: suggestion(now + 999 * hour, now + 1000 * hour),
        first["broken.test"]: (500, {}, b"{}"),
        first["endless.test"]: (200, {"Retry-After": str(2**64 - 1)}, b'{"suggestedWindow": "whenever"}'),
        first["disputed.test"]: past,
        first["early.test"]: past,
    }
    authority.disputed, authority.orders = {first["disputed.test"]}, []
    edge = start_edge(*world.edge_flags)

    def renewed():
        found = ids()
        assert len(found) == 5, "a valid certificate is shown at any time"
        return {domain for domain in domains if found[domain] != first[domain]}

    eventually(lambda: "early.test" in renewed(), seconds=60, what="a renewed certificate", interval=0.2)
    assert renewed() == {"disputed.test", "early.test"}
    assert authority.asked == [first[domain] for domain in domains]
    placed = [(order["identifiers"][0]["value"], order.get("replaces")) for order in authority.orders]
    assert placed == [
        ("disputed.test", first["disputed.test"]), ("disputed.test", None), ("early.test", first["early.test"]),
    ]
    assert (orders(edge, "complete"), orders(edge, "failed")) == (2, 0)
    assert "https://ca.test/why" in edge.process.output
    assert edge.http.get("/v1/models", headers=HEADERS).json() == {"ok": True}


@pytest.mark.full
def test_what_an_authority_cannot_say_keeps_no_certificate_from_its_renewal(world, start_edge):
    """The same stand-in answers 500 to each question."""
    port = free_port()
    authority, root = world.suggesting(tls_port=port, life=60)
    edge = world.edge(authority.directory, port, "--acme-domain", "a.test")
    first = eventually(lambda: certificate(port, "a.test", root), seconds=60, what="a first certificate")
    edge.stop()
    authority.otherwise = (500, {"Retry-After": "3600"}, b"{}")
    start_edge(*world.edge_flags)

    def renewed():
        shown = certificate(port, "a.test", root)
        assert shown, "a valid certificate is shown at any time"
        return shown["serialNumber"] != first["serialNumber"]

    eventually(renewed, seconds=90, what="a renewed certificate", interval=0.2)
    assert len(authority.asked) == 1
