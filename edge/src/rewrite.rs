//! What changes in a request on its way to a server, and nothing else does: the headers that the edge speaks for.
//!
//! Carriers hold headers differently (a map, the bytes of the head), so this module says which names are the edge's and
//! what stands under them, and leaves the copying to them.

use std::fmt::Write as _;
use std::net::IpAddr;

use crate::middleware::HeaderChanges;

/// What of a request the edge's headers depend on.
pub(crate) struct Origin<'a> {
    pub(crate) request_id: &'a [u8],
    pub(crate) client: IpAddr,
    pub(crate) tls: bool,
    /// What the client sent as `Host`.
    pub(crate) client_host: Option<&'a [u8]>,
    /// `Host` for the server; `None` passes the client's.
    pub(crate) server_host: Option<&'a [u8]>,
    /// Nobody waits for a `100 Continue` any more.
    pub(crate) continued: bool,
    /// The answer is read on its way, so it must not come compressed.
    pub(crate) as_it_is: bool,
    /// For an aggregator: the exchange as the edge keeps it, or that nobody is to keep it.
    pub(crate) kept_as: Option<KeptAs>,
    /// Where the exchange stands in its trace, if that is kept; else what the client says of its own goes on.
    pub(crate) trace: Option<&'a traces::Begun>,
    /// What middlewares set and take away: the last word, also on what the edge speaks for.
    pub(crate) changes: &'a HeaderChanges,
}

impl Origin<'_> {
    /// Whether what the client sent under this name goes no further. `X_Real_IP` is the same name to whoever puts headers
    /// into environment variables, as CGI and WSGI do.
    pub(crate) fn owns(&self, name: &[u8]) -> bool {
        let is = |owned: &str| spells(name, owned);
        (match name.len() {
            4 => self.server_host.is_some() && is("host"),
            6 => self.continued && is("expect"),
            9 => is("x-real-ip") || is("forwarded"),
            10 => self.trace.is_some_and(|trace| trace.state().is_none()) && is("tracestate"),
            11 => self.trace.is_some() && is("traceparent"),
            12 => is("x-request-id"),
            15 => self.as_it_is && is("accept-encoding"),
            // llama-server keeps a generation of this id running after its client has gone, and shows its text to
            // whoever names the id.
            17 => is("x-conversation-id"),
            // Only the edge says what is kept of an exchange.
            19 => is("x-conclave-exchange"),
            _ => false,
        }) || is_forwarded(name)
            || is_alias(name)
            || self.changes.owns(name)
    }

    /// What the edge sends instead, besides the changes.
    pub(crate) fn each(&self, mut set: impl FnMut(&'static str, &[u8])) {
        let client = AddressText::of(self.client);
        let mut set = |name: &'static str, value: &[u8]| {
            if !self.changes.owns(name.as_bytes()) {
                set(name, value);
            }
        };
        set("x-request-id", self.request_id);
        set("x-forwarded-for", client.bytes());
        set("x-real-ip", client.bytes());
        set("x-forwarded-proto", if self.tls { b"https" } else { b"http" });
        if self.as_it_is {
            set("accept-encoding", b"identity");
        }
        if let Some(host) = self.client_host {
            set("x-forwarded-host", host);
        }
        if let Some(host) = self.server_host {
            set("host", host);
        }
        if let Some(trace) = self.trace {
            set("traceparent", &trace.context.traceparent());
        }
        match &self.kept_as {
            Some(KeptAs::Exchange(id)) => set("x-conclave-exchange", id),
            Some(KeptAs::Nothing) => set("x-conclave-exchange", b"none"),
            None => {}
        }
    }
}

/// Whether two names are one to whoever puts headers into environment variables, as CGI and WSGI do.
pub(crate) fn spells(name: &[u8], owned: &str) -> bool {
    let plain = |byte: &u8| if *byte == b'_' { b'-' } else { byte.to_ascii_lowercase() };
    name.len() == owned.len() && name.iter().map(plain).eq(owned.bytes().map(|byte| plain(&byte)))
}

/// `X-Forwarded-Port`, `-Prefix`, `-Uri`, `-Tls-Client-Cert`: what a proxy says about the client, and only a proxy may.
fn is_forwarded(name: &[u8]) -> bool {
    const FAMILY: &str = "x-forwarded-";
    name.get(..FAMILY.len()).is_some_and(|begin| spells(begin, FAMILY))
}

/// A second spelling of a name on which it depends who asks or where the body ends. Nobody means well with it.
fn is_alias(name: &[u8]) -> bool {
    const NAMES: [&str; 9] = [
        "api-key",
        "x-api-key",
        "x-goog-api-key",
        "proxy-authorization",
        "proxy-connection",
        "keep-alive",
        "content-length",
        "content-type",
        "transfer-encoding",
    ];
    memchr::memchr(b'_', name).is_some() && NAMES.iter().any(|known| spells(name, known))
}

