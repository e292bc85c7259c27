//! Where in a rule's text its keys stand, for whoever exchanges one.
//!
//! A site is a whole matcher, from its name to its parenthesis, that spells out one key. Matchers that spell out
//! several, or a pattern, are none: what would be left of them nobody can say.

use std::ops::Range;

use http::header::HeaderName;
use zeroize::Zeroizing;

use super::lexer::{Kind, Lexer};
use super::literals;
use super::name::Name;
use crate::credential::CredentialHeader;
use crate::key::{ApiKey, KeyHash};

/// A matcher that spells out one key.
pub(crate) struct Site {
    /// In bytes of the rule's text.
    pub(crate) range: Range<usize>,
    pub(crate) key: KeyHash,
    form: Form,
}

enum Form {
    /// `Key` or `KeySha256`.
    Key,
    /// `Header` or `HeaderRegexp`: its own name, the header's, and what stands before the key in it.
    Header {
        matcher: &'static str,
        header: String,
        prefix: String,
    },
}

impl Site {
    /// The matcher for another key, with its hash alone: it no longer asks which header brings the key.
    pub(crate) fn hashed(key: KeyHash) -> String {
        format!("KeySha256(`{}`)", key.to_hex())
    }

    /// The same matcher for another key, in the clear. The key must be one of ours: nothing in it needs quoting.
    pub(crate) fn plain(&self, key: &ApiKey) -> Zeroizing<String> {
        let key = key.expose();
        Zeroizing::new(match &self.form {
            Form::Key => format!("Key(`{key}`)"),
            Form::Header {
                matcher: "Header",
                header,
                prefix,
            } => format!("Header(`{header}`, `{prefix}{key}`)"),
            Form::Header {
                matcher,
                header,
                prefix,
            } => format!("{matcher}(`{header}`, `^{prefix}{key}$`)"),
        })
    }
}

/// The sites of a rule that parses, in order. A text that does not parse has those before the fault.
pub(crate) fn sites(rule: &str) -> Vec<Site> {
    let mut lexer = Lexer::new(rule);
    let mut sites = Vec::new();
    let mut name: Option<(usize, &str)> = None;
    let mut arguments: Vec<Zeroizing<String>> = Vec::new();
    while let Ok(token) = lexer.token() {
        match token.kind {
            Kind::End => break,
            Kind::Name(word) => {
                name = Some((token.offset, word));
                arguments.clear();
            }
            Kind::Text(text) => arguments.push(text),
            Kind::Close => {
                let matcher = name.take();
                sites.extend(matcher.and_then(|(start, word)| site(start..token.offset + 1, word, &arguments)));
            }
            _ => {}
        }
    }
    sites
}

fn site(range: Range<usize>, word: &str, arguments: &[Zeroizing<String>]) -> Option<Site> {
    let name = Name::parse(word).ok()?;
    let (key, form) = match (name, arguments) {
        (Name::Key, [key]) => (KeyHash::of(key.as_bytes()), Form::Key),
        (Name::KeySha256, [hex]) => (KeyHash::from_hex(hex)?, Form::Key),
        (Name::Header, [header, value]) => in_header("Header", header, value.as_bytes())?,
        (Name::HeaderRegexp, [header, pattern]) => {
            let values = literals::spelled_out(pattern).ok()??;
            let [value] = values.as_slice() else { return None };
            in_header("HeaderRegexp", header, value)?
        }
        _ => return None,
    };
    Some(Site { range, key, form })
}

fn in_header(matcher: &'static str, name: &str, value: &[u8]) -> Option<(KeyHash, Form)> {
    let header = HeaderName::from_bytes(name.as_bytes()).ok()?;
    let (prefix, key) = CredentialHeader::of(&header)?.split(value);
    let form = Form::Header {
        matcher,
        header: name.to_owned(),
        prefix: str::from_utf8(prefix).ok()?.to_owned(),
    };
    Some((KeyHash::of(key), form))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rule::Rule;

    #[test]
    fn a_site_is_a_matcher_that_spells_out_one_key() {
        let hex = KeyHash::of(b"k").to_hex();
        for (rule, expected) in [
            ("Key(`k`)".to_owned(), &["Key(`k`)"][..]),
            (
                "Path(`/a`) && (Key( \"k\" ) || Model(`m`))".to_owned(),
                &["Key( \"k\" )"],
            ),
            (
                "HeaderRegexp(`Authorization`, `^Bearer k$`,)".to_owned(),
                &["HeaderRegexp(`Authorization`, `^Bearer k$`,)"],
            ),
            ("HEADER(`x-api-key`,`k`)".to_owned(), &["HEADER(`x-api-key`,`k`)"]),
            (
                "Key(`k`) && Path(`/a`) || Key(`k`) && Path(`/b`)".to_owned(),
                &["Key(`k`)", "Key(`k`)"],
            ),
            ("HeaderRegexp(`Authorization`, `Bearer k`)".to_owned(), &[]),
            ("HeaderRegexp(`Authorization`, `^Bearer (k|l)$`)".to_owned(), &[]),
            ("Header(`X-Other`, `k`)".to_owned(), &[]),
            ("Path(`/k`)".to_owned(), &[]),
        ] {
            let sites = sites(&rule);
            let found: Vec<_> = sites.iter().map(|site| &rule[site.range.clone()]).collect();
            assert_eq!(found, expected, "{rule}");
            assert!(sites.iter().all(|site| site.key.to_hex() == hex), "{rule}");
        }
    }

    #[test]
    fn the_plain_form_pins_the_new_key_and_asks_for_the_same_header() {
        let key = ApiKey::new("cnc-new");
        for (rule, expected) in [
            ("Key(`k`)", "Key(`cnc-new`)"),
            (
                "Header(`Authorization`, `bearer  k`)",
                "Header(`Authorization`, `bearer  cnc-new`)",
            ),
            ("Header(`api-key`, `k`)", "Header(`api-key`, `cnc-new`)"),
            (
                "HeaderRegexp(\"Authorization\", \"^Bearer k$\")",
                "HeaderRegexp(`Authorization`, `^Bearer cnc-new$`)",
            ),
        ] {
            let plain = sites(rule)[0].plain(&key);
            assert_eq!(*plain, expected);
            assert_eq!(Rule::parse(&plain).expect("a rule").pins(), Some(vec![key.hash()]));
        }
    }
}
