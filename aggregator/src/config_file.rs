//! `config.yaml`: council-router's file, read, checked and followed.
//!
//! ```yaml
//! server:   { host: 127.0.0.1, port: 9080, auth: none }
//! backends:
//!   - { name: gpu, type: ollama, url: "http://10.0.0.2:11434", priority: 1 }
//!   - { name: claude, type: anthropic, url: "https://api.anthropic.com", priority: 2, api_key: "${ANTHROPIC_API_KEY}" }
//! routing:  { strategy: smart, prefer_loaded_model: true, heartbeat_interval: 10, fallbacks: { big: [small] } }
//! admin:    { auth: { type: bearer, token: "${ADMIN_TOKEN}" } }
//! ```
//!
//! It owns what the fields mean; how they are found is `document`'s. All problems are told at once. Invariant: a
//! [`ConfigFile`] holds nothing that was not checked, and no formatting of it shows a key.

mod backend;
mod fallbacks;
mod follow;
mod number;
mod price;
mod routing;
mod sections;
mod variables;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use document::{Fields, Node, Position, Problem, Report, Schema, Severity, Support, Value};
use zeroize::Zeroizing;

pub use follow::ConfigSource;
pub use routing::{Fallbacks, Routing, Strategy};
pub use sections::{AdminAuth, Council, InferenceAuth, ResponseStorage, ServerSection};

pub(crate) use follow::{ConfigFollower, CurrentConfig};

use crate::backend::Spec;

/// Far more than a thousand backends.
const FILE_BYTES_MAX: u64 = 4 << 20;

const TOP: Schema = &[
    ("server", Support::Read),
    ("backends", Support::Read),
    ("routing", Support::Read),
    ("response_storage", Support::Read),
    ("metrics", Support::Read),
    ("admin", Support::Read),
    ("council", Support::Read),
];

/// The file, checked.
#[derive(Debug, Clone, PartialEq)]
pub struct ConfigFile {
    pub server: ServerSection,
    pub(crate) backends: Vec<Arc<Spec>>,
    pub routing: Arc<Routing>,
    pub metrics_enabled: bool,
    pub admin: AdminAuth,
    pub response_storage: ResponseStorage,
    pub council: Council,
}

/// Where `${NAME}` gets its value: the environment, or a test's table.
pub type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

impl ConfigFile {
    /// What holds where there is no file, or nothing in it.
    pub fn without_file(lookup: Lookup<'_>) -> Self {
        Self {
            server: ServerSection::default(),
            backends: Vec::new(),
            routing: Arc::default(),
            metrics_enabled: true,
            admin: AdminAuth::from_environment(lookup),
            response_storage: ResponseStorage::default(),
            council: Council::default(),
        }
    }

    /// Checks a text. The file is there where no problem is an error; warnings may come with it.
    pub fn check(path: &Path, text: &str, lookup: Lookup<'_>) -> (Option<Self>, Vec<Problem>) {
        let mut report = Report::tolerant(path, text);
        let file = match document::parse(text) {
            Ok(mut root) => {
                variables::substitute(&mut root, lookup, &mut report);
                read_root(root, lookup, &mut report)
            }
            Err(fault) => {
                report.error(fault.position, fault.value, fault.rule, fault.fix);
                Self::without_file(lookup)
            }
        };
        let (passed, problems) = report.finish();
        (passed.then_some(file), problems)
    }

    /// Reads and checks a file, with the environment's variables.
    pub fn read(path: &Path) -> (Option<Self>, Vec<Problem>) {
        match follow::text_of(path) {
            Ok(text) => Self::check(path, &text, &|name| std::env::var(name).ok()),
            Err(problem) => (None, vec![problem]),
        }
    }

    /// Whether a text looks like this file rather than like another program's: one of its own fields stands at the top.
    pub fn recognises(text: &str) -> bool {
        // `metrics` is not among them: Traefik's static file has it too.
        const OWN: [&str; 6] = ["server", "backends", "routing", "response_storage", "admin", "council"];
        let is_own = |name: &str| OWN.iter().any(|own| own.eq_ignore_ascii_case(name));
        match document::parse(text) {
            Ok(Node {
                value: Value::Map(entries),
                ..
            }) => entries.iter().any(|entry| is_own(&entry.key)),
            Ok(_) => false,
            // Broken as it is, its lines still tell.
            Err(_) => text
                .lines()
                .any(|line| line.split_once(':').is_some_and(|(name, _)| is_own(name))),
        }
    }

    pub(crate) fn backend_names(&self) -> BTreeSet<Arc<str>> {
        self.backends.iter().map(|spec| Arc::clone(&spec.name)).collect()
    }
}

fn read_root(root: Node<'_>, lookup: Lookup<'_>, report: &mut Report<'_>) -> ConfigFile {
    let mut file = ConfigFile::without_file(lookup);
    file.council.is_listed = true;
    if matches!(root.value, Value::Null) {
        return file;
    }
    let Some(mut top) = Fields::of(root, TOP, "`config.yaml`", report) else {
        return file;
    };
    if let Some(field) = top.take("server") {
        file.server = sections::server(field, report);
    }
    if let Some(field) = top.take("backends") {
        file.backends = backend::all(field, report);
    }
    if let Some(field) = top.take("routing") {
        file.routing = Arc::new(routing::read(field, report));
    }
    if let Some(field) = top.take("metrics") {
        file.metrics_enabled = sections::metrics_enabled(field, report);
    }
    if let Some(field) = top.take("admin") {
        file.admin = sections::admin(field, lookup, report);
    }
    if let Some(field) = top.take("response_storage") {
        file.response_storage = sections::response_storage(field, report);
    }
    if let Some(field) = top.take("council") {
        file.council = sections::council(field, report);
    }
    file
}

/// A problem of the file as a whole.
fn whole_file(path: &Path, rule: String, fix: &str) -> Problem {
    Problem {
        severity: Severity::Error,
        path: path.to_owned(),
        position: Position::default(),
        value: String::new(),
        rule,
        fix: fix.to_owned(),
    }
}

/// A file's text; wiped when dropped, for keys may stand in it.
type FileText = Zeroizing<String>;

#[cfg(test)]
mod tests;
