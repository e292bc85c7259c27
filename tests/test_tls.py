"""The edge over TLS as its users meet it: the official client, openssl and curl, with certificates made by openssl."""

import shutil
import signal
import ssl
import subprocess

import httpx
import openai
import pytest

from harness.mapping import keyed
from harness.origin import Answer, Origin, chat_completion
from harness.process import eventually, free_port

HELLO = [{"role": "user", "content": "Say something about the sea."}]
pytestmark = pytest.mark.skipif(not shutil.which("openssl"), reason="openssl is not installed")


class Authority:
    def __init__(self, folder, name):
        self.folder, self.name, self.file = folder, name, folder / f"{name}.pem"
        openssl(
            folder, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc", "-days", "30",
            "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.pem",
        )

    def issue(self, name, hosts, days=10):
        """Writes NAME.pem and NAME.key; what was there is replaced as a whole, the certificate first."""
        openssl(
            self.folder, "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc", "-subj", f"/CN={name}",
            "-keyout", f"{name}.key.new", "-out", f"{name}.csr",
        )
        (self.folder / "names").write_text("subjectAltName=" + ",".join(f"DNS:{host}" for host in hosts))
        openssl(
            self.folder, "x509", "-req", "-in", f"{name}.csr", "-CA", f"{self.name}.pem", "-CAkey", f"{self.name}.key",
            "-CAcreateserial", "-days", str(days), "-extfile", "names", "-out", f"{name}.pem.new",
        )
        for kind in ("pem", "key"):
            (self.folder / f"{name}.{kind}.new").rename(self.folder / f"{name}.{kind}")
        return self.folder / f"{name}.pem", self.folder / f"{name}.key"


def openssl(folder, *arguments):
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True, timeout=60)


@pytest.fixture
def authority(tmp_path):
    folder = tmp_path / "certificates"
    folder.mkdir()
    return Authority(folder, "authority")


@pytest.fixture
def secured(start_edge, authority):
    """Starts an edge with a further door with TLS, for `localhost`."""

    def start(*flags, url):
        (start_edge.mappings / "alice.yml").write_text(keyed("alice", "sk-alice", url))
        certificate, key = authority.issue("edge", ["localhost"])
        port = free_port()
        edge = start_edge(
            "--tls-listen", f"127.0.0.1:{port}", "--tls-cert", certificate, "--tls-key", key, *flags
        )
        edge.tls = f"https://localhost:{port}"
        edge.tls_address = f"127.0.0.1:{port}"
        return edge

    return start


def client(url, verify, key="sk-alice"):
    http = httpx.Client(verify=ssl.create_default_context(cafile=verify))
    return openai.OpenAI(base_url=f"{url}/v1", api_key=key, http_client=http, max_retries=0, timeout=60)


def shown(address, name="localhost"):
    """The certificate that the edge shows, as openssl prints it."""
    out = subprocess.run(
        ["openssl", "s_client", "-connect", address, "-servername", name, "-showcerts"],
        input=b"", capture_output=True, timeout=60,
    ).stdout.decode()
    return out[out.find("-----BEGIN CERTIFICATE-----"):].split("-----END CERTIFICATE-----")[0]


@pytest.mark.llama
def test_the_official_client_streams_over_tls(secured, authority, llamas):
    edge = secured(url=llamas.tiny.url)
    chunks = list(client(edge.tls, authority.file).chat.completions.create(
        model="TinyLlama_Chat", messages=HELLO, max_tokens=30, stream=True,
    ))
    assert sum(bool(chunk.choices and chunk.choices[0].delta.content) for chunk in chunks) >= 20
    with pytest.raises(openai.AuthenticationError):
        client(edge.tls, authority.file, key="sk-unknown").models.list()


def test_who_does_not_know_the_authority_does_not_connect(secured):
    with Origin(lambda _: Answer(body=chat_completion())) as origin:
        edge = secured(url=origin.url)
        with pytest.raises(httpx.ConnectError, match="(?i)certificate"):
            httpx.get(f"{edge.tls}/v1/models")
        assert not origin.requests


