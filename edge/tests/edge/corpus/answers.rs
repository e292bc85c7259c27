//! What a broken or hostile server sends, and that no client's connection loses its step over it.
//!
//! The client sends its request and a probe in one piece. Whatever the server made of the first, what the client reads is
//! a strict answer and then exactly the probe's, or an answer that visibly did not end, and then nothing.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use super::strict::{self, Fault};
use super::table::{self, Case, shown};
use crate::harness::world::{PATIENCE, World, mapping};

const TABLE: &str = include_str!("answers.txt");
const KEY: &str = "Host: edge\r\nx-api-key: sk\r\n";
const PROBE: &[u8] = b"HTTP/1.1 200 OK\r\nX-Probe: 1\r\nContent-Length: 5\r\n\r\nprobe";

/// What the server does with the next request that is no probe.
#[derive(Default)]
struct Script {
    bytes: Vec<u8>,
    ends: bool,
}

#[test]
fn no_answer_desynchronises_a_client() {
    let cases = table::read(TABLE, &[]);
    assert!(cases.len() >= 50, "{} cases", cases.len());
    let script: Arc<Mutex<Script>> = Arc::default();
    let url = serve(script.clone());
    let world = World::start(&[("a.yml", &mapping("a", "Key(`sk`)", &[url]))]);
    let only = std::env::var("CORPUS_CASE").ok();
    let faults: Vec<String> = cases
        .iter()
        .filter(|case| only.as_ref().is_none_or(|only| case.title.contains(only)))
        .filter_map(|case| {
            *script.lock().expect("no panic") = Script {
                bytes: case.sent.clone(),
                ends: case.has("ends"),
            };
            let fault = judged(case, &got(case, &world));
            fault.err().map(|fault| format!("== {}\n{fault}", case.title))
        })
        .collect();
    assert!(
        faults.is_empty(),
        "{} cases are not as tabled\n{}",
        faults.len(),
        faults.join("\n")
    );
}

/// All that the client reads, until the probe's answer or the end.
fn got(case: &Case, world: &World) -> Vec<u8> {
    let method = if case.has("HEAD") { "HEAD" } else { "GET" };
    let (version, further) = match () {
        () if case.has("HTTP/1.0") => ("1.0", "Connection: keep-alive\r\n"),
        () if case.has("websocket") => ("1.1", "Connection: Upgrade\r\nUpgrade: websocket\r\n"),
        () => ("1.1", ""),
    };
    let request = format!("{method} /v1/x HTTP/{version}\r\n{KEY}{further}\r\nGET /probe HTTP/1.1\r\n{KEY}\r\n");
    let mut stream = TcpStream::connect(world.address).expect("the edge accepts");
    stream.set_read_timeout(Some(PATIENCE)).expect("a time-out");
    stream.write_all(request.as_bytes()).expect("sent");
    let (mut bytes, mut piece) = (Vec::new(), [0; 64 * 1024]);
    while !bytes.ends_with(b"probe") {
        match stream.read(&mut piece) {
            Ok(0) => break,
            Ok(read) => bytes.extend_from_slice(&piece[..read]),
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => break,
            Err(error) => panic!("{}: neither an answer nor an end: {error}", case.title),
        }
    }
    bytes
}

fn judged(case: &Case, got: &[u8]) -> Result<(), String> {
    let fail = |why: String| Err(format!("  {why}\n    {}", shown(got)));
    let (mut at, mut statuses) = (0, Vec::new());
    let ends = loop {
        if got.len() == at {
            break "closes";
        }
        match strict::answer(&got[at..], case.has("HEAD") && !is_interim(&got[at..])) {
            Ok(answer) if answer.all("x-probe").len() == 1 => break "stays",
            Ok(answer) => {
                statuses.push(said(&got[at..at + answer.bytes]));
                at += answer.bytes;
            }
            Err(Fault::Unfinished) => {
                statuses.push(status(&got[at..]));
                at = got.len();
                break "cut";
            }
            // An answer to HTTP/1.0 may end with its connection.
            Err(Fault::NotStrict("no length")) if case.has("HTTP/1.0") => {
                statuses.push(status(&got[at..]));
                at = got.len();
            }
            Err(Fault::NotStrict(why)) => return fail(format!("not strict: {why}")),
        }
    };
    let mut expected = case.outcome.clone();
    if !["closes", "cut"].contains(&expected[expected.len() - 1].as_str()) {
        expected.push("stays".to_owned());
    }
    statuses.push(ends.to_owned());
    if statuses != expected {
        return fail(format!("expected {expected:?}, got {statuses:?}"));
    }
    let arrived = plain(&got[..at]);
    if case.arrives.is_empty() || arrived == case.arrives {
        Ok(())
    } else {
        Err(format!(
            "  expected\n    {}\n  arrived\n    {}",
            shown(&case.arrives),
            shown(&arrived)
        ))
    }
}

fn is_interim(bytes: &[u8]) -> bool {
    bytes.starts_with(b"HTTP/1.1 1") && !bytes.starts_with(b"HTTP/1.1 101")
}

fn status(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes.get(9..12).unwrap_or_default()).into_owned()
}

/// The status; for an error of the edge's own, its code too.
fn said(answer: &[u8]) -> String {
    let text = String::from_utf8_lossy(answer);
    let code = text
        .split_once("\"code\":\"")
        .and_then(|(_, rest)| rest.split('"').next());
    format!("{} {}", status(answer), code.unwrap_or_default())
        .trim()
        .to_owned()
}

/// Without the lines that differ from time to time: `{edge}` stands where they begin.
fn plain(answer: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    let mut said = false;
    for line in answer.split_inclusive(|&byte| byte == b'\n') {
        let name = line.split(|&byte| byte == b':').next().unwrap_or_default();
        if ![&b"date"[..], b"x-request-id"]
            .iter()
            .any(|added| name.eq_ignore_ascii_case(added))
        {
            plain.extend_from_slice(line);
        } else if !std::mem::replace(&mut said, true) {
            plain.extend_from_slice(b"{edge}\r\n");
        }
    }
    plain
}

fn serve(script: Arc<Mutex<Script>>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let script = script.clone();
            std::thread::spawn(move || answer(stream, &script));
        }
    });
    url
}

fn answer(mut stream: TcpStream, script: &Mutex<Script>) {
    stream.set_read_timeout(Some(PATIENCE)).expect("a time-out");
    let (mut pending, mut piece) = (Vec::new(), [0; 4096]);
    loop {
        while let Ok(request) = strict::request(&pending) {
            let is_probe = request.start.starts_with(b"GET /probe ");
            pending.drain(..request.bytes);
            let (bytes, ends) = if is_probe {
                (PROBE.to_vec(), false)
            } else {
                let script = script.lock().expect("no panic");
                (script.bytes.clone(), script.ends)
            };
            if stream.write_all(&bytes).is_err() || ends {
                return;
            }
        }
        match stream.read(&mut piece) {
            Ok(read) if read > 0 => pending.extend_from_slice(&piece[..read]),
            _ => return,
        }
    }
}
