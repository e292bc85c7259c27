//! The backend of the benchmarks: fixed answers of a fixed size, and streams whose tokens carry their number and the
//! time they were sent. It does as little as an origin can, so that the core it shares with the load generator is
//! not what limits a run; what llama-server's own pace would add is left out.
//!
//! A stream's length and pace come with the request, in `max_tokens` and `seed` (milliseconds between tokens).

mod inbound;

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io::{ErrorKind, Write};
use std::net::SocketAddr;

use clap::Args;
use mio::net::TcpListener;
use mio::{Events, Interest, Poll, Token};
use serde_json::json;

use crate::answer;
use crate::clock::{Alarm, now_ns};
use crate::events::tell;
use crate::link::{Link, Received, SCRATCH_BYTES};
use inbound::{Asked, Inbound};

const LISTENER: Token = Token(usize::MAX);
const ALARM: Token = Token(usize::MAX - 1);

#[derive(Args)]
pub(crate) struct OriginArgs {
    #[arg(long)]
    listen: SocketAddr,
    /// Size of a chat's answer
    #[arg(long, default_value_t = 600)]
    answer_bytes: usize,
    /// Size of an embedding's answer
    #[arg(long, default_value_t = 1 << 20)]
    embedding_bytes: usize,
}

pub(crate) fn run(args: &OriginArgs) -> anyhow::Result<()> {
    let mut origin = Origin::new(args)?;
    tell(
        "listening",
        json!({ "address": origin.listener.local_addr()?.to_string() }),
    );
    origin.serve()
}

struct Origin {
    poll: Poll,
    listener: TcpListener,
    alarm: Alarm,
    peers: Vec<Option<Peer>>,
    free: Vec<usize>,
    due: BinaryHeap<Reverse<Due>>,
    opened: u64,
    chat: Vec<u8>,
    embedding: Vec<u8>,
    wire: Vec<u8>,
    event: Vec<u8>,
}

/// A connection from the proxy.
struct Peer {
    link: Link,
    inbound: Inbound,
    /// Tells it from another that had this place before.
    id: u64,
    stream: Option<Stream>,
}

struct Stream {
    next: u64,
    tokens: u64,
    interval_ns: u64,
}

/// A token that falls due; the earliest comes first.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Due {
    at_ns: u64,
    index: usize,
    id: u64,
}

impl Origin {
    fn new(args: &OriginArgs) -> anyhow::Result<Self> {
        let poll = Poll::new()?;
        let mut listener = TcpListener::bind(args.listen)?;
        poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
        let alarm = Alarm::new(poll.registry(), ALARM)?;
        Ok(Self {
            poll,
            listener,
            alarm,
            peers: Vec::new(),
            free: Vec::new(),
            due: BinaryHeap::new(),
            opened: 0,
            chat: response(&answer::chat(args.answer_bytes)),
            embedding: response(&answer::embedding(args.embedding_bytes)),
            wire: Vec::new(),
            event: Vec::new(),
        })
    }

    fn serve(&mut self) -> anyhow::Result<()> {
        let mut events = Events::with_capacity(1024);
        let mut scratch = vec![0; SCRATCH_BYTES];
        loop {
            self.send_due();
            if let Some(Reverse(first)) = self.due.peek() {
                self.alarm.set(first.at_ns)?;
            }
            if let Err(error) = self.poll.poll(&mut events, None)
                && error.kind() != ErrorKind::Interrupted
            {
                return Err(error.into());
            }
            for event in &events {
                match event.token() {
                    LISTENER => self.accept()?,
                    ALARM => {}
                    Token(index) => self.ready(index, &mut scratch),
                }
            }
        }
    }

    fn accept(&mut self) -> anyhow::Result<()> {
        loop {
            let stream = match self.listener.accept() {
                Ok((stream, _)) => stream,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                // A client that went before it was accepted.
                Err(error) if error.kind() == ErrorKind::ConnectionAborted => continue,
                Err(error) => return Err(error.into()),
            };
            let index = self.free.pop().unwrap_or_else(|| {
                self.peers.push(None);
                self.peers.len() - 1
            });
            self.opened += 1;
            // One that was reset before it was looked at cannot even be set up.
            let link = Link::new(stream, self.poll.registry(), Token(index)).ok();
            if link.is_none() {
                self.free.push(index);
            }
            self.peers[index] = link.map(|link| Peer {
                link,
                inbound: Inbound::default(),
                id: self.opened,
                stream: None,
            });
        }
    }

