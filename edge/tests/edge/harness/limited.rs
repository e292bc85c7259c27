//! Mappings of one key with limits, and servers that count what they are asked.

use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::origin::{Origin, Seen};

/// One key, `sk`, with these middlewares: name and settings in YAML's flow form.
pub(crate) fn limited(url: &str, middlewares: &[(&str, &str)]) -> String {
    keyed("alice", "sk", url, middlewares)
}

pub(crate) fn keyed(name: &str, key: &str, url: &str, middlewares: &[(&str, &str)]) -> String {
    let names: Vec<String> = middlewares.iter().map(|(kind, _)| format!("{name}-{kind}")).collect();
    let definitions: String = middlewares
        .iter()
        .map(|(kind, settings)| format!("    {name}-{kind}:\n      {kind}: {settings}\n"))
        .collect();
    format!(
        "http:\n  routers:\n    {name}:\n      rule: 'Key(`{key}`)'\n      service: {name}\n      middlewares: [{}]\n  \
         middlewares:\n{definitions}  services:\n    {name}:\n      loadBalancer:\n        servers:\n          - url: \
         \"{url}\"\n",
        names.join(", ")
    )
}

pub(crate) fn get(key: &str) -> String {
    format!("GET /v1/x HTTP/1.1\r\nHost: edge\r\nx-api-key: {key}\r\n\r\n")
}

pub(crate) fn post(path: &str, body: &str) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nHost: edge\r\nx-api-key: sk\r\nAccept-Encoding: gzip\r\nContent-Length: \
         {}\r\n\r\n{body}",
        body.len()
    )
}

/// A server that knows how many requests it has had, and how many at once at most.
#[derive(Clone, Default)]
pub(crate) struct Counter {
    pub(crate) requests: Arc<AtomicUsize>,
    at_once: Arc<AtomicUsize>,
    pub(crate) at_once_max: Arc<AtomicUsize>,
}

impl Counter {
    pub(crate) fn origin(&self) -> Origin {
        let counter = self.clone();
        Origin::scripted(move |_, stream| {
            counter.requests.fetch_add(1, Ordering::SeqCst);
            let at_once = counter.at_once.fetch_add(1, Ordering::SeqCst) + 1;
            counter.at_once_max.fetch_max(at_once, Ordering::SeqCst);
            std::thread::yield_now();
            counter.at_once.fetch_sub(1, Ordering::SeqCst);
            stream
                .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
                .is_ok()
        })
    }

    pub(crate) fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

/// Streams these pieces as server-sent events, chunk by chunk.
pub(crate) fn streaming(pieces: &'static [&'static str]) -> Origin {
    Origin::scripted(move |_: &Seen, stream| {
        let head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
        let mut sent = stream.write_all(head).is_ok();
        for piece in pieces {
            sent &= write!(stream, "{:x}\r\n{piece}\r\n", piece.len()).is_ok();
        }
        sent && stream.write_all(b"0\r\n\r\n").is_ok()
    })
}
