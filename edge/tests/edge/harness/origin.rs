//! A server that does on the wire exactly what a test tells it to, and records what came, byte for byte.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::world::{PATIENCE, wait_for};

/// A request as its bytes came.
#[derive(Debug, Clone, Default)]
pub(crate) struct Seen {
    pub(crate) head: String,
    /// Transfer coding removed.
    pub(crate) body: Vec<u8>,
    /// Counts connections from 0.
    pub(crate) connection: usize,
}

impl Seen {
    pub(crate) fn line(&self) -> &str {
        self.head.lines().next().unwrap_or_default()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().skip(1).filter_map(|line| line.split_once(": "));
        lines
            .find(|(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }
}

type Script = dyn Fn(&Seen, &mut TcpStream) -> bool + Send + Sync;

pub(crate) struct Origin {
    pub(crate) url: String,
    seen: Arc<Mutex<Vec<Seen>>>,
    closed: Arc<Mutex<Vec<usize>>>,
}

impl Origin {
    /// Answers every request with 200 and this body.
    pub(crate) fn answering(body: &'static str) -> Self {
        Self::scripted(move |_, stream| {
            let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
            stream.write_all(answer.as_bytes()).is_ok()
        })
    }

    /// `script` writes the answer; the connection is kept where it returns true.
    pub(crate) fn scripted(script: impl Fn(&Seen, &mut TcpStream) -> bool + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let origin = Self {
            url,
            seen: Arc::default(),
            closed: Arc::default(),
        };
        let (seen, closed, script) = (origin.seen.clone(), origin.closed.clone(), Arc::new(script));
        std::thread::spawn(move || {
            for (connection, stream) in listener.incoming().flatten().enumerate() {
                let (seen, closed, script) = (seen.clone(), closed.clone(), script.clone());
                std::thread::spawn(move || {
                    serve(stream, connection, &seen, &*script);
                    closed.lock().expect("no panic").push(connection);
                });
            }
        });
        origin
    }

    /// `script` has each connection to itself, from its first byte on.
    pub(crate) fn raw(script: impl Fn(&mut TcpStream) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let script = Arc::new(script);
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let script = script.clone();
                stream.set_read_timeout(Some(PATIENCE)).expect("a time-out");
                std::thread::spawn(move || script(&mut stream));
            }
        });
        Self {
            url,
            seen: Arc::default(),
            closed: Arc::default(),
        }
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().expect("no panic").clone()
    }

    /// The only request that came.
    pub(crate) fn only(&self) -> Seen {
        let seen = self.seen();
        assert_eq!(seen.len(), 1, "one request came");
        seen.into_iter().next().unwrap_or_default()
    }

    pub(crate) fn wait_for_requests(&self, count: usize) {
        wait_for("requests at the origin", || {
            self.seen.lock().expect("no panic").len() >= count
        });
    }

    pub(crate) fn wait_for_close(&self, connection: usize) {
        wait_for("the origin's connection to be closed", || {
            self.closed.lock().expect("no panic").contains(&connection)
        });
    }
}

fn serve(mut stream: TcpStream, connection: usize, all: &Mutex<Vec<Seen>>, script: &Script) {
    stream.set_read_timeout(Some(PATIENCE)).expect("a time-out");
    stream.set_nodelay(true).expect("no delay");
    let mut pending = Vec::new();
    while let Some(seen) = read_request(&mut stream, &mut pending, connection) {
        all.lock().expect("no panic").push(seen.clone());
        if !script(&seen, &mut stream) {
            return;
        }
    }
}

/// Blocks until the other side closes: the script's way to wait for a cancellation.
pub(crate) fn until_closed(stream: &mut TcpStream) {
    let mut buffer = [0; 1024];
    while matches!(stream.read(&mut buffer), Ok(read) if read > 0) {}
}

/// Reads until the text has come.
pub(crate) fn read_until(stream: &mut TcpStream, text: &str) -> String {
    let mut seen = Vec::new();
    while find(&seen, text.as_bytes()).is_none() {
        fill(stream, &mut seen).expect("more to come");
    }
    String::from_utf8_lossy(&seen).into_owned()
}

/// Between two pieces that a test wants to see arrive apart.
pub(crate) fn pause() {
    std::thread::sleep(Duration::from_millis(30));
}

fn read_request(stream: &mut TcpStream, pending: &mut Vec<u8>, connection: usize) -> Option<Seen> {
    while find(pending, b"\r\n\r\n").is_none() {
        fill(stream, pending)?;
    }
    let end = find(pending, b"\r\n\r\n")? + 4;
    let head = String::from_utf8_lossy(&pending[..end]).into_owned();
    pending.drain(..end);
    let mut seen = Seen {
        head,
        body: Vec::new(),
        connection,
    };
    if seen.header("expect").is_some() {
        stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").ok()?;
    }
    if seen.header("transfer-encoding").is_some() {
        seen.body = read_chunks(stream, pending)?;
    } else if let Some(length) = seen
        .header("content-length")
        .and_then(|value| value.parse::<usize>().ok())
    {
        while pending.len() < length {
            fill(stream, pending)?;
        }
        seen.body = pending.drain(..length).collect();
    }
    Some(seen)
}

fn read_chunks(stream: &mut TcpStream, pending: &mut Vec<u8>) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        while find(pending, b"\r\n").is_none() {
            fill(stream, pending)?;
        }
        let end = find(pending, b"\r\n")?;
        let size = usize::from_str_radix(std::str::from_utf8(&pending[..end]).ok()?, 16).ok()?;
        pending.drain(..end + 2);
        while pending.len() < size + 2 {
            fill(stream, pending)?;
        }
        body.extend(pending.drain(..size));
        pending.drain(..2);
        if size == 0 {
            return Some(body);
        }
    }
}

fn fill(stream: &mut TcpStream, pending: &mut Vec<u8>) -> Option<()> {
    let mut buffer = [0; 16 * 1024];
    let read = stream.read(&mut buffer).ok().filter(|&read| read > 0)?;
    pending.extend(&buffer[..read]);
    Some(())
}

fn find(bytes: &[u8], needle: &[u8]) -> Option<usize> {
    bytes.windows(needle.len()).position(|window| window == needle)
}
