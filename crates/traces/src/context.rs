//! W3C trace context: the header `traceparent`, read and written.

/// Version, trace, parent and flags, as `00-…-…-01`.
const LENGTH: usize = 55;

/// Where a span stands: in which trace, and under which name its children know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Context {
    pub trace_id: [u8; 16],
    pub span_id: [u8; 8],
    pub is_sampled: bool,
}

impl Context {
    /// `None` where it is none: the trace then begins anew, as the standard wants it.
    pub fn parse(traceparent: &[u8]) -> Option<Self> {
        let (fields, rest) = traceparent.trim_ascii().split_at_checked(LENGTH)?;
        let (version, rest_begins) = (byte(fields, 0)?, rest.first());
        // A later version may say more behind a dash; the first says no more, and `ff` is nobody's.
        let is_known = match version {
            0xff => false,
            0 => rest.is_empty(),
            _ => rest_begins.is_none_or(|first| *first == b'-'),
        };
        if !is_known || [2, 35, 52].iter().any(|at| fields[*at] != b'-') {
            return None;
        }
        let context = Self {
            trace_id: bytes(fields, 3)?,
            span_id: bytes(fields, 36)?,
            is_sampled: byte(fields, 53)? & 1 == 1,
        };
        (context.trace_id != [0; 16] && context.span_id != [0; 8]).then_some(context)
    }

    /// What goes on to whoever is asked next.
    pub fn traceparent(&self) -> [u8; LENGTH] {
        let mut text = *b"00-00000000000000000000000000000000-0000000000000000-00";
        write(&self.trace_id, &mut text[3..35]);
        write(&self.span_id, &mut text[36..52]);
        text[54] = if self.is_sampled { b'1' } else { b'0' };
        text
    }
}

fn bytes<const N: usize>(fields: &[u8], begin: usize) -> Option<[u8; N]> {
    let mut out = [0; N];
    for (index, out) in out.iter_mut().enumerate() {
        *out = byte(fields, begin + 2 * index)?;
    }
    Some(out)
}

fn byte(fields: &[u8], at: usize) -> Option<u8> {
    Some(digit(*fields.get(at)?)? << 4 | digit(*fields.get(at + 1)?)?)
}

/// Small letters only: the standard says so.
fn digit(character: u8) -> Option<u8> {
    match character {
        b'0'..=b'9' => Some(character - b'0'),
        b'a'..=b'f' => Some(character - b'a' + 10),
        _ => None,
    }
}

fn write(bytes: &[u8], text: &mut [u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for (byte, text) in bytes.iter().zip(text.chunks_exact_mut(2)) {
        text[0] = DIGITS[usize::from(byte >> 4)];
        text[1] = DIGITS[usize::from(byte & 0xf)];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
    const SPAN: &str = "b7ad6b7169203331";

    #[test]
    fn what_is_written_is_what_was_read() {
        for flags in ["00", "01"] {
            let text = format!("00-{TRACE}-{SPAN}-{flags}");
            let context = Context::parse(text.as_bytes()).expect("a context");
            assert_eq!(context.is_sampled, flags == "01");
            assert_eq!(context.traceparent(), text.as_bytes());
        }
    }

    #[test]
    fn what_is_no_context_begins_a_trace() {
        let zeros = "0".repeat(32);
        for (text, expected) in [
            (format!("00-{TRACE}-{SPAN}-01"), true),
            (format!(" 00-{TRACE}-{SPAN}-01 "), true),
            (format!("cc-{TRACE}-{SPAN}-01-more"), true),
            (format!("cc-{TRACE}-{SPAN}-01more"), false),
            (format!("00-{TRACE}-{SPAN}-01-more"), false),
            (format!("ff-{TRACE}-{SPAN}-01"), false),
            (format!("00-{zeros}-{SPAN}-01"), false),
            (format!("00-{TRACE}-{}-01", &zeros[..16]), false),
            (format!("00-{}-{SPAN}-01", TRACE.to_uppercase()), false),
            (format!("00-{TRACE}-{SPAN}-0"), false),
            (format!("00_{TRACE}-{SPAN}-01"), false),
            (String::new(), false),
        ] {
            assert_eq!(Context::parse(text.as_bytes()).is_some(), expected, "{text}");
        }
    }
}
