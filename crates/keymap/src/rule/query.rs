//! A query string's pairs, decoded as Go's `url.ParseQuery` decodes them.

use std::borrow::Cow;

/// Names with their values, in order. Pairs that Go rejects (a semicolon, a bad escape) are passed over, as there.
pub(super) fn pairs(query: &str) -> impl Iterator<Item = (Cow<'_, [u8]>, Cow<'_, [u8]>)> {
    query
        .split('&')
        .filter(|pair| !pair.is_empty() && !pair.contains(';'))
        .filter_map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Some((decoded(name)?, decoded(value)?))
        })
}

/// `+` is a blank and `%XX` a byte; `None` where an escape is none.
fn decoded(text: &str) -> Option<Cow<'_, [u8]>> {
    if !text.contains(['%', '+']) {
        return Some(Cow::Borrowed(text.as_bytes()));
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        bytes.push(match first {
            b'+' => b' ',
            b'%' => {
                let [high, low, after @ ..] = rest else { return None };
                rest = after;
                crate::target::hex_pair(*high, *low)?
            }
            other => *other,
        });
    }
    Some(Cow::Owned(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decodes_as_go_does() {
        for (query, expected) in [
            ("", vec![]),
            ("k", vec![("k", "")]),
            ("k=", vec![("k", "")]),
            ("a=1&a=2&&b=x=y", vec![("a", "1"), ("a", "2"), ("b", "x=y")]),
            ("a+b=c%20d%2B", vec![("a b", "c d+")]),
            ("a=1;b=2&c=3", vec![("c", "3")]),
            ("a=%zz&b=%4&c=%41", vec![("c", "A")]),
            ("=v", vec![("", "v")]),
        ] {
            let read: Vec<_> = pairs(query)
                .map(|(name, value)| (name.into_owned(), value.into_owned()))
                .collect();
            let expected: Vec<_> = expected
                .iter()
                .map(|(k, v)| (k.as_bytes().to_vec(), v.as_bytes().to_vec()))
                .collect();
            assert_eq!(read, expected, "{query}");
        }
    }
}
