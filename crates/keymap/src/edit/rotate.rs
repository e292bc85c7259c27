//! `conclave key rotate`: a new key in a router's rule, and the old one in a router beside it until its time is over.
//!
//! ```text
//!  1. NAME.old.yml   router NAME.old: the old key, what NAME does, and `validity: notAfter`
//!  2. NAME's file    the rule's matchers of the old key become the new key's; nothing else
//! ```
//!
//! In this order: between the two steps the old key has two routers, never none. The edge itself ends the old key, so
//! nothing has to run when the grace is over. A file of its own, because copying a router inside a person's file would
//! mean writing into it what they would have to read.

use std::collections::BTreeSet;

use document::{Node, Position, Value};

use super::create::listed;
use super::error::EditError;
use super::plan::{Plan, Step};
use super::rekey::{Exchange, with_key};
use super::sheet::{Sheet, Sheets};
use super::verify::{Change, only};
use super::{OLD_SUFFIX, compose, rekey};
use crate::check::check;
use crate::key::{ApiKey, KeyHash};
use crate::mapping::Router;

/// A key that takes the place of a router's own.
pub struct Rotation<'a> {
    pub name: &'a str,
    pub key: &'a ApiKey,
    /// Whether the new key is written in the clear, in the matcher that the old one had.
    pub plain: bool,
    /// Until when the old key works, and now: both as in `2026-11-22T12:00:00Z`, in which earlier is less.
    pub until: &'a str,
    pub now: &'a str,
}

pub(super) fn plan(sheets: &Sheets, rotation: &Rotation<'_>) -> Result<Plan, EditError> {
    let (sheet, router) = the_router(sheets, rotation.name)?;
    let old = the_key(sheet, router)?;
    let old_name = format!("{}{OLD_SUFFIX}", rotation.name);
    has_no_other_router(sheets, router, &old_name, old)?;
    let beside = beside(sheets, sheet, router, &old_name, old, rotation)?;
    let exchange = Exchange {
        from: old,
        to: rotation.key,
        plain: rotation.plain,
    };
    let rekeyed = with_key(&sheet.text, rotation.name, &exchange).ok_or_else(|| not_editable(sheet, router))?;
    if !only(&sheet.text, &rekeyed.text, rotation.name, &Change::Rule(&rekeyed.rule))
        || check(&sheet.path, &rekeyed.text).0.is_none()
    {
        return Err(not_editable(sheet, router));
    }
    let replaced = Step::Replace {
        path: sheet.path.clone(),
        before: sheet.text.clone(),
        after: rekeyed.text,
    };
    Ok(Plan {
        steps: vec![beside, replaced],
    })
}

/// The router of this name, of which there must be one in a file that checks.
fn the_router<'s>(sheets: &'s Sheets, name: &str) -> Result<(&'s Sheet, &'s Router), EditError> {
    if let Some(stem) = name
        .strip_suffix(OLD_SUFFIX)
        .filter(|stem| !sheets.routers_named(stem).is_empty())
    {
        let fix = format!("Rotate `{stem}`, or revoke `{name}`.");
        return Err(EditError::new("This is a key in rotation already.", name, fix));
    }
    match sheets.routers_named(name).as_slice() {
        [(sheet, router)] => Ok((sheet, router)),
        [] => Err(super::revoke::missing(sheets, name)),
        [(_, router), (second, again), ..] => {
            let rule = format!(
                "Two files have a router of this name; the first, with line {}, is served.",
                router.position.line
            );
            Err(EditError::new(rule, name, "Rename or remove one of them.").at(&second.path, again.position))
        }
    }
}

/// The one key that the router's rule pins.
fn the_key(sheet: &Sheet, router: &Router) -> Result<KeyHash, EditError> {
    let (rule, fix) = match router.rule.pins().as_deref() {
        Some([key]) => return Ok(*key),
        Some([]) => (
            "This router asks for no key.",
            "Name a router with a key: `conclave key list` shows them.",
        ),
        Some(_) => (
            "This router's rule names several keys, and nobody can say which is meant.",
            "Give each key a router of its own.",
        ),
        None => (
            "This router's rule does not name its key exactly: a pattern may open it to many.",
            "Write ^ and $ around the pattern, or use Key or KeySha256.",
        ),
    };
    Err(EditError::new(rule, &*router.name, fix).at(&sheet.path, router.position))
}

