//! The one credential of a request, whichever of four headers brought it.
//!
//! This is the only place that knows where a key stands in a header value: what [`Credential::from_headers`] hashes
//! and what the compiler pins from a rule's literal are split by the same [`CredentialHeader::split`].

use http::header::{AUTHORIZATION, HeaderName};
use http::{HeaderMap, HeaderValue};

use crate::key::KeyHash;

/// What a request presents: its key's hash, and how the headers brought it. Borrows the key, keeps no copy.
pub struct Credential<'a> {
    pub hash: KeyHash,
    /// The key as it came, without an authorization scheme.
    pub(crate) key: &'a [u8],
    /// Whether a line of `Authorization` brought it. Where none did, rules on it see `Bearer <key>`.
    pub(crate) in_authorization: bool,
    /// Whether rules on `Authorization` see exactly `Bearer <key>`, from whichever header.
    pub(crate) is_bearer: bool,
}

/// Two different credentials in one request: nobody can say which was meant, so it is refused (400).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CredentialConflict;

impl<'a> Credential<'a> {
    /// Reads `Authorization`, `x-api-key`, `api-key` and `x-goog-api-key`. A line without a key (blank, or a bare
    /// `Bearer`) counts as absent.
    ///
    /// # Errors
    /// [`CredentialConflict`] where two of them (or two lines of one) name different keys.
    pub fn from_headers(headers: &'a HeaderMap) -> Result<Option<Self>, CredentialConflict> {
        let mut found: Option<&'a [u8]> = None;
        let (mut in_authorization, mut after_bearer) = (false, false);
        for header in CredentialHeader::ALL {
            for (prefix, key) in header.lines(headers).map(|line| header.split(line)) {
                match found {
                    _ if key.is_empty() => continue,
                    None => found = Some(key),
                    // Both came from the client, so the time this comparison takes tells it nothing new.
                    Some(first) if first == key => {}
                    Some(_) => return Err(CredentialConflict),
                }
                in_authorization |= header == CredentialHeader::Authorization;
                after_bearer |= prefix == BEARER;
            }
        }
        Ok(found.map(|key| Self {
            hash: KeyHash::of(key),
            key,
            in_authorization,
            is_bearer: after_bearer || !in_authorization,
        }))
    }
}

/// What stands before a key in `Authorization`, as nearly everyone writes it.
pub(crate) const BEARER: &[u8] = b"Bearer ";

/// The headers that may bring a key. `Authorization` stands first: a key that is in it needs no stand-in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CredentialHeader {
    Authorization,
    XApiKey,
    ApiKey,
    XGoogApiKey,
}

impl CredentialHeader {
    pub(crate) const ALL: [Self; 4] = [Self::Authorization, Self::XApiKey, Self::ApiKey, Self::XGoogApiKey];

    pub(crate) fn of(name: &HeaderName) -> Option<Self> {
        Self::ALL.into_iter().find(|header| header.name() == name)
    }

    /// Names are checked letter by letter when they are made, which is too much to do for every request.
    fn name(self) -> &'static HeaderName {
        static X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");
        static API_KEY: HeaderName = HeaderName::from_static("api-key");
        static X_GOOG_API_KEY: HeaderName = HeaderName::from_static("x-goog-api-key");
        match self {
            Self::Authorization => &AUTHORIZATION,
            Self::XApiKey => &X_API_KEY,
            Self::ApiKey => &API_KEY,
            Self::XGoogApiKey => &X_GOOG_API_KEY,
        }
    }

    /// The header's values, without the blanks around them.
    pub(crate) fn lines(self, headers: &HeaderMap) -> impl Iterator<Item = &[u8]> {
        headers.get_all(self.name()).into_iter().map(trimmed)
    }

    /// A value as what stands before the key (a scheme `Bearer` and its blanks, or nothing) and the key. A value of
    /// another scheme is a key as a whole, so that it opens what a rule spells out in full.
    pub(crate) fn split(self, value: &[u8]) -> (&[u8], &[u8]) {
        const SCHEME: &[u8] = b"bearer";
        let bearer = self == Self::Authorization
            && value
                .get(..SCHEME.len())
                .is_some_and(|scheme| scheme.eq_ignore_ascii_case(SCHEME));
        if !bearer {
            return value.split_at(0);
        }
        let after = &value[SCHEME.len()..];
        let blanks = after.iter().take_while(|byte| is_blank(**byte)).count();
        if blanks == 0 && !after.is_empty() {
            value.split_at(0)
        } else {
            value.split_at(SCHEME.len() + blanks)
        }
    }
}

