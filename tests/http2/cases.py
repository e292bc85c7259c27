"""What HTTP/2 must be answered, by RFC 9113's and RFC 7541's sections: the ground that h2spec covers.

A case is what is sent after both sides have their settings, and what may come of it. `expected` is what the RFC asks for
or allows; `instead` is where the edge, which is to say the h2 crate, deviates, and `because` why that harms nobody.
"""

import struct
from dataclasses import dataclass

from harness import frames
from harness.frames import (
    ACK, COMPRESSION_ERROR, END_HEADERS, END_STREAM, FLOW_CONTROL_ERROR,
    FRAME_BYTES, FRAME_SIZE_ERROR, GOAWAY, HAS_PRIORITY, INITIAL_WINDOW_SIZE, MAX_CONCURRENT_STREAMS, PADDED, PING,
    PRIORITY, PROTOCOL_ERROR, PUSH_PROMISE, REFUSED_STREAM, RST_STREAM, SETTINGS, STREAM_CLOSED, WINDOW_UPDATE, block,
    continuation, data, frame, headers, indexed, literal, priority, request, reset, settings, table_size, text, window_update,
)


@dataclass
class Case:
    name: str
    steps: list  # of bytes, which are sent, and of what is called with the connection
    expected: tuple
    instead: tuple = ()
    because: str = ""
    stream: int = 1


def connection(*codes):
    return tuple(("connection", code) for code in codes)


def stream(*codes):
    return tuple(("stream", code) for code in codes)


def answer(*statuses):
    return tuple(("answer", status) for status in statuses)


IGNORED = (("ignored", None),)
SERVED = answer(200)
# RFC 9113, 8.1.1: an answer may come before a malformed request's stream is reset.
MALFORMED = stream(PROTOCOL_ERROR) + answer(400)

UNSPECIFIC = "the connection ends, as it must; h2 says PROTOCOL_ERROR where there is a closer code"
SEVERE = "h2 ends the connection where its stream would do: only who sends this is hurt"

POST = request("/v1/x", "POST")
# In these states for as long as the case lasts: its server does not answer.
OPEN = headers(1, request("/held", "POST"), END_HEADERS)
HALF_CLOSED = headers(1, request("/held"))


def over(at=1):
    return lambda wire: wire.until(lambda: wire.is_over(at))


def acknowledged(count):
    """The first is the greeting's."""
    return lambda wire: wire.until(lambda: wire.acknowledged >= count)


def has(bytes_, at=1):
    """So many bytes of an answer, and no more of them."""

    def step(wire):
        wire.until(lambda: wire.bytes.get(at, 0) >= bytes_)
        assert wire.ping() and wire.bytes.get(at, 0) == bytes_

    return step


CLOSED = [headers(1, request()), over()]

FRAMES = [
    Case("4.1 a frame of an unknown type", [frame(0xEE, 0xFF, 0, b"x" * 100), frame(0xEE, 0, 1, b"x")], IGNORED),
    Case("4.1 unknown flags", [frame(PING, 0xFE, 0, b"x" * 8), headers(1, request(), 0xD2 | END_HEADERS | END_STREAM)], SERVED),
    Case("4.1 the reserved bit of a stream's number", [headers(1 | 1 << 31, request())], SERVED),
    Case("4.2 DATA as long as a frame may be", [headers(1, POST, END_HEADERS), data(1, b"x" * FRAME_BYTES)], SERVED),
    Case("4.2 DATA longer than a frame may be", [headers(1, POST, END_HEADERS), data(1, b"x" * (FRAME_BYTES + 1))],
         stream(FRAME_SIZE_ERROR) + connection(FRAME_SIZE_ERROR)),
    Case("4.2 HEADERS longer than a frame may be", [headers(1, request(x="y" * FRAME_BYTES))], connection(FRAME_SIZE_ERROR)),
    Case("4.2 an unknown frame longer than a frame may be", [frame(0xEE, 0, 0, b"x" * (FRAME_BYTES + 1))],
         connection(FRAME_SIZE_ERROR)),
    Case("4.3 a block that cannot be read", [headers(1, b"\xff" * 5 + b"\x7f")], connection(COMPRESSION_ERROR),
         connection(PROTOCOL_ERROR), UNSPECIFIC),
    Case("4.3 PRIORITY in the middle of a head", [headers(1, request(), END_STREAM), priority(1)], connection(PROTOCOL_ERROR)),
    Case("4.3 another stream's HEADERS in the middle of a head", [headers(1, request(), END_STREAM), headers(3, request())],
         connection(PROTOCOL_ERROR)),
    Case("5.5 an unknown frame in the middle of a head", [headers(1, request(), END_STREAM), frame(0xEE)],
         connection(PROTOCOL_ERROR)),
    Case("5.5 an unknown frame in the middle of a stream", [OPEN, frame(0xEE, 0, 1, b"x"), reset(1)], IGNORED),
]

