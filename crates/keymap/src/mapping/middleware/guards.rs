//! What lets a request through or stops it, and what is kept of it: ipAllowList, buffering, upstreamKey, capture.

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use http::HeaderName;

use crate::rule::Network;

/// Requests from elsewhere are refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IpAllowList {
    /// Never empty.
    pub source_range: Box<[Network]>,
    /// 403 unless given.
    pub reject_status: u16,
}

/// Bounds on size. Bodies are streamed all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Buffering {
    /// A longer body is refused with 413; `None` (0 in the file): only the edge's own bound holds.
    pub request_body_bytes_max: Option<u64>,
}

/// The backend's own key, put in the place of the client's, which goes no further. The key is not kept here: a file
/// may change under us, and what is not held cannot be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamKey {
    pub source: KeySource,
    /// `authorization` (as `Bearer KEY`) unless given; under any other name the key stands alone.
    pub header: HeaderName,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeySource {
    /// A variable of the edge's environment.
    Env(Arc<str>),
    /// A file that holds the key and nothing else but blanks around it.
    File(Arc<Path>),
}

/// What is kept of the exchanges.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capture {
    pub mode: CaptureMode,
    /// `None`: the edge's own setting.
    pub loss: Option<CaptureLoss>,
    /// Of each body, so much is kept; `None`: the edge's own setting.
    pub body_bytes_max: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CaptureMode {
    #[default]
    Full,
    /// No bodies.
    Metadata,
    Off,
}

/// What happens to an exchange that cannot be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CaptureLoss {
    /// It goes on, and is counted.
    Drop,
    /// It is refused.
    Refuse,
}

impl IpAllowList {
    pub fn allows(&self, client: IpAddr) -> bool {
        self.source_range.iter().any(|network| network.contains(client))
    }
}
