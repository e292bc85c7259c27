//! A condition's text as tokens, each with its byte offset. Errors show no more than one sign of what stands there.

use super::Comparison;
use crate::rule::RuleError;

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Kind<'a> {
    Name(&'a str),
    Number(f64),
    Compare(Comparison),
    And,
    Or,
    Not,
    Open,
    Close,
    Comma,
    End,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Token<'a> {
    pub(super) offset: usize,
    pub(super) kind: Kind<'a>,
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
        let rest = self.text[self.at..].trim_start();
        let offset = self.text.len() - rest.len();
        let (kind, length) = match rest.as_bytes() {
            [] => (Kind::End, 0),
            [b'(', ..] => (Kind::Open, 1),
            [b')', ..] => (Kind::Close, 1),
            [b',', ..] => (Kind::Comma, 1),
            [b'&', b'&', ..] => (Kind::And, 2),
            [b'|', b'|', ..] => (Kind::Or, 2),
            [b'=', b'=', ..] => (Kind::Compare(Comparison::Equal), 2),
            [b'!', b'=', ..] => (Kind::Compare(Comparison::NotEqual), 2),
            [b'<', b'=', ..] => (Kind::Compare(Comparison::LessOrEqual), 2),
            [b'>', b'=', ..] => (Kind::Compare(Comparison::GreaterOrEqual), 2),
            [b'<', ..] => (Kind::Compare(Comparison::Less), 1),
            [b'>', ..] => (Kind::Compare(Comparison::Greater), 1),
            [b'!', ..] => (Kind::Not, 1),
            [first, ..] if first.is_ascii_alphabetic() => {
                let name = leading(rest, |byte| byte.is_ascii_alphanumeric() || byte == b'_');
                (Kind::Name(name), name.len())
            }
            [first, ..] if first.is_ascii_digit() => {
                let digits = leading(rest, |byte| byte.is_ascii_digit() || byte == b'.');
                let number = digits.parse().ok().filter(|number: &f64| number.is_finite());
                (Kind::Number(number.ok_or_else(|| bad_number(offset))?), digits.len())
            }
            _ => return Err(stray(rest, offset)),
        };
        self.at = offset + length;
        Ok(Token { offset, kind })
    }
}

fn leading(text: &str, wanted: impl Fn(u8) -> bool) -> &str {
    let length = text.bytes().take_while(|byte| wanted(*byte)).count();
    &text[..length]
}

fn bad_number(offset: usize) -> RuleError {
    RuleError {
        offset,
        value: String::new(),
        rule: "A number is digits with at most one dot in them.".into(),
        fix: "Write for example 0.25 or 100.".into(),
    }
}

fn stray(rest: &str, offset: usize) -> RuleError {
    let fix = match rest.as_bytes() {
        [b'&', ..] => "Write && instead of &.",
        [b'|', ..] => "Write || instead of |.",
        [b'=', ..] => "Write == instead of =.",
        _ => "Take it out.",
    };
    let shown = rest.chars().next().filter(char::is_ascii_punctuation);
    RuleError {
        offset,
        value: shown.map_or_else(|| "…".to_owned(), String::from),
        rule: "An expression is made of functions, numbers, comparisons, &&, ||, ! and parentheses.".into(),
        fix: fix.into(),
    }
}
