//! A server that keeps every byte it is sent, and answers what is a strict request.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use super::strict::{self, Fault};
use super::table::shown;

const PATIENCE: std::time::Duration = std::time::Duration::from_secs(10);

#[derive(Default)]
struct Record {
    bytes: Vec<u8>,
    requests: usize,
    /// What came and was no strict request.
    faults: Vec<String>,
}

pub(crate) struct Recorder {
    pub(crate) authority: String,
    record: Arc<Mutex<Record>>,
}

impl Recorder {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let authority = listener.local_addr().expect("an address").to_string();
        let record: Arc<Mutex<Record>> = Arc::default();
        let kept = record.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let kept = kept.clone();
                std::thread::spawn(move || serve(stream, &kept));
            }
        });
        Self { authority, record }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.authority)
    }

    /// What came since the last time: its bytes, and how many requests they are.
    ///
    /// # Errors
    /// Where any of it was not strict.
    pub(crate) fn take(&self) -> Result<(Vec<u8>, usize), String> {
        let record = std::mem::take(&mut *self.record.lock().expect("no panic"));
        if record.faults.is_empty() {
            Ok((record.bytes, record.requests))
        } else {
            Err(format!(
                "  the server saw what is not strict: {}",
                record.faults.join("\n")
            ))
        }
    }
}

fn serve(mut stream: TcpStream, record: &Mutex<Record>) {
    stream.set_read_timeout(Some(PATIENCE)).expect("a time-out");
    let mut pending = Vec::new();
    loop {
        match strict::request(&pending) {
            Ok(request) => {
                let mut record = record.lock().expect("no panic");
                record.bytes.extend(pending.drain(..request.bytes));
                record.requests += 1;
                drop(record);
                if stream
                    .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
                    .is_err()
                {
                    return;
                }
            }
            Err(Fault::Unfinished) => {
                let mut piece = [0; 16 * 1024];
                match stream.read(&mut piece) {
                    Ok(read) if read > 0 => pending.extend_from_slice(&piece[..read]),
                    // A connection that ends in the middle of a request is how the edge takes one back.
                    _ => return,
                }
            }
            Err(Fault::NotStrict(why)) => {
                let fault = format!("{why}: {}", shown(&pending));
                record.lock().expect("no panic").faults.push(fault);
                return;
            }
        }
    }
}

/// The lines that the edge adds to a request, checked and replaced by `{edge}`; the server's own address by `{origin}`.
pub(crate) fn plain(mut bytes: Vec<u8>, authority: &str) -> Vec<u8> {
    let mut plain = Vec::new();
    while let Ok(request) = strict::request(&bytes) {
        let one = |name: &str| match request.all(name)[..] {
            [value] => String::from_utf8_lossy(value).into_owned(),
            ref other => panic!("{} lines {name}: {}", other.len(), shown(&bytes)),
        };
        assert_eq!(
            (one("x-forwarded-for"), one("x-real-ip")),
            ("127.0.0.1".to_owned(), "127.0.0.1".to_owned())
        );
        assert!(["http", "https"].contains(&one("x-forwarded-proto").as_str()));
        assert!(!one("x-request-id").is_empty());
        let host = one("host");
        if host == authority {
            assert!(request.all("x-forwarded-host").is_empty(), "nobody named a host");
        } else {
            assert_eq!(one("x-forwarded-host"), host);
        }
        let rest = bytes.split_off(request.bytes);
        push_plain(&bytes, authority, &mut plain);
        bytes = rest;
    }
    assert!(bytes.is_empty(), "left over: {}", shown(&bytes));
    plain
}

fn push_plain(request: &[u8], authority: &str, plain: &mut Vec<u8>) {
    const ADDED: [&str; 5] = [
        "x-request-id",
        "x-forwarded-for",
        "x-real-ip",
        "x-forwarded-proto",
        "x-forwarded-host",
    ];
    let end = request
        .windows(4)
        .position(|window| window == b"\r\n\r\n")
        .expect("a head")
        + 2;
    let mut said = false;
    for line in request[..end].split_inclusive(|&byte| byte == b'\n') {
        let name = line.split(|&byte| byte == b':').next().unwrap_or_default();
        if !ADDED.iter().any(|added| name.eq_ignore_ascii_case(added.as_bytes())) {
            let host = line
                .strip_suffix(b"\r\n")
                .and_then(|line| line.strip_suffix(authority.as_bytes()));
            match host {
                Some(begin) => plain.extend_from_slice(&[begin, b"{origin}\r\n"].concat()),
                None => plain.extend_from_slice(line),
            }
        } else if !std::mem::replace(&mut said, true) {
            plain.extend_from_slice(b"{edge}\r\n");
        }
    }
    plain.extend_from_slice(&request[end..]);
}
