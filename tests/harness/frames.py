"""HTTP/2 as bytes (RFC 9113, 4.1): frames that no library would let a test send, and what the edge says to them."""

import select
import socket
import struct
import time

import hpack

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM, ACK, END_HEADERS, PADDED, HAS_PRIORITY = 1, 1, 4, 8, 0x20

# Settings by number.
HEADER_TABLE_SIZE, ENABLE_PUSH, MAX_CONCURRENT_STREAMS, INITIAL_WINDOW_SIZE, MAX_FRAME_SIZE, MAX_HEADER_LIST_SIZE = range(1, 7)

NO_ERROR, PROTOCOL_ERROR, INTERNAL_ERROR, FLOW_CONTROL_ERROR, SETTINGS_TIMEOUT, STREAM_CLOSED, FRAME_SIZE_ERROR, \
    REFUSED_STREAM, CANCEL, COMPRESSION_ERROR, CONNECT_ERROR, ENHANCE_YOUR_CALM = range(12)

FRAME_BYTES = 16_384
WINDOW_BYTES = 65_535


def frame(kind, flags=0, stream=0, payload=b""):
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def headers(stream, block, flags=END_STREAM | END_HEADERS):
    return frame(HEADERS, flags, stream, block)


def continuation(stream, block, flags=END_HEADERS):
    return frame(CONTINUATION, flags, stream, block)


def data(stream, payload=b"", flags=END_STREAM):
    return frame(DATA, flags, stream, payload)


def settings(*pairs, flags=0, stream=0):
    return frame(SETTINGS, flags, stream, b"".join(struct.pack(">HI", *pair) for pair in pairs))


def reset(stream, code=CANCEL):
    return frame(RST_STREAM, 0, stream, struct.pack(">I", code))


def window_update(stream, increment):
    return frame(WINDOW_UPDATE, 0, stream, struct.pack(">I", increment))


def priority(stream, on=0, weight=15):
    return frame(PRIORITY, 0, stream, struct.pack(">IB", on, weight))


def integer(value, bits, first=0):
    """RFC 7541, 5.1: in the low `bits` of a byte whose others are `first`'s, and as many more as it takes."""
    most = (1 << bits) - 1
    if value < most:
        return bytes([first | value])
    encoded, value = [first | most], value - most
    while value >= 128:
        encoded.append(value % 128 | 128)
        value //= 128
    return bytes([*encoded, value])


def text(value, huffman=False):
    value = value.encode("latin-1") if isinstance(value, str) else value
    return integer(len(value), 7, 0x80 if huffman else 0) + value


def literal(name, value, first=0x00):
    """A field as it stands; with 0x40 for `first` it enters the dynamic table."""
    return bytes([first]) + text(name) + text(value)


def indexed(index):
    return integer(index, 7, 0x80)


def table_size(size):
    return integer(size, 5, 0x20)


def block(fields):
    return b"".join(literal(name, value) for name, value in fields)


def request(path="/v1/x", method="GET", without=(), scheme="http", **fields):
    """A block of a good request's pseudo-header fields, and `fields` behind them."""
    pseudo = [(":method", method), (":scheme", scheme), (":authority", "localhost"), (":path", path)]
    rest = [(name.replace("_", "-"), value) for name, value in fields.items()]
    return block([*(field for field in pseudo if field[0] not in without), *rest])


class Wire:
    """One connection. What comes is kept by stream; nothing is sent that the test did not ask for, but acknowledgements."""

    def __init__(self, address, context=None, first=(), preface=PREFACE, seconds=30):
        self.socket = socket.create_connection(address, timeout=seconds)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if context:
            self.socket = context.wrap_socket(self.socket, server_hostname="localhost")
            assert self.socket.selected_alpn_protocol() == "h2"
        self.seconds = seconds
        self.scheme = "https" if context else "http"
        self.decoder, self.unread = hpack.Decoder(), b""
        self.statuses, self.bytes, self.ended, self.resets = {}, {}, set(), {}
        self.settings, self.acknowledged, self.pongs, self.windows = [], 0, [], []
        self.goaway, self.closed, self.cut = None, False, False
        if preface is not None:
            self.send(preface, settings(*first))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, *frames):
        """What cannot be sent is no fault of a test's: the edge has had enough, and what it said is read."""
        try:
            self.socket.sendall(b"".join(frames))
        except (BrokenPipeError, ConnectionResetError):
            self.cut = True
            return False
        return True

    def greet(self):
        """Until both sides have the other's settings."""
        self.until(lambda: self.acknowledged and self.settings)
        return self

    def until(self, condition):
        """Reads until it is true; whether it came true before the connection's end."""
        deadline = time.monotonic() + self.seconds
        while not condition():
            if self.closed:
                return False
            assert time.monotonic() < deadline, f"nothing came of it within {self.seconds} s"
            self.receive()
        return True

    def until_closed(self):
        self.until(lambda: False)

    def has_more(self):
        """Whether something came that is not read yet."""
        return not self.closed and bool(select.select([self.socket], [], [], 0)[0])

    def receive(self):
        try:
            piece = self.socket.recv(65_536)
        except ConnectionResetError:
            piece, self.cut = b"", True
        self.closed = not piece
        self.unread += piece
        while len(self.unread) >= 9 and len(self.unread) >= 9 + (length := int.from_bytes(self.unread[:3])):
            kind, flags, stream = struct.unpack(">BBI", self.unread[3:9])
            payload, self.unread = self.unread[9 : 9 + length], self.unread[9 + length :]
            self.take(kind, flags, stream, payload)

    def take(self, kind, flags, stream, payload):
        if kind == HEADERS:
            assert flags & END_HEADERS, "the edge's heads are short"
            self.statuses[stream] = int(dict(self.decoder.decode(payload)).get(":status", 0))
        if kind == DATA:
            self.bytes[stream] = self.bytes.get(stream, 0) + len(payload)
        if kind in (HEADERS, DATA) and flags & END_STREAM:
            self.ended.add(stream)
        if kind == RST_STREAM:
            self.resets[stream] = int.from_bytes(payload)
        if kind == GOAWAY:
            self.goaway = int.from_bytes(payload[4:8])
        if kind == WINDOW_UPDATE:
            self.windows.append((stream, int.from_bytes(payload)))
        if kind == PING and flags & ACK:
            self.pongs.append(payload)
        elif kind == PING:
            self.send(frame(PING, ACK, 0, payload))
        if kind == SETTINGS and flags & ACK:
            self.acknowledged += 1
        elif kind == SETTINGS:
            self.settings.append(dict(struct.iter_unpack(">HI", payload)))
            self.send(settings(flags=ACK))

    def ping(self, payload=b"a marker"):
        """Back once the edge has read what was sent before."""
        pongs = len(self.pongs)
        self.send(frame(PING, 0, 0, payload))
        return self.until(lambda: len(self.pongs) > pongs)

    def is_over(self, stream):
        return stream in self.ended or stream in self.resets

    def ask(self, stream, path="/v1/x"):
        """The status of a good request; `None` where the connection does not carry it."""
        self.send(headers(stream, request(path, scheme=self.scheme)), window_update(stream, WINDOW_BYTES))
        self.until(lambda: self.is_over(stream))
        return self.statuses.get(stream) if stream in self.ended else None
