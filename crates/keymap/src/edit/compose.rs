//! The text of the files that are written whole: a new key's, and the old key's while a rotation lasts.

use std::fmt::Write as _;

use zeroize::Zeroizing;

use super::{NewKey, NewService};
use crate::key::KeyHash;
use crate::mapping::{Router, ServerUrl};
use crate::rule::Site;

/// What a file of ours begins with. A file that does not is a person's own, and is never removed.
const NEW: &str = "# Written by `conclave key new`";
const ROTATE: &str = "# Written by `conclave key rotate`";

pub(super) fn is_ours(text: &str) -> bool {
    text.starts_with(NEW) || text.starts_with(ROTATE)
}

pub(super) fn is_of_a_rotation(text: &str) -> bool {
    text.starts_with(ROTATE)
}

/// A middleware's name after its router's, and its lines.
type Limit = (&'static str, String);

pub(super) fn new_key(new: &NewKey<'_>) -> Zeroizing<String> {
    let (name, limits) = (new.name, limits(new));
    let mut text = Zeroizing::new(String::with_capacity(4096));
    let _ = writeln!(text, "{NEW}; `conclave key rotate` and `revoke` know it by its name.");
    for line in new.note.unwrap_or_default().lines() {
        let _ = writeln!(text, "# {line}");
    }
    let rule = if new.plain {
        plain_rule(new)
    } else {
        Zeroizing::new(Site::hashed(new.key.hash()))
    };
    let _ = write!(text, "http:\n  routers:\n    {}:\n      rule: \"", scalar(name));
    text.push_str(&rule);
    text.push_str("\"\n");
    let service = match new.service {
        NewService::Named(service) => service,
        NewService::At(_) => name,
    };
    let _ = writeln!(text, "      service: {}", scalar(service));
    let names: Vec<String> = limits.iter().map(|(suffix, _)| format!("{name}-{suffix}")).collect();
    push_middlewares(&mut text, names.iter().map(String::as_str));
    if !limits.is_empty() {
        text.push_str("\n  middlewares:\n");
        for (full, (_, lines)) in names.iter().zip(&limits) {
            let _ = write!(text, "    {}:\n{lines}", scalar(full));
        }
    }
    if let NewService::At(url) = &new.service {
        push_service(&mut text, name, url);
    }
    text
}

pub(super) fn middleware_names(new: &NewKey<'_>) -> Vec<String> {
    limits(new)
        .iter()
        .map(|(suffix, _)| format!("{}-{suffix}", new.name))
        .collect()
}

fn plain_rule(new: &NewKey<'_>) -> Zeroizing<String> {
    Zeroizing::new(format!("Key(`{}`)", new.key.expose()))
}

fn limits(new: &NewKey<'_>) -> Vec<Limit> {
    let mut limits = Vec::new();
    if let Some(not_after) = new.not_after {
        limits.push((
            "validity",
            format!("      validity:\n        notAfter: {}\n", quoted(not_after)),
        ));
    }
    if !new.models.is_empty() {
        let mut lines = "      models:\n        allow:\n".to_owned();
        for model in new.models {
            let _ = writeln!(lines, "          - {}", quoted(model));
        }
        limits.push(("models", lines));
    }
    if let Some(average) = new.requests_per_minute {
        // Ten seconds' worth may come at once: an agent that starts with three calls is no abuse.
        let burst = average.div_ceil(6);
        let lines =
            format!("      rateLimit:\n        average: {average}\n        period: 1m\n        burst: {burst}\n");
        limits.push(("rate", lines));
    }
    if let Some(amount) = new.concurrent {
        limits.push(("concurrent", format!("      inFlightReq:\n        amount: {amount}\n")));
    }
    if let Some(amount) = new.tokens_per_day {
        let lines = format!("      tokenLimit:\n        amount: {amount}\n        period: 24h\n        count: total\n");
        limits.push(("tokens", lines));
    }
    limits
}

fn push_service(text: &mut String, name: &str, url: &str) {
    let _ = write!(
        text,
        "\n  services:\n    {}:\n      loadBalancer:\n        servers:\n          - url: {}\n",
        scalar(name),
        quoted(url)
    );
    // Without it a path in the URL has no effect.
    if ServerUrl::parse(url).is_ok_and(|url| !url.path.is_empty()) {
        text.push_str("            preservePath: true\n");
    }
}

/// What a rotation leaves of the old key: a router that does what the key's router does, for a while.
pub(super) struct OldKey<'a> {
    pub(super) name: &'a str,
    pub(super) router: &'a Router,
    /// Its rule, hashed.
    pub(super) rule: &'a str,
    pub(super) until: &'a str,
}

pub(super) fn old_key(old: &OldKey<'_>) -> Zeroizing<String> {
    let (name, router) = (old.name, old.router);
    let validity = format!("{name}-validity");
    let mut text = Zeroizing::new(String::with_capacity(2048));
    let _ = writeln!(text, "{ROTATE}: the key that {} had before.", scalar(&router.name));
    let _ = writeln!(
        text,
        "# It works until {}; after that this file may be deleted.",
        old.until
    );
    let _ = writeln!(text, "http:\n  routers:\n    {}:", scalar(name));
    let _ = writeln!(text, "      rule: {}", quoted(old.rule));
    // The rule may have become longer by its hash, which would move the router.
    let _ = writeln!(text, "      priority: {}", router.priority);
    let _ = writeln!(text, "      service: {}", quoted(&router.service));
    if let Some(entry_points) = &router.entry_points {
        push_list(&mut text, "entryPoints", entry_points.iter().map(|name| &**name));
    }
    let first = std::iter::once(validity.as_str());
    push_middlewares(&mut text, first.chain(router.middlewares.iter().map(|name| &**name)));
    let _ = write!(
        text,
        "\n  middlewares:\n    {}:\n      validity:\n        notAfter: {}\n",
        scalar(&validity),
        quoted(old.until)
    );
    text
}

fn push_middlewares<'n>(text: &mut String, names: impl Iterator<Item = &'n str>) {
    push_list(text, "middlewares", names);
}

fn push_list<'n>(text: &mut String, field: &str, names: impl Iterator<Item = &'n str>) {
    let mut names = names.peekable();
    if names.peek().is_some() {
        let _ = writeln!(text, "      {field}:");
    }
    for name in names {
        let _ = writeln!(text, "        - {}", scalar(name));
    }
}

/// As it stands where every YAML parser reads it as this text, else in quotes.
fn scalar(text: &str) -> String {
    const WORDS: [&str; 9] = ["y", "n", "yes", "no", "on", "off", "true", "false", "null"];
    let plain = text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.@".contains(&byte))
        && !WORDS.iter().any(|word| text.eq_ignore_ascii_case(word));
    if plain { text.to_owned() } else { quoted(text) }
}

/// In double quotes, with YAML's escapes.
fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() || matches!(c, '\u{85}' | '\u{2028}' | '\u{2029}' | '\u{feff}') => {
                let _ = write!(quoted, "\\U{:08x}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// The key by which an old rule would be known to hold what the router itself still holds.
pub(super) fn is_for(old: &Router, key: KeyHash) -> bool {
    old.rule.pins().is_some_and(|keys| keys == [key])
}