STATES = [
    Case("5.1 idle: DATA", [data(1, b"x")], connection(PROTOCOL_ERROR)),
    Case("5.1 idle: RST_STREAM", [reset(1)], connection(PROTOCOL_ERROR)),
    Case("5.1 idle: WINDOW_UPDATE", [window_update(1, 100)], connection(PROTOCOL_ERROR)),
    Case("5.1 idle: CONTINUATION", [continuation(1, request())], connection(PROTOCOL_ERROR)),
    Case("5.1 idle: PRIORITY", [priority(1)], IGNORED),
    Case("5.1 open: PRIORITY and WINDOW_UPDATE",
         [headers(1, POST, END_HEADERS), priority(1), window_update(1, 9), data(1, b"x")], SERVED),
    Case("5.1 half-closed: DATA", [HALF_CLOSED, data(1, b"x")], stream(STREAM_CLOSED), connection(PROTOCOL_ERROR), SEVERE),
    Case("5.1 half-closed: HEADERS", [HALF_CLOSED, headers(1, request())], stream(STREAM_CLOSED),
         connection(PROTOCOL_ERROR), SEVERE),
    Case("5.1 half-closed: CONTINUATION", [HALF_CLOSED, continuation(1, request())],
         stream(STREAM_CLOSED) + connection(PROTOCOL_ERROR)),
    Case("5.1 half-closed: WINDOW_UPDATE, PRIORITY and RST_STREAM", [HALF_CLOSED, window_update(1, 9), priority(1), reset(1)],
         IGNORED),
    Case("5.1 reset: DATA", [OPEN, reset(1), data(1, b"x")], stream(STREAM_CLOSED), connection(PROTOCOL_ERROR), SEVERE),
    Case("5.1 reset: HEADERS", [OPEN, reset(1), headers(1, request())], stream(STREAM_CLOSED),
         connection(PROTOCOL_ERROR), SEVERE),
    Case("5.1 reset: CONTINUATION", [OPEN, reset(1), continuation(1, request())],
         stream(STREAM_CLOSED) + connection(PROTOCOL_ERROR)),
    Case("5.1 reset: WINDOW_UPDATE, PRIORITY and RST_STREAM", [OPEN, reset(1), window_update(1, 9), priority(1), reset(1)],
         IGNORED),
    Case("5.1 closed: DATA", [*CLOSED, data(1, b"x")], stream(STREAM_CLOSED), connection(PROTOCOL_ERROR), SEVERE),
    Case("5.1 closed: HEADERS", [*CLOSED, headers(1, request())], connection(STREAM_CLOSED), connection(PROTOCOL_ERROR),
         UNSPECIFIC),
    Case("5.1 closed: CONTINUATION", [*CLOSED, continuation(1, request())], connection(STREAM_CLOSED, PROTOCOL_ERROR)),
    Case("5.1 closed: WINDOW_UPDATE, PRIORITY and RST_STREAM", [*CLOSED, window_update(1, 9), priority(1), reset(1)], SERVED),
    Case("5.1.1 an even number", [headers(2, request())], connection(PROTOCOL_ERROR), stream=2),
    Case("5.1.1 a lower number than the last", [headers(5, request()), over(5), headers(3, request())],
         connection(PROTOCOL_ERROR), stream=3),
    Case("5.1.1 numbers may be left out", [headers(1, request()), headers(77, request())], SERVED, stream=77),
    Case("5.1.1 RST_STREAM on a number that was left out", [headers(5, request()), over(5), reset(3)],
         IGNORED + connection(PROTOCOL_ERROR), stream=3),
    Case("5.1.2 one stream more than there may be", [
        lambda wire: wire.send(*(headers(2 * at + 1, request("/held"))
                                 for at in range(wire.settings[0][MAX_CONCURRENT_STREAMS] + 1))), over(201), reset(1)],
         stream(PROTOCOL_ERROR, REFUSED_STREAM), stream=201),
    Case("5.3.1 PRIORITY that depends on itself", [OPEN, priority(1, on=1)], IGNORED + stream(PROTOCOL_ERROR)),
    Case("5.3.1 HEADERS that depend on themselves",
         [headers(1, struct.pack(">IB", 1, 15) + request(), END_STREAM | END_HEADERS | HAS_PRIORITY)],
         SERVED + stream(PROTOCOL_ERROR)),
    Case("5.3.1 HEADERS that depend on a stream that never was",
         [headers(1, struct.pack(">IB", 1 << 31 | 99, 15) + request(), END_STREAM | END_HEADERS | HAS_PRIORITY)], SERVED),
]

