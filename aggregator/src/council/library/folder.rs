//! A folder of templates, read once: every file's template, and every problem of every file.
//!
//! Files that end in `.yaml` or `.yml` count, hidden ones do not. A folder that is not there holds nothing: that is the
//! usual case.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use custody::Terms;
use document::{Position, Problem, Severity};

use crate::council::template::{Template, read};

/// A template is some pages.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Nobody chooses among more.
const FILES_MAX: usize = 256;

/// One file as it was found.
#[derive(Clone, PartialEq)]
pub(crate) struct Found {
    pub(crate) path: PathBuf,
    /// Its text, or why it has none.
    pub(crate) text: Result<String, String>,
}

/// One file, checked.
#[derive(Debug)]
pub(crate) struct Checked {
    pub(crate) path: PathBuf,
    pub(crate) template: Option<Template>,
    pub(crate) problems: Vec<Problem>,
}

/// The files of the folder, in the order of their names.
///
/// # Errors
/// Where there is a folder and it cannot be read.
pub(crate) fn look(folder: &Path) -> io::Result<Vec<Found>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut paths: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| is_template(path))
        .collect();
    paths.sort();
    paths.truncate(FILES_MAX);
    Ok(paths
        .into_iter()
        .map(|path| Found {
            text: text_of(&path).map_err(|error| custody::told(&error)),
            path,
        })
        .collect())
}

fn is_template(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let extension = path.extension().and_then(|extension| extension.to_str());
    !name.starts_with('.') && matches!(extension, Some("yaml" | "yml"))
}

fn text_of(path: &Path) -> io::Result<String> {
    let terms = Terms::configuration(FILE_BYTES_MAX);
    let mut text = custody::read(path, &terms)?.text()?;
    Ok(std::mem::take(&mut *text))
}

/// Every file checked; of two that give one name the first has it, and the second is told of.
pub(crate) fn check(files: &[Found]) -> Vec<Checked> {
    let mut names: BTreeMap<Arc<str>, PathBuf> = BTreeMap::new();
    let mut all = Vec::with_capacity(files.len());
    for file in files {
        let mut checked = check_one(file);
        if let Some(template) = &checked.template {
            match names.get(&template.name) {
                Some(first) => {
                    let first = first.file_name().and_then(|name| name.to_str()).unwrap_or_default();
                    let rule = format!("Each template has a name of its own; {first} has this one already.");
                    checked.problems.push(whole_file(
                        &file.path,
                        template.name.to_string(),
                        rule,
                        "Rename one of them.",
                    ));
                    checked.template = None;
                }
                None => drop(names.insert(Arc::clone(&template.name), file.path.clone())),
            }
        }
        all.push(checked);
    }
    all
}

fn check_one(file: &Found) -> Checked {
    let stem = file.path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    let (template, problems) = match &file.text {
        Ok(text) => read::check(&file.path, stem, text),
        Err(error) => {
            let fix = "Give a regular UTF-8 file that this user may read.";
            (
                None,
                vec![whole_file(
                    &file.path,
                    String::new(),
                    format!("The file cannot be read: {error}."),
                    fix,
                )],
            )
        }
    };
    Checked {
        path: file.path.clone(),
        template,
        problems,
    }
}

pub(super) fn whole_file(path: &Path, value: String, rule: String, fix: &str) -> Problem {
    Problem {
        severity: Severity::Error,
        path: path.to_owned(),
        position: Position::default(),
        value,
        rule,
        fix: fix.to_owned(),
    }
}
