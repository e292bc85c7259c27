//! `conclave check`: every problem of every file, and nothing is started.

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use aggregator::{ConfigFile, Council};
use anyhow::{Context, Result, anyhow};
use custody::{Contents, Terms};
use keymap::static_file::StaticFile;
use keymap::{Problem, Severity, Snapshot, WatchOptions};

use crate::cli::CheckArgs;
use crate::settings;

/// Of either configuration file.
const CONFIG_BYTES_MAX: u64 = 4 << 20;

pub(crate) fn run(args: &CheckArgs) -> Result<ExitCode> {
    let mut problems = Vec::new();
    let mut file = StaticFile::default();
    let mut templates = args.council_templates.clone();
    for path in &args.config {
        if is_ours(path) {
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
    let templates = templates.unwrap_or_else(|| Council::default().templates_dir().to_owned());
    let of_templates = aggregator::council_template_problems(&templates);
    problems.extend(of_templates.with_context(|| templates.display().to_string())?);
    let mappings = settings::edge::mappings(args.mappings.clone(), &file);
    let names: Vec<String> = file.entry_points.iter().map(|entry| entry.name.to_string()).collect();
    let snapshot = read(&mappings, Some(names).filter(|names| !names.is_empty()))?;
    problems.extend(snapshot.files.iter().flat_map(|file| file.problems.iter().cloned()));
    problems.extend(snapshot.problems.iter().cloned());
    report(&problems, &snapshot)
}

/// Whether this is the aggregator's file and not Traefik's: both are given by the same flag.
fn is_ours(path: &Path) -> bool {
    // What cannot be read is told of by whoever reads it next.
    let text = custody::read(path, &Terms::configuration(CONFIG_BYTES_MAX)).and_then(Contents::text);
    text.is_ok_and(|text| ConfigFile::recognises(&text))
}

fn read(mappings: &Path, entry_points: Option<Vec<String>>) -> Result<Snapshot> {
    let options = WatchOptions {
        poll_interval: Duration::from_secs(3),
        entry_points,
    };
    keymap::load_once(mappings, &options).map_err(|error| {
        anyhow!(
            "the folder {} cannot be read: {}",
            mappings.display(),
            custody::told(&error)
        )
    })
}

fn report(problems: &[Problem], snapshot: &Snapshot) -> Result<ExitCode> {
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
        "{} files, {} routers, {} keys: {errors} errors, {} warnings",
        snapshot.files.len(),
        snapshot.table.routers(),
        snapshot.table.keys(),
        problems.len() - errors,
    )?;
    Ok(if errors == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