TYPES = [
    Case("6.1 DATA on stream 0", [data(0, b"x")], connection(PROTOCOL_ERROR)),
    Case("6.1 DATA with padding", [headers(1, POST, END_HEADERS), data(1, b"\x05x" + bytes(5), END_STREAM | PADDED)], SERVED),
    Case("6.1 DATA of padding alone", [headers(1, POST, END_HEADERS), data(1, b"\xff" + bytes(255), END_STREAM | PADDED)],
         SERVED),
    Case("6.1 DATA with padding as long as itself", [OPEN, data(1, b"\x05" + bytes(4), END_STREAM | PADDED)],
         connection(PROTOCOL_ERROR)),
    Case("6.1 DATA without its padding's length", [OPEN, data(1, b"", END_STREAM | PADDED)],
         connection(FRAME_SIZE_ERROR), connection(PROTOCOL_ERROR), UNSPECIFIC),
    Case("6.2 HEADERS on stream 0", [headers(0, request())], connection(PROTOCOL_ERROR)),
    Case("6.2 HEADERS with padding and priority", [
        headers(1, b"\x07" + struct.pack(">IB", 0, 15) + request() + bytes(7),
                END_STREAM | END_HEADERS | PADDED | HAS_PRIORITY)], SERVED),
    Case("6.2 HEADERS with padding as long as itself", [headers(1, b"\x06" + bytes(5), END_STREAM | END_HEADERS | PADDED)],
         connection(PROTOCOL_ERROR)),
    Case("6.2 HEADERS too short for their priority", [headers(1, bytes(4), END_STREAM | END_HEADERS | HAS_PRIORITY)],
         connection(FRAME_SIZE_ERROR), connection(PROTOCOL_ERROR), UNSPECIFIC),
    Case("6.3 PRIORITY on stream 0", [priority(0)], connection(PROTOCOL_ERROR)),
    Case("6.3 PRIORITY of 4 bytes", [OPEN, frame(PRIORITY, 0, 1, bytes(4))], stream(FRAME_SIZE_ERROR),
         connection(PROTOCOL_ERROR), SEVERE),
    Case("6.4 RST_STREAM on stream 0", [reset(0)], connection(PROTOCOL_ERROR)),
    Case("6.4 RST_STREAM of 3 bytes", [OPEN, frame(RST_STREAM, 0, 1, bytes(3))], connection(FRAME_SIZE_ERROR),
         connection(PROTOCOL_ERROR), UNSPECIFIC),
    Case("6.5 SETTINGS: an acknowledgement that holds something", [settings((INITIAL_WINDOW_SIZE, 9), flags=ACK)],
         connection(FRAME_SIZE_ERROR), connection(PROTOCOL_ERROR), UNSPECIFIC),
    Case("6.5 SETTINGS on a stream", [OPEN, settings(stream=1)], connection(PROTOCOL_ERROR)),
    Case("6.5 SETTINGS of 5 bytes", [frame(SETTINGS, 0, 0, bytes(5))], connection(FRAME_SIZE_ERROR),
         connection(PROTOCOL_ERROR), UNSPECIFIC),
    Case("6.5.2 ENABLE_PUSH of 2", [settings((frames.ENABLE_PUSH, 2))], connection(PROTOCOL_ERROR)),
    Case("6.5.2 INITIAL_WINDOW_SIZE above its bound", [settings((INITIAL_WINDOW_SIZE, 1 << 31))],
         connection(FLOW_CONTROL_ERROR), connection(PROTOCOL_ERROR), UNSPECIFIC),
    Case("6.5.2 MAX_FRAME_SIZE below its bound", [settings((frames.MAX_FRAME_SIZE, FRAME_BYTES - 1))],
         connection(PROTOCOL_ERROR)),
    Case("6.5.2 MAX_FRAME_SIZE above its bound", [settings((frames.MAX_FRAME_SIZE, 1 << 24))], connection(PROTOCOL_ERROR)),
    Case("6.5.2 a setting that nobody knows", [settings((0xFFFF, 1), (0, 0)), acknowledged(2)], IGNORED),
    Case("6.5.3 of one setting twice the last counts", [
        settings((INITIAL_WINDOW_SIZE, 100), (INITIAL_WINDOW_SIZE, 7)), headers(1, request("/large")), has(7), reset(1)], IGNORED),
    Case("6.5.3 each is acknowledged", [settings(), settings(), settings(), acknowledged(4)], IGNORED),
    Case("6.6 PUSH_PROMISE from a client", [OPEN, frame(PUSH_PROMISE, END_HEADERS, 1, struct.pack(">I", 2) + request())],
         connection(PROTOCOL_ERROR)),
    Case("6.7 PING is answered with what it held", [
        lambda wire: wire.ping(b"\0\1\2\3\4\5\6\7"), lambda wire: wire.pongs == [b"\0\1\2\3\4\5\6\7"]], IGNORED),
    Case("6.7 PING: an acknowledgement is not answered", [
        frame(PING, ACK, 0, b"not this"), lambda wire: wire.ping() and wire.pongs == [b"a marker"]], IGNORED),
    Case("6.7 PING on a stream", [OPEN, frame(PING, 0, 1, bytes(8))], connection(PROTOCOL_ERROR)),
    Case("6.7 PING of 6 bytes", [frame(PING, 0, 0, bytes(6))], connection(FRAME_SIZE_ERROR), connection(PROTOCOL_ERROR),
         UNSPECIFIC),
    Case("6.8 GOAWAY on a stream", [OPEN, frame(GOAWAY, 0, 1, bytes(8))], connection(PROTOCOL_ERROR)),
    Case("6.8 GOAWAY of 7 bytes", [frame(GOAWAY, 0, 0, bytes(7))], connection(FRAME_SIZE_ERROR), connection(PROTOCOL_ERROR),
         UNSPECIFIC),
    Case("6.8 GOAWAY: what is under way is finished", [
        headers(1, POST, END_HEADERS), frame(GOAWAY, 0, 0, bytes(8) + b"debug"), data(1, b"x"), over(),
        lambda wire: wire.statuses == {1: 200}], connection(frames.NO_ERROR)),
    Case("6.9 WINDOW_UPDATE of 0 for the connection", [window_update(0, 0)], connection(PROTOCOL_ERROR)),
    Case("6.9 WINDOW_UPDATE of 0 for a stream", [OPEN, window_update(1, 0)], stream(PROTOCOL_ERROR),
         connection(PROTOCOL_ERROR), SEVERE),
    Case("6.9 WINDOW_UPDATE with its reserved bit", [
        settings((INITIAL_WINDOW_SIZE, 0)), headers(1, request()), window_update(1, 1 << 31 | 2)], SERVED),
    Case("6.9 WINDOW_UPDATE of 3 bytes", [frame(WINDOW_UPDATE, 0, 0, bytes(3))], connection(FRAME_SIZE_ERROR),
         connection(PROTOCOL_ERROR), UNSPECIFIC),
    Case("6.9.1 the connection's window overflows", [window_update(0, (1 << 31) - 1)], connection(FLOW_CONTROL_ERROR)),
    Case("6.9.1 a stream's window overflows", [OPEN, window_update(1, (1 << 31) - 1)], stream(FLOW_CONTROL_ERROR)),
    Case("6.9.1 who sends more than there is room for", [
        headers(1, request("/stuck", "POST"), END_HEADERS), lambda wire: overrun(wire)],
         # Of whose window was found exceeded first.
         stream(FLOW_CONTROL_ERROR) + connection(FLOW_CONTROL_ERROR)),
    Case("6.9.1 an answer keeps to a window of 1", [
        settings((INITIAL_WINDOW_SIZE, 1)), headers(1, request()), has(1), window_update(1, 1)], SERVED),
    Case("6.9.2 a larger initial window is for open streams too", [
        settings((INITIAL_WINDOW_SIZE, 10)), headers(1, request("/large")), has(10),
        settings((INITIAL_WINDOW_SIZE, 25)), has(25), reset(1)], IGNORED),
    Case("6.9.2 a window may become negative", [
        settings((INITIAL_WINDOW_SIZE, 30)), headers(1, request("/large")), has(30), settings((INITIAL_WINDOW_SIZE, 10)),
        window_update(1, 20), has(30), window_update(1, 5), has(35), reset(1), settings((INITIAL_WINDOW_SIZE, 30))], IGNORED),
    Case("6.9.2 an initial window that overflows an open stream's", [
        OPEN, window_update(1, 1 << 20), settings((INITIAL_WINDOW_SIZE, (1 << 31) - 1))], connection(FLOW_CONTROL_ERROR)),
    Case("6.10 CONTINUATION, several of them", [
        headers(1, request()[:9], END_STREAM), continuation(1, request()[9:20], 0), continuation(1, request()[20:])], SERVED),
    Case("6.10 CONTINUATION on stream 0", [headers(1, request(), END_STREAM), continuation(0, b"")],
         connection(PROTOCOL_ERROR)),
    Case("6.10 CONTINUATION on another stream", [headers(1, request(), END_STREAM), continuation(3, b"")],
         connection(PROTOCOL_ERROR)),
    Case("6.10 CONTINUATION behind a head's end", [OPEN, continuation(1, block([("x", "y")]))], connection(PROTOCOL_ERROR)),
    Case("6.10 CONTINUATION behind the last CONTINUATION", [
        headers(1, request("/held"), END_STREAM), continuation(1, b""), continuation(1, b"")], connection(PROTOCOL_ERROR)),
    Case("6.10 CONTINUATION behind DATA", [OPEN, data(1, b"x", 0), continuation(1, block([("x", "y")]))],
         connection(PROTOCOL_ERROR)),
    Case("7 codes that nobody knows", [OPEN, reset(1, 0xFFFF_FFFF)], IGNORED),
]


