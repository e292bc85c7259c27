//! A mapping file's text without one of its routers; every other byte stays, comments around it included.
//!
//! ```text
//!   routers:
//!     # Alice is on holiday.       stays
//!     alice:  # since May          goes
//!       rule: Key(`…`)             goes
//!     # and Bob                    stays
//!     bob: …                       stays
//! ```

use std::ops::Range;

use document::{Form, Piece, Spelling};
use zeroize::Zeroizing;

use super::page::{Page, Place};

/// `None` where the text is spelled in a way that we would not dare to cut.
pub(super) fn without_router(text: &str, router: &str) -> Option<Zeroizing<String>> {
    let page = Page::read(text)?;
    let place = page.router(router)?;
    let cut = if place.flow {
        in_braces(text, &place)?
    } else {
        in_lines(text, &place)?
    };
    let mut kept = Zeroizing::new(String::with_capacity(text.len() + EMPTY.len()));
    if place.entries.len() == 1 && !place.flow {
        // A name with nothing behind it reads like something forgotten.
        let at = behind_name(text, &place);
        kept.push_str(&text[..at]);
        kept.push_str(EMPTY);
        kept.push_str(&text[at..cut.start]);
    } else {
        kept.push_str(&text[..cut.start]);
    }
    kept.push_str(&text[cut.end..]);
    Some(kept)
}

const EMPTY: &str = " {}";

/// Whole lines: from the name's to the last one with something of the router in it.
fn in_lines(text: &str, place: &Place<'_, '_>) -> Option<Range<usize>> {
    let name = &place.name().range;
    let start = line_start(text, name.start);
    if !is_blank(&text[start..name.start]) {
        return None;
    }
    let indent = name.start - start;
    let end = content_end(text, indent, place.body()).max(name.end);
    let after = line_end(text, end);
    // Behind a name without a value its colon follows.
    let rest = text[end..after].trim_start();
    let rest = rest
        .strip_prefix(':')
        .filter(|_| end == name.end)
        .unwrap_or(rest)
        .trim_start();
    (rest.is_empty() || rest.starts_with('#')).then_some(start..after)
}

/// Where the last of a value stands. A block scalar has no mark at its end, only lines that are indented less.
fn content_end(text: &str, indent: usize, value: &Piece<'_>) -> usize {
    let last = last_leaf(value);
    if !matches!(last.form, Form::Scalar(Spelling::Block, _)) {
        return value.range.end;
    }
    let start = last.range.start;
    let header = text[start..].starts_with(['|', '>']);
    let first = if header {
        line_end(text, start)
    } else {
        line_start(text, start)
    };
    // Its header may say how far it is indented; otherwise its first line does.
    let told = header
        && text[start..first]
            .split('#')
            .next()
            .is_some_and(|header| header.contains(|c: char| c.is_ascii_digit()));
    let floor = if told {
        indent + 1
    } else {
        lines(text, first).find_map(|line| indent_of(&text[line])).unwrap_or(0)
    };
    let within =
        lines(text, first).take_while(|line| indent_of(&text[line.clone()]).is_none_or(|indent| indent >= floor));
    let end = within
        .filter(|line| indent_of(&text[line.clone()]).is_some())
        .last()
        .map_or(first, |line| line.end);
    text[..end].trim_end_matches(['\r', '\n']).len()
}

/// The lines from here on, each with its newline.
fn lines(text: &str, from: usize) -> impl Iterator<Item = Range<usize>> {
    let next = move |start: usize| (start < text.len()).then(|| start..line_end(text, start));
    std::iter::successors(next(from), move |line| next(line.end))
}

/// In spaces; `None` for a blank line.
fn indent_of(line: &str) -> Option<usize> {
    (!is_blank(line)).then(|| line.len() - line.trim_start_matches(' ').len())
}

fn last_leaf<'p, 't>(piece: &'p Piece<'t>) -> &'p Piece<'t> {
    let last = match &piece.form {
        Form::Map { flow: false, entries } => entries.last().map(|(_, value)| value),
        Form::List(items) => items.last(),
        _ => None,
    };
    last.map_or(piece, last_leaf)
}

/// In braces a comma goes with the entry: the one behind it, or before it where it is the last.
fn in_braces(text: &str, place: &Place<'_, '_>) -> Option<Range<usize>> {
    let name = place.name().range.start;
    let end = place.body().range.end.max(place.name().range.end);
    let end = end + colon(&text[end..]);
    if place.entries.len() == 1 {
        let close = place.map.range.end.checked_sub(1)?;
        let only_this = is_separator(text.get(place.map.range.start + 1..name)?) && is_separator(text.get(end..close)?);
        return Some(if only_this {
            place.map.range.start + 1..close
        } else {
            name..past_comma(text, end)
        });
    }
    let before = place.index.checked_sub(1).map(|index| &place.entries[index]);
    match before {
        Some((_, value)) if place.index + 1 == place.entries.len() => {
            let joint = text.get(value.range.end..name)?;
            Some(if is_separator(joint) {
                value.range.end..end
            } else {
                name..past_comma(text, end)
            })
        }
        _ => {
            let end = past_comma(text, end);
            let next = place.entries.get(place.index + 1)?.0.range.start;
            Some(if is_blank(text.get(end..next)?) {
                name..next
            } else {
                name..end
            })
        }
    }
}

/// The colon of an entry without a value, which no range holds.
fn colon(rest: &str) -> usize {
    let blanks = rest.len() - rest.trim_start().len();
    if rest[blanks..].starts_with(':') { blanks + 1 } else { 0 }
}

fn past_comma(text: &str, end: usize) -> usize {
    let rest = &text[end..];
    let blanks = rest.len() - rest.trim_start().len();
    if rest[blanks..].starts_with(',') {
        end + blanks + 1
    } else {
        end
    }
}

/// Behind `routers:` and an anchor that may follow, before a comment.
fn behind_name(text: &str, place: &Place<'_, '_>) -> usize {
    let start = place.section.range.end;
    let line = &text[start..line_end(text, start).min(place.map.range.start)];
    let comment = line.find(" #").or_else(|| line.find("\t#")).unwrap_or(line.len());
    start + line[..comment].trim_end().len()
}

fn is_blank(text: &str) -> bool {
    text.trim().is_empty()
}

fn is_separator(text: &str) -> bool {
    text.chars().all(|c| c.is_whitespace() || c == ',')
}

fn line_start(text: &str, at: usize) -> usize {
    text[..at].rfind('\n').map_or(0, |newline| newline + 1)
}

/// Behind the line's newline.
fn line_end(text: &str, at: usize) -> usize {
    text[at..].find('\n').map_or(text.len(), |newline| at + newline + 1)
}
