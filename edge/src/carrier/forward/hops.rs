//! Headers that go no further than one connection, in both directions.

use crate::rewrite::spells;

/// Headers that concern one connection, and the framing, which is ours to write; with underscores too.
pub(super) fn is_hop_by_hop(name: &[u8]) -> bool {
    let is = |hop: &str| spells(name, hop);
    match name.len() {
        2 => is("te"),
        7 => is("upgrade") || is("trailer"),
        10 => is("connection") || is("keep-alive"),
        14 => is("content-length"),
        16 => is("proxy-connection"),
        17 => is("transfer-encoding"),
        18 => is("proxy-authenticate"),
        19 => is("proxy-authorization"),
        _ => false,
    }
}

/// Headers that `Connection` names: they go no further, unless a server's view of who asks depends on them.
pub(super) struct Nominated<'a>(Vec<&'a [u8]>);

impl<'a> Nominated<'a> {
    /// `lines`: the values of all `Connection` headers.
    pub(super) fn of(lines: impl Iterator<Item = &'a [u8]>) -> Self {
        let names = lines
            .flat_map(|line| line.split(|&byte| byte == b','))
            .map(<[u8]>::trim_ascii);
        Self(names.filter(|name| !is_plain_token(name)).collect())
    }

    pub(super) fn contains(&self, name: &[u8]) -> bool {
        !self.0.is_empty() && !is_identity(name) && self.0.iter().any(|nominated| nominated.eq_ignore_ascii_case(name))
    }
}

/// What nearly every `Connection` line says; none of these is another header's name that matters.
fn is_plain_token(token: &[u8]) -> bool {
    [&b"keep-alive"[..], b"close", b"upgrade", b""]
        .iter()
        .any(|plain| token.eq_ignore_ascii_case(plain))
}

fn is_identity(name: &[u8]) -> bool {
    [
        "host",
        "authorization",
        "x-api-key",
        "api-key",
        "x-goog-api-key",
        "content-type",
        "cookie",
    ]
    .iter()
    .any(|kept| name.eq_ignore_ascii_case(kept.as_bytes()))
}
