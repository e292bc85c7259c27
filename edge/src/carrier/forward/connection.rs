//! A connection to a server, plain or under TLS, and the idle ones that are kept.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};
use tokio::net::TcpStream;

use super::bridge::{self, Shared};
use crate::tls::{Back, BackStream, HTTP_2, Trust};
use crate::upstream::{Http2, Upstream};

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
    /// A stream of a connection of HTTP/2. It serves one exchange.
    Bridged(Box<DuplexStream>),
}

/// What a pooled connection is for. TLS connections are told apart by the name they were made for, and by whom was
/// trusted to sign it.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Place {
    address: SocketAddr,
    tls: Option<(Box<str>, Option<Arc<Trust>>)>,
    http_2: Http2,
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
    http_2: Shared<Place>,
}

impl Connections {
    pub(crate) fn new(tls: Arc<Back>, connect_timeout: Duration) -> Self {
        Self {
            tls,
            connect_timeout,
            http_2: Shared::new(),
        }
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
        if server.http_2() != Http2::Never
            && let Some(sender) = self.http_2.get(&Place::of(server, address), Instant::now())
        {
            let io = Io::Bridged(Box::new(bridge::pipe(sender, server.tls())));
            return Ok(Connection { io, reused: true });
        }
        let most = server.times.dial.unwrap_or(self.connect_timeout);
        let connect = async {
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            if !server.tls() {
                return match server.http_2() {
                    Http2::Always => Box::pin(self.bridged(server, address, stream)).await,
                    _ => io::Result::Ok(Io::Plain(stream)),
                };
            }
            let offers_http_2 = server.http_2() != Http2::Never;
            let (name, trust) = (server.server_name(), server.trust());
            let secured = Box::pin(self.tls.connect(stream, name, trust, offers_http_2)).await?;
            match secured.get_ref().1.alpn_protocol() == Some(HTTP_2) {
                true => Box::pin(self.bridged(server, address, secured)).await,
                false => Ok(Io::Tls(secured)),
            }
        };
        let timed_out = |_| io::Error::from(io::ErrorKind::TimedOut);
        let io = tokio::time::timeout(most, connect).await.map_err(timed_out)??;
        Ok(Connection { io, reused: false })
    }

    /// The first stream of a new connection of HTTP/2, which others then share.
    async fn bridged(
        &self,
        server: &Upstream,
        address: SocketAddr,
        io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    ) -> io::Result<Io> {
        let sender = bridge::begin(io).await?;
        self.http_2
            .put(Place::of(server, address), sender.clone(), Instant::now());
        Ok(Io::Bridged(Box::new(bridge::pipe(sender, server.tls()))))
    }

    /// Gives a connection back whose answer was read to its end.
    pub(super) fn keep(server: &Upstream, address: SocketAddr, connection: Connection, now: Instant) {
        if matches!(connection.io, Io::Bridged(_)) {
            return;
        }
        POOL.with_borrow_mut(|pool| {
            pool.sweep(now);
            let kept = pool.places.entry(Place::of(server, address)).or_default();
            if kept.len()
                < server
                    .idle_max
                    .map_or(IDLE_CONNECTIONS_MAX, |most| most.min(IDLE_CONNECTIONS_MAX))
            {
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
            http_2: server.http_2(),
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
            Io::Bridged(_) => false,
        }
    }
}

impl AsyncRead for Connection {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().io {
            Io::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Io::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
            Io::Bridged(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.get_mut().io {
            Io::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Io::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
            Io::Bridged(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().io {
            Io::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Io::Tls(stream) => Pin::new(stream).poll_flush(cx),
            Io::Bridged(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().io {
            Io::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Io::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
            Io::Bridged(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
