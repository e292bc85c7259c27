//! A client's stream, plain or under TLS.
//!
//! A plain stream costs what a socket costs; what TLS needs, or a stream of HTTP/2, is behind a pointer. Sending is driven
//! from the stream's readiness in all cases, so that a client that takes a little of its answer is told from one that takes
//! nothing.

use std::future::poll_fn;
use std::io::{self, IoSlice, Write};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

#[derive(Debug)]
pub(crate) enum Wire {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
    /// The far end of it is a stream of HTTP/2.
    Pipe(Box<DuplexStream>),
}

impl Wire {
    /// Sends what the kernel takes now, from the front of `left`. Done once all of it has left, and not only been
    /// encrypted.
    ///
    /// # Errors
    /// `WouldBlock` where the rest must wait for [`Wire::writable`].
    pub(crate) fn try_send(&mut self, left: &mut &[u8]) -> io::Result<()> {
        match self {
            Self::Plain(socket) => {
                while !left.is_empty() {
                    let sent = nonzero(socket.try_write(left)?)?;
                    *left = &left[sent..];
                }
                Ok(())
            }
            Self::Tls(stream) => {
                let (socket, session) = stream.get_mut();
                loop {
                    while session.wants_write() {
                        nonzero(session.write_tls(&mut Unblocking(socket))?)?;
                    }
                    if left.is_empty() {
                        return Ok(());
                    }
                    let taken = nonzero(session.writer().write(left)?)?;
                    *left = &left[taken..];
                }
            }
            Self::Pipe(pipe) => {
                let mut cx = Context::from_waker(Waker::noop());
                while !left.is_empty() {
                    let Poll::Ready(sent) = Pin::new(&mut **pipe).poll_write(&mut cx, left) else {
                        return Err(io::ErrorKind::WouldBlock.into());
                    };
                    *left = &left[nonzero(sent?)?..];
                }
                Ok(())
            }
        }
    }

    pub(crate) async fn writable(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(socket) => socket.writable().await,
            Self::Tls(stream) => stream.get_ref().0.writable().await,
            // Nothing is sent, once there is room for something.
            Self::Pipe(pipe) => {
                let room = poll_fn(|cx| Pin::new(&mut **pipe).poll_write(cx, &[]));
                room.await.map(drop)
            }
        }
    }

    /// Says that nothing was cut off. Not waited for: who does not read has no use for it.
    pub(crate) fn say_goodbye(&mut self) {
        if let Self::Tls(stream) = self {
            stream.get_mut().1.send_close_notify();
            let _ = self.try_send(&mut &[][..]);
        }
    }
}

fn nonzero(bytes: usize) -> io::Result<usize> {
    match bytes {
        0 => Err(io::ErrorKind::WriteZero.into()),
        bytes => Ok(bytes),
    }
}

/// Writes what can be written now.
struct Unblocking<'a>(&'a TcpStream);

impl Write for Unblocking<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.try_write(bytes)
    }

    fn write_vectored(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0.try_write_vectored(pieces)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl AsyncRead for Wire {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_read(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Pipe(pipe) => Pin::new(pipe).poll_read(cx, buf),
        }
    }
}

/// For HTTP/2, whose frames leave in turn.
impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_write(cx, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Pipe(pipe) => Pin::new(pipe).poll_write(cx, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_write_vectored(cx, pieces),
            Self::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, pieces),
            Self::Pipe(pipe) => Pin::new(pipe).poll_write_vectored(cx, pieces),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(socket) => socket.is_write_vectored(),
            Self::Tls(stream) => stream.is_write_vectored(),
            Self::Pipe(pipe) => pipe.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
            Self::Pipe(pipe) => Pin::new(pipe).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Pipe(pipe) => Pin::new(pipe).poll_shutdown(cx),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_stream_is_no_larger_than_its_socket() {
        assert_eq!(size_of::<Wire>(), size_of::<TcpStream>());
    }
}
