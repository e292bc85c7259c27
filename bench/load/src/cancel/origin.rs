//! The origin's side: it goes as far as the phase says, tells that it is there, and then when its connection closed.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

use super::Phase;
use crate::answer::{write_role, write_token};
use crate::clock::now_ns;
use crate::http::Chunked;

const TOKEN_INTERVAL: Duration = Duration::from_millis(5);
const STREAM_HEAD: &[u8] =
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\nServer: llama.cpp\r\n\r\n";

pub(crate) enum Seen {
    /// The phase is there; with it, a way to end the connection if the proxy never does.
    Reached(TcpStream),
    Closed(u64),
}

/// Listens as long as the process lives.
pub(crate) fn start(address: SocketAddr, phase: Phase) -> anyhow::Result<Receiver<Seen>> {
    let listener = TcpListener::bind(address)?;
    let (tell, seen) = channel();
    thread::Builder::new().name("origin".to_owned()).spawn(move || {
        for stream in listener.incoming().flatten() {
            let tell = tell.clone();
            // A connection that breaks ends its thread; what it had to tell has been told.
            thread::spawn(move || serve(stream, phase, &tell).is_ok());
        }
    })?;
    Ok(seen)
}

fn serve(mut stream: TcpStream, phase: Phase, tell: &Sender<Seen>) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    if !read_request(&mut stream, phase == Phase::Upload)? {
        return Ok(());
    }
    if matches!(phase, Phase::Head | Phase::Stream) {
        stream.write_all(STREAM_HEAD)?;
    }
    let closed = Arc::new(AtomicBool::new(false));
    let tokens = (phase == Phase::Stream).then(|| {
        let (stream, closed) = (stream.try_clone(), Arc::clone(&closed));
        thread::spawn(move || stream.and_then(|stream| send_tokens(stream, &closed)).is_ok())
    });
    let _ = tell.send(Seen::Reached(stream.try_clone()?));
    let mut rest = [0; 64 << 10];
    while matches!(stream.read(&mut rest), Ok(1..)) {}
    let _ = tell.send(Seen::Closed(now_ns()));
    closed.store(true, Ordering::Relaxed);
    if let Some(tokens) = tokens {
        let _ = tokens.join();
    }
    Ok(())
}

fn send_tokens(mut stream: TcpStream, closed: &AtomicBool) -> std::io::Result<()> {
    let mut event = Vec::new();
    write_role(&mut event);
    for number in 0.. {
        write!(stream, "{:x}\r\n{}\r\n", event.len(), String::from_utf8_lossy(&event))?;
        thread::sleep(TOKEN_INTERVAL);
        if closed.load(Ordering::Relaxed) {
            break;
        }
        event.clear();
        write_token(&mut event, number, now_ns());
    }
    Ok(())
}

/// Reads a request, or only its head and some of its body; false when the proxy opened a connection and closed it.
fn read_request(stream: &mut TcpStream, only_begun: bool) -> std::io::Result<bool> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 16 << 10];
    loop {
        let len = stream.read(&mut buffer)?;
        if len == 0 {
            return Ok(false);
        }
        bytes.extend_from_slice(&buffer[..len]);
        if let Some(begun) = whole(&bytes)
            && (begun || only_begun)
        {
            return Ok(true);
        }
    }
}

/// Whether the request is whole; `None` while its head is not.
fn whole(bytes: &[u8]) -> Option<bool> {
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut request = httparse::Request::new(&mut headers);
    let Ok(httparse::Status::Complete(head)) = request.parse(bytes) else {
        return None;
    };
    let header = |name: &str| {
        request
            .headers
            .iter()
            .find(|header| header.name.eq_ignore_ascii_case(name))
    };
    let mut body = &bytes[head..];
    if header("transfer-encoding").is_some() {
        return Some(Chunked::default().take(&mut body, &mut |_: &[u8]| {}).unwrap_or(true));
    }
    let length = header("content-length").and_then(|header| std::str::from_utf8(header.value).ok()?.parse().ok());
    Some(body.len() >= length.unwrap_or(0))
}
