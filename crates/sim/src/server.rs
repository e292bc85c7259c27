//! Life of a simulator: bind, serve, be watched and disturbed, stop. One task accepts and owns every connection's
//! task; when it ends, whether told to or because the [`Sim`] was dropped, all of them end with it.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{JoinHandle, JoinSet};

use crate::connection;
use crate::fault::Faults;
use crate::observe::{Recorded, Stats, WaitTimeout};
use crate::settings::{Builder, Settings};
use crate::state::State;

/// Ten thousand clients may come at once; the kernel takes the least of this and its own bound.
const BACKLOG: u32 = 4096;

/// A running simulator. Dropping it ends it at once; [`Sim::shutdown`] also waits for that.
pub struct Sim {
    addr: SocketAddr,
    state: Arc<State>,
    orders: mpsc::Sender<Order>,
    accepting: JoinHandle<()>,
}

/// What the accepting task is asked to do, and where it says that it is done.
struct Order {
    what: What,
    done: oneshot::Sender<io::Result<()>>,
}

#[derive(Clone, Copy)]
enum What {
    /// Close the listening socket and every idle connection.
    Refuse,
    /// Listen again at the same address.
    Accept,
    /// End every connection where it stands.
    Drop,
    /// That, and accept no more.
    Stop,
}

impl Sim {
    pub fn builder() -> Builder {
        Builder::default()
    }

    pub(crate) async fn bind(settings: Settings, address: &str) -> io::Result<Self> {
        let mut last = io::Error::new(io::ErrorKind::InvalidInput, format!("{address:?} names no address"));
        for addr in tokio::net::lookup_host(address).await? {
            match listen(addr) {
                Ok(listener) => return Self::serve(settings, listener),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    pub(crate) fn serve(settings: Settings, listener: TcpListener) -> io::Result<Self> {
        let addr = listener.local_addr()?;
        let state = Arc::new(State::new(settings));
        let (orders, received) = mpsc::channel(4);
        let accepting = tokio::spawn(accept(Arc::clone(&state), listener, addr, received));
        Ok(Self {
            addr,
            state,
            orders,
            accepting,
        })
    }

    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// `http://address:port`, without a slash at the end.
    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    pub fn model(&self) -> &str {
        &self.state.settings.model
    }

    pub fn stats(&self) -> Stats {
        self.state.observed.stats()
    }

    /// Waits until the counters satisfy a condition, which is tried at every change; gives them back as they then are.
    pub async fn wait_until(
        &self,
        wanted: impl FnMut(&Stats) -> bool,
        timeout: Duration,
    ) -> Result<Stats, WaitTimeout> {
        self.state.observed.wait_until(wanted, timeout).await
    }

    /// Keeps the last `requests` requests from now on (0: none, as at the start), and forgets those kept before.
    pub fn record(&self, requests: usize) {
        self.state.observed.set_recorder(requests);
    }

    /// The requests kept, oldest first.
    pub fn recorded(&self) -> Vec<Recorded> {
        self.state.observed.recorded()
    }

    pub fn last_request(&self) -> Option<Recorded> {
        self.recorded().pop()
    }

    /// Puts these faults in the place of those before; they hold for requests that arrive from now on.
    pub fn set_faults(&self, faults: Faults) {
        self.state.faults.set(faults);
    }

    pub fn clear_faults(&self) {
        self.set_faults(Faults::default());
    }

    /// Answers "Loading model" from now on, or stops doing so.
    pub fn set_loading(&self, loading: bool) {
        self.state.set_loading(loading);
    }

    /// From here on connections are refused, as if the process had gone; idle ones are closed, running answers go on.
    pub async fn refuse_connections(&self) {
        // Only rebinding can fail.
        let _ = self.order(What::Refuse).await;
    }

    /// Takes connections again, at the same address.
    pub async fn accept_connections(&self) -> io::Result<()> {
        self.order(What::Accept).await
    }

    /// Ends every open connection in the middle of whatever it does. New ones are taken as before.
    pub async fn drop_connections(&self) {
        // Only rebinding can fail.
        let _ = self.order(What::Drop).await;
    }

    /// Ends everything and waits until it has ended; generations under way count as cancelled.
    pub async fn shutdown(mut self) {
        // Either fails only if the task has ended already.
        let _ = self.order(What::Stop).await;
        let _ = (&mut self.accepting).await;
    }

    async fn order(&self, what: What) -> io::Result<()> {
        let (done, answered) = oneshot::channel();
        let ended = || io::Error::other("the simulator has ended");
        self.orders.send(Order { what, done }).await.map_err(|_| ended())?;
        answered.await.map_err(|_| ended())?
    }
}

impl Drop for Sim {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl fmt::Debug for Sim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sim")
            .field("addr", &self.addr)
            .field("model", &self.model())
            .finish_non_exhaustive()
    }
}

fn listen(addr: SocketAddr) -> io::Result<TcpListener> {
    let socket = if addr.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    socket.set_reuseaddr(true)?;
    socket.bind(addr)?;
    socket.listen(BACKLOG)
}

/// Accepts until told to stop. Owns the connections' tasks, so that none outlives it.
async fn accept(state: Arc<State>, listener: TcpListener, addr: SocketAddr, mut orders: mpsc::Receiver<Order>) {
    let mut listener = Some(listener);
    let mut connections = JoinSet::new();
    let (idle_may_stay, _) = watch::channel(true);
    loop {
        tokio::select! {
            order = orders.recv() => {
                let Some(Order { what, done }) = order else { return };
                let mut result = Ok(());
                match what {
                    What::Refuse => listener = None,
                    What::Accept if listener.is_some() => {}
                    What::Accept => result = listen(addr).map(|again| listener = Some(again)),
                    What::Drop | What::Stop => connections.shutdown().await,
                }
                idle_may_stay.send_replace(listener.is_some());
                // Nobody waits any more for an answer that does not arrive.
                let _ = done.send(result);
                if matches!(what, What::Stop) {
                    return;
                }
            }
            accepted = next(listener.as_ref()) => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(connection::serve(Arc::clone(&state), stream, idle_may_stay.subscribe()));
                }
                // Out of file descriptors, most likely: they come back as connections end.
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn next(listener: Option<&TcpListener>) -> io::Result<(tokio::net::TcpStream, SocketAddr)> {
    match listener {
        Some(listener) => listener.accept().await,
        None => std::future::pending().await,
    }
}
