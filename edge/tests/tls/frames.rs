//! HTTP/2, frame by frame: what is no request is none, and what is one leaves as strict HTTP/1.1.
//!
//! `frames.txt` is read as the tables of `edge/corpus.rs` are: a line `HEADERS` or `HEADERS end` and its fields, or `DATA`
//! or `DATA end` and its bytes, for stream 1. Floods stand here.

use std::io::{self, ErrorKind, Read, Write};
use std::time::{Duration, Instant};

use edge::Timeouts;

use crate::pki::Authority;
use crate::recorder::{Recorder, plain};
use crate::table::{self, Case, shown};
use crate::world::{Client, PATIENCE, World, client_config, mapping, settings};

const TABLE: &str = include_str!("frames.txt");
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RESET: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

const GET: [(&str, &[u8]); 5] = [
    (":method", b"GET"),
    (":scheme", b"https"),
    (":path", b"/v1/x"),
    (":authority", b"a.example"),
    ("x-api-key", b"sk"),
];

struct Stage {
    world: World,
    recorder: Recorder,
    authority: Authority,
    _folder: tempfile::TempDir,
}

impl Stage {
    fn new(timeouts: Timeouts) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let authority = Authority::new(folder.path(), "ca");
        let files = authority.issue(folder.path(), "a", &["a.example"]);
        let recorder = Recorder::start();
        let host = "    host: { rule: 'Key(`sk-host`) && Host(`a.example`)', service: a }\n";
        let mapping = mapping(&recorder.url(), "", "").replace("  services:\n", &format!("{host}  services:\n"));
        let world = World::with(settings(&[files]), timeouts, &mapping);
        Self {
            world,
            recorder,
            authority,
            _folder: folder,
        }
    }

    fn connect(&self) -> Wire {
        let config = client_config(&self.authority.file, None, b"h2");
        let mut wire = Wire(Client::connect(self.world.tls, "a.example", &config).expect("let in"));
        wire.0.stream.write_all(PREFACE).expect("sent");
        wire.send(SETTINGS, 0, 0, &[]).expect("sent");
        wire
    }
}

struct Wire(Client);

impl Wire {
    fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> io::Result<()> {
        let length = u32::try_from(payload.len()).expect("a frame").to_be_bytes();
        let head = [&length[1..], &[kind, flags], &stream.to_be_bytes()[..]].concat();
        self.0.stream.write_all(&[&head, payload].concat())
    }

    /// A request's head, in as many frames as it takes.
    fn headers(&mut self, stream: u32, end: u8, block: &[u8]) -> io::Result<()> {
        let mut pieces = block.chunks(16_384).peekable();
        let (mut kind, mut flags) = (HEADERS, end);
        while let Some(piece) = pieces.next() {
            let last = if pieces.peek().is_none() { END_HEADERS } else { 0 };
            self.send(kind, flags | last, stream, piece)?;
            (kind, flags) = (CONTINUATION, 0);
        }
        Ok(())
    }

    /// What becomes of a stream: a status, `reset`, or the connection's end; `nothing` where that does not come.
    fn outcome(&mut self, stream: u32) -> String {
        loop {
            let mut head = [0; 9];
            match self.0.stream.read_exact(&mut head) {
                Ok(()) => {}
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    return "nothing".to_owned();
                }
                Err(_) => return "closed".to_owned(),
            }
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
            let mut payload = vec![0; usize::try_from(length).expect("a length")];
            if self.0.stream.read_exact(&mut payload).is_err() {
                return "closed".to_owned();
            }
            let of = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
            match head[3] {
                GOAWAY => return "goaway".to_owned(),
                HEADERS if of == stream => return status(&payload),
                RESET if of == stream => return "reset".to_owned(),
                _ => {}
            }
        }
    }
}

/// Each field literally, without a table and without Huffman's code (RFC 7541, 6.2.2).
fn block(fields: &[(&str, &[u8])]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        for text in [name.as_bytes(), value] {
            push_length(text.len(), &mut block);
            block.extend_from_slice(text);
        }
    }
    block
}

fn push_length(length: usize, block: &mut Vec<u8>) {
    let Some(mut rest) = length.checked_sub(127) else {
        return block.push(u8::try_from(length).expect("below 127"));
    };
    block.push(127);
    while rest >= 128 {
        block.push(u8::try_from(rest % 128).expect("7 bits") | 128);
        rest /= 128;
    }
    block.push(u8::try_from(rest).expect("7 bits"));
}

/// An answer's status: it comes first, from the static table or as a literal of digits.
fn status(block: &[u8]) -> String {
    const INDEXED: [&str; 7] = ["200", "204", "206", "304", "400", "404", "500"];
    match block {
        [indexed @ 0x88..=0x8e, ..] => INDEXED[usize::from(indexed - 0x88)].to_owned(),
        [0x48 | 0x08, length, text @ ..] if length & 128 == 0 => {
            String::from_utf8_lossy(&text[..usize::from(*length)]).into_owned()
        }
        [0x48 | 0x08, length, text @ ..] => huffman_digits(&text[..usize::from(length & 127)]),
        other => panic!("no status: {}", shown(other)),
    }
}

