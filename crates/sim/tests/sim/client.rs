//! A plain HTTP/1.1 client on a bare socket: tests see each byte and decide themselves when to go away.

use std::time::Duration;

use serde_json::{Value, json};
use sim::Sim;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Long enough for a slow machine, short enough to be waited for; on a paused clock it costs nothing.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Client {
    pub socket: TcpStream,
    unread: Vec<u8>,
}

#[derive(Debug)]
pub(crate) struct Head {
    pub status: u16,
    pub headers: Vec<(String, String)>,
}

impl Head {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }
}

impl Client {
    pub(crate) async fn connect(sim: &Sim) -> Self {
        Self {
            socket: TcpStream::connect(sim.addr()).await.expect("the simulator listens"),
            unread: Vec::new(),
        }
    }

    /// Connects and posts.
    pub(crate) async fn post(sim: &Sim, path: &str, body: &Value) -> Self {
        let mut client = Self::connect(sim).await;
        client.send("POST", path, &[], body.to_string().as_bytes()).await;
        client
    }

    pub(crate) async fn send(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) {
        let mut request = format!("{method} {path} HTTP/1.1\r\nHost: sim\r\n");
        for (name, value) in headers {
            request += &format!("{name}: {value}\r\n");
        }
        request += &format!("Content-Length: {}\r\n\r\n", body.len());
        let mut bytes = request.into_bytes();
        bytes.extend_from_slice(body);
        self.socket.write_all(&bytes).await.expect("the request is taken");
    }

    pub(crate) async fn head(&mut self) -> Head {
        let end = loop {
            if let Some(end) = find(&self.unread, b"\r\n\r\n") {
                break end;
            }
            assert!(
                self.read().await,
                "the connection ended before a head: {:?}",
                String::from_utf8_lossy(&self.unread)
            );
        };
        let text = String::from_utf8(self.unread.drain(..end + 4).collect()).expect("a head in ASCII");
        let mut lines = text.trim_end().split("\r\n");
        let status = lines
            .next()
            .and_then(|line| line.split(' ').nth(1))
            .and_then(|status| status.parse().ok());
        let headers = lines.filter_map(|line| line.split_once(": ").or(line.strip_suffix(':').map(|name| (name, ""))));
        Head {
            status: status.unwrap_or_else(|| panic!("no status in {text:?}")),
            headers: headers
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
        }
    }

    /// Head and JSON body of an answer in one piece.
    pub(crate) async fn answer(&mut self) -> (Head, Value) {
        let head = self.head().await;
        let length: usize = head
            .header("content-length")
            .expect("a length")
            .parse()
            .expect("a number");
        while self.unread.len() < length {
            assert!(self.read().await, "the connection ended within a body");
        }
        let body: Vec<u8> = self.unread.drain(..length).collect();
        (head, serde_json::from_slice(&body).unwrap_or(Value::Null))
    }

    /// The next chunk of a stream; `None` at its proper end.
    pub(crate) async fn chunk(&mut self) -> Option<String> {
        let line_end = loop {
            if let Some(end) = find(&self.unread, b"\r\n") {
                break end;
            }
            assert!(self.read().await, "the connection ended within a stream");
        };
        let size = String::from_utf8_lossy(&self.unread[..line_end]).into_owned();
        let size = usize::from_str_radix(&size, 16).unwrap_or_else(|_| panic!("{size:?} is no chunk size"));
        while self.unread.len() < line_end + 2 + size + 2 {
            assert!(self.read().await, "the connection ended within a chunk");
        }
        self.unread.drain(..line_end + 2);
        let data: Vec<u8> = self.unread.drain(..size).collect();
        self.unread.drain(..2);
        (size > 0).then(|| String::from_utf8(data).expect("events in UTF-8"))
    }

    /// All events up to the end of the stream, each without its `data: `.
    pub(crate) async fn events(&mut self) -> Vec<String> {
        let mut text = String::new();
        while let Some(chunk) = self.chunk().await {
            text += &chunk;
        }
        text.split_terminator("\n\n")
            .map(|event| event.rsplit("data: ").next().unwrap_or(event).to_owned())
            .collect()
    }

    /// Everything until the other side ends the connection, in whatever way.
    pub(crate) async fn rest(&mut self) -> Vec<u8> {
        while self.read().await {}
        std::mem::take(&mut self.unread)
    }

    async fn read(&mut self) -> bool {
        matches!(self.socket.read_buf(&mut self.unread).await, Ok(count) if count > 0)
    }
}

pub(crate) async fn get(sim: &Sim, path: &str) -> (Head, Value) {
    let mut client = Client::connect(sim).await;
    client.send("GET", path, &[], b"").await;
    client.answer().await
}

pub(crate) async fn post(sim: &Sim, path: &str, body: &Value) -> (Head, Value) {
    Client::post(sim, path, body).await.answer().await
}

/// A chat request of one user message, with further fields.
pub(crate) fn chat(content: &str, more: Value) -> Value {
    let mut body = json!({"model": "any", "messages": [{"role": "user", "content": content}]});
    for (name, value) in more.as_object().expect("an object of fields") {
        body[name] = value.clone();
    }
    body
}

pub(crate) const CHAT: &str = "/v1/chat/completions";

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}
