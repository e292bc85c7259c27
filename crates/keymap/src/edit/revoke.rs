//! `conclave key revoke`: routers taken out, or their file where it is ours and holds nothing else that anybody needs.

use std::collections::BTreeSet;

use zeroize::Zeroizing;

use super::create::listed;
use super::error::EditError;
use super::plan::{Plan, Step};
use super::removal::without_router;
use super::sheet::{Sheet, Sheets};
use super::verify::{Change, only};
use super::{OLD_SUFFIX, compose};
use crate::check::check;
use crate::mapping::{Mapping, Router};

/// What revoking would do.
pub struct Revocation {
    pub plan: Plan,
    /// The routers it takes out, those of keys in rotation included.
    pub routers: Vec<String>,
    /// Routers whose rules accept keys by a pattern: whether a revoked key still opens them nobody can say from its hash.
    pub patterns: Vec<String>,
}

pub(super) fn plan(sheets: &Sheets, names: &[String]) -> Result<Revocation, EditError> {
    let mut gone = BTreeSet::new();
    for name in names {
        exists(sheets, name)?;
        gone.insert(name.clone());
        let old = format!("{name}{OLD_SUFFIX}");
        if sheets
            .routers_named(&old)
            .iter()
            .any(|(sheet, _)| compose::is_of_a_rotation(&sheet.text))
        {
            gone.insert(old);
        }
    }
    no_other_way_in(sheets, &gone)?;
    let patterns = sheets.routers().filter(|(_, router)| {
        !gone.contains(&*router.name) && router.rule.has_credential_atom() && router.rule.pins().is_none()
    });
    Ok(Revocation {
        patterns: patterns.map(|(_, router)| router.name.to_string()).collect(),
        plan: Plan {
            steps: steps(sheets, &gone)?,
        },
        routers: gone.into_iter().collect(),
    })
}

/// In a file that checks: of a broken one the edge serves what it held before, whatever is cut out of it now.
fn exists(sheets: &Sheets, name: &str) -> Result<(), EditError> {
    let found = sheets.routers_named(name);
    let Some((sheet, router)) = found.first() else {
        return Err(missing(sheets, name));
    };
    if !router.rule.has_credential_atom() {
        let fix = "Name a router with a key: `conclave key list` shows them.";
        return Err(EditError::new("This router asks for no key.", name, fix).at(&sheet.path, router.position));
    }
    Ok(())
}

/// No file that checks has the name; one that does not may.
pub(super) fn missing(sheets: &Sheets, name: &str) -> EditError {
    sheets
        .broken_with(name)
        .map_or_else(|| unknown(sheets, name), Sheet::broken)
}

fn unknown(sheets: &Sheets, name: &str) -> EditError {
    let keyed = sheets.routers().filter(|(_, router)| router.rule.has_credential_atom());
    let names = listed(keyed.map(|(_, router)| &*router.name));
    let fix = if names.is_empty() {
        "The folder has no key at all.".to_owned()
    } else {
        format!("There are: {names}.")
    };
    let value: String = name.escape_debug().take(100).collect();
    EditError::new("No mapping file has a router of this name.", value, fix)
}

/// What is revoked must be usable no more, by whatever router.
fn no_other_way_in(sheets: &Sheets, gone: &BTreeSet<String>) -> Result<(), EditError> {
    let (going, staying): (Vec<_>, Vec<_>) = sheets.routers().partition(|(_, router)| gone.contains(&*router.name));
    let keys: BTreeSet<_> = going
        .iter()
        .flat_map(|(_, router)| router.rule.pins().unwrap_or_default())
        .collect();
    let opened = |router: &Router| {
        router
            .rule
            .pins()
            .is_some_and(|pins| pins.iter().any(|key| keys.contains(key)))
    };
    if let Some(sheet) = sheets.broken_holding(&keys) {
        return Err(sheet.broken());
    }
    let others: Vec<_> = staying.iter().filter(|(_, router)| opened(router)).collect();
    let Some((sheet, router)) = others.first() else {
        return Ok(());
    };
    let names = listed(others.iter().map(|(_, router)| &*router.name));
    let fix = format!("Revoke all of them at once, or take the key out of their rules: {names}.");
    let rule = "The key would still work, by another router that names it.";
    Err(EditError::new(rule, &*router.name, fix).at(&sheet.path, router.position))
}

fn steps(sheets: &Sheets, gone: &BTreeSet<String>) -> Result<Vec<Step>, EditError> {
    let concerned = |mapping: &Mapping| mapping.routers.iter().any(|router| gone.contains(&*router.name));
    let is_concerned = |sheet: &&Sheet| sheet.mapping.as_ref().is_some_and(&concerned);
    let mut removed: Vec<&str> = Vec::new();
    let mut steps = Vec::new();
    for sheet in sheets.all.iter().filter(is_concerned) {
        let Some(mapping) = &sheet.mapping else { continue };
        steps.push(if is_needed_no_more(sheets, sheet, mapping, gone, &removed) {
            removed.push(&sheet.name);
            Step::Remove {
                path: sheet.path.clone(),
                before: sheet.text.clone(),
            }
        } else {
            Step::Replace {
                path: sheet.path.clone(),
                before: sheet.text.clone(),
                after: without(sheet, mapping, gone)?,
            }
        });
    }
    Ok(steps)
}

/// A file of ours, of which no router stays, and whose services and middlewares nobody outside of it names.
fn is_needed_no_more(
    sheets: &Sheets,
    sheet: &Sheet,
    mapping: &Mapping,
    gone: &BTreeSet<String>,
    removed: &[&str],
) -> bool {
    let services = mapping.services.iter().map(|service| &*service.name);
    let names: BTreeSet<&str> = services
        .chain(mapping.middlewares.iter().map(|middleware| &*middleware.name))
        .collect();
    let is_other = |other: &&Sheet| other.name != sheet.name && !removed.contains(&other.name.as_str());
    let is_going = |other: &Sheet| {
        let routers = other.mapping.as_ref().map(|mapping| &mapping.routers);
        compose::is_of_a_rotation(&other.text)
            && routers.is_some_and(|routers| routers.iter().all(|router| gone.contains(&*router.name)))
    };
    compose::is_ours(&sheet.text)
        && mapping.routers.iter().all(|router| gone.contains(&*router.name))
        && !sheets
            .all
            .iter()
            .filter(is_other)
            .any(|other| !is_going(other) && other.mentions(&names))
}

fn without(sheet: &Sheet, mapping: &Mapping, gone: &BTreeSet<String>) -> Result<Zeroizing<String>, EditError> {
    let mut text = sheet.text.clone();
    for router in mapping.routers.iter().filter(|router| gone.contains(&*router.name)) {
        let cut = without_router(&text, &router.name)
            .filter(|cut| only(&text, cut, &router.name, &Change::Gone) && check(&sheet.path, cut).0.is_some());
        text = cut.ok_or_else(|| {
            let rule =
                "This router is written in a way that is not edited safely (an anchor, a merge, an explicit key).";
            let fix = "Take it out by hand: the key stops working when the file is saved.";
            EditError::new(rule, &*router.name, fix).at(&sheet.path, router.position)
        })?;
    }
    Ok(text)
}
