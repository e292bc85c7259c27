//! A step as a diff that shows no key.

use std::fmt::Write as _;
use std::ops::Range;
use std::path::Path;

use document::{Form, Piece, outline};

use super::plan::Step;

const MASK: &str = "…";

pub(super) fn step(step: &Step) -> String {
    match step {
        Step::Create { path, text } => lines(path, "", text),
        Step::Replace { path, before, after } => lines(path, before, after),
        Step::Remove { path, before } => lines(path, before, ""),
    }
}

/// One hunk without context: our edits are one place each.
fn lines(path: &Path, before: &str, after: &str) -> String {
    let (before, after) = (masked(before), masked(after));
    let (old, new): (Vec<_>, Vec<_>) = (before.lines().collect(), after.lines().collect());
    let head = old.iter().zip(&new).take_while(|(old, new)| old == new).count();
    let pairs = old[head..].iter().rev().zip(new[head..].iter().rev());
    let tail = pairs.take_while(|(old, new)| old == new).count();
    let (old, new) = (&old[head..old.len() - tail], &new[head..new.len() - tail]);
    let side = |text: &str, sign: &str| {
        if text.is_empty() {
            "/dev/null".to_owned()
        } else {
            format!("{sign}/{}", path.file_name().unwrap_or_default().display())
        }
    };
    let mut out = format!("--- {}\n+++ {}\n", side(&before, "a"), side(&after, "b"));
    let start = |lines: &[&str]| if lines.is_empty() { head } else { head + 1 };
    let _ = writeln!(out, "@@ -{},{} +{},{} @@", start(old), old.len(), start(new), new.len());
    for (sign, lines) in [('-', old), ('+', new)] {
        for line in lines {
            let _ = writeln!(out, "{sign}{line}");
        }
    }
    out
}

/// The text with its rules' and comments' content replaced, line for line. One that is no YAML is masked whole.
fn masked(text: &str) -> String {
    let Ok(root) = outline(text) else {
        return text.lines().map(|_| "…\n").collect();
    };
    let (mut scalars, mut rules) = (Vec::new(), Vec::new());
    if let Some(root) = &root {
        collect(root, false, &mut scalars, &mut rules);
    }
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    let mut secrets = rules;
    secrets.extend(comments(text, &scalars));
    secrets.sort_by_key(|range| range.start);
    for secret in secrets.iter().filter(|range| !range.is_empty()) {
        if secret.start < at {
            continue;
        }
        out.push_str(&text[at..secret.start]);
        mask_lines(&text[secret.clone()], &mut out);
        at = secret.end;
    }
    out.push_str(&text[at..]);
    out
}

fn mask_lines(secret: &str, out: &mut String) {
    for line in secret.split_inclusive('\n') {
        let body = line.trim();
        let indent = if body.is_empty() {
            line.len()
        } else {
            line.len() - line.trim_start().len()
        };
        out.push_str(&line[..indent]);
        if !body.is_empty() {
            out.push_str(MASK);
            out.push_str(&line[indent + body.len()..]);
        }
    }
}

fn collect(piece: &Piece<'_>, rule: bool, scalars: &mut Vec<Range<usize>>, rules: &mut Vec<Range<usize>>) {
    match &piece.form {
        Form::Scalar(..) => {
            scalars.push(piece.range.clone());
            if rule {
                rules.push(piece.range.clone());
            }
        }
        Form::Alias => {}
        Form::List(items) => items.iter().for_each(|item| collect(item, rule, scalars, rules)),
        Form::Map { entries, .. } => {
            for (key, value) in entries {
                collect(key, false, scalars, rules);
                let is_rule = matches!(&key.form, Form::Scalar(_, name) if name.eq_ignore_ascii_case("rule"));
                collect(value, rule || is_rule, scalars, rules);
            }
        }
    }
}

/// What follows a `#` that stands outside of every scalar.
fn comments(text: &str, scalars: &[Range<usize>]) -> Vec<Range<usize>> {
    let mut scalars: Vec<_> = scalars.to_vec();
    scalars.sort_by_key(|range| range.start);
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(hash) = text[at..].find('#').map(|offset| at + offset) {
        let before = scalars.partition_point(|range| range.start <= hash);
        if let Some(inside) = before
            .checked_sub(1)
            .map(|index| &scalars[index])
            .filter(|range| range.end > hash)
        {
            at = inside.end;
            continue;
        }
        let end = text[hash..].find('\n').map_or(text.len(), |newline| hash + newline);
        found.push(hash + 1..end);
        at = end;
    }
    found
}