def test_a_renewal_is_taken_in_at_a_signal_and_by_itself(secured, authority):
    with Origin() as origin:
        edge = secured(url=origin.url)
        first = shown(edge.tls_address)
        authority.issue("edge", ["localhost"])
        edge.process.child.send_signal(signal.SIGHUP)
        second = eventually(lambda: (now := shown(edge.tls_address)) != first and now, what="the renewed one")
        (authority.folder / "edge.pem").write_text("no certificate")
        edge.process.child.send_signal(signal.SIGHUP)
        eventually(lambda: "BEGIN CERTIFICATE" in edge.process.output, what="the fault in the log, and how to mend it")
        assert shown(edge.tls_address) == second, "the last good one stays"
        authority.issue("edge", ["localhost"])
        eventually(lambda: shown(edge.tls_address) not in (first, second), seconds=30, what="the third, unasked")
        assert "conclave_edge_tls_certificate_not_after_seconds" in edge.operator.get("/metrics").text


def test_clients_with_a_certificate_come_in_and_others_do_not(secured, authority):
    ours = Authority(authority.folder, "ours")
    certificate, key = ours.issue("client", ["client"])
    with Origin(lambda _: Answer(body=b'{"ok":true}')) as origin:
        edge = secured("--tls-client-ca", ours.file, url=origin.url)
        headers = {"Authorization": "Bearer sk-alice"}
        context = ssl.create_default_context(cafile=authority.file)
        with pytest.raises(httpx.TransportError):
            httpx.get(f"{edge.tls}/v1/models", headers=headers, verify=context)
        context.load_cert_chain(certificate, key)
        assert httpx.get(f"{edge.tls}/v1/models", headers=headers, verify=context).json() == {"ok": True}
        assert len(origin.requests) == 1


@pytest.mark.parametrize("old", ["-tls1", "-tls1_1"])
def test_old_versions_are_refused(secured, old):
    with Origin() as origin:
        edge = secured(url=origin.url)
        tried = subprocess.run(
            ["openssl", "s_client", "-connect", edge.tls_address, old, "-cipher", "ALL:@SECLEVEL=0"],
            input=b"", capture_output=True, timeout=60,
        )
        assert tried.returncode != 0 and b"BEGIN CERTIFICATE" not in tried.stdout


def test_curl_chooses_http_2_and_is_told_to_stay_with_tls(secured, authority):
    curl = shutil.which("curl")
    if not curl or "HTTP2" not in subprocess.run([curl, "--version"], capture_output=True, text=True).stdout:
        pytest.skip("curl with HTTP/2 is not installed")
    with Origin(lambda _: Answer(body=b'{"ok":true}')) as origin:
        edge = secured("--hsts", "600", url=origin.url)
        for version, line in [("--http2", "HTTP/2 200"), ("--http1.1", "HTTP/1.1 200")]:
            answer = subprocess.run(
                [curl, "-si", version, "--cacert", authority.file, "-H", "x-api-key: sk-alice", "-H",
                 "Authorization: Bearer sk-alice", f"{edge.tls}/v1/models"],
                capture_output=True, text=True, timeout=60, check=True,
            ).stdout
            assert answer.startswith(line), answer
            assert "strict-transport-security: max-age=600" in answer.lower()
            assert answer.endswith('{"ok":true}')
        assert all(request.values("x-forwarded-proto") == ["https"] for request in origin.requests)


def test_a_door_without_a_certificate_does_not_open(tmp_path):
    from harness.conclave import binary

    tried = subprocess.run(
        [binary(), "edge", "--mappings", tmp_path, "--listen", "127.0.0.1:0", "--admin", "none",
         "--tls-listen", "127.0.0.1:0"],
        capture_output=True, text=True, timeout=60, env={"CONCLAVE_STATE": "none"},
    )
    assert tried.returncode != 0 and "--tls-cert" in tried.stderr