/// HTTP says that the blanks around a value do not belong to it; not every server's parser takes them off.
pub(crate) fn trimmed(value: &HeaderValue) -> &[u8] {
    let mut bytes = value.as_bytes();
    while let [first, rest @ ..] = bytes
        && is_blank(*first)
    {
        bytes = rest;
    }
    while let [rest @ .., last] = bytes
        && is_blank(*last)
    {
        bytes = rest;
    }
    bytes
}

fn is_blank(byte: u8) -> bool {
    byte == b' ' || byte == b'\t'
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(&str, &[u8])]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            let name = HeaderName::from_bytes(name.as_bytes()).expect("a header name");
            headers.append(name, HeaderValue::from_bytes(value).expect("a header value"));
        }
        headers
    }

    fn read(lines: &[(&str, &[u8])]) -> Result<Option<(Vec<u8>, bool)>, CredentialConflict> {
        let headers = headers(lines);
        let credential = Credential::from_headers(&headers)?;
        Ok(credential.map(|credential| {
            assert_eq!(credential.hash, KeyHash::of(credential.key));
            (credential.key.to_vec(), credential.in_authorization)
        }))
    }

    #[test]
    fn reads_the_key_from_any_of_the_four_headers() {
        for (name, value, key) in [
            ("authorization", &b"Bearer k"[..], &b"k"[..]),
            ("authorization", b"bEARER \t k ", b"k"),
            ("authorization", b" Bearer k", b"k"),
            ("authorization", b"Basic k", b"Basic k"),
            ("authorization", b"k", b"k"),
            ("authorization", b"Bearerk", b"Bearerk"),
            ("authorization", b"Bearer a b", b"a b"),
            ("authorization", b"Bearer \xff", b"\xff"),
            ("x-api-key", b"k", b"k"),
            ("x-api-key", b"Bearer k", b"Bearer k"),
            ("api-key", b" k\t", b"k"),
            ("x-goog-api-key", b"k", b"k"),
        ] {
            assert_eq!(
                read(&[(name, value)]),
                Ok(Some((key.to_vec(), name == "authorization"))),
                "{name}"
            );
        }
    }

    #[test]
    fn knows_whether_rules_see_it_after_bearer_and_one_blank() {
        for (lines, expected) in [
            (&[("authorization", &b"Bearer k"[..])][..], true),
            (&[("authorization", b"bearer k")], false),
            (&[("authorization", b"Bearer  k")], false),
            (&[("authorization", b"k")], false),
            (&[("authorization", b"Basic k")], false),
            (&[("authorization", b"k"), ("authorization", b"Bearer k")], true),
            (&[("authorization", b"k"), ("api-key", b"k")], false),
            (&[("authorization", b"Bearer"), ("api-key", b"k")], true),
            (&[("x-api-key", b"k")], true),
        ] {
            let headers = headers(lines);
            let credential = Credential::from_headers(&headers).expect("one key").expect("a key");
            assert_eq!(credential.is_bearer, expected, "{lines:?}");
        }
    }

    #[test]
    fn a_line_without_a_key_counts_as_absent() {
        for (name, value) in [
            ("authorization", ""),
            ("authorization", "Bearer"),
            ("authorization", "bearer  "),
            ("x-api-key", " "),
        ] {
            assert_eq!(read(&[(name, value.as_bytes())]), Ok(None), "{name}: {value}");
            let with_another = [(name, value.as_bytes()), ("api-key", b"k")];
            assert_eq!(read(&with_another), Ok(Some((b"k".to_vec(), false))), "{name}: {value}");
        }
        assert_eq!(
            read(&[("proxy-authorization", b"Bearer k"), ("cookie", b"k")]),
            Ok(None)
        );
    }

    #[test]
    fn one_key_may_come_twice_and_two_keys_may_not() {
        let same: [(&str, &[u8]); 3] = [("x-api-key", b"k"), ("authorization", b"Bearer k"), ("api-key", b"k")];
        assert_eq!(read(&same), Ok(Some((b"k".to_vec(), true))));
        for (first, second) in [
            (("authorization", "Bearer a"), ("authorization", "Bearer b")),
            (("authorization", "Bearer a"), ("x-api-key", "b")),
            (("authorization", "Basic a"), ("x-goog-api-key", "a")),
            (("x-api-key", "a"), ("api-key", "A")),
        ] {
            let lines = [(first.0, first.1.as_bytes()), (second.0, second.1.as_bytes())];
            assert_eq!(read(&lines), Err(CredentialConflict), "{lines:?}");
        }
    }
}
