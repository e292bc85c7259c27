//! What of a response's head others than the client look at. Nothing is looked up unless somebody asks.

use http::HeaderMap;

#[derive(Clone, Copy)]
pub(crate) enum ResponseFacts<'a> {
    /// A head as it is sent: a status line, then lines.
    Wire(&'a [u8]),
    Map(&'a HeaderMap),
}

impl<'a> ResponseFacts<'a> {
    /// The first header of this name, which is given in lower case, where it is text.
    pub(crate) fn text(&self, name: &'static str) -> Option<&'a str> {
        match self {
            Self::Wire(head) => std::str::from_utf8(on_wire(head, name.as_bytes())?).ok(),
            Self::Map(headers) => headers.get(name)?.to_str().ok(),
        }
    }
}

fn on_wire<'a>(head: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let mut rest = head;
    loop {
        let end = memchr::memchr(b'\n', rest)?;
        rest = &rest[end + 1..];
        let Some((found, after)) = rest.split_at_checked(name.len()) else {
            continue;
        };
        // The colon first: it is there for few lines, and one byte tells.
        if after.first() == Some(&b':') && found.eq_ignore_ascii_case(name) {
            let line = memchr::memchr(b'\n', after).map_or(after, |end| &after[..end]);
            return Some(line[1..].trim_ascii());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_found_in_both_forms() {
        let head = b"HTTP/1.1 200 OK\r\nX-Content-Type: no\r\nContent-Type:  text/event-stream \r\nDate: x\r\n\r\n";
        let map = HeaderMap::from_iter([(
            http::header::CONTENT_TYPE,
            "text/event-stream".parse().expect("a value"),
        )]);
        for facts in [ResponseFacts::Wire(head), ResponseFacts::Map(&map)] {
            assert_eq!(facts.text("content-type"), Some("text/event-stream"));
            assert_eq!(facts.text("content-encoding"), None);
        }
        assert_eq!(ResponseFacts::Wire(b"").text("date"), None);
    }
}
