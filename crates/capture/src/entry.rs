//! What one record says. Texts are borrowed: from the request when it is written, from the payload when it is read.
//! Invariant: what was encoded decodes to the same, but for texts beyond 2 KiB, which are cut.

mod decode;
mod encode;
mod header;

use std::fmt;
use std::net::IpAddr;

use journal::ExchangeId;

pub use self::decode::{BadEntry, decode};
pub use self::header::{Header, Headers};
use crate::terms::Mode;

/// Of the fields' meaning. A new field does not change it; a field that means something else does.
pub const VERSION: u8 = 1;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry<'a> {
    Begun(Begun<'a>),
    RequestBytes(Piece<'a>),
    ResponseHead(ResponseHead<'a>),
    ResponseBytes(Piece<'a>),
    Ended(Ended<'a>),
}

/// Who saw the exchange pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Plane {
    Edge,
    Aggregator,
    /// A question that the council put to one of its members.
    Council,
}

impl Plane {
    pub fn name(self) -> &'static str {
        match self {
            Self::Edge => "edge",
            Self::Aggregator => "aggregator",
            Self::Council => "council",
        }
    }
}

/// An exchange begins: its request's head has been read and it is known where it goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Begun<'a> {
    /// Microseconds since 1970. All other times of the exchange are counted from here.
    pub at_unix_us: u64,
    pub plane: Plane,
    /// As the client sees it in `x-request-id`.
    pub request_id: &'a str,
    /// The exchange that this one is a part of: kept by the edge, or a council's.
    pub parent: Option<ExchangeId>,
    pub client: Option<IpAddr>,
    /// The key's name: never the key.
    pub router: Option<&'a str>,
    pub service: Option<&'a str>,
    pub method: &'a str,
    /// Without its query.
    pub path: &'a str,
    pub headers: Headers<'a>,
    pub mode: Mode,
}

impl<'a> Begun<'a> {
    /// With nothing but what every exchange has.
    pub fn new(plane: Plane, at_unix_us: u64, request_id: &'a str, method: &'a str, path: &'a str) -> Self {
        Self {
            at_unix_us,
            plane,
            request_id,
            parent: None,
            client: None,
            router: None,
            service: None,
            method,
            path,
            headers: Headers::default(),
            mode: Mode::Full,
        }
    }
}

/// Some of a body's bytes, in their order.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Piece<'a> {
    /// Since the exchange began.
    pub elapsed_us: u64,
    pub bytes: &'a [u8],
}

/// The final answer begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ResponseHead<'a> {
    pub elapsed_us: u64,
    pub status: u16,
    pub content_type: Option<&'a str>,
    pub content_encoding: Option<&'a str>,
    /// At the edge the server's address, in the aggregator the backend's name.
    pub server: Option<&'a str>,
    /// Servers that were tried, the one that answers included.
    pub attempts: u32,
    /// The model that answers, where it is not the one that was asked for.
    pub fallback_model: Option<&'a str>,
}

/// An exchange is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended<'a> {
    pub elapsed_us: u64,
    pub outcome: Outcome<'a>,
    /// What the client was answered, also where no server answered.
    pub status: Option<u16>,
    /// The server that was tried last.
    pub server: Option<&'a str>,
    pub attempts: u32,
    /// All that passed, also what was not kept.
    pub request_bytes: u64,
    pub response_bytes: u64,
    /// The body was longer than what is kept of it.
    pub cut_request: bool,
    pub cut_response: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome<'a> {
    Complete,
    ClientGone,
    UpstreamFailed,
    /// Answered by the plane itself, with this code.
    Refused(&'a str),
    /// Given up by a process that was told to stop. One that dies leaves no end at all.
    Interrupted,
}

impl Outcome<'_> {
    /// As lists show it. A refusal's code stands beside it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::ClientGone => "client_gone",
            Self::UpstreamFailed => "upstream_failed",
            Self::Refused(_) => "refused",
            Self::Interrupted => "interrupted",
        }
    }
}

/// No body is ever shown.
impl fmt::Debug for Piece<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Piece {{ elapsed_us: {}, bytes: {} }}",
            self.elapsed_us,
            self.bytes.len()
        )
    }
}
