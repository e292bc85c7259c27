//! Go's backslash escapes → Rust's. Perl's classes and word boundaries are ASCII in Go and Unicode in Rust.

use std::fmt::Write as _;

use super::PatternError;

/// An escape outside of a class, after its backslash. Returns what follows it.
pub(super) fn to_rust<'a>(rest: &'a str, rust: &mut String) -> Result<&'a str, PatternError> {
    if let Some(after) = group(rest, rust)? {
        return Ok(after);
    }
    let anchor = match rest.as_bytes().first() {
        Some(b'A') => "\\A",
        Some(b'z') => "\\z",
        Some(b'b') => "(?-u:\\b)",
        Some(b'B') => "(?-u:\\B)",
        _ => {
            let (character, after) = character(rest)?;
            push_literal(character, rust);
            return Ok(after);
        }
    };
    rust.push_str(anchor);
    Ok(&rest[1..])
}

/// `\d` and its like, and `\p{…}`: valid inside of a class too.
pub(super) fn group<'a>(rest: &'a str, rust: &mut String) -> Result<Option<&'a str>, PatternError> {
    let class = match rest.as_bytes().first() {
        Some(b'd') => "[0-9]",
        Some(b'D') => "[^0-9]",
        Some(b's') => "[\\t\\n\\x0C\\r\\x20]",
        Some(b'S') => "[^\\t\\n\\x0C\\r\\x20]",
        Some(b'w') => "[0-9A-Za-z_]",
        Some(b'W') => "[^0-9A-Za-z_]",
        Some(b'p' | b'P') => return property(rest, rust).map(Some),
        _ => return Ok(None),
    };
    rust.push_str(class);
    Ok(Some(&rest[1..]))
}

/// `\pL`, `\p{Greek}`, and with a caret their negation.
fn property<'a>(rest: &'a str, rust: &mut String) -> Result<&'a str, PatternError> {
    let refused = || PatternError::new("a Unicode class has no such name", "Write \\pL or \\p{Greek}.");
    let mut negated = rest.starts_with('P');
    let (name, after) = match rest[1..].strip_prefix('{') {
        Some(braced) => braced.split_once('}').ok_or_else(refused)?,
        None => {
            let length = rest[1..].chars().next().ok_or_else(refused)?.len_utf8();
            rest[1..].split_at(length)
        }
    };
    let name = name.strip_prefix('^').inspect(|_| negated = !negated).unwrap_or(name);
    if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphabetic() || byte == b'_') {
        return Err(refused());
    }
    let _ = write!(rust, "\\{}{{{name}}}", if negated { 'P' } else { 'p' });
    Ok(after)
}

/// An escape for one character, after its backslash.
pub(super) fn character(rest: &str) -> Result<(char, &str), PatternError> {
    let mut chars = rest.chars();
    let Some(first) = chars.next() else {
        return Err(PatternError::new(
            "it ends with a backslash",
            "Write \\\\ for a backslash.",
        ));
    };
    let after = chars.as_str();
    let simple = match first {
        'a' => '\x07',
        'f' => '\x0c',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'v' => '\x0b',
        'x' => return hexadecimal(after).ok_or_else(unknown),
        // A digit alone would be a back-reference; with a second one it is octal.
        '0' => return octal(rest).ok_or_else(unknown),
        '1'..='7' if after.starts_with(|next: char| next.is_digit(8)) => return octal(rest).ok_or_else(unknown),
        punctuation if punctuation.is_ascii() && !punctuation.is_ascii_alphanumeric() => punctuation,
        _ => return Err(unknown()),
    };
    Ok((simple, after))
}

fn unknown() -> PatternError {
    let fix = "Write \\\\ for a backslash; back-references such as \\1 do not exist in RE2.";
    PatternError::new("it has an unknown escape", fix)
}

/// `41` or `{41}`.
fn hexadecimal(rest: &str) -> Option<(char, &str)> {
    let (digits, after) = match rest.strip_prefix('{') {
        Some(braced) => braced.split_once('}')?,
        None => (rest.get(..2)?, rest.get(2..)?),
    };
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    let code = u32::from_str_radix(digits, 16).ok().filter(|_| plain)?;
    Some((char::from_u32(code)?, after))
}

/// Up to three octal digits.
fn octal(rest: &str) -> Option<(char, &str)> {
    let length = rest
        .bytes()
        .take(3)
        .take_while(|byte| matches!(byte, b'0'..=b'7'))
        .count();
    let code = u32::from_str_radix(&rest[..length], 8).ok()?;
    Some((char::from_u32(code)?, &rest[length..]))
}

/// One character that stands for itself, wherever it lands.
pub(super) fn push_literal(character: char, rust: &mut String) {
    if character.is_ascii_alphanumeric() || !character.is_ascii() {
        rust.push(character);
    } else {
        let _ = write!(rust, "\\x{:02X}", u32::from(character));
    }
}
