"""A real authority: Let's Encrypt's test server Pebble, which looks at names itself, with a DNS that leads every name to
loopback. Both are Debian's package `pebble`."""

import json
import os
import shutil
import subprocess

import httpx

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
