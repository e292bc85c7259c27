//! `conclave check`: every problem of every file, and nothing is started.

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use aggregator::{ConfigFile, Council};
use anyhow::{Context, Result, anyhow, bail};
use keymap::static_file::StaticFile;
use keymap::{Problem, Severity, Snapshot, WatchOptions};

use crate::cli::CheckArgs;
use crate::settings::{self, ConfigKind};

pub(crate) fn run(args: &CheckArgs) -> Result<ExitCode> {
    let mut problems = Vec::new();
    let mut file = StaticFile::default();
    let mut templates = args.council_templates.clone();
    for path in &args.config {
        if settings::config_kind(path) == ConfigKind::Aggregators {
            let (ours, of_file) = ConfigFile::read(path);
            problems.extend(of_file);
            templates = templates.or(ours.and_then(|ours| ours.council.templates_dir));
            continue;
        }
        let (found, of_file) = settings::static_file(path)?;
        problems.extend(of_file);
        file = found.unwrap_or(file);
    }
    if let Some(path) = &args.stats_config_file {
        problems.extend(settings::aggregator::stats_problems(path));
    }
    if let Some(asked_for) = args.council_templates.as_deref().filter(|folder| !folder.is_dir()) {
        bail!("--council-templates {}: there is no such folder", asked_for.display());
    }
    let templates = templates.unwrap_or_else(|| Council::default().templates_dir().to_owned());
    let of_templates = aggregator::council_template_problems(&templates);
    problems.extend(of_templates.with_context(|| templates.display().to_string())?);
    let mappings = settings::edge::mappings(args.mappings.clone(), &file);
    let names: Vec<String> = file.entry_points.iter().map(|entry| entry.name.to_string()).collect();
    let snapshot = read(&mappings, Some(names).filter(|names| !names.is_empty()))?;
    problems.extend(snapshot.files.iter().flat_map(|file| file.problems.iter().cloned()));
    problems.extend(snapshot.problems.iter().cloned());
    report(&problems, &mappings, &snapshot)
}

fn read(mappings: &Path, entry_points: Option<Vec<String>>) -> Result<Snapshot> {
    let options = WatchOptions {
        poll_interval: Duration::from_secs(3),
        entry_points,
    };
    keymap::load_once(mappings, &options).map_err(|error| {
        anyhow!(
            "the folder {} cannot be read; name another with --mappings: {}",
            mappings.display(),
            custody::told(&error)
        )
    })
}

fn report(problems: &[Problem], mappings: &Path, snapshot: &Snapshot) -> Result<ExitCode> {
    let mut out = std::io::stdout().lock();
    for problem in problems {
        writeln!(out, "{problem}")?;
    }
    let errors = problems
        .iter()
        .filter(|problem| problem.severity == Severity::Error)
        .count();
    writeln!(
        out,
        "{}: {}, {}, {}: {}, {}",
        mappings.display(),
        counted(snapshot.files.len(), "file"),
        counted(snapshot.table.routers(), "router"),
        counted(snapshot.table.keys(), "key"),
        counted(errors, "error"),
        counted(problems.len() - errors, "warning"),
    )?;
    Ok(if errors == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}