/// 0, 1 and 2 take five bits, the others six (RFC 7541, appendix B).
fn huffman_digits(bytes: &[u8]) -> String {
    let bits: String = bytes.iter().map(|byte| format!("{byte:08b}")).collect();
    let (mut rest, mut digits) = (bits.as_str(), String::new());
    while digits.len() < 3 {
        let short = u32::from_str_radix(&rest[..5], 2).expect("bits");
        let (digit, taken) = if short < 3 {
            (short, 5)
        } else {
            (u32::from_str_radix(&rest[..6], 2).expect("bits") - 0x19 + 3, 6)
        };
        digits.push(char::from_digit(digit, 10).expect("a digit"));
        rest = &rest[taken..];
    }
    digits
}

#[test]
fn what_leaves_is_strict_http_11() {
    let cases = table::read(
        TABLE,
        &[(
            "get",
            ":method: GET\\r\\n:scheme: https\\r\\n:authority: a.example\\r\\n:path: /v1/x",
        )],
    );
    assert!(cases.len() >= 30, "{} cases", cases.len());
    let stage = Stage::new(Timeouts::default());
    let faults: Vec<String> = cases
        .iter()
        .filter_map(|case| {
            judged(case, &stage)
                .err()
                .map(|fault| format!("== {}\n{fault}", case.title))
        })
        .collect();
    assert!(
        faults.is_empty(),
        "{} cases are not as tabled\n{}",
        faults.len(),
        faults.join("\n")
    );
}

fn judged(case: &Case, stage: &Stage) -> Result<(), String> {
    let mut wire = stage.connect();
    send(case, &mut wire).expect("sent");
    let outcome = wire.outcome(1);
    let (bytes, requests) = stage.recorder.take()?;
    if [outcome.as_str()] != case.outcome[..] {
        return Err(format!("  expected {:?}, got {outcome}", case.outcome));
    }
    let arrived = plain(bytes, &stage.recorder.authority);
    if arrived != case.arrives || requests > 1 {
        let (expected, arrived) = (shown(&case.arrives), shown(&arrived));
        return Err(format!("  expected\n    {expected}\n  arrived\n    {arrived}"));
    }
    if outcome == "goaway" || outcome == "closed" {
        return Ok(());
    }
    // The connection carries the next.
    wire.headers(3, END_STREAM, &block(&GET)).expect("sent");
    let next = wire.outcome(3);
    match stage.recorder.take()?.1 {
        1 if next == "200" => Ok(()),
        count => Err(format!("  the next request: {next}, {count} at the server")),
    }
}

fn send(case: &Case, wire: &mut Wire) -> io::Result<()> {
    let text = &case.sent[..case.sent.len() - 2];
    let lines = text
        .split(|&byte| byte == b'\n')
        .map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let mut fields: Vec<(String, Vec<u8>)> = Vec::new();
    let mut head_end = None;
    for line in lines {
        let end = if line.starts_with(b"HEADERS end") || line.starts_with(b"DATA end") {
            END_STREAM
        } else {
            0
        };
        if line.starts_with(b"HEADERS") || line.starts_with(b"DATA") {
            flush(&mut head_end, &mut fields, wire)?;
        }
        if line.starts_with(b"HEADERS") {
            head_end = Some(end);
        } else if line.starts_with(b"DATA") {
            let skip = if end == 0 { "DATA " } else { "DATA end " };
            wire.send(DATA, end, 1, line.get(skip.len()..).unwrap_or_default())?;
        } else {
            let at = line.windows(2).position(|window| window == b": ").expect("a field");
            fields.push((
                String::from_utf8_lossy(&line[..at]).into_owned(),
                line[at + 2..].to_vec(),
            ));
        }
    }
    flush(&mut head_end, &mut fields, wire)
}

fn flush(end: &mut Option<u8>, fields: &mut Vec<(String, Vec<u8>)>, wire: &mut Wire) -> io::Result<()> {
    let Some(end) = end.take() else { return Ok(()) };
    let taken = std::mem::take(fields);
    let borrowed: Vec<(&str, &[u8])> = taken
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_slice()))
        .collect();
    wire.headers(1, end, &block(&borrowed))
}

