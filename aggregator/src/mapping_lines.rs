//! Lines of a mapping file for whoever mends it, without what may be a key. Pure, but for reading the file.
//!
//! A broken file cannot be understood, so nothing is masked by what it means: of each line only what is known to be harmless is
//! shown (names of fields, and the values of a few of them; a rule's matchers and operators), all else is `…`. Comments are
//! never shown: people leave keys in them.

use std::io::Read as _;
use std::path::Path;

const MASK: char = '…';
/// Lines before and after the one that is meant.
const AROUND: u32 = 2;
const LINE_CHARS_MAX: usize = 200;
/// More than this is not read for the sake of a few lines.
const FILE_BYTES_MAX: u64 = 4 << 20;

/// Fields whose values never hold a key.
const PLAIN: [&str; 34] = [
    "service",
    "entryPoints",
    "middlewares",
    "priority",
    "average",
    "burst",
    "period",
    "amount",
    "count",
    "notBefore",
    "notAfter",
    "strategy",
    "weight",
    "maxInFlight",
    "url",
    "mode",
    "loss",
    "allow",
    "name",
    "path",
    "interval",
    "timeout",
    "scheme",
    "port",
    "status",
    "attempts",
    "passHostHeader",
    "loadBalancer",
    "servers",
    "services",
    "routers",
    "http",
    "prefix",
    "prefixes",
];

/// What rules are made of.
const MATCHERS: [&str; 14] = [
    "Key",
    "KeySha256",
    "Model",
    "Header",
    "HeaderRegexp",
    "Host",
    "HostRegexp",
    "Method",
    "Path",
    "PathPrefix",
    "PathRegexp",
    "Query",
    "QueryRegexp",
    "ClientIP",
];

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) number: u32,
    pub(crate) text: String,
    /// The one that is meant.
    pub(crate) is_it: bool,
}

/// `None` where it cannot be read now.
pub(crate) fn text(path: &Path) -> Option<String> {
    let mut text = Vec::new();
    let file = std::fs::File::open(path)
        .ok()
        .filter(|file| file.metadata().is_ok_and(|meta| meta.is_file()))?;
    file.take(FILE_BYTES_MAX).read_to_end(&mut text).ok()?;
    Some(String::from_utf8_lossy(&text).into_owned())
}

/// The lines around this one, counted from 1; none where the problem is not on a line.
pub(crate) fn around(text: &str, number: u32) -> Vec<Line> {
    if number == 0 {
        return Vec::new();
    }
    let first = number.saturating_sub(AROUND).max(1);
    (1..)
        .zip(text.lines())
        .skip_while(|(at, _)| *at < first)
        .take_while(|(at, _)| *at <= number + AROUND)
        .map(|(at, line)| Line {
            number: at,
            text: shown(line).chars().take(LINE_CHARS_MAX).collect(),
            is_it: at == number,
        })
        .collect()
}

/// The line with everything masked that is not known to be harmless.
fn shown(line: &str) -> String {
    let body = line.trim_start();
    let indent = &line[..line.len() - body.len()];
    let (dash, body) = match body.strip_prefix("- ") {
        Some(rest) => ("- ", rest.trim_start()),
        None => ("", body),
    };
    let head = format!("{}{dash}", indent.replace('\t', "⇥"));
    if body.is_empty() {
        return head.trim_end().to_owned();
    }
    if body.starts_with('#') {
        return format!("{head}# {MASK}");
    }
    let Some((name, value)) = body.split_once(':').filter(|(name, _)| is_name(name)) else {
        return format!("{head}{MASK}");
    };
    let value = value.trim();
    let shown = match name.trim_matches(['"', '\'']) {
        _ if value.is_empty() => String::new(),
        "rule" => format!(" {}", unquoted(value)),
        field if PLAIN.contains(&field) && is_plain(value) => format!(" {value}"),
        _ => format!(" {MASK}"),
    };
    format!("{head}{name}:{shown}")
}

/// A field's name, or that of a router, a service or a middleware.
fn is_name(name: &str) -> bool {
    let name = name.trim_matches(['"', '\'']);
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.@".contains(&byte);
    !name.is_empty() && name.len() <= 64 && name.bytes().all(is_word)
}

/// One value without a comment or a credential in it.
fn is_plain(value: &str) -> bool {
    !value.contains(['#', '@', '{', '`']) && value.len() <= 120
}

/// A rule within the quotes that it is written in.
fn unquoted(value: &str) -> String {
    for quote in ['"', '\''] {
        if let Some(inner) = value.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote)) {
            return format!("{quote}{}{quote}", rule(inner));
        }
    }
    rule(value)
}

/// A rule with whatever its matchers compare masked.
fn rule(value: &str) -> String {
    let mut out = String::new();
    let mut word = String::new();
    let push = |out: &mut String, part: &str| {
        // One mark for what follows each other unseen.
        if part != "…" || !out.ends_with(MASK) {
            out.push_str(part);
        }
    };
    let mut depth_hidden = false;
    for char in value.chars() {
        if char.is_ascii_alphanumeric() {
            word.push(char);
            continue;
        }
        if !word.is_empty() {
            let known = MATCHERS.contains(&word.as_str()) && char == '(' && !depth_hidden;
            push(&mut out, if known { &word } else { "…" });
            word.clear();
        }
        match char {
            '`' => {
                depth_hidden = !depth_hidden;
                push(&mut out, "…");
            }
            '(' | ')' | '&' | '|' | '!' | ' ' | ',' if !depth_hidden => push(&mut out, &char.to_string()),
            _ => push(&mut out, "…"),
        }
    }
    if !word.is_empty() {
        push(&mut out, "…");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_show_their_structure_and_nothing_that_may_be_a_key() {
        for (line, expected) in [
            ("http:", "http:"),
            ("    alice: # sk-canary", "    alice: …"),
            ("      service: gpu-1", "      service: gpu-1"),
            ("      service: gpu # sk-canary", "      service: …"),
            (
                "      rule: \"Key(`sk-canary`) && Model(`tiny`)\"",
                "      rule: \"Key(…) && Model(…)\"",
            ),
            ("      rule: Key(sk-canary)", "      rule: Key(…)"),
            (
                "      rule: HeaderRegexp(`Authorization`, `^Bearer sk-canary$`) || (Path(`/v1`))",
                "      rule: HeaderRegexp(…, …) || (Path(…))",
            ),
            ("      rule: Key(`sk-canary", "      rule: Key(…"),
            ("      rule: sk-canary", "      rule: …"),
            ("      ruel: Key(`sk-canary`)", "      ruel: …"),
            (
                "        - url: \"http://127.0.0.1:8011\"",
                "        - url: \"http://127.0.0.1:8011\"",
            ),
            ("        - url: \"http://user:canary@host\"", "        - url: …"),
            ("        Authorization: Bearer canary", "        Authorization: …"),
            ("sk-canary", "…"),
            ("# sk-canary", "# …"),
            ("\tservice: x", "⇥service: x"),
            ("", ""),
        ] {
            assert_eq!(shown(line), expected, "{line}");
        }
    }

    #[test]
    fn the_line_that_is_meant_stands_among_its_neighbours() {
        let text = "http:\n  routers:\n    a:\n      priority: x\n      service: s\n";
        let lines = around(text, 4);
        assert_eq!(lines.iter().map(|line| line.number).collect::<Vec<_>>(), [2, 3, 4, 5]);
        assert_eq!(
            lines.iter().find(|line| line.is_it).map(|line| &*line.text),
            Some("      priority: x")
        );
        assert!(around(text, 0).is_empty() && around(text, 99).is_empty());
    }
}
