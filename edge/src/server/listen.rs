//! The sockets an edge listens on: its own, or those that were open before it.

use std::io;
use std::net::{SocketAddr, TcpListener};

use tokio::runtime::Handle;

use super::StartError;
use crate::config::EntryPoint;
use crate::takeover::Role;

/// Connections the kernel holds for us until they are accepted: a burst of clients after a restart.
const BACKLOG: u32 = 4096;

pub(super) fn addresses(listeners: &[(EntryPoint, TcpListener)]) -> Vec<SocketAddr> {
    let bound = listeners.iter();
    bound.filter_map(|(_, listener)| listener.local_addr().ok()).collect()
}

pub(super) fn listen_all(
    role: Role,
    bind: &mut impl FnMut(Role, SocketAddr) -> Result<TcpListener, StartError>,
    entries: Vec<EntryPoint>,
) -> Result<Vec<(EntryPoint, TcpListener)>, StartError> {
    let bound = entries.into_iter().map(|entry| {
        let listener = bind(role, entry.listen)?;
        Ok((entry, listener))
    });
    bound.collect()
}

/// `given`: a socket that is open already.
pub(super) fn listen(
    runtime: &Handle,
    given: Option<TcpListener>,
    address: SocketAddr,
) -> Result<TcpListener, StartError> {
    if let Some(listener) = given {
        let prepared = prepare(&listener).map(|()| listener);
        return prepared.map_err(|error| StartError::Bind { address, error });
    }
    let _inside = runtime.enter();
    let socket = || -> io::Result<TcpListener> {
        let socket = if address.is_ipv4() {
            tokio::net::TcpSocket::new_v4()
        } else {
            tokio::net::TcpSocket::new_v6()
        }?;
        // Else a restart waits for the old connections' TIME_WAIT.
        socket.set_reuseaddr(true)?;
        // What is accepted inherits both: a token is not held back to be sent with the next one, and a client whose
        // machine has vanished is noticed.
        socket.set_nodelay(true)?;
        socket.set_keepalive(true)?;
        socket.bind(address)?;
        socket.listen(BACKLOG)?.into_std()
    };
    socket().map_err(|error| StartError::Bind { address, error })
}

/// A socket that somebody else opened is as ours are.
fn prepare(listener: &TcpListener) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    rustix::net::sockopt::set_tcp_nodelay(listener, true)?;
    rustix::net::sockopt::set_socket_keepalive(listener, true)?;
    Ok(())
}