/// A key that other routers name too would still be the old one there.
fn has_no_other_router(sheets: &Sheets, router: &Router, old_name: &str, key: KeyHash) -> Result<(), EditError> {
    if let Some(sheet) = sheets.broken_holding(&BTreeSet::from([key])) {
        return Err(sheet.broken());
    }
    let others = sheets.routers().filter(|(_, other)| {
        *other.name != *router.name
            && *other.name != *old_name
            && other.rule.pins().is_some_and(|keys| keys.contains(&key))
    });
    let names: Vec<&str> = others.map(|(_, other)| &*other.name).collect();
    if names.is_empty() {
        return Ok(());
    }
    Err(EditError::new(
        "Other routers name the same key; they would go on with the old one.",
        listed(names.into_iter()),
        "Join their rules in one router, or make new keys and revoke these.",
    ))
}

/// The old key's file.
fn beside(
    sheets: &Sheets,
    sheet: &Sheet,
    router: &Router,
    old_name: &str,
    key: KeyHash,
    rotation: &Rotation<'_>,
) -> Result<Step, EditError> {
    let file = format!("{old_name}.yml");
    let path = sheets.path(&file);
    let rule = rekey::hashed(rule_text(sheet, router)?.as_str(), key);
    let text = compose::old_key(&compose::OldKey {
        name: old_name,
        router,
        rule: &rule,
        until: rotation.until,
    });
    if check(&path, &text).0.is_none() {
        return Err(not_editable(sheet, router));
    }
    if let Some(other) = sheets
        .routers_named(old_name)
        .iter()
        .find(|(sheet, _)| sheet.name != file)
    {
        let rule = "The name that the old key's router would have is taken.";
        return Err(EditError::new(rule, old_name, "Rename that router.").at(&other.0.path, other.1.position));
    }
    match sheets.named(&file) {
        None if path.symlink_metadata().is_ok() => Err(in_the_way(&path)),
        None => Ok(Step::Create { path, text }),
        Some(there) if !compose::is_of_a_rotation(&there.text) => Err(in_the_way(&path)),
        Some(there) => {
            not_in_progress(there, key, rotation.now)?;
            Ok(Step::Replace {
                path,
                before: there.text.clone(),
                after: text,
            })
        }
    }
}

/// A file of an earlier rotation that is over, or that was cut off before its second step, may be written anew.
fn not_in_progress(there: &Sheet, key: KeyHash, now: &str) -> Result<(), EditError> {
    let Some(mapping) = &there.mapping else { return Ok(()) };
    let Some(old) = mapping.routers.first() else {
        return Ok(());
    };
    let is_over = |until: &str| until.len() == now.len() && until <= now;
    if compose::is_for(old, key) || not_after(&there.text).is_some_and(|until| is_over(&until)) {
        return Ok(());
    }
    let fix = format!(
        "Wait until it is over, or end it now: conclave key revoke {}.",
        old.name
    );
    let rule = "This key is in rotation already, and the one before it still works.";
    Err(EditError::new(rule, &*old.name, fix).at(&there.path, old.position))
}

/// Until when the old key of a rotation works, as we wrote it. Of what a person has written in its place nothing is
/// concluded.
fn not_after(text: &str) -> Option<String> {
    fn scalar(node: &Node<'_>) -> Option<String> {
        match &node.value {
            Value::Map(entries) => entries.iter().find_map(|entry| match &entry.value.value {
                Value::Scalar(text) if entry.key == "notAfter" => Some(text.to_string()),
                _ => scalar(&entry.value),
            }),
            _ => None,
        }
    }
    scalar(&document::parse(text).ok()?)
}

/// The rule as the file spells it.
fn rule_text(sheet: &Sheet, router: &Router) -> Result<zeroize::Zeroizing<String>, EditError> {
    let page = super::page::Page::read(&sheet.text);
    let rule = page.as_ref().and_then(|page| page.router(&router.name)?.rule());
    match rule.map(|piece| &piece.form) {
        Some(document::Form::Scalar(_, text)) => Ok(zeroize::Zeroizing::new(text.clone().into_owned())),
        _ => Err(not_editable(sheet, router)),
    }
}

fn in_the_way(path: &std::path::Path) -> EditError {
    let rule = "A file of somebody else's has the name that the old key's file would have.";
    EditError::new(rule, "", "Rename it.").at(path, Position::default())
}

fn not_editable(sheet: &Sheet, router: &Router) -> EditError {
    let rule =
        "This router's rule is written in a way that is not edited safely (an anchor, a merge, an unusual escape).";
    EditError::new(rule, &*router.name, "Write the rule out in its router, on one line.")
        .at(&sheet.path, router.position)
}
