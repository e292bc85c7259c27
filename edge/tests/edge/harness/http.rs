//! A raw HTTP/1.1 client: it sends the bytes it is given and reads one answer by its own framing, so that what the
//! edge does on the wire is what is asserted.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};

use super::world::PATIENCE;

#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// The connection ended before the framing said so.
    pub(crate) cut: bool,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("JSON, not {:?}", self.text()))
    }

    /// The `code` of an OpenAI-shaped error.
    pub(crate) fn code(&self) -> String {
        self.json()["error"]["code"].as_str().unwrap_or_default().to_owned()
    }
}

pub(crate) struct Connection {
    pub(crate) stream: TcpStream,
    pending: Vec<u8>,
}

impl Connection {
    pub(crate) fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("the edge accepts");
        stream.set_read_timeout(Some(PATIENCE)).expect("a time-out");
        stream.set_nodelay(true).expect("no delay");
        Self {
            stream,
            pending: Vec::new(),
        }
    }

    pub(crate) fn exchange(&mut self, request: &[u8]) -> Answer {
        self.write(request);
        let is_head = request.starts_with(b"HEAD ");
        self.answer(is_head)
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) {
        // The edge may have answered and closed before the last byte was sent; the answer is what counts.
        let _ = self.stream.write_all(bytes);
    }

    /// Reads until the text has come.
    pub(crate) fn read_until(&mut self, text: &str) -> String {
        let mut seen = std::mem::take(&mut self.pending);
        while !String::from_utf8_lossy(&seen).contains(text) {
            let more = self.read_some();
            assert!(
                !more.is_empty(),
                "the connection ended before {text:?}: {:?}",
                String::from_utf8_lossy(&seen)
            );
            seen.extend(more);
        }
        String::from_utf8_lossy(&seen).into_owned()
    }

    /// Whether the other side has closed, with nothing more to come.
    pub(crate) fn is_closed(&mut self) -> bool {
        !self.has_more()
    }

    /// Waits until the other side has said something, or closed.
    pub(crate) fn has_more(&mut self) -> bool {
        if self.pending.is_empty() {
            self.pending = self.read_some();
        }
        !self.pending.is_empty()
    }

    pub(crate) fn shut_down(&self, how: Shutdown) {
        self.stream.shutdown(how).expect("still open");
    }

    pub(crate) fn close(self) {
        let _ = self.stream.shutdown(Shutdown::Both);
    }

    pub(crate) fn answer(&mut self, is_head: bool) -> Answer {
        loop {
            let answer = self.one_answer(is_head);
            if answer.status >= 200 || answer.status == 101 {
                return answer;
            }
        }
    }

    fn one_answer(&mut self, is_head: bool) -> Answer {
        let (status, headers) = self.head();
        let mut answer = Answer {
            status,
            headers,
            body: Vec::new(),
            cut: false,
        };
        if is_head || status < 200 || matches!(status, 204 | 304) {
            return answer;
        }
        let chunked = answer
            .header("transfer-encoding")
            .is_some_and(|value| value.contains("chunked"));
        let length = answer
            .header("content-length")
            .map(|value| value.parse::<usize>().expect("a length"));
        (answer.body, answer.cut) = match (chunked, length) {
            (true, _) => self.chunks(),
            (false, Some(length)) => self.exactly(length),
            (false, None) => self.until_the_end(),
        };
        answer
    }

    fn head(&mut self) -> (u16, Vec<(String, String)>) {
        while !self.pending.windows(4).any(|window| window == b"\r\n\r\n") {
            let more = self.read_some();
            assert!(
                !more.is_empty(),
                "no answer: {:?}",
                String::from_utf8_lossy(&self.pending)
            );
            self.pending.extend(more);
        }
        let end = self
            .pending
            .windows(4)
            .position(|window| window == b"\r\n\r\n")
            .expect("found above");
        let head = String::from_utf8_lossy(&self.pending[..end]).into_owned();
        self.pending.drain(..end + 4);
        let mut lines = head.split("\r\n");
        let status = lines
            .next()
            .and_then(|line| line.split(' ').nth(1))
            .and_then(|code| code.parse().ok());
        let headers = lines
            .filter_map(|line| line.split_once(": "))
            .map(|(n, v)| (n.to_owned(), v.to_owned()))
            .collect();
        (status.unwrap_or_else(|| panic!("a status line: {head}")), headers)
    }

    fn exactly(&mut self, length: usize) -> (Vec<u8>, bool) {
        while self.pending.len() < length {
            let more = self.read_some();
            if more.is_empty() {
                return (std::mem::take(&mut self.pending), true);
            }
            self.pending.extend(more);
        }
        (self.pending.drain(..length).collect(), false)
    }

    fn chunks(&mut self) -> (Vec<u8>, bool) {
        let mut body = Vec::new();
        loop {
            let Some(size) = self.line() else { return (body, true) };
            let size = usize::from_str_radix(size.split(';').next().unwrap_or_default(), 16).expect("a chunk size");
            if size == 0 {
                while self.line().is_some_and(|line| !line.is_empty()) {}
                return (body, false);
            }
            let (chunk, cut) = self.exactly(size);
            body.extend(chunk);
            if cut || self.line().is_none() {
                return (body, true);
            }
        }
    }

    fn line(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.pending.windows(2).position(|window| window == b"\r\n") {
                let line = self.pending.drain(..end + 2).take(end).collect::<Vec<_>>();
                return Some(String::from_utf8_lossy(&line).into_owned());
            }
            let more = self.read_some();
            if more.is_empty() {
                return None;
            }
            self.pending.extend(more);
        }
    }

    fn until_the_end(&mut self) -> (Vec<u8>, bool) {
        loop {
            let more = self.read_some();
            if more.is_empty() {
                return (std::mem::take(&mut self.pending), false);
            }
            self.pending.extend(more);
        }
    }

    fn read_some(&mut self) -> Vec<u8> {
        let mut buffer = [0; 16 * 1024];
        match self.stream.read(&mut buffer) {
            Ok(read) => buffer[..read].to_vec(),
            Err(error) if matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe) => Vec::new(),
            Err(error) => panic!("nothing came in time: {error}"),
        }
    }
}
