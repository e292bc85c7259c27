//! The matchers' names: four spellings each, and the nearest one for a word that is none.

use super::matcher::Refusal;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Name {
    Header,
    HeaderRegexp,
    Host,
    HostRegexp,
    Method,
    Path,
    PathPrefix,
    PathRegexp,
    Query,
    QueryRegexp,
    ClientIp,
    Key,
    KeySha256,
    Model,
}

impl Name {
    const ALL: [(&'static str, Self); 14] = [
        ("Header", Self::Header),
        ("HeaderRegexp", Self::HeaderRegexp),
        ("Host", Self::Host),
        ("HostRegexp", Self::HostRegexp),
        ("Method", Self::Method),
        ("Path", Self::Path),
        ("PathPrefix", Self::PathPrefix),
        ("PathRegexp", Self::PathRegexp),
        ("Query", Self::Query),
        ("QueryRegexp", Self::QueryRegexp),
        ("ClientIP", Self::ClientIp),
        ("Key", Self::Key),
        ("KeySha256", Self::KeySha256),
        ("Model", Self::Model),
    ];

    /// A matcher's four spellings: canonical, lower, UPPER and Title-lower.
    pub(super) fn parse(word: &str) -> Result<Self, Refusal> {
        let known = Self::ALL.iter().find(|(canonical, _)| {
            let title_lower = || format!("{}{}", &canonical[..1], canonical[1..].to_ascii_lowercase());
            word.eq_ignore_ascii_case(canonical)
                && (word == *canonical
                    || word == canonical.to_ascii_lowercase()
                    || word == canonical.to_ascii_uppercase()
                    || word == title_lower())
        });
        known.map(|(_, name)| *name).ok_or_else(|| unknown(word))
    }

    /// What an argument may be a key for.
    pub(super) fn is_secret(self) -> bool {
        matches!(self, Self::Header | Self::HeaderRegexp | Self::Key | Self::KeySha256)
    }

    pub(super) fn argument_counts(self) -> &'static [usize] {
        match self {
            Self::Header | Self::HeaderRegexp => &[2],
            Self::Query | Self::QueryRegexp => &[1, 2],
            _ => &[1],
        }
    }

    pub(super) fn usage(self) -> &'static str {
        match self {
            Self::Header => "Header(`name`, `value`)",
            Self::HeaderRegexp => "HeaderRegexp(`name`, `regular expression`)",
            Self::Host => "Host(`example.com`)",
            Self::HostRegexp => "HostRegexp(`regular expression`)",
            Self::Method => "Method(`POST`)",
            Self::Path => "Path(`/v1/models`)",
            Self::PathPrefix => "PathPrefix(`/v1`)",
            Self::PathRegexp => "PathRegexp(`regular expression`)",
            Self::Query => "Query(`name`, `value`) or Query(`name`)",
            Self::QueryRegexp => "QueryRegexp(`name`, `regular expression`)",
            Self::ClientIp => "ClientIP(`192.0.2.0/24`)",
            Self::Key => "Key(`the key`)",
            Self::KeySha256 => "KeySha256(`64 hexadecimal digits`)",
            Self::Model => "Model(`name`)",
        }
    }
}

fn unknown(word: &str) -> Refusal {
    let near = Name::ALL
        .iter()
        .map(|(canonical, _)| (distance(word, canonical), *canonical))
        .min();
    let fix = match near {
        // The same letters are the same name; otherwise a third of it may be mistyped.
        Some((edits, canonical)) if edits <= 1 + canonical.len() / 4 => format!("Write {canonical}."),
        _ => format!("Use one of {}.", Name::ALL.map(|(canonical, _)| canonical).join(", ")),
    };
    Refusal::unknown_name(fix)
}

/// Levenshtein's distance without regard to case: insertions, deletions and replacements between two words.
fn distance(left: &str, right: &str) -> usize {
    /// Longer words resemble no matcher; the table below stays small.
    const CHARACTERS_MAX: usize = 32;
    let left: Vec<char> = left.to_lowercase().chars().take(CHARACTERS_MAX).collect();
    let mut row: Vec<usize> = (0..=left.len()).collect();
    for (done, wanted) in right.to_lowercase().chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = done + 1;
        for (at, found) in left.iter().enumerate() {
            let replaced = diagonal + usize::from(*found != wanted);
            diagonal = row[at + 1];
            row[at + 1] = replaced.min(diagonal + 1).min(row[at] + 1);
        }
    }
    row[left.len()]
}
