//! A rule's text as tokens, each with its byte offset. Strings are Go's: backticked (raw) or double-quoted.
//!
//! Errors never show what a string holds: a lexer cannot know whether it is a key.

use std::str::Chars;

use zeroize::Zeroizing;

use super::RuleError;

pub(super) struct Token<'a> {
    pub(super) offset: usize,
    pub(super) kind: Kind<'a>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind<'a> {
    Name(&'a str),
    Text(Zeroizing<String>),
    And,
    Or,
    Not,
    Open,
    Close,
    Comma,
    End,
}

pub(super) struct Lexer<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    pub(super) fn token(&mut self) -> Result<Token<'a>, RuleError> {
        let rest = self.text[self.at..].trim_start_matches(is_blank);
        let offset = self.text.len() - rest.len();
        let (kind, length) = match rest.chars().next() {
            None => (Kind::End, 0),
            Some('(') => (Kind::Open, 1),
            Some(')') => (Kind::Close, 1),
            Some(',') => (Kind::Comma, 1),
            Some('!') => (Kind::Not, 1),
            Some('&') if rest.starts_with("&&") => (Kind::And, 2),
            Some('|') if rest.starts_with("||") => (Kind::Or, 2),
            Some('`') => raw(rest, offset)?,
            Some('"') => quoted(rest, offset)?,
            Some(first) if first.is_alphabetic() || first == '_' => {
                let length = rest
                    .find(|c: char| !c.is_alphanumeric() && c != '_')
                    .unwrap_or(rest.len());
                (Kind::Name(&rest[..length]), length)
            }
            Some(other) => return Err(stray(other, offset)),
        };
        self.at = offset + length;
        Ok(Token { offset, kind })
    }
}

fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n')
}

/// Go drops carriage returns from raw strings, so a file with Windows line ends means the same.
fn raw<'a>(rest: &str, offset: usize) -> Result<(Kind<'a>, usize), RuleError> {
    let Some(end) = rest[1..].find('`') else {
        return Err(unterminated('`', offset));
    };
    let text = rest[1..=end].chars().filter(|c| *c != '\r').collect();
    Ok((Kind::Text(Zeroizing::new(text)), end + 2))
}

