//! `GET /admin/mappings`: which files there are, what was made of each, and what is wrong with it, with the lines.

use axum::Json;
use axum::extract::State;
use keymap::{FileState, FileStatus, Problem, Severity};
use serde_json::{Value, json};

use super::listing::Listing;
use super::query::Query;
use crate::error::ApiError;
use crate::keyring::Keyring;
use crate::mapping_lines::{self, Line};
use crate::router::AppState;

/// Problems shown of one file, each with its lines; their number is told.
const PROBLEMS_MAX: usize = 20;

/// Which files.
#[derive(Debug, Default)]
pub(crate) struct FileRequest {
    /// A part of a file's name.
    pub(crate) search: Option<String>,
    /// Only those with problems.
    pub(crate) is_for_problems: bool,
    pub(crate) listing: Listing,
}

impl FileRequest {
    pub(crate) fn read(query: &mut Query) -> Result<Self, ApiError> {
        let state = query.parsed("state", "`problems` or `all`", |text| match text {
            "problems" => Some(true),
            "all" => Some(false),
            _ => None,
        })?;
        Ok(Self {
            search: query.search()?,
            is_for_problems: state.unwrap_or(false),
            listing: Listing::read(query)?,
        })
    }
}

/// A file and what is wrong with it: what it shows of its own, then what only shows beside other files.
pub(crate) struct File {
    pub(crate) status: std::sync::Arc<FileStatus>,
    pub(crate) problems: Vec<Told>,
    pub(crate) problems_total: usize,
}

/// A problem and the lines around it.
pub(crate) struct Told {
    pub(crate) problem: Problem,
    pub(crate) lines: Vec<Line>,
}

pub(crate) struct FilePage {
    pub(crate) files: Vec<File>,
    pub(crate) total: usize,
    pub(crate) broken: usize,
    pub(crate) next: Option<String>,
    /// Of the folder itself.
    pub(crate) folder: Vec<Problem>,
}

pub(crate) async fn list(State(state): State<AppState>, query: Query) -> Result<Json<Value>, ApiError> {
    let request = query.whole(FileRequest::read)?;
    let page = page(state.desk.keyring()?, request).await?;
    let data: Vec<Value> = page.files.iter().map(entry).collect();
    Ok(Json(json!({
        "object": "list", "data": data, "total": page.total, "broken": page.broken,
        "folder_problems": page.folder.iter().map(|problem| told(problem, &[])).collect::<Vec<_>>(),
        "next_cursor": page.next,
    })))
}

/// # Errors
/// None yet; it reads files, where it may wait for the disk.
pub(crate) async fn page(keyring: &Keyring, request: FileRequest) -> Result<FilePage, ApiError> {
    let snapshot = keyring.snapshot();
    let folder = keyring.path().to_owned();
    let read = tokio::task::spawn_blocking(move || {
        let across = |file: &FileStatus| {
            let path = folder.join(&*file.name);
            snapshot.problems.iter().filter(move |problem| problem.path == path)
        };
        let is_wanted = |file: &&std::sync::Arc<FileStatus>| {
            let named = request
                .search
                .as_deref()
                .is_none_or(|search| file.name.to_lowercase().contains(search));
            named && (!request.is_for_problems || !file.problems.is_empty() || across(file).next().is_some())
        };
        let found: Vec<_> = snapshot.files.iter().filter(is_wanted).collect();
        let (shown, next) = request.listing.page(&found, |file| &file.name);
        let files: Vec<File> = shown
            .iter()
            .map(|file| {
                let problems: Vec<&Problem> = file.problems.iter().chain(across(file)).collect();
                let text = match problems.is_empty() {
                    true => None,
                    false => mapping_lines::text(&folder.join(&*file.name)),
                };
                let told = |problem: &&Problem| Told {
                    lines: text
                        .as_deref()
                        .map_or_else(Vec::new, |text| mapping_lines::around(text, problem.position.line)),
                    problem: (*problem).clone(),
                };
                File {
                    status: std::sync::Arc::clone(file),
                    problems_total: problems.len(),
                    problems: problems.iter().take(PROBLEMS_MAX).map(told).collect(),
                }
            })
            .collect();
        FilePage {
            next,
            total: found.len(),
            broken: snapshot.bad_files().count(),
            folder: snapshot
                .problems
                .iter()
                .filter(|problem| problem.path == folder)
                .cloned()
                .collect(),
            files,
        }
    });
    read.await.map_err(|_| ApiError::NoFolder)
}

fn entry(file: &File) -> Value {
    let mapping = file.status.mapping.as_deref();
    let names = |names: Vec<&str>| json!(names);
    json!({
        "object": "mapping",
        "file": &*file.status.name,
        "state": state_name(file.status.state),
        "routers": names(mapping.map_or_else(Vec::new, |all| all.routers.iter().map(|router| &*router.name).collect())),
        "services": names(mapping.map_or_else(Vec::new, |all| all.services.iter().map(|service| &*service.name).collect())),
        "middlewares": names(mapping.map_or_else(Vec::new, |all| all.middlewares.iter().map(|one| &*one.name).collect())),
        "problems": file.problems.iter().map(|one| told(&one.problem, &one.lines)).collect::<Vec<_>>(),
        "problems_total": file.problems_total,
    })
}

pub(crate) fn state_name(state: FileState) -> &'static str {
    match state {
        FileState::Loaded => "loaded",
        FileState::KeptLastGood => "kept_last_good",
        FileState::Refused => "refused",
    }
}

fn told(problem: &Problem, lines: &[Line]) -> Value {
    let lines = lines
        .iter()
        .map(|line| json!({ "line": line.number, "text": line.text }));
    json!({
        "severity": match problem.severity { Severity::Error => "error", Severity::Warning => "warning" },
        "line": problem.position.line,
        "column": problem.position.column,
        "value": problem.value,
        "rule": problem.rule,
        "fix": problem.fix,
        "lines": lines.collect::<Vec<_>>(),
    })
}
