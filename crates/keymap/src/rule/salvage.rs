//! Keys read from text that does not parse, so that they can be refused by name instead of being unknown.
//!
//! A guess: too many hashes do no harm (nobody presents such a key), too few make a 401 of what should be a 503.

use std::collections::BTreeSet;

use http::header::HeaderName;
use zeroize::Zeroizing;

use super::literals;
use crate::credential::CredentialHeader;
use crate::key::KeyHash;

/// A file this wrong holds no more keys that are worth the memory.
const KEYS_MAX: usize = 1 << 20;
/// No key is longer, and a quote that is never closed must not cost a scan of the whole file each time.
const ARGUMENT_BYTES_MAX: usize = 8 * 1024;
/// As they stand in YAML: a double-quoted scalar escapes its quotes, a single-quoted one doubles them.
const QUOTES: [&str; 5] = ["\\\"", "''", "`", "\"", "'"];

/// The keys that a broken rule, or a whole broken mapping file, seems to name.
pub fn salvage_keys(text: &str) -> Vec<KeyHash> {
    // YAML's double quotes take off one level of backslashes, a rule's own the next.
    let once = Zeroizing::new(without_backslashes(text));
    let twice = Zeroizing::new(without_backslashes(&once));
    let unfolded = Zeroizing::new(text.split_whitespace().collect::<Vec<_>>().join(" "));
    let mut keys = BTreeSet::new();
    for reading in [text, &once, &twice, &unfolded] {
        for (at, _) in reading.match_indices('(') {
            call(&reading[..at], &reading[at + 1..], &mut keys);
            if keys.len() >= KEYS_MAX {
                break;
            }
        }
    }
    keys.into_iter().take(KEYS_MAX).collect()
}

/// One level of backslashes taken off.
fn without_backslashes(text: &str) -> String {
    let mut chars = text.chars();
    std::iter::from_fn(|| match chars.next()? {
        '\\' => chars.next(),
        other => Some(other),
    })
    .collect()
}

/// What stands before and after an opening parenthesis, if the two look like a matcher.
fn call(before: &str, after: &str, keys: &mut BTreeSet<KeyHash>) {
    let before = before.trim_end();
    let name = before
        .rsplit(|c: char| !c.is_ascii_alphanumeric())
        .next()
        .unwrap_or("")
        .as_bytes();
    let Some((first, rest)) = argument(after) else { return };
    if name.get(..3).is_some_and(|start| start.eq_ignore_ascii_case(b"key")) {
        keys.extend(KeyHash::from_hex(first));
        keys.insert(KeyHash::of(first.trim().as_bytes()));
        return;
    }
    let header = HeaderName::from_bytes(first.trim().as_bytes())
        .ok()
        .as_ref()
        .and_then(CredentialHeader::of);
    let value = rest.trim_start().strip_prefix(',').and_then(argument);
    let (Some(header), Some((value, _))) = (header, value) else {
        return;
    };
    let mut add = |value: &[u8]| keys.insert(KeyHash::of(header.split(value.trim_ascii()).1));
    // Where the quote that was found closes a later argument, the value ended at the parenthesis.
    for value in [value, value.split(')').next().unwrap_or(value)] {
        add(value.as_bytes());
        for literal in literals::spelled_out_anywhere(value).unwrap_or_default() {
            add(&literal);
        }
    }
}

/// A quoted argument and what follows it. One that is not closed goes to the parenthesis or the line's end.
fn argument(text: &str) -> Option<(&str, &str)> {
    let text = text.trim_start();
    let quote = QUOTES.into_iter().find(|quote| text.starts_with(quote))?;
    let inside = &text[quote.len()..];
    let window = &inside[..inside.floor_char_boundary(ARGUMENT_BYTES_MAX)];
    let end = window.find(quote).or_else(|| window.find([')', '\n']))?;
    let rest = inside[end..].strip_prefix(quote).unwrap_or(&inside[end..]);
    Some((&inside[..end], rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn finds_keys_in_broken_text() {
        for text in [
            "Key(`k-1`",
            "KEY( \"k-1\" ) &&& Path(/)",
            "Key('k-1')",
            "Header(`Authorization`,`Bearer k-1`",
            "Header(`X-Api-Key`, `k-1`) ||",
            "HeaderRegexp(`Authorization`, `^Bearer k-1$`) && Foo(`x`)",
            "headerRegexp(`Authorization`, `^Bearer (k-0|k-1)$`)",
            "HeaderRegexp(`Authorization`, `^Bearer k-1$) && Path(`/`)",
            "HeaderRegexp(`Authorization`, `Bearer k\\-1`)",
            "HeadersRegex(\"Authorization\", \"^Bearer k\\\\-1$\")",
            "rule: \"HeaderRegexp(\\\"Authorization\\\", \\\"^Bearer k\\\\\\\\-1$\\\")\"\n bad: [",
            "rule: \"Header(`Authorization`,\n    `Bearer\n    k-1`)\"\n bad: [",
            "rule: 'Header(''Authorization'', ''Bearer k-1'')'",
        ] {
            assert!(salvage_keys(text).contains(&KeyHash::of(b"k-1")), "{text}");
        }
        let hash = KeyHash::of(b"k-1");
        assert!(salvage_keys(&format!("KeySha256(`{}`", hash.to_hex())).contains(&hash));
    }

    #[test]
    fn finds_none_where_none_stands() {
        for text in [
            "",
            "(",
            "Key(",
            "Key()",
            "Path(`/k-1`)",
            "Header(`X-Other`,`k-1`)",
            "Header(`Authorization`)",
        ] {
            assert_eq!(salvage_keys(text), [], "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "([()`'\"\\\\,é a]|Key|Header|Authorization|Bearer|\\^|\\$){0,40}") {
            salvage_keys(&text);
        }
    }
}
