//! What pages are put together from: badges, figures, tables, notices, emptiness.

use maud::{Markup, html};

use super::format;

/// How something is. Colour is never all that tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tone {
    Good,
    Warn,
    Bad,
    Quiet,
}

impl Tone {
    fn class(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Warn => "warn",
            Self::Bad => "bad",
            Self::Quiet => "quiet",
        }
    }
}

pub(super) fn badge(tone: Tone, text: &str) -> Markup {
    html! { span class={ "badge " (tone.class()) } { (text) } }
}

/// In place of a value that is not there.
pub(super) fn none() -> Markup {
    html! { span.quiet.none { (format::NONE) } }
}

/// One number that matters, and what it is.
pub(super) fn figure(label: &str, value: &str, note: &str) -> Markup {
    html! {
        div.figure {
            dt { (label) }
            dd { span.value { (value) } @if !note.is_empty() { span.note { (note) } } }
        }
    }
}

pub(super) fn notice(tone: Tone, content: Markup) -> Markup {
    html! { div class={ "notice " (tone.class()) } { (content) } }
}

/// Where there is nothing, and what would bring something.
pub(super) fn empty(title: &str, content: Markup) -> Markup {
    html! { div.empty { h2 { (title) } div { (content) } } }
}

/// A table that becomes a list of cards where there is no room for columns. `heads` are repeated in front of each cell there.
pub(super) fn table(label: &str, heads: &[&str], rows: &[Vec<Markup>]) -> Markup {
    html! {
        div.scroll role="region" aria-label=(label) tabindex="0" {
            table.cards {
                caption.sr { (label) }
                thead { tr { @for head in heads { th scope="col" { (head) } } } }
                tbody { @for row in rows { tr {
                    @for (index, cell) in row.iter().enumerate() {
                        @if index == 0 { th scope="row" { (cell) } }
                        @else { td data-label=(heads.get(index).unwrap_or(&"")) { (cell) } }
                    }
                } } }
            }
        }
    }
}

/// How much of something is used, as a bar and in words.
pub(super) fn meter(label: &str, used: u64, of: u64) -> Markup {
    let share = used.saturating_mul(100).checked_div(of).unwrap_or(100).min(100);
    let tone = match share {
        0..75 => Tone::Good,
        75..100 => Tone::Warn,
        _ => Tone::Bad,
    };
    html! {
        span.meter {
            svg class={ "bar " (tone.class()) } viewBox="0 0 100 6" preserveAspectRatio="none" role="img"
                aria-label={ (label) ": " (format::whole(used)) " of " (format::whole(of)) } {
                rect.track width="100" height="6" {}
                rect.used width=(share) height="6" {}
            }
            span.of { (format::short(used as f64)) " of " (format::short(of as f64)) }
        }
    }
}

/// A choice among links, of which one is where we are.
pub(super) fn choice<'c>(label: &str, choices: impl Iterator<Item = (&'c str, String, bool)>) -> Markup {
    html! {
        nav.choice aria-label=(label) {
            @for (name, link, is_it) in choices {
                a href=(link) aria-current=[is_it.then_some("true")] { (name) }
            }
        }
    }
}

/// The way to the next page of a list, where there is one.
pub(super) fn more(link: Option<String>, words: &str) -> Markup {
    html! {
        @if let Some(link) = link {
            nav.more aria-label="Pages" { a.button href=(link) { (words) } }
        }
    }
}

/// A sentence of ours, in which what stands between backticks is code.
pub(super) fn coded(text: &str) -> Markup {
    html! {
        @for (index, part) in text.split('`').enumerate() {
            @if index % 2 == 1 { code { (part) } } @else { (part) }
        }
    }
}

/// Percent-encoded, for a query.
pub(super) fn encoded(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(char::from(byte)),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_encoded_whatever_is_in_them() {
        assert_eq!(encoded("a b&c=ä/1"), "a%20b%26c%3D%C3%A4%2F1");
    }

    #[test]
    fn a_meter_tells_in_words_what_it_draws() {
        let meter = meter("Tokens today", 1_500, 1_000).into_string();
        assert!(
            meter.contains("width=\"100\"") && meter.contains("bad") && meter.contains("1,500 of 1,000"),
            "{meter}"
        );
    }
}
