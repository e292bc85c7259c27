"""HTTP/2 on both sides of the edge: a client whose every frame the test decides on, and a real server of it (Hypercorn)."""

import asyncio
import socket
import ssl
import threading

import h2.config
import h2.connection
import h2.events
import h2.settings
import hypercorn.asyncio
import hypercorn.config

from .process import free_port

PIECE = 65_536


class Client:
    """One connection, over TLS where `context` is given. Streams are numbers; what comes for each is kept."""

    def __init__(self, address, context=None, host="localhost", timeout=60):
        self.scheme, self.host = ("https" if context else "http"), host
        self.socket = socket.create_connection(address, timeout=timeout)
        if context:
            self.socket = context.wrap_socket(self.socket, server_hostname=host)
            assert self.socket.selected_alpn_protocol() == "h2"
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
        self.h2.initiate_connection()
        # A test that does not read is not to stall the others by accident.
        self.h2.increment_flow_control_window(1 << 28)
        self.flush()
        self.heads, self.bodies, self.trailers, self.resets, self.ended = {}, {}, {}, {}, set()
        # Heads as they came, with what stands twice.
        self.fields = {}
        self.closed = False

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def flush(self):
        if data := self.h2.data_to_send():
            self.socket.sendall(data)

    def send(self, method, path, body=None, **headers):
        stream = self.h2.get_next_available_stream_id()
        fields = [(":method", method), (":scheme", self.scheme), (":authority", self.host), (":path", path)]
        fields += [(name.replace("_", "-"), value) for name, value in headers.items()]
        self.h2.send_headers(stream, fields, end_stream=body is None)
        self.bodies[stream] = b""
        if body is not None:
            self.send_body(stream, body)
        self.flush()
        return stream

    def send_body(self, stream, body):
        while True:
            room = min(self.h2.local_flow_control_window(stream), self.h2.max_outbound_frame_size, len(body))
            if body and not room:
                self.flush()
                self.receive()
                if stream in self.ended or stream in self.resets:
                    return
                continue
            self.h2.send_data(stream, body[:room], end_stream=room == len(body))
            body = body[room:]
            if not body:
                return

    def reset(self, stream):
        self.h2.reset_stream(stream, error_code=8)
        self.flush()

    def receive(self):
        data = self.socket.recv(PIECE)
        self.closed = not data
        for event in self.h2.receive_data(data):
            stream = getattr(event, "stream_id", None)
            if isinstance(event, h2.events.ResponseReceived):
                self.heads[stream], self.fields[stream] = dict(event.headers), list(event.headers)
            elif isinstance(event, h2.events.DataReceived):
                self.bodies[stream] += event.data
                self.h2.acknowledge_received_data(event.flow_controlled_length, stream)
            elif isinstance(event, h2.events.TrailersReceived):
                self.trailers[stream] = dict(event.headers)
            elif isinstance(event, h2.events.StreamEnded):
                self.ended.add(stream)
            elif isinstance(event, h2.events.StreamReset):
                self.resets[stream] = event.error_code
            elif isinstance(event, h2.events.ConnectionTerminated):
                self.closed = True
        self.flush()

    def until(self, condition):
        while not condition():
            assert not self.closed, "the edge closed the connection"
            self.receive()

    def over(self, stream):
        """Waits for a stream's end and gives status and body."""
        self.until(lambda: stream in self.ended or stream in self.resets)
        assert stream in self.ended, f"reset with {self.resets[stream]}"
        return int(self.heads[stream][":status"]), self.bodies[stream]

    def ask(self, method, path, body=None, **headers):
        return self.over(self.send(method, path, body, **headers))


def trusting(file):
    context = ssl.create_default_context(cafile=file)
    context.set_alpn_protocols(["h2"])
    return context


class Server:
    """Hypercorn with an ASGI application, in HTTP/2 without TLS from the first byte, or with it by ALPN."""

    def __init__(self, app, certificate=None, key=None, protocols=("h2", "http/1.1")):
        self.app, self.port = app, free_port()
        config = hypercorn.config.Config()
        config.bind = [f"127.0.0.1:{self.port}"]
        config.certfile, config.keyfile = certificate and str(certificate), key and str(key)
        config.alpn_protocols, config.h2_max_concurrent_streams = list(protocols), 2000
        config.accesslog = config.errorlog = None
        config.graceful_timeout = config.shutdown_timeout = 0.1
        self.config, self.ready = config, threading.Event()
        self.thread = threading.Thread(target=lambda: asyncio.run(self.run()), daemon=True)

    def __enter__(self):
        self.thread.start()
        for _ in range(600):
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return self
            except OSError:
                self.ready.wait(0.05)
        raise AssertionError("Hypercorn does not listen")

    def __exit__(self, *_):
        self.loop.call_soon_threadsafe(self.ended.set)
        # It waits for what is still connected, which the edge keeps for a while.
        self.thread.join(1)

    async def run(self):
        self.loop, self.ended = asyncio.get_running_loop(), asyncio.Event()
        await hypercorn.asyncio.serve(self.app, self.config, shutdown_trigger=self.ended.wait)
