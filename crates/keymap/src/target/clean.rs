//! One path, cleaned and decoded.

use super::TargetError;

/// Cleans a raw path that begins with `/`: what is forwarded, with room for so many bytes after it, and what that
/// decodes to where it is another text.
pub(super) fn path(raw: &[u8], room_bytes: usize) -> Result<(String, Option<String>), TargetError> {
    if is_clean(raw)
        && let Ok(path) = std::str::from_utf8(raw)
    {
        let mut forward = String::with_capacity(path.len() + room_bytes);
        forward.push_str(path);
        return Ok((forward, None));
    }
    let forward = resolved(&normalised(raw)?);
    let decoded = decoded(&forward)?;
    if is_ambiguous(&decoded) {
        return Err(TargetError::Ambiguous);
    }
    let decoded = Some(decoded).filter(|decoded| *decoded != forward);
    Ok((forward, decoded))
}

/// The common case, seen in one pass: nothing to decode, to encode or to resolve.
fn is_clean(raw: &[u8]) -> bool {
    let mut after_slash = false;
    raw.iter().all(|byte| {
        let plain = is_path_byte(*byte) && !(after_slash && matches!(byte, b'/' | b'.'));
        after_slash = *byte == b'/';
        plain
    })
}

/// Characters that stand for themselves in a path (RFC 3986, 3.3), with the slash.
fn is_path_byte(byte: u8) -> bool {
    is_unreserved(byte) || b"/!$&'()*+,;=:@".contains(&byte)
}

fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}

/// Unreserved characters unescaped, other escapes in upper case, and what does not belong into a path escaped.
fn normalised(raw: &[u8]) -> Result<String, TargetError> {
    let mut path = String::with_capacity(raw.len());
    let mut rest = raw;
    while let [first, after @ ..] = rest {
        rest = after;
        if *first != b'%' {
            push(*first, is_path_byte(*first), &mut path);
            continue;
        }
        let [high, low, after @ ..] = rest else {
            return Err(TargetError::BadEscape);
        };
        let byte = hex_pair(*high, *low).ok_or(TargetError::BadEscape)?;
        push(byte, is_unreserved(byte), &mut path);
        rest = after;
    }
    Ok(path)
}

/// Bytes beyond ASCII, escaped; a query is otherwise passed on as it came.
pub(super) fn push_ascii(raw: &[u8], text: &mut String) {
    if let Ok(raw) = std::str::from_utf8(raw)
        && raw.is_ascii()
    {
        return text.push_str(raw);
    }
    raw.iter().for_each(|byte| push(*byte, byte.is_ascii(), text));
}

fn push(byte: u8, plain: bool, text: &mut String) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    if plain {
        text.push(char::from(byte));
    } else {
        text.extend([
            '%',
            char::from(DIGITS[usize::from(byte >> 4)]),
            char::from(DIGITS[usize::from(byte & 15)]),
        ]);
    }
}

/// Doubled slashes and dot segments resolved, never above the root; a slash at the end stays.
fn resolved(path: &str) -> String {
    let mut clean = String::with_capacity(path.len());
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => clean.truncate(clean.rfind('/').unwrap_or(0)),
            name => clean.extend(["/", name]),
        }
    }
    if clean.is_empty() || path.ends_with('/') {
        clean.push('/');
    }
    clean
}

fn decoded(path: &str) -> Result<String, TargetError> {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let [first, after @ ..] = rest {
        rest = match (first, after) {
            (b'%', [high, low, after @ ..]) => {
                bytes.push(hex_pair(*high, *low).ok_or(TargetError::BadEscape)?);
                after
            }
            _ => {
                bytes.push(*first);
                after
            }
        };
    }
    String::from_utf8(bytes).map_err(|_| TargetError::BadEscape)
}

/// A dot segment that only appears once `%2F` is a slash, also one with parameters (`..;x`), which some servers take
/// for `..`; a backslash, which some take for a slash; and control characters, at which some stop reading.
fn is_ambiguous(decoded: &str) -> bool {
    let is_dots = |segment: &str| matches!(segment.split(';').next(), Some("." | ".."));
    decoded.split('/').any(is_dots) || decoded.chars().any(|c| c == '\\' || c.is_control())
}

/// The byte that two hexadecimal digits stand for.
pub(crate) fn hex_pair(high: u8, low: u8) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    u8::try_from(digit(high)? * 16 + digit(low)?).ok()
}