def overrun(wire):
    """Sends without regard for windows, until it is said to have been too much: a server's buffers hold some of it."""
    for _ in range(2048):
        if wire.goaway is not None or wire.closed or 1 in wire.resets:
            # What was on its way meanwhile may have been too much for the connection too.
            wire.ping()
            return
        wire.send(data(1, bytes(FRAME_BYTES), 0))
        wire.socket.setblocking(False)
        try:
            wire.receive()
        except BlockingIOError:
            pass
        finally:
            wire.socket.settimeout(30)


def with_field(name, value, **more):
    return [headers(1, request(**more) + literal(name, value))]


def body(length, *pieces):
    """A body in so many DATA frames, of another length than is announced."""
    sent = [data(1, piece, END_STREAM if at + 1 == len(pieces) else 0) for at, piece in enumerate(pieces)]
    return [headers(1, request("/v1/x", "POST", content_length=str(length)), END_HEADERS), *sent]


def trailers(*fields, flags=END_STREAM | END_HEADERS):
    return [headers(1, POST, END_HEADERS), data(1, b"x", 0), headers(1, block(fields), flags)]


# No name and no value that HTTP knows: h2 takes the block for one that cannot be decoded.
UNREADABLE = (MALFORMED, connection(PROTOCOL_ERROR), SEVERE)