/// Which lines that bring a key have been passed on: of each name one, and none that is empty. A server may read the first
/// of two, or the last, or both joined.
#[derive(Debug, Default)]
pub(crate) struct KeyLines([bool; 4]);

impl KeyLines {
    /// Whether this line goes no further.
    pub(crate) fn repeats(&mut self, name: &[u8], value: &[u8]) -> bool {
        let is = |key: &str| name.eq_ignore_ascii_case(key.as_bytes());
        let place = match name.len() {
            7 if is("api-key") => 0,
            9 if is("x-api-key") => 1,
            13 if is("authorization") => 2,
            14 if is("x-goog-api-key") => 3,
            _ => return false,
        };
        let is_blank = value.is_empty() || (place == 2 && value.eq_ignore_ascii_case(b"bearer"));
        is_blank || std::mem::replace(&mut self.0[place], true)
    }
}

/// What the edge keeps of an exchange, so that the aggregator does not keep the same once more.
pub(crate) enum KeptAs {
    /// Under this name, a UUID.
    Exchange([u8; uuid::fmt::Hyphenated::LENGTH]),
    /// Its router says that nothing is to be kept.
    Nothing,
}

/// Token streams; nginx in front of us would gather them until its buffer is full, unless told not to.
pub(crate) fn is_event_stream(content_type: &[u8]) -> bool {
    const KIND: &[u8] = b"text/event-stream";
    content_type
        .get(..KIND.len())
        .is_some_and(|kind| kind.eq_ignore_ascii_case(KIND))
}

/// By this header a browser is told to come with TLS only.
pub(crate) const HSTS: &str = "strict-transport-security";

/// Says so to such a proxy.
pub(crate) const UNBUFFERED: (&str, &str) = ("x-accel-buffering", "no");

/// An address as text, without an allocation.
struct AddressText {
    text: [u8; Self::BYTES_MAX],
    length: usize,
}

impl AddressText {
    /// The longest form of an IPv6 address.
    const BYTES_MAX: usize = 45;

    fn of(address: IpAddr) -> Self {
        let mut text = Self {
            text: [0; Self::BYTES_MAX],
            length: 0,
        };
        // It cannot fail: the longest address fits.
        let _ = write!(text, "{}", address.to_canonical());
        text
    }

    fn bytes(&self) -> &[u8] {
        &self.text[..self.length]
    }
}

impl std::fmt::Write for AddressText {
    fn write_str(&mut self, piece: &str) -> std::fmt::Result {
        let end = self.length + piece.len();
        self.text
            .get_mut(self.length..end)
            .ok_or(std::fmt::Error)?
            .copy_from_slice(piece.as_bytes());
        self.length = end;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(server_host: Option<&[u8]>) -> Origin<'_> {
        Origin {
            request_id: b"id",
            client: "::ffff:10.0.0.7".parse().expect("an address"),
            tls: false,
            client_host: Some(b"edge"),
            server_host,
            continued: true,
            as_it_is: true,
            kept_as: Some(KeptAs::Nothing),
            trace: None,
            changes: HeaderChanges::NONE,
        }
    }

    #[test]
    fn what_the_edge_sets_it_owns_in_any_case() {
        let origin = origin(Some(b"gpu:8011"));
        let mut set = Vec::new();
        origin.each(|name, value| set.push((name, String::from_utf8_lossy(value).into_owned())));
        for (name, _) in &set {
            assert!(
                origin.owns(name.as_bytes()) && origin.owns(name.to_uppercase().as_bytes()),
                "{name}"
            );
        }
        assert!(set.contains(&("x-forwarded-for", "10.0.0.7".to_owned())), "{set:?}");
        assert!(origin.owns(b"X-Conversation-Id") && !set.iter().any(|(name, _)| *name == "x-conversation-id"));
        for spelling in [
            "X_Real_IP",
            "x-forwarded_for",
            "X-Forwarded-Tls-Client-Cert",
            "Forwarded",
            "X_Api_Key",
            "content_length",
        ] {
            assert!(origin.owns(spelling.as_bytes()), "{spelling}");
        }
        assert!(!origin.owns(b"x-api-key") && !origin.owns(b"Content-Length") && !origin.owns(b"x_other"));
        assert!(!origin.owns(b"authorization"));
    }

    #[test]
    fn host_is_the_clients_unless_the_server_wants_its_own() {
        assert!(!origin(None).owns(b"Host"));
    }

    #[test]
    fn the_longest_address_fits() {
        let address = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff".parse().expect("an address");
        assert_eq!(
            AddressText::of(address).bytes(),
            b"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"
        );
    }
}
