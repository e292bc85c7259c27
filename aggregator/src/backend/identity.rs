//! Who this aggregator is, so that it recognises its own polls should a mapping file lead them back to it.
//!
//! A mapping that names the edge, or the aggregator under another name, cannot be told from a backend by its URL.
//! Every poll therefore carries a `Via` line, which proxies must pass on, with a name made at the start.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use axum::http::header::{HeaderMap, HeaderValue, VIA};

#[derive(Debug, Clone)]
pub(crate) struct Identity(Arc<str>);

impl Identity {
    pub(crate) fn new() -> Self {
        // Not a secret: it only has to differ from every other aggregator's.
        let unique = RandomState::new().hash_one(std::process::id());
        Self(format!("1.1 conclave-aggregator-{unique:016x}").into())
    }

    pub(crate) fn via(&self) -> HeaderValue {
        HeaderValue::from_str(&self.0).expect("made of visible ASCII")
    }

    /// Whether a request with these headers is one of our own polls.
    pub(crate) fn sent(&self, headers: &HeaderMap) -> bool {
        let hops = headers
            .get_all(VIA)
            .iter()
            .filter_map(|line| line.to_str().ok())
            .flat_map(|line| line.split(','));
        hops.map(str::trim).any(|hop| hop == &*self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_knows_its_own_line_among_those_of_proxies_and_no_other_aggregators() {
        let (own, other) = (Identity::new(), Identity::new());
        let mut headers = HeaderMap::new();
        assert!(!own.sent(&headers));
        headers.append(VIA, HeaderValue::from_static("1.0 fred"));
        headers.append(VIA, other.via());
        assert!(!own.sent(&headers));
        let joined = format!("{}, 1.1 proxy", own.via().to_str().unwrap());
        headers.append(VIA, HeaderValue::from_str(&joined).unwrap());
        assert!(own.sent(&headers));
    }
}
