//! `conclave key new`: a file of its own for a new key.

use document::Position;

use super::error::EditError;
use super::plan::{Plan, Step};
use super::sheet::Sheets;
use super::{NewKey, NewService, OLD_SUFFIX, compose};
use crate::check::check;
use crate::mapping::ServerUrl;

/// Room for what is added to it: `.old.yml`, and the temporary file's own.
const NAME_BYTES_MAX: usize = 100;
const INTERNAL_SERVICES: [&str; 2] = ["aggregator@internal", "noop@internal"];

pub(super) fn plan(sheets: &Sheets, new: &NewKey<'_>) -> Result<Plan, EditError> {
    name_is_fit(new.name)?;
    note_is_fit(new.note.unwrap_or_default())?;
    name_is_free(sheets, new)?;
    service_is_there(sheets, new.service)?;
    let path = sheets.path(&format!("{}.yml", new.name));
    let text = compose::new_key(new);
    // What we write must be what we read; a value that slipped in unfit ends here.
    let (mapping, problems) = check(&path, &text);
    if mapping.is_none() {
        let first = problems.into_iter().next();
        return Err(first.map_or_else(
            || EditError::new("The new file would not check.", "", ""),
            |problem| EditError::new(problem.rule, problem.value, problem.fix),
        ));
    }
    Ok(Plan {
        steps: vec![Step::Create { path, text }],
    })
}

pub(super) fn only_service(sheets: &Sheets) -> Result<String, EditError> {
    let names = sheets.service_names();
    let mut all = names.iter();
    match (all.next(), all.next()) {
        (Some(only), None) => Ok(only.to_string()),
        (None, _) => Err(EditError::new(
            "A key leads to a service, and the folder has none.",
            "",
            "Give the server's URL: --service http://127.0.0.1:8011.",
        )),
        _ => Err(EditError::new(
            "A key leads to a service, and the folder has several.",
            listed(names.iter().map(|name| &**name)),
            "Name one of them with --service.",
        )),
    }
}

/// A router's name, a file's name, and a word in a command line.
fn name_is_fit(name: &str) -> Result<(), EditError> {
    let fit = name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
        && name.len() <= NAME_BYTES_MAX;
    if !fit {
        return Err(EditError::new(
            format!("A key's name is made of letters, digits, `-`, `_` and `.`, at most {NAME_BYTES_MAX} of them."),
            name.escape_debug().take(NAME_BYTES_MAX).collect::<String>(),
            "Begin it with a letter or a digit, as in alice or team-3.",
        ));
    }
    if name.ends_with(OLD_SUFFIX) {
        let rule = "Names that end with `.old` are those of keys in rotation.";
        return Err(EditError::new(rule, name, "Choose another name."));
    }
    Ok(())
}

fn note_is_fit(note: &str) -> Result<(), EditError> {
    if note.chars().any(|c| c.is_control() && c != '\n') {
        let rule = "A note is text in lines, which become comments.";
        return Err(EditError::new(rule, "", "Take the control characters out."));
    }
    Ok(())
}

fn name_is_free(sheets: &Sheets, new: &NewKey<'_>) -> Result<(), EditError> {
    let taken = |what: &str, path: &std::path::Path, position| {
        let rule = format!("The name is taken, by a {what}.");
        EditError::new(rule, new.name, "Choose another, or revoke the one there is first.").at(path, position)
    };
    for name in [new.name, &format!("{}{OLD_SUFFIX}", new.name)] {
        if let Some((sheet, router)) = sheets.routers_named(name).first() {
            return Err(taken("router", &sheet.path, router.position));
        }
    }
    for extension in ["yml", "yaml"] {
        let path = sheets.path(&format!("{}.{extension}", new.name));
        if path.symlink_metadata().is_ok() {
            return Err(taken("file", &path, Position::default()));
        }
    }
    let own_service = matches!(new.service, NewService::At(_));
    if own_service && sheets.service_names().contains(new.name) {
        return Err(EditError::new(
            "A service of this name is there already.",
            new.name,
            "Choose another name, or name the service itself with --service.",
        ));
    }
    let middlewares = sheets.middleware_names();
    if let Some(name) = compose::middleware_names(new)
        .into_iter()
        .find(|name| middlewares.contains(name.as_str()))
    {
        let rule = "A middleware of the name that the new key's limit would have is there already.";
        return Err(EditError::new(rule, name, "Choose another name for the key."));
    }
    match sheets.broken_with(new.name) {
        Some(sheet) => Err(sheet.broken()),
        None => Ok(()),
    }
}

fn service_is_there(sheets: &Sheets, service: NewService<'_>) -> Result<(), EditError> {
    match service {
        NewService::At(url) => match ServerUrl::parse(url) {
            Ok(_) => Ok(()),
            Err(reason) => Err(EditError::new(reason, "", "")),
        },
        NewService::Named(name) if INTERNAL_SERVICES.contains(&name) => Ok(()),
        NewService::Named(name) => {
            let names = sheets.service_names();
            if names.contains(name.strip_suffix("@file").unwrap_or(name)) {
                return Ok(());
            }
            let fix = match names.is_empty() {
                true => "Give the server's URL, as in --service http://127.0.0.1:8011.".to_owned(),
                false => format!(
                    "Give a URL such as http://127.0.0.1:8011, or name one of these: {}.",
                    listed(names.iter().map(|name| &**name))
                ),
            };
            let shown = name.escape_debug().take(NAME_BYTES_MAX).collect::<String>();
            Err(EditError::new(
                "No mapping file has a service of this name.",
                shown,
                fix,
            ))
        }
    }
}

/// A folder may have thousands; a person reads a few.
pub(super) fn listed<'n>(names: impl Iterator<Item = &'n str>) -> String {
    const SHOWN_MAX: usize = 20;
    let mut names: Vec<_> = names.collect();
    let more = names.len().saturating_sub(SHOWN_MAX);
    names.truncate(SHOWN_MAX);
    let shown = names.join(", ");
    if more > 0 {
        format!("{shown} and {more} more")
    } else {
        shown
    }
}
