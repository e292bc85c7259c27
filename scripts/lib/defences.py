"""The edge's defences, each as an expression, what stands there without it, and the test that then fails."""

from dataclasses import dataclass

REQUEST = "edge/src/carrier/forward/request.rs"
CHUNKS = "edge/src/carrier/forward/chunks.rs"
READER = "edge/src/carrier/forward/reply.rs"
REPLY = "edge/src/carrier/forward/reply/head.rs"
STATED = "edge/src/carrier/forward/reply/stated.rs"
OUTGOING = "edge/src/carrier/forward/outgoing.rs"
HTTP_2 = "edge/src/carrier/forward/http2.rs"
REWRITE = "edge/src/rewrite.rs"
EXCHANGE = "edge/src/exchange.rs"
TARGET = "crates/keymap/src/target.rs"
CLEAN = "crates/keymap/src/target/clean.rs"
REQUESTS = ("forwarder", "corpus::requests")
ANSWERS = ("forwarder", "corpus::answers")
FRAMES = ("tls", "frames::what_leaves")


@dataclass
class Defence:
    name: str
    edits: list  # of (file, expression, what stands there instead)
    target: str
    test: str


def defence(name, where, *edits):
    return Defence(name, list(edits), *where)


LENIENT_STEP = """match (self.state, bytes[at]) {
    (State::Size | State::Extension, b'\\n') if self.digits > 0 && self.left == 0 => State::TrailerStart,
    (State::Size | State::Extension, b'\\n') if self.digits > 0 => State::Payload,
    (State::PayloadCr, b'\\n') => { (self.left, self.digits) = (0, 0); State::Size }
    (_, byte) => self.step(byte)?,
}"""