fn quoted<'a>(rest: &str, offset: usize) -> Result<(Kind<'a>, usize), RuleError> {
    let mut bytes = Zeroizing::new(Vec::new());
    let mut chars = rest[1..].chars();
    loop {
        let escape_offset = offset + rest.len() - chars.as_str().len();
        match chars.next() {
            None | Some('\n') => return Err(unterminated('"', offset)),
            Some('"') => break,
            Some('\\') => escape(&mut chars, &mut bytes).ok_or_else(|| bad_escape(escape_offset))?,
            Some(other) => bytes.extend_from_slice(other.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    let text = std::str::from_utf8(&bytes).map_err(|_| not_utf8(offset))?;
    Ok((
        Kind::Text(Zeroizing::new(text.to_owned())),
        rest.len() - chars.as_str().len(),
    ))
}

/// One escape of Go's, after its backslash. Unlike the others, `\x` and octal give a byte and not a character.
fn escape(chars: &mut Chars<'_>, bytes: &mut Vec<u8>) -> Option<()> {
    let simple = match chars.next()? {
        'a' => 0x07,
        'b' => 0x08,
        'f' => 0x0c,
        'n' => b'\n',
        'r' => b'\r',
        't' => b'\t',
        'v' => 0x0b,
        '\\' => b'\\',
        '"' => b'"',
        'x' => u8::try_from(digits(chars, 16, 2, 0)?).ok()?,
        'u' => return character(digits(chars, 16, 4, 0)?, bytes),
        'U' => return character(digits(chars, 16, 8, 0)?, bytes),
        octal => u8::try_from(digits(chars, 8, 2, octal.to_digit(8)?)?).ok()?,
    };
    bytes.push(simple);
    Some(())
}

fn digits(chars: &mut Chars<'_>, radix: u32, count: usize, first: u32) -> Option<u32> {
    (0..count).try_fold(first, |number, _| {
        let digit = chars.next()?.to_digit(radix)?;
        number.checked_mul(radix)?.checked_add(digit)
    })
}

fn character(code: u32, bytes: &mut Vec<u8>) -> Option<()> {
    bytes.extend_from_slice(char::from_u32(code)?.encode_utf8(&mut [0; 4]).as_bytes());
    Some(())
}

fn unterminated(quote: char, offset: usize) -> RuleError {
    RuleError {
        offset,
        value: format!("{quote}…"),
        rule: "A string ends with the quote it began with, on the same line if it is a double quote.".into(),
        fix: format!("Close the string with {quote}."),
    }
}

fn bad_escape(offset: usize) -> RuleError {
    RuleError {
        offset,
        value: "\\…".into(),
        rule: "A double-quoted string knows the escapes \\a \\b \\f \\n \\r \\t \\v \\\\ \\\" \\xHH \\OOO \\uHHHH \\UHHHHHHHH \
               and no other."
            .into(),
        fix: "Double the backslash, or put the string between backticks, where a backslash is a backslash.".into(),
    }
}

fn not_utf8(offset: usize) -> RuleError {
    RuleError {
        offset,
        value: "\"…\"".into(),
        rule: "A string's escapes must give UTF-8.".into(),
        fix: "Write the character itself, or its \\u escape.".into(),
    }
}

fn stray(character: char, offset: usize) -> RuleError {
    let (rule, fix) = match character {
        '\'' => (
            "Strings stand between backticks or double quotes.",
            "Replace the single quotes with backticks.",
        ),
        '&' => ("`and` is written with two ampersands.", "Write && instead of &."),
        '|' => ("`or` is written with two bars.", "Write || instead of |."),
        _ => (
            "A rule is made of matchers, &&, ||, ! and parentheses.",
            "Put arguments between backticks, and take out what is no matcher.",
        ),
    };
    // A letter or digit here may be the beginning of a key that somebody did not quote.
    let value = if character.is_ascii_punctuation() {
        character.to_string()
    } else {
        "…".into()
    };
    RuleError {
        offset,
        value,
        rule: rule.into(),
        fix: fix.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(source: &str) -> Option<String> {
        match Lexer::new(source).token().ok()?.kind {
            Kind::Text(text) => Some(text.to_string()),
            _ => None,
        }
    }

    #[test]
    fn strings_are_read_as_go_reads_them() {
        for (source, expected) in [
            ("`a\\.b`", Some("a\\.b")),
            ("`a\r\nb`", Some("a\nb")),
            (r#""a\\.b""#, Some("a\\.b")),
            (r#""\a\b\f\n\r\t\v\"""#, Some("\x07\x08\x0c\n\r\t\x0b\"")),
            (r#""\x41\101\u00e9\U0001F511""#, Some("AAé🔑")),
            (r#""\xc3\xa9""#, Some("é")),
            (r#""é'""#, Some("é'")),
            (r#""a\.b""#, None),
            (r#""\'""#, None),
            (r#""\x4""#, None),
            (r#""\400""#, None),
            (r#""\ud800""#, None),
            (r#""\xff""#, None),
            ("\"a\nb\"", None),
            ("\"a", None),
            ("`a", None),
            ("'a'", None),
        ] {
            assert_eq!(text(source).as_deref(), expected, "{source}");
        }
    }

    #[test]
    fn tokens_know_their_offsets() {
        let mut lexer = Lexer::new("\n !Key( `a`,) && ||");
        let mut tokens = Vec::new();
        loop {
            let token = lexer.token().expect("tokens only");
            if token.kind == Kind::End {
                break;
            }
            tokens.push((token.offset, token.kind));
        }
        let text = Kind::Text(Zeroizing::new("a".into()));
        let expected = [
            (2, Kind::Not),
            (3, Kind::Name("Key")),
            (6, Kind::Open),
            (8, text),
            (11, Kind::Comma),
            (12, Kind::Close),
            (14, Kind::And),
            (17, Kind::Or),
        ];
        assert_eq!(tokens, expected);
    }
}
