//! Go's character classes → Rust's. In Go, `[`, `&&`, `--` and `~~` inside of a class are plain characters.

use super::PatternError;
use super::escape;

/// A class after its opening bracket. Returns what follows the closing one.
pub(super) fn to_rust<'a>(mut rest: &'a str, rust: &mut String) -> Result<&'a str, PatternError> {
    rust.push('[');
    if let Some(after) = rest.strip_prefix('^') {
        rust.push('^');
        rest = after;
    }
    let mut first = true;
    // A closing bracket that comes first stands for itself.
    while first || !rest.starts_with(']') {
        rest = item(rest, rust)?;
        first = false;
    }
    rust.push(']');
    Ok(&rest[1..])
}

fn item<'a>(rest: &'a str, rust: &mut String) -> Result<&'a str, PatternError> {
    if rest.starts_with("[:")
        && let Some(end) = rest.find(":]")
    {
        return posix(rest, end, rust);
    }
    if let Some(escaped) = rest.strip_prefix('\\')
        && let Some(after) = escape::group(escaped, rust)?
    {
        return Ok(after);
    }
    let (low, mut rest) = character(rest)?;
    let mut high = low;
    // In `[a-]` the hyphen stands for itself.
    if let Some(after) = rest.strip_prefix('-')
        && !after.starts_with(']')
    {
        (high, rest) = character(after)?;
    }
    if high < low {
        return Err(PatternError::new(
            "a range in a class runs backwards",
            "Write the lower character first.",
        ));
    }
    escape::push_literal(low, rust);
    if high > low {
        rust.push('-');
        escape::push_literal(high, rust);
    }
    Ok(rest)
}

/// `[:alpha:]` and its like; `end` is where its `:]` stands.
fn posix<'a>(rest: &'a str, end: usize, rust: &mut String) -> Result<&'a str, PatternError> {
    const NAMES: [&str; 14] = [
        "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct", "space", "upper",
        "word", "xdigit",
    ];
    let inside = rest.get(2..end).unwrap_or("");
    if !NAMES.contains(&inside.strip_prefix('^').unwrap_or(inside)) {
        return Err(PatternError::new(
            "a class [:…:] has no such name",
            "Write for example [[:alnum:]].",
        ));
    }
    let (class, after) = rest.split_at(end + 2);
    rust.push_str(class);
    Ok(after)
}

fn character(rest: &str) -> Result<(char, &str), PatternError> {
    let mut chars = rest.chars();
    match chars.next() {
        None => Err(PatternError::new(
            "a [ is not closed",
            "Close it, or write \\[ for the character.",
        )),
        Some('\\') => escape::character(chars.as_str()),
        Some(plain) => Ok((plain, chars.as_str())),
    }
}