MESSAGES = [
    Case("8.1 trailers", trailers(("x-checksum", "1")), SERVED),
    Case("8.1 trailers that are not the end", trailers(("x-checksum", "1"), flags=END_HEADERS), stream(PROTOCOL_ERROR)),
    Case("8.1 trailers with a pseudo-field", trailers((":method", "GET")), stream(PROTOCOL_ERROR), SERVED,
         "h2 leaves it out, and what a request's trailers hold goes no further"),
    Case("8.1.1 content-length above the body", body(3, b"x", b"y"), MALFORMED),
    Case("8.1.1 content-length below the body", body(1, b"x", b"y"), MALFORMED),
    Case("8.1.1 content-length and an empty body", body(1, b""), MALFORMED),
    Case("8.1.1 content-length and no body", [headers(1, request("/v1/x", "POST", content_length="1"))], MALFORMED),
    Case("8.1.1 content-length that is no number", with_field("content-length", "+1"), MALFORMED),
    Case("8.2 a name in capitals", with_field("X-Test", "y"), *UNREADABLE),
    Case("8.2.1 a name with a blank", with_field("x test", "y"), *UNREADABLE),
    Case("8.2.1 a name with a colon", with_field("x:test", "y"), *UNREADABLE),
    Case("8.2.1 a name with a byte above 7f", with_field("x\xe9", "y"), *UNREADABLE),
    Case("8.2.1 an empty name", with_field("", "y"), *UNREADABLE),
    Case("8.2.1 NUL in a value", with_field("x", "a\0b"), *UNREADABLE),
    Case("8.2.1 a line feed in a value", with_field("x", "a\nb"), *UNREADABLE),
    Case("8.2.1 a carriage return in a value", with_field("x", "a\rb"), *UNREADABLE),
    Case("8.2.1 a blank before a value", with_field("x", " a"), MALFORMED, SERVED,
         "it is read again as HTTP/1.1, where blanks around a value are none of it, and leaves as such"),
    *(Case(f"8.2.2 {name}: {value}", with_field(name, value), MALFORMED) for name, value in [
        ("connection", "keep-alive"), ("keep-alive", "timeout=5"), ("proxy-connection", "keep-alive"),
        ("transfer-encoding", "chunked"), ("upgrade", "websocket"), ("te", "gzip"), ("te", "trailers, deflate")]),
    Case("8.2.2 te: trailers", with_field("te", "trailers"), SERVED),
    Case("8.3 a pseudo-field that nobody knows", [headers(1, literal(":test", "ok") + request())], *UNREADABLE),
    Case("8.3 a pseudo-field of answers", [headers(1, literal(":status", "200") + request())], MALFORMED),
    Case("8.3 a pseudo-field behind a field", with_field(":path", "/", without=(":path",), x="y"), MALFORMED),
    Case("8.3.1 no :method", [headers(1, request(without=(":method",)))], MALFORMED),
    Case("8.3.1 no :scheme", [headers(1, request(without=(":scheme",)))], MALFORMED),
    Case("8.3.1 no :path", [headers(1, request(without=(":path",)))], MALFORMED),
    Case("8.3.1 an empty :path", [headers(1, request(""))], MALFORMED),
    Case("8.3.1 a :path without its slash", [headers(1, request("v1/x"))], MALFORMED),
    Case("8.3.1 two of :method", [headers(1, literal(":method", "GET") + request())], MALFORMED),
    Case("8.3.1 two of :scheme", [headers(1, literal(":scheme", "http") + request())], MALFORMED),
    Case("8.3.1 two of :path", [headers(1, literal(":path", "/v1/x") + request())], MALFORMED),
    Case("8.3.1 two of :authority", [headers(1, literal(":authority", "localhost") + request())], MALFORMED),
    Case("8.3.1 :authority with a user", [
        headers(1, literal(":authority", "me@localhost") + request(without=(":authority",)))], MALFORMED),
    Case("8.3.1 a host that is not the authority", with_field("host", "example.com"), MALFORMED),
    Case("8.3.1 a host and no authority", with_field("host", "localhost", without=(":authority",)), SERVED),
    Case("8.5 CONNECT with a path", [headers(1, request(method="CONNECT"))], MALFORMED),
    Case("8.5 CONNECT without an authority", [headers(1, literal(":method", "CONNECT"))], MALFORMED),
    Case("RFC 8441, 4 an extended CONNECT that was not offered", [
        headers(1, literal(":protocol", "websocket") + request(method="CONNECT"))], MALFORMED),
    Case("10.5.1 a head above what was said to be its bound", [
        headers(1, request(), END_STREAM), *(continuation(1, literal("x", "y" * 16_000), 0) for _ in range(4)),
        continuation(1, literal("x", "y" * 16_000))], answer(431)),
]

