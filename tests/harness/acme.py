"""A real authority: Let's Encrypt's test server Pebble, which looks at names itself, with a DNS that leads every name to
loopback. Both are Debian's package `pebble`."""

import base64
import json
import shutil
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
from cryptography import x509

from .process import Process, free_port, start_on_free_ports

INSTALLED = bool(shutil.which("pebble") and shutil.which("pebble-challtestsrv"))


class Pebble:
    """`http_port` and `tls_port` are where it looks. `life` is how long its certificates are valid, in seconds."""

    def __init__(self, folder, certificate, key, http_port=1, tls_port=1, life=None, external=None):
        self.folder, self.options = folder, dict(
            certificate=str(certificate), privateKey=str(key), httpPort=http_port, tlsPort=tls_port,
            ocspResponderURL="", externalAccountBindingRequired=bool(external),
        )
        if life:
            self.options["certificateValidityPeriod"] = life
        if external:
            self.options["externalAccountMACKeys"] = external
        self.children = []
        start_on_free_ports(self.start)

    def start(self):
        self.stop()
        port, management, dns, control = (free_port() for _ in range(4))
        self.directory = f"https://localhost:{port}/dir"
        config = self.folder / f"pebble-{port}.json"
        addresses = dict(listenAddress=f"127.0.0.1:{port}", managementListenAddress=f"127.0.0.1:{management}")
        config.write_text(json.dumps({"pebble": {**self.options, **addresses}}))
        # Traffic of the tests is not to wait, and what goes wrong now and then is asked for by the tests that want it.
        environment = {"PEBBLE_VA_NOSLEEP": "1", "PEBBLE_AUTHZREUSE": "0"}
        names = ["pebble-challtestsrv", "-http01", "", "-https01", "", "-tlsalpn01", "", "-defaultIPv6", "",
                 "-dns01", f"127.0.0.1:{dns}", "-management", f"127.0.0.1:{control}"]
        self.children = [
            Process(names, self.folder / f"names-{dns}.log"),
            Process(["pebble", "-config", config, "-dnsserver", f"127.0.0.1:{dns}"],
                    self.folder / f"pebble-{port}.log", environment, self.folder),
        ]
        self.management = httpx.Client(base_url=f"https://localhost:{management}", verify=False, timeout=10)
        self.children[1].until(lambda: self.root())

    def root(self):
        """The certificate that signs, through an intermediate one, what it issues."""
        try:
            return self.management.get("/roots/0").text
        except httpx.TransportError:
            return None

    @property
    def output(self):
        return self.children[1].output

    def stop(self):
        for child in self.children:
            child.stop()


class Suggesting:
    """An authority's further door, for renewal information (RFC 9773), which Debian's Pebble does not have yet.

    Real: every account, challenge, order and certificate is Pebble's, which names its URLs by the host that it is asked
    as, so that all of them lead here. What goes through is not changed, but for what stands in for an authority:
    `renewalInfo` in the directory; its answers, `says` by a certificate's id; that an order's `replaces` is confirmed, or
    refused where it is one of `disputed`.
    """

    def __init__(self, authority, certificate, key):
        self.says, self.otherwise, self.disputed = {}, (404, {}, b""), set()
        self.asked, self.orders = [], []
        self.authority = httpx.Client(base_url=authority, verify=False, timeout=60)
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), type("Door", (SuggestingDoor,), {"world": self}))
        self.url = f"https://localhost:{self.server.server_port}"
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        # Shaken hands in each connection's own thread, at its first read.
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def directory(self):
        return f"{self.url}/dir"

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


class SuggestingDoor(BaseHTTPRequestHandler):
    def do_GET(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path.startswith("/renewal-info/"):
            return self.suggest(self.path.removeprefix("/renewal-info/"))
        if self.path == ORDERS:
            order = json.loads(unpadded(json.loads(body)["payload"]))
            self.world.orders.append(order)
            if order.get("replaces") in self.world.disputed:
                problem = {"type": "urn:ietf:params:acme:error:alreadyReplaced", "detail": "It was replaced."}
                return self.answer(409, {"Content-Type": "application/problem+json"}, json.dumps(problem).encode())
        passed = self.world.authority.request(self.command, self.path, headers=dict(self.headers), content=body)
        text = passed.content
        if self.path == "/dir":
            text = json.dumps({**passed.json(), "renewalInfo": f"{self.world.url}/renewal-info"}).encode()
        elif self.path == ORDERS and passed.is_success and "replaces" in order:
            text = json.dumps({**passed.json(), "replaces": order["replaces"]}).encode()
        self.answer(passed.status_code, passed.headers, text)

    do_HEAD = do_POST = do_GET

    def suggest(self, certificate):
        self.world.asked.append(certificate)
        self.answer(*self.world.says.get(certificate, self.world.otherwise))

    def answer(self, status, headers, body):
        self.send_response_only(status)
        for name, value in headers.items():
            if name.lower() not in ("connection", "content-length", "transfer-encoding"):
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_):
        pass


# Where Pebble takes orders.
ORDERS = "/order-plz"


def unpadded(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def suggestion(start, end):
    """What an authority says that would have a certificate renewed between two times."""
    window = {"start": start.isoformat(), "end": end.isoformat()}
    headers = {"Content-Type": "application/json", "Retry-After": "21600"}
    return 200, headers, json.dumps({"suggestedWindow": window, "explanationURL": "https://ca.test/why"}).encode()


def renewal_id(certificate):
    """As RFC 9773, 4.1 has it: who signed, and the serial number as DER writes it, with a zero before a high bit."""
    authority = certificate.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier
    number = certificate.serial_number
    serial = number.to_bytes(number.bit_length() // 8 + 1, "big")
    return ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in (authority, serial))
