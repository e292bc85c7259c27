//! The one binary: it reads what was typed, works out what it means, and starts what was asked for.
//!
//! This crate alone sees both planes. `main` is no async function: the edge and the aggregator each run on threads of
//! their own, and this thread waits for signals.

mod cli;
mod commands;
mod descriptors;
mod folder;
mod http;
mod logging;
mod otlp;
mod safety;
mod service_manager;
mod settings;
mod signals;
mod upgrade;

use std::process::ExitCode;

use clap::Parser;

use cli::{Cli, Command};

/// Half of what glibc's allocator costs an edge, and a third of its memory per stream.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    let typed = Cli::parse();
    safety::apply(&typed.safety);
    descriptors::raise_limit();
    let result = match typed.command {
        Command::Demo(args) => commands::demo::run(&args),
        Command::Up(args) => commands::up::run(args),
        Command::Edge(args) => commands::edge::run(args),
        Command::Aggregator(args) => commands::aggregator::run(args),
        Command::Key(args) => commands::key::run(&args.action),
        Command::Check(args) => commands::check::run(&args),
        Command::Responses(args) => commands::responses::run(&args),
        Command::Top(args) => commands::top::run(&args),
        Command::Completions(args) => commands::help::completions(&args),
        Command::Man(args) => commands::help::manual(&args),
    };
    match result {
        Ok(code) => code,
        Err(error) => {
            eprintln!("conclave: {}", told(&error));
            ExitCode::FAILURE
        }
    }
}

/// The error and its causes, each once: some of ours say their cause themselves.
fn told(error: &anyhow::Error) -> String {
    let mut text = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !text.contains(&cause) {
            text.push_str(": ");
            text.push_str(&cause);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use anyhow::{Context as _, anyhow};

    use super::*;

    #[test]
    fn a_cause_is_told_once() {
        let said = anyhow!("full").context("cannot write x: full\n    fix:   make room");
        assert_eq!(told(&said), "cannot write x: full\n    fix:   make room");
        let unsaid = Err::<(), _>(anyhow!("full"))
            .context("cannot write x")
            .context("no start");
        assert_eq!(told(&unsaid.expect_err("an error")), "no start: cannot write x: full");
    }
}
