"""A wire with a tap and a fault: it carries bytes to a server, remembers what went up, and can go dead, silent or slow.

For connections that are there and for new ones alike, from the moment a fault is set:
`dead` cuts and refuses, as a killed server does; `silent` takes everything and gives nothing back, as a stopped one;
`slow` holds every piece of an answer back for a while.
"""

import socket
import threading
import time
from urllib.parse import urlsplit

SENT_BYTES_MAX = 64 << 20


class Relay:
    def __init__(self, url):
        parts = urlsplit(url)
        self.target = (parts.hostname, parts.port)
        self.fault, self.slow_s = None, 0.0
        self.lock, self.pieces, self.carried_bytes, self.arrivals = threading.Lock(), [], 0, 0
        self.open = set()
        self.listen(0)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def listen(self, port):
        self.listener = socket.create_server(("127.0.0.1", port), backlog=256)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, args=(self.listener,), daemon=True).start()

    def die(self):
        self.fault = "dead"
        self.close_listener()
        self.drop()

    def hang(self):
        self.fault = "silent"

    def slow(self, seconds):
        self.fault, self.slow_s = "slow", seconds

    def heal(self):
        was, self.fault = self.fault, None
        if was == "dead":
            self.listen(self.port)
        # What was swallowed while it was silent would leave its connections waiting for ever.
        self.drop()

    def take(self):
        """What went up since the last time it was asked."""
        with self.lock:
            sent, self.pieces, self.carried_bytes = b"".join(self.pieces), [], 0
        return sent

    def close(self):
        self.close_listener()
        self.drop()

    def close_listener(self):
        try:
            # shutdown wakes the accepting thread, close alone would not.
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()

    def drop(self):
        with self.lock:
            ends, self.open = self.open, set()
        for end in ends:
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def accept(self, listener):
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self.carry, args=(client,), daemon=True).start()

    def carry(self, client):
        with client:
            try:
                server = socket.create_connection(self.target, timeout=10)
            except OSError:
                return
            server.settimeout(None)
            with server:
                for end in (client, server):
                    end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                with self.lock:
                    self.open |= {client, server}
                back = threading.Thread(target=self.pump, args=(server, client, self.held), daemon=True)
                back.start()
                self.pump(client, server, self.noted)
                back.join()
                with self.lock:
                    self.open -= {client, server}

    def pump(self, source, sink, through):
        try:
            while piece := source.recv(65_536):
                if through(piece):
                    sink.sendall(piece)
        except OSError:
            pass
        for end in (source, sink):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def noted(self, piece):
        with self.lock:
            if self.carried_bytes < SENT_BYTES_MAX:
                self.pieces.append(piece)
                self.carried_bytes += len(piece)
            self.arrivals += piece.startswith(b"POST ")
        return self.fault != "silent"

    def held(self, piece):
        if self.fault == "slow":
            time.sleep(self.slow_s)
        return self.fault not in ("silent", "dead")