#[test]
fn heads_are_bounded_as_in_http_11() {
    let stage = Stage::new(Timeouts::default());
    let (line, value) = ("x".repeat(8 << 10), "y".repeat(1 << 10));
    let with = |more: &[(&str, &[u8])]| block(&[&GET, more].concat());
    for (what, block) in [
        ("a line", with(&[("x", line.as_bytes())])),
        ("fields", with(&[("x", &b"y"[..]); 100])),
        ("a head", with(&[("x", value.as_bytes()); 70])),
        (
            "a path",
            block(&[&GET[..2], &[(":path", format!("/{line}").as_bytes())], &GET[3..]].concat()),
        ),
    ] {
        let mut wire = stage.connect();
        wire.headers(1, END_STREAM, &block).expect("sent");
        assert_eq!(wire.outcome(1), "431", "{what}");
        wire.headers(3, END_STREAM, &self::block(&GET)).expect("sent");
        assert_eq!(wire.outcome(3), "200", "after {what}");
    }
    assert_eq!(
        stage.recorder.take().expect("strict").1,
        4,
        "only what was within the bounds"
    );
}

/// Each goes on until the edge has enough: it must have, long before the memory has.
#[test]
fn floods_end_the_connection() {
    let stage = Stage::new(Timeouts::default());
    let flood = |kind: &str, piece: &dyn Fn(&mut Wire, u32) -> io::Result<()>| {
        let mut wire = stage.connect();
        let sent = (0..20_000_u32).take_while(|&at| piece(&mut wire, at).is_ok()).count();
        let outcome = wire.outcome(u32::MAX >> 1);
        assert!(
            ["goaway", "closed"].contains(&outcome.as_str()),
            "{kind}: {outcome} after {sent}"
        );
    };
    flood("a head without end", &|wire, at| {
        let kind = if at == 0 { HEADERS } else { CONTINUATION };
        wire.send(kind, 0, 1, &block(&[("x", &[b'y'; 1024])]))
    });
    flood("a head in empty pieces", &|wire, at| {
        let kind = if at == 0 { HEADERS } else { CONTINUATION };
        wire.send(kind, 0, 1, &[])
    });
    flood("requests that are taken back at once", &|wire, at| {
        wire.headers(2 * at + 1, END_STREAM, &block(&GET))?;
        wire.send(RESET, 0, 2 * at + 1, &8_u32.to_be_bytes())
    });
    // Who did nothing goes on.
    let _ = stage.recorder.take();
    let mut wire = stage.connect();
    wire.headers(1, END_STREAM, &block(&GET)).expect("sent");
    assert_eq!(wire.outcome(1), "200");
}

#[test]
fn beyond_the_bound_on_streams_there_is_none() {
    let stage = Stage::new(Timeouts::default());
    let mut wire = stage.connect();
    let mut fields = GET.to_vec();
    fields[0].1 = b"POST";
    // Each waits for its body.
    for at in 0..=100 {
        wire.headers(2 * at + 1, 0, &block(&fields)).expect("sent");
    }
    assert_eq!(wire.outcome(201), "reset");
    wire.send(RESET, 0, 1, &8_u32.to_be_bytes()).expect("sent");
    wire.headers(203, END_STREAM, &block(&GET)).expect("sent");
    assert_eq!(wire.outcome(203), "200");
}

/// However well its client answers pings.
#[test]
fn an_answer_that_nobody_takes_is_let_go() {
    const INITIAL_WINDOW_SIZE: [u8; 2] = [0, 4];
    let stage = Stage::new(Timeouts {
        client: Duration::from_millis(400),
        ..Timeouts::default()
    });
    let mut wire = stage.connect();
    let window = |wire: &mut Wire, bytes: u32| {
        let setting = [&INITIAL_WINDOW_SIZE[..], &bytes.to_be_bytes()].concat();
        wire.send(SETTINGS, 0, 0, &setting).expect("sent");
    };
    window(&mut wire, 1);
    wire.headers(1, END_STREAM, &block(&GET)).expect("sent");
    assert_eq!(wire.outcome(1), "200");
    let begun = Instant::now();
    assert_eq!(wire.outcome(1), "reset");
    assert!(begun.elapsed() >= Duration::from_millis(300) && begun.elapsed() < PATIENCE);
    window(&mut wire, 65_535);
    wire.headers(3, END_STREAM, &block(&GET)).expect("sent");
    assert_eq!(wire.outcome(3), "200");
}

#[test]
fn a_body_that_trickles_is_let_go() {
    let stage = Stage::new(Timeouts {
        client: Duration::from_millis(400),
        ..Timeouts::default()
    });
    for announced in [true, false] {
        let mut wire = stage.connect();
        let mut fields = GET.to_vec();
        fields[0].1 = b"POST";
        if announced {
            fields.push(("content-length", b"100000"));
        }
        wire.headers(1, 0, &block(&fields)).expect("sent");
        wire.send(DATA, 0, 1, b"x").expect("sent");
        let begun = Instant::now();
        let outcome = wire.outcome(1);
        assert!(["reset", "408"].contains(&outcome.as_str()), "{outcome}");
        assert!(begun.elapsed() >= Duration::from_millis(300) && begun.elapsed() < PATIENCE);
        // It was the stream's fault, not the connection's.
        wire.headers(3, END_STREAM, &block(&GET)).expect("sent");
        assert_eq!(wire.outcome(3), "200");
    }
}
