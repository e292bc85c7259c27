//! One nonblocking socket in an epoll loop: what could not be written waits here. Edge-triggered: a read that filled
//! less than the buffer has emptied the socket, so the second read that would only say so is saved.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream as Blocking};

use mio::net::TcpStream;
use mio::{Interest, Registry, Token};

/// Larger than any answer but the embeddings.
pub(crate) const SCRATCH_BYTES: usize = 64 << 10;

pub(crate) struct Link {
    stream: TcpStream,
    unsent: Vec<u8>,
    sent: usize,
}

/// What a read gave.
pub(crate) enum Received {
    /// So many bytes, and whether there may be more.
    Bytes {
        len: usize,
        more: bool,
    },
    Nothing,
    Closed,
}

impl Link {
    /// Waits for the connection: on loopback it is there at once, or the proxy's backlog is full and waiting is right.
    pub(crate) fn connect(address: SocketAddr, registry: &Registry, token: Token) -> io::Result<Self> {
        Self::new(
            TcpStream::from_std(nonblocking(Blocking::connect(address)?)?),
            registry,
            token,
        )
    }

    pub(crate) fn new(mut stream: TcpStream, registry: &Registry, token: Token) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        registry.register(&mut stream, token, Interest::READABLE | Interest::WRITABLE)?;
        Ok(Self {
            stream,
            unsent: Vec::new(),
            sent: 0,
        })
    }

    /// Writes what goes and keeps the rest for [`Link::flush`].
    pub(crate) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut written = 0;
        if self.unsent.is_empty() {
            written = write_some(&mut self.stream, bytes)?;
        }
        self.unsent.extend_from_slice(&bytes[written..]);
        Ok(())
    }

    /// The socket takes bytes again.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        if self.unsent.is_empty() {
            return Ok(());
        }
        self.sent += write_some(&mut self.stream, &self.unsent[self.sent..])?;
        if self.sent == self.unsent.len() {
            self.unsent.clear();
            self.sent = 0;
        }
        Ok(())
    }

    pub(crate) fn receive(&mut self, scratch: &mut [u8]) -> io::Result<Received> {
        loop {
            return match self.stream.read(scratch) {
                Ok(0) => Ok(Received::Closed),
                Ok(len) => Ok(Received::Bytes {
                    len,
                    more: len == scratch.len(),
                }),
                Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(Received::Nothing),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => Err(error),
            };
        }
    }
}

fn nonblocking(stream: Blocking) -> io::Result<Blocking> {
    stream.set_nonblocking(true)?;
    Ok(stream)
}

fn write_some(stream: &mut TcpStream, bytes: &[u8]) -> io::Result<usize> {
    let mut written = 0;
    while written < bytes.len() {
        match stream.write(&bytes[written..]) {
            Ok(len) => written += len,
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(written)
}