BROKEN_BLOCK = (connection(COMPRESSION_ERROR), connection(PROTOCOL_ERROR), UNSPECIFIC)


def block_of(*parts):
    return [headers(1, b"".join(parts))]


HPACK = [
    Case("7541 2.3.3 an index behind the table", block_of(request(), indexed(70)), *BROKEN_BLOCK),
    Case("7541 2.3.3 a name's index behind the table", block_of(request(), bytes([0x7F, 0x20]) + text("y")), *BROKEN_BLOCK),
    Case("7541 2.3.2 a field enters the table and is found in it", [
        headers(1, request() + literal("x-kept", "y", 0x40)), over(), headers(3, request() + indexed(62))], SERVED, stream=3),
    Case("7541 4.2 a table size above the bound", block_of(table_size(4097), request()), *BROKEN_BLOCK),
    Case("7541 4.2 a table size behind a field", block_of(request(), table_size(0)), *BROKEN_BLOCK),
    Case("7541 4.2 two table sizes", block_of(table_size(0), table_size(4096), request()), SERVED),
    Case("7541 4.3 a smaller table lets go of what it held", [
        headers(1, request() + literal("x-kept", "y", 0x40)), over(),
        headers(3, table_size(0) + table_size(4096) + request() + indexed(62))], *BROKEN_BLOCK, stream=3),
    Case("7541 4.4 what is larger than the table empties it", [
        headers(1, request() + literal("x-kept", "y", 0x40) + literal("x-large", "y" * 4096, 0x40)), over(),
        headers(3, request() + indexed(62))], *BROKEN_BLOCK, stream=3),
    Case("7541 5.1 an integer without end", block_of(request(), b"\xff" + b"\x80" * 20 + b"\x01"), *BROKEN_BLOCK),
    Case("7541 5.2 a string longer than its block", block_of(request(), b"\x00\x01x\x7fy"), *BROKEN_BLOCK),
    Case("7541 5.2 Huffman's code", block_of(request(), b"\x00\x01x" + text(b"\x1f", huffman=True)), SERVED),
    Case("7541 5.2 Huffman's code with padding of zeros", block_of(request(), b"\x00\x01x" + text(b"\x18", huffman=True)),
         *BROKEN_BLOCK),
    Case("7541 5.2 Huffman's code with 8 bits of padding", block_of(request(), b"\x00\x01x" + text(b"\x1f\xff", huffman=True)),
         *BROKEN_BLOCK),
    Case("7541 5.2 Huffman's code with its end symbol",
         block_of(request(), b"\x00\x01x" + text(b"\xff\xff\xff\xff", huffman=True)), *BROKEN_BLOCK),
    Case("7541 6.1 index 0", block_of(request(), indexed(0)), *BROKEN_BLOCK),
    Case("7541 6.2.3 a field that never enters a table", block_of(request(), literal("x", "y", 0x10)), SERVED),
    Case("7541 4.1 a malformed request's fields are in the table", [
        headers(1, request() + literal("connection", "close") + literal("x-kept", "y", 0x40)), over(),
        headers(3, request() + indexed(62))], SERVED, stream=3),
    Case("7541 4.1 a refused stream's fields are in the table", [
        lambda wire: wire.send(*(headers(2 * at + 1, request("/held")) for at in range(100))),
        headers(201, request() + literal("x-kept", "y", 0x40)), over(201), reset(1),
        headers(203, request() + indexed(62))], SERVED, stream=203),
    Case("7541 4.1 the fields of a head above its bound are in the table", [
        headers(1, request(), END_STREAM), *(continuation(1, literal("x", "y" * 16_000), 0) for _ in range(4)),
        continuation(1, literal("x", "y" * 16_000) + literal("x-kept", "y", 0x40)), over(),
        headers(3, request() + indexed(62))], SERVED, stream=3),
]

CASES = FRAMES + STATES + TYPES + MESSAGES + HPACK