DEFENCES = [
    # A head and its lines
    defence("bare line feeds in a head", REQUESTS, (REQUEST, "has_bare_line_feed(&head)", "false")),
    defence("CONNECT", REQUESTS, (REQUEST, "method == Method::CONNECT", "false")),
    defence("one host", REQUESTS, (REQUEST, "check_host(&headers, is_http_10)?", "()")),
    defence("a host is a host", REQUESTS, (REQUEST, "is_host(host.as_bytes())", "true")),
    defence("a line's bound", REQUESTS, (REQUEST, "has_longer_line(&bytes[..head_bytes], bounds.line_bytes_max)", "false")),
    defence("a head's bound", REQUESTS, (REQUEST, "head_bytes <= bounds.bytes_max", "true"),
            (REQUEST, "bytes.len() < bounds.bytes_max", "true")),
    defence("the fields' bound", REQUESTS,
            (REQUEST, "bounds.fields_max.min(HeadBounds::FIELDS_MAX)", "HeadBounds::FIELDS_MAX")),
    defence("no upgrade but one", REQUESTS,
            (REQUEST, 'only.is_some_and(|protocol| protocol.as_bytes().eq_ignore_ascii_case(b"websocket"))', "true")),
    # Where a body ends
    defence("a length or a coding", REQUESTS, (REQUEST, "(codings.next(), lengths.next())",
            "{ let (c, l) = (codings.next(), lengths.next()); if c.is_some() { (c, None) } else { (c, l) } }")),
    defence("one length", REQUESTS, (REQUEST, "lengths.next().is_none()", "true")),
    defence("a length is digits", REQUESTS,
            (REQUEST, "!digits.is_empty() && digits.iter().all(u8::is_ascii_digit)", "true")),
    defence("one coding", REQUESTS, (REQUEST, "codings.next().is_none()", "true")),
    defence("the coding is chunked", REQUESTS, (REQUEST, 'coding.as_bytes().eq_ignore_ascii_case(b"chunked")',
            'coding.as_bytes().to_ascii_lowercase().ends_with(b"chunked")')),
    defence("no coding in HTTP/1.0", REQUESTS, (REQUEST, "framing(&headers, is_http_10)?", "framing(&headers, false)?")),
    defence("a body's bound", REQUESTS, (EXCHANGE, "length > self.plane.bounds.body_bytes_max", "false")),
    defence("a refused body is read or the connection ends", REQUESTS,
            ("edge/src/carrier/forward/refusal.rs", "refusal.closes() || !body.discard_small(client).await", "refusal.closes()"),
            ("edge/src/carrier/forward/refusal.rs", "sent && !body.is_done()", "false")),
    # Chunks
    defence("bare line feeds in chunks", REQUESTS, (CHUNKS, "self.step(bytes[at])?", LENIENT_STEP)),
    defence("a chunk's size is bounded", REQUESTS, (CHUNKS, "self.digits < SIZE_DIGITS_MAX", "true")),
    defence("no control characters in extensions", REQUESTS,
            (CHUNKS, "byte == b'\\t' || (byte >= b' ' && byte != 0x7f)", "true")),
    defence("extensions and trailers are bounded", REQUESTS, (CHUNKS, "self.line_bytes <= LINE_BYTES_MAX", "true")),
    defence("trailers of answers go no further", ANSWERS,
            (CHUNKS, "self.state == State::TrailerName && self.trailers_at.is_none()", "false")),
    # What goes no further, and what must
    defence("hop-by-hop headers", REQUESTS,
            (OUTGOING, "is_hop_by_hop(name) || origin.owns(name) || nominated.contains(name)",
             "origin.owns(name) || nominated.contains(name)")),
    defence("the edge's own headers", REQUESTS,
            (OUTGOING, "is_hop_by_hop(name) || origin.owns(name) || nominated.contains(name)",
             "is_hop_by_hop(name) || nominated.contains(name)")),
    defence("what Connection names", REQUESTS,
            (OUTGOING, "is_hop_by_hop(name) || origin.owns(name) || nominated.contains(name)",
             "is_hop_by_hop(name) || origin.owns(name)")),
    defence("Connection cannot take the key", REQUESTS,
            ("edge/src/carrier/forward/hops.rs", "!is_identity(name)", "true")),
    defence("underscores", REQUESTS,
            (REWRITE, "if *byte == b'_' { b'-' } else { byte.to_ascii_lowercase() }", "byte.to_ascii_lowercase()")),
    defence("a second spelling of what matters", REQUESTS, (REWRITE, "is_alias(name)\n", "false")),
    defence("the X-Forwarded family", REQUESTS, (REWRITE, "is_forwarded(name)\n", "false")),
    defence("Forwarded", REQUESTS, (REWRITE, 'is("forwarded")', "false")),
    defence("X-Conversation-Id", REQUESTS, (REWRITE, 'is("x-conversation-id")', "false")),
    defence("X-Conclave-Exchange", REQUESTS, (REWRITE, 'is("x-conclave-exchange")', "false")),
    defence("Expect", REQUESTS, (REWRITE, 'self.continued && is("expect")', "false")),
    defence("what middlewares set", REQUESTS, (REWRITE, "self.changes.owns(name)", "false")),
    defence("one line a key", REQUESTS,
            (REWRITE, "is_blank || std::mem::replace(&mut self.0[place], true)", "is_blank")),
    defence("no empty line beside a key", REQUESTS,
            (REWRITE, "is_blank || std::mem::replace(&mut self.0[place], true)",
             "std::mem::replace(&mut self.0[place], true)")),
    defence("HTTP/1.0 gets a host", REQUESTS, (EXCHANGE, "!headers.contains_key(header::HOST)", "false")),
    # Targets
    defence("target and Host name one host", REQUESTS, (EXCHANGE, "!head::names_one_host(&target, head.headers)", "false")),
    defence("only OPTIONS asks for *", REQUESTS,
            (EXCHANGE, 'target.forward_path() == "*" && head.method != http::Method::OPTIONS', "false")),
    defence("no fragment", REQUESTS, (TARGET, "raw.contains(&b'#')", "false")),
    defence("no user in a target", REQUESTS, (TARGET, "authority.iter().all(plain)", "true")),
    defence("no path that means two things", REQUESTS, (CLEAN, "is_ambiguous(&decoded)", "false")),
    defence("no dots with parameters", REQUESTS,
            (CLEAN, "matches!(segment.split(';').next(), Some(\".\" | \"..\"))", 'matches!(segment, "." | "..")')),
    defence("no backslash, no control character", REQUESTS, (CLEAN, "c == '\\\\' || c.is_control()", "false")),
    # Keys
    defence("two keys are a conflict", ("forwarder", "corpus::keys"),
            ("crates/keymap/src/credential.rs", "first == key", "true")),
    # Answers
    defence("no switch that nobody asked for", ANSWERS,
            (REPLY, "is_upgrade && switches_to_websocket(response.headers)", "true")),
    defence("no switch to anything else", ANSWERS,
            (REPLY, "is_upgrade && switches_to_websocket(response.headers)", "is_upgrade")),
    defence("204 has no length", ANSWERS, (REPLY, "is_switch || status == 204", "false")),
    defence("interim heads are cleaned", ANSWERS, (REPLY, "interim_head(status, &response)", "bytes[..head_bytes].to_vec()")),
    defence("interim heads are bounded", ANSWERS, (READER, "self.interim == INTERIM_MAX", "false")),
    defence("an answer's head is bounded", ANSWERS, (REPLY, "head_bytes <= HEAD_BYTES_MAX", "true"),
            (READER, "gathered.len() <= HEAD_BYTES_MAX", "true")),
    defence("an answer's coding is chunked, once", ANSWERS,
            (STATED, "stated.chunked || !is_chunked || !is_http_11", "false")),
    defence("an answer's length is digits", ANSWERS, (STATED, "!digits.is_empty() && digits.iter().all(u8::is_ascii_digit)", "true")),
    defence("an answer has one length", ANSWERS, (STATED, "self.length.replace(length).is_some_and(|before| before != length)",
            "{ self.length.replace(length); false }")),
    defence("HEAD, 204 and 304 have no body", ANSWERS, (REPLY, "terms.is_head || is_switch || matches!(status, 204 | 304)", "is_switch")),
    defence("a server's hop-by-hop headers", ANSWERS,
            (REPLY, "!is_hop_by_hop(name) && !nominated.contains(name) && !changes.owns(name)",
             "!nominated.contains(name) && !changes.owns(name)")),
    defence("what a server's Connection names", ANSWERS,
            (REPLY, "!is_hop_by_hop(name) && !nominated.contains(name) && !changes.owns(name)",
             "!is_hop_by_hop(name) && !changes.owns(name)")),
    # Time and number
    defence("a head's deadline", ("forwarder", "strict::a_head_has_one_deadline"),
            ("edge/src/carrier/forward/session.rs", "Instant::now() + forwarder.plane.timeouts.head",
             "Instant::now() + Duration::from_secs(3600)")),
    defence("a body's rate", ("forwarder", "strict::a_body_that_trickles"),
            ("edge/src/carrier/forward/inbound.rs", "self.pace.poll_too_slow(cx).map(|()| BodyError::TooSlow)", "Poll::Pending")),
    defence("who takes nothing is let go", ("forwarder", "strict::a_client_that_takes_nothing"),
            ("edge/src/carrier/forward/client.rs", "tokio::time::timeout(patience, self.stream.writable())",
             "tokio::time::timeout(Duration::from_secs(3600), self.stream.writable())")),
    defence("connections are bounded", ("forwarder", "strict::beyond_the_bound_on_connections"),
            ("edge/src/crowd.rs", "self.connections.fetch_add(1, Ordering::Relaxed) >= self.bounds.connections_max",
             "{ self.connections.fetch_add(1, Ordering::Relaxed); false }")),
    defence("memory is bounded", ("forwarder", "strict::at_the_bound_of_memory"),
            ("edge/src/carrier/forward/session.rs", "plane.pressure.is_high()", "false")),
    defence("a key's requests are bounded", ("forwarder", "strict::one_key_has_so_many"),
            ("edge/src/streams.rs", "held >= self.per_key_max", "false")),
    # HTTP/2: a stream is read as a connection of HTTP/1.1 is
    defence("HTTP/2: bounds of a head", ("tls", "frames::heads_are_bounded"),
            ("edge/src/carrier/forward/request.rs", "has_longer_line(&bytes[..head_bytes], bounds.line_bytes_max)", "false")),
    defence("HTTP/2: one length", FRAMES,
            (REQUEST, "lengths.next().is_none()", "true")),
    defence("HTTP/2: one line of cookies", FRAMES,
            ("edge/src/carrier/forward/http2/said.rs", "join_cookies(&mut head.headers)", "()")),
    defence("HTTP/2: one line a key", FRAMES,
            ("edge/src/carrier/forward/outgoing.rs", "!stays && !keys.repeats(name, value)", "!stays")),
    defence("HTTP/2: the host is the authority", FRAMES,
            ("edge/src/exchange.rs", "!head::names_one_host(&target, head.headers)", "false")),
    defence("HTTP/2: streams are bounded", ("tls", "frames::beyond_the_bound_on_streams"),
            (HTTP_2, "Some(STREAMS_MAX)", "None")),
    defence("HTTP/2: what is gathered of a head is bounded", ("tls", "frames::floods_end"),
            (HTTP_2, "u32::try_from(bounds.bytes_max).unwrap_or(u32::MAX)", "u32::MAX")),
    defence("HTTP/2: who takes nothing is let go", ("tls", "frames::an_answer_that_nobody_takes"),
            (HTTP_2, "Patient(plane.timeouts.client)", "Patient(Duration::from_secs(3600))")),
    defence("HTTP/2: a stream is watched to the last byte of its answer", ("tls", "frames::an_answer_that_nobody_takes"),
            ("edge/src/carrier/forward/http2/said.rs", "self.taken.poll_all(cx).is_ready()", "true")),
    defence("HTTP/2: a body's rate", ("tls", "frames::a_body_that_trickles"),
            ("edge/src/carrier/forward/pace.rs", "self.bytes < bytes_min(window)", "false")),
]
