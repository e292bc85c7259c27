//! Listening sockets that are there before the edge binds any: a predecessor's, or those that systemd opened.
//!
//! Owns which of them is which of the configuration's. A socket's number means nothing; its role and its address do.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Role {
    /// HTTP without TLS.
    Clear,
    Tls,
    /// HTTP that only says where TLS is.
    Redirect,
    Admin,
}

/// One that this edge listens on, kept open for a successor.
pub(crate) struct Door {
    pub(crate) role: Role,
    pub(crate) asked: SocketAddr,
    pub(crate) listener: TcpListener,
}

/// All of them. Empty once the edge stops: a socket that nobody accepts from must not take connections.
pub(crate) type Doors = Arc<Mutex<Vec<Door>>>;

/// Sockets to listen on that are open already.
#[derive(Debug, Default)]
pub struct Sockets(Vec<Given>);

#[derive(Debug)]
struct Given {
    role: Option<Role>,
    asked: Option<SocketAddr>,
    /// It is listened on wherever it is: somebody said what for, not where.
    anywhere: bool,
    listener: TcpListener,
}

impl Sockets {
    /// Takes one from a service manager. `name`: `http`, `https` or `admin` say what for; any other leaves it to its address.
    pub fn add(&mut self, name: Option<&str>, listener: TcpListener) {
        let role = match name {
            Some("http") => Some(Role::Clear),
            Some("https") => Some(Role::Tls),
            Some("admin") => Some(Role::Admin),
            _ => None,
        };
        self.0.push(Given {
            role,
            asked: None,
            anywhere: role.is_some(),
            listener,
        });
    }

    pub(crate) fn add_door(&mut self, door: Door) {
        self.0.push(Given {
            role: Some(door.role),
            asked: Some(door.asked),
            anywhere: false,
            listener: door.listener,
        });
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The socket for this address, else the next that was named for this role.
    pub(crate) fn take(&mut self, role: Role, address: SocketAddr) -> Option<TcpListener> {
        let may = |given: &Given| given.role.is_none_or(|its| its == role);
        let is_at = |given: &Given| {
            given.asked == Some(address)
                || given
                    .listener
                    .local_addr()
                    .is_ok_and(|at| at == address && at.port() != 0)
        };
        let found = self.0.iter().position(|given| may(given) && is_at(given));
        let found = found.or_else(|| {
            self.0
                .iter()
                .position(|given| given.anywhere && given.role == Some(role))
        });
        Some(self.0.remove(found?).listener)
    }

    /// Those that nobody took.
    pub(crate) fn left(&self) -> Vec<SocketAddr> {
        self.0
            .iter()
            .filter_map(|given| given.listener.local_addr().ok())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listener() -> (TcpListener, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
        let address = listener.local_addr().expect("an address");
        (listener, address)
    }

    fn at(text: &str) -> SocketAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn a_manager_s_sockets_are_found_by_address_then_by_name() {
        let mut sockets = Sockets::default();
        let ((plain, plain_at), (admin, admin_at), (other, other_at)) = (listener(), listener(), listener());
        sockets.add(Some("conclave.socket"), plain);
        sockets.add(Some("admin"), admin);
        sockets.add(Some("https"), other);
        let taken = |sockets: &mut Sockets, role, address| {
            sockets
                .take(role, address)
                .map(|taken| taken.local_addr().expect("an address"))
        };
        assert_eq!(
            taken(&mut sockets, Role::Clear, at("0.0.0.0:8080")),
            None,
            "neither its address nor a name"
        );
        assert_eq!(taken(&mut sockets, Role::Clear, plain_at), Some(plain_at));
        assert_eq!(
            taken(&mut sockets, Role::Tls, admin_at),
            Some(other_at),
            "a name is not overruled by an address"
        );
        assert_eq!(taken(&mut sockets, Role::Admin, at("127.0.0.1:9081")), Some(admin_at));
        assert!(sockets.is_empty());
    }

    #[test]
    fn a_predecessor_s_are_those_that_are_configured_still() {
        let mut sockets = Sockets::default();
        let ((listener, _), (another, another_at)) = (listener(), listener());
        let asked = at("127.0.0.1:0");
        sockets.add_door(Door {
            role: Role::Clear,
            asked,
            listener,
        });
        sockets.add_door(Door {
            role: Role::Tls,
            asked: another_at,
            listener: another,
        });
        assert!(sockets.take(Role::Clear, at("127.0.0.1:1")).is_none());
        assert!(
            sockets.take(Role::Clear, asked).is_some(),
            "port 0 is whatever it became"
        );
        assert_eq!(sockets.left(), [another_at]);
    }
}
