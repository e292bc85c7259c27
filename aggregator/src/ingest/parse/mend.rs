//! Closes a JSON document that was cut, so that what had come can be read.
//!
//! ```text
//!   {"model":"m","messages":[{"role":"user","content":"Hel      ▶  …"content":"Hel"}]}
//!   {"a":1,"b":tr                                               ▶  {"a":1}
//! ```
//! Owns no meaning: a text is cut where it was cut; a number, a word or a name that may not be whole is left out. What is
//! not JSON stays what it is, and the reader after this one says so.

/// No dialect nests deeper; serde_json stops at as much.
const DEPTH_MAX: usize = 128;

/// The document closed; `None` where it nests too deeply or has not begun.
pub(super) fn mend(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut scan = Scan::default();
    for (at, &byte) in bytes.iter().enumerate() {
        scan.step(at, byte)?;
    }
    scan.close(bytes)
}

/// Whether a document that was cut holds this text with its closing quote: what was cut within it does not.
pub(super) fn holds_text(bytes: &[u8], text: &str) -> bool {
    let quoted = serde_json::to_vec(text).unwrap_or_default();
    memchr::memmem::find(bytes, &quoted).is_some()
}

#[derive(Default)]
struct Scan {
    /// The closing bracket of each level.
    open: Vec<u8>,
    /// All before this is whole.
    safe: usize,
    /// A number or a word has begun.
    scalar: bool,
    /// In an object, behind `{` or `,`.
    wants_name: bool,
    text: Option<Text>,
}

struct Text {
    is_name: bool,
    /// Where the last escape but one and the last began.
    escapes: [Option<usize>; 2],
    /// The byte after a backslash.
    is_escaped: bool,
}

impl Scan {
    fn step(&mut self, at: usize, byte: u8) -> Option<()> {
        if let Some(text) = &mut self.text {
            if text.take(at, byte) {
                let is_name = text.is_name;
                self.text = None;
                if !is_name {
                    self.safe = at + 1;
                }
            }
            return Some(());
        }
        match byte {
            b'"' => {
                let is_name = self.wants_name;
                self.wants_name = false;
                self.text = Some(Text {
                    is_name,
                    escapes: [None; 2],
                    is_escaped: false,
                });
            }
            b'{' | b'[' => {
                if self.open.len() == DEPTH_MAX {
                    return None;
                }
                self.open.push(if byte == b'{' { b'}' } else { b']' });
                self.wants_name = byte == b'{';
                self.safe = at + 1;
            }
            b'}' | b']' => {
                self.open.pop()?;
                self.wants_name = false;
                self.scalar = false;
                self.safe = at + 1;
            }
            b',' => {
                self.end_scalar(at);
                self.wants_name = self.open.last() == Some(&b'}');
            }
            b':' => {}
            _ if byte.is_ascii_whitespace() => self.end_scalar(at),
            _ => self.scalar = true,
        }
        Some(())
    }

    fn end_scalar(&mut self, at: usize) {
        if std::mem::take(&mut self.scalar) {
            self.safe = at;
        }
    }

    fn close(mut self, bytes: &[u8]) -> Option<Vec<u8>> {
        let mut closed = match &self.text {
            Some(text) if !text.is_name => {
                let mut closed = whole_characters(text.whole(bytes)).to_vec();
                closed.push(b'"');
                closed
            }
            _ if self.safe == 0 => return None,
            _ => bytes[..self.safe].to_vec(),
        };
        while let Some(bracket) = self.open.pop() {
            closed.push(bracket);
        }
        Some(closed)
    }
}

impl Text {
    /// Whether the text ended here.
    fn take(&mut self, at: usize, byte: u8) -> bool {
        if std::mem::take(&mut self.is_escaped) {
            return false;
        }
        if byte == b'\\' {
            self.escapes = [self.escapes[1], Some(at)];
            self.is_escaped = true;
        }
        byte == b'"'
    }

    /// All of `bytes` but an escape that is not over. The first half of a pair, `\ud83e`, is not over without its second.
    fn whole<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        let mut end = bytes.len();
        for start in self.escapes.iter().rev().flatten() {
            let is_over = match &bytes[*start..end] {
                [_, b'u', digits @ ..] => digits.len() >= 4 && !(is_first_half(digits) && digits.len() == 4),
                escape => escape.len() >= 2,
            };
            if is_over {
                break;
            }
            end = *start;
        }
        &bytes[..end]
    }
}

/// Of a pair of UTF-16.
fn is_first_half(digits: &[u8]) -> bool {
    matches!(digits, [b'd' | b'D', b'8' | b'9' | b'a' | b'b' | b'A' | b'B', ..])
}

/// Without the beginning of a character that was cut.
fn whole_characters(bytes: &[u8]) -> &[u8] {
    match std::str::from_utf8(bytes) {
        Err(error) if error.error_len().is_none() => &bytes[..error.valid_up_to()],
        _ => bytes,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_had_come_is_there() {
        let cases = [
            (r#"{"a":1,"b":tr"#, r#"{"a":1}"#),
            (r#"{"a":12"#, "{}"),
            (r#"{"a":12 "#, r#"{"a":12}"#),
            (r#"{"a":{"b":["x","y"#, r#"{"a":{"b":["x","y"]}}"#),
            (r#"{"a":"x","na"#, r#"{"a":"x"}"#),
            (r#"{"a":"x","name":"#, r#"{"a":"x"}"#),
            (r#"{"a":"x\"#, r#"{"a":"x"}"#),
            (r#"{"a":"x\\"#, r#"{"a":"x\\"}"#),
            (r#"{"a":"x\u00e"#, r#"{"a":"x"}"#),
            (r#"{"a":"x\u00e9"#, r#"{"a":"x\u00e9"}"#),
            (r#"{"a":"x\ud83e"#, r#"{"a":"x"}"#),
            (r#"{"a":"x\ud83e\udd"#, r#"{"a":"x"}"#),
            (r#"{"a":"x\ud83e\udd99"#, r#"{"a":"x\ud83e\udd99"}"#),
            (r#"{"a":1}"#, r#"{"a":1}"#),
            ("[1,2", "[1]"),
        ];
        for (cut, closed) in cases {
            let mended = mend(cut.as_bytes()).expect(cut);
            assert_eq!(String::from_utf8_lossy(&mended), closed, "{cut}");
        }
        assert_eq!(
            mend("{\"a\":\"é".as_bytes().split_last().expect("bytes").1).as_deref(),
            Some(&b"{\"a\":\"\"}"[..])
        );
        for none in ["", "  ", "tru", "\"na", &"[".repeat(1_000)] {
            assert!(mend(none.as_bytes()).is_none_or(|mended| mended == b"\"na\""), "{none}");
        }
    }

    #[test]
    fn every_beginning_of_a_document_reads() {
        let document = r#" {"model":"m\"é","n":-1.5e3,"on":true,"none":null,"messages":[{"role":"user","content":
            [{"type":"text","text":"a\\\u00e9\ud83e\udd99 🦙\n"},[],{}]}]} "#;
        for end in 3..=document.len() {
            let mended = mend(&document.as_bytes()[..end]).expect("it has begun");
            let value: Result<serde_json::Value, _> = serde_json::from_slice(&mended);
            assert!(value.is_ok(), "{}", String::from_utf8_lossy(&mended));
        }
    }
}
