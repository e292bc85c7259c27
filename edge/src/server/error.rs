//! Why an edge does not start.

use std::fmt;
use std::io;
use std::net::SocketAddr;

use crate::state::StateError;
use crate::takeover::TakeoverError;
use crate::tls::TlsFault;

#[derive(Debug)]
pub enum StartError {
    Bind {
        address: SocketAddr,
        error: io::Error,
    },
    Runtime(io::Error),
    AccessLog(io::Error),
    Journal(capture::Error),
    State(StateError),
    Tls(TlsFault),
    Takeover(TakeoverError),
    /// A socket that was given and that no flag asks for.
    UnknownSocket(SocketAddr),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bind { address, error } => {
                write!(
                    f,
                    "cannot listen on {address}: {error}; choose another address or end what listens there"
                )
            }
            Self::Runtime(error) => write!(f, "cannot start the edge's threads: {error}"),
            Self::AccessLog(error) => write!(
                f,
                "cannot open the access log {error}; make its folder writable for this user, or choose another file with --access-log"
            ),
            Self::State(error) => error.fmt(f),
            Self::Tls(fault) => write!(f, "TLS: {fault}"),
            Self::Takeover(error) => error.fmt(f),
            Self::UnknownSocket(address) => write!(
                f,
                "the service manager gave a socket on {address}, and nothing is configured to listen there; name it http, \
                 https or admin (FileDescriptorName=), or give the flag that asks for this address"
            ),
            Self::Journal(error) => write!(f, "cannot keep what passes (--journal): {error}"),
        }
    }
}

impl std::error::Error for StartError {}