    fn ready(&mut self, index: usize, scratch: &mut [u8]) {
        // The last event of a connection that has just been dropped.
        let Some(peer) = self.peers.get_mut(index).and_then(Option::as_mut) else {
            return;
        };
        let mut open = peer.link.flush().is_ok();
        while open {
            match peer.link.receive(scratch) {
                Ok(Received::Bytes { len, more }) => {
                    peer.inbound.push(&scratch[..len]);
                    if !more {
                        break;
                    }
                }
                Ok(Received::Nothing) => break,
                Ok(Received::Closed) | Err(_) => open = false,
            }
        }
        while open && let Some(asked) = self.next_request(index) {
            open = asked.is_ok_and(|asked| self.answer(index, &asked).is_ok());
        }
        if !open {
            self.peers[index] = None;
            self.free.push(index);
        }
    }

    fn next_request(&mut self, index: usize) -> Option<anyhow::Result<Asked>> {
        self.peers[index].as_mut()?.inbound.next().transpose()
    }

    fn answer(&mut self, index: usize, asked: &Asked) -> std::io::Result<()> {
        let Some(peer) = &mut self.peers[index] else {
            return Ok(());
        };
        match *asked {
            Asked::Chat => peer.link.send(&self.chat),
            Asked::Embedding => peer.link.send(&self.embedding),
            Asked::Stream { tokens, interval_ns } => {
                peer.stream = Some(Stream {
                    next: 0,
                    tokens,
                    interval_ns,
                });
                let (at_ns, id) = (now_ns() + interval_ns, peer.id);
                self.due.push(Reverse(Due { at_ns, index, id }));
                self.wire.clear();
                self.wire.extend_from_slice(STREAM_HEAD);
                self.event.clear();
                answer::write_role(&mut self.event);
                write_chunk(&mut self.wire, &self.event);
                peer.link.send(&self.wire)
            }
        }
    }

    fn send_due(&mut self) {
        while let Some(Reverse(due)) = self.due.peek() {
            if due.at_ns > now_ns() {
                return;
            }
            if let Some(Reverse(due)) = self.due.pop() {
                self.send_token(due);
            }
        }
    }

    fn send_token(&mut self, due: Due) {
        let Some(peer) = self.peers[due.index].as_mut().filter(|peer| peer.id == due.id) else {
            return;
        };
        let Some(stream) = &mut peer.stream else { return };
        self.event.clear();
        self.wire.clear();
        let last = stream.next == stream.tokens;
        if last {
            answer::write_end(&mut self.event);
        } else {
            answer::write_token(&mut self.event, stream.next, now_ns());
        }
        write_chunk(&mut self.wire, &self.event);
        if last {
            self.wire.extend_from_slice(b"0\r\n\r\n");
        }
        stream.next += 1;
        let at_ns = due.at_ns + stream.interval_ns;
        if last {
            peer.stream = None;
        } else {
            self.due.push(Reverse(Due { at_ns, ..due }));
        }
        // A closed connection shows when it is read.
        let _ = peer.link.send(&self.wire);
    }
}

const STREAM_HEAD: &[u8] =
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\nServer: llama.cpp\r\n\r\n";

fn response(body: &[u8]) -> Vec<u8> {
    let mut wire = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json; charset=utf-8\r\nContent-Length: {}\r\nServer: llama.cpp\r\n\r\n",
        body.len()
    )
    .into_bytes();
    wire.extend_from_slice(body);
    wire
}

fn write_chunk(wire: &mut Vec<u8>, bytes: &[u8]) {
    write!(wire, "{:x}\r\n", bytes.len()).unwrap_or_else(|_| unreachable!("a Vec takes all that is written"));
    wire.extend_from_slice(bytes);
    wire.extend_from_slice(b"\r\n");
}
