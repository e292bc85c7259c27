//! What predecessor and successor say to each other. A change of meaning is another [`VERSION`].

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::doors::Role;
use crate::limits::remit::{Owed, Taken};

pub(super) const VERSION: u32 = 1;

#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "say", rename_all = "snake_case")]
pub(super) enum Message {
    /// A successor introduces itself.
    Hello {
        version: u32,
        pid: u32,
        release: String,
    },
    /// The listening sockets come with it, in this order.
    Offer {
        version: u32,
        pid: u32,
        doors: Vec<Offered>,
    },
    Refused {
        version: u32,
        reason: String,
    },
    Ready,
    Released {
        slots: Vec<Taken>,
    },
    Serving,
    /// A predecessor whose successor was succeeded itself introduces itself to the one after.
    Heir {
        version: u32,
        pid: u32,
    },
    Owed {
        owed: Owed,
        connections: usize,
    },
    Noted,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Offered {
    pub(super) role: Role,
    /// As it was configured: with port 0 the socket's own address is another.
    pub(super) asked: SocketAddr,
}

impl Message {
    /// For whoever reads that something else was expected.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Hello { .. } => "hello",
            Self::Offer { .. } => "offer",
            Self::Refused { .. } => "refused",
            Self::Ready => "ready",
            Self::Released { .. } => "released",
            Self::Serving => "serving",
            Self::Heir { .. } => "heir",
            Self::Owed { .. } => "owed",
            Self::Noted => "noted",
        }
    }
}
