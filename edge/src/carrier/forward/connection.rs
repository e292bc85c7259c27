//! A connection to a server, plain or under TLS, and the idle ones that are kept.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use crate::tls::{Back, BackStream, Trust};
use crate::upstream::Upstream;

/// llama-server closes an idle connection after 5 s; ours must have left the pool before.
const IDLE_MAX: Duration = Duration::from_secs(4);

/// Idle connections to one server, a thread. Below the peak concurrency, reuse fails and CPU doubles.
const IDLE_CONNECTIONS_MAX: usize = 1024;

pub(crate) struct Connection {
    io: Io,
    /// Whether it served an exchange before: only then may it have died while it was idle.
    pub(super) reused: bool,
}

enum Io {
    Plain(TcpStream),
    Tls(Box<BackStream>),
}

/// What a pooled connection is for. TLS connections are told apart by the name they were made for, and by whom was
/// trusted to sign it.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Place {
    address: SocketAddr,
    tls: Option<(Box<str>, Option<Arc<Trust>>)>,
}

struct Idle {
    connection: Connection,
    since: Instant,
    /// It is kept for so long.
    most: Duration,
}

thread_local! {
    /// By thread, so that neither a lock nor another thread's cache line is touched.
    static POOL: RefCell<Pool> = RefCell::default();
}

#[derive(Default)]
struct Pool {
    places: HashMap<Place, Vec<Idle>>,
    swept: Option<Instant>,
}

impl Pool {
    /// Lets go of what has been idle too long, everywhere, at most once a second.
    fn sweep(&mut self, now: Instant) {
        if self
            .swept
            .is_some_and(|swept| now.duration_since(swept) < Duration::from_secs(1))
        {
            return;
        }
        self.swept = Some(now);
        self.places.retain(|_, kept| {
            kept.retain(|idle| now.duration_since(idle.since) < idle.most);
            !kept.is_empty()
        });
    }
}

/// Opens connections and keeps the idle ones.
pub(crate) struct Connections {
    tls: Arc<Back>,
    connect_timeout: Duration,
}

impl Connections {
    pub(crate) fn new(tls: Arc<Back>, connect_timeout: Duration) -> Self {
        Self { tls, connect_timeout }
    }

    /// An idle connection to this server that was alive a moment ago.
    pub(super) fn idle(server: &Upstream, address: SocketAddr, now: Instant) -> Option<Connection> {
        POOL.with_borrow_mut(|pool| {
            let kept = pool.places.get_mut(&Place::of(server, address))?;
            // The youngest first: the others grow old and are swept, and the pool shrinks to what is needed.
            while let Some(Idle {
                mut connection,
                since,
                most,
            }) = kept.pop()
            {
                if now.saturating_duration_since(since) < most && connection.is_quiet() {
                    connection.reused = true;
                    return Some(connection);
                }
            }
            None
        })
    }

    /// # Errors
    /// Where the server cannot be reached in time.
    pub(crate) async fn open(&self, server: &Upstream, address: SocketAddr) -> io::Result<Connection> {
        let most = server.times.dial.unwrap_or(self.connect_timeout);
        let connect = async {
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            if server.tls() {
                let secured = Box::pin(self.tls.connect(stream, server.server_name(), server.trust()));
                return Ok(Io::Tls(secured.await?));
            }
            io::Result::Ok(Io::Plain(stream))
        };
        let timed_out = |_| io::Error::from(io::ErrorKind::TimedOut);
        let io = tokio::time::timeout(most, connect).await.map_err(timed_out)??;
        Ok(Connection { io, reused: false })
    }

    /// Gives a connection back whose answer was read to its end.
    pub(super) fn keep(server: &Upstream, address: SocketAddr, connection: Connection, now: Instant) {
        POOL.with_borrow_mut(|pool| {
            pool.sweep(now);
            let kept = pool.places.entry(Place::of(server, address)).or_default();
            if kept.len() < IDLE_CONNECTIONS_MAX {
                kept.push(Idle {
                    connection,
                    since: now,
                    most: server.times.idle.unwrap_or(IDLE_MAX),
                });
            }
        });
    }
}

impl Place {
    fn of(server: &Upstream, address: SocketAddr) -> Self {
        Self {
            address,
            tls: server
                .tls()
                .then(|| (server.server_name().into(), server.trust().cloned())),
        }
    }
}

impl Connection {
    /// Nothing came and it was not closed. TLS may hold unread records of its own: such a one is asked by a read.
    fn is_quiet(&mut self) -> bool {
        let mut byte = [0];
        match &mut self.io {
            Io::Plain(stream) => matches!(stream.try_read(&mut byte), Err(e) if e.kind() == io::ErrorKind::WouldBlock),
            Io::Tls(stream) => {
                let mut cx = Context::from_waker(std::task::Waker::noop());
                Pin::new(stream)
                    .poll_read(&mut cx, &mut ReadBuf::new(&mut byte))
                    .is_pending()
            }
        }
    }
}

impl AsyncRead for Connection {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().io {
            Io::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Io::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.get_mut().io {
            Io::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Io::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().io {
            Io::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Io::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().io {
            Io::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Io::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
