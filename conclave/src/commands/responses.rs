//! `conclave responses`: what the store holds, through the aggregator's admin API.
//!
//! What is printed for people has its control characters taken out: a model may write anything, a terminal obeys some.

mod client;
mod export;
mod table;

use std::io::{self, IsTerminal as _, Write as _};
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use reqwest::Method;
use serde_json::{Value, json};

use crate::cli::responses::{FilterArgs, ResponsesAction, ResponsesArgs};
use crate::logging::{self, Level};
use client::AdminClient;

/// The API's own bound.
const PAGE_MAX: usize = 1_000;

pub(crate) fn run(args: &ResponsesArgs) -> Result<ExitCode> {
    logging::init(Level::Warning, false);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    match runtime.block_on(act(args)) {
        // Whoever read what is printed has seen enough: `conclave responses list | head`.
        Err(error) if is_broken_pipe(&error) => Ok(ExitCode::SUCCESS),
        outcome => outcome,
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let cause = error.root_cause().downcast_ref::<io::Error>();
    cause.is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

async fn act(args: &ResponsesArgs) -> Result<ExitCode> {
    let client = AdminClient::new(&args.url, args.token_file.as_deref())?;
    match &args.action {
        ResponsesAction::List { filter, limit } => {
            let found = list(&client, filter, *limit).await?;
            print(args.json, &found, table::exchanges)?;
        }
        ResponsesAction::Show { id } => {
            let path = ["admin", "responses", id];
            let found = client.json(Method::GET, &path, &[]).await?;
            print(args.json, &found, table::exchange)?;
        }
        ResponsesAction::Stats => {
            let found = client.json(Method::GET, &["admin", "responses", "stats"], &[]).await?;
            print(args.json, &found, table::stats)?;
        }
        usage @ ResponsesAction::Usage { by, .. } => {
            let found = all_pages(&client, &["admin", "usage"], &usage_parameters(usage), usize::MAX).await?;
            print(args.json, &found, |found| table::usage(by.name(), found))?;
        }
        ResponsesAction::Export { filter, format, output } => {
            let mut parameters = filter.parameters();
            parameters.push(("format", format.name().to_owned()));
            export::run(&client, &parameters, output.as_deref()).await?;
        }
        ResponsesAction::Delete { ids, filter, yes } => {
            let deleted = delete(&client, ids, filter, *yes).await?;
            print(args.json, &json!({ "deleted": deleted }), |_| {
                format!("{deleted} deleted\n")
            })?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn list(client: &AdminClient, filter: &FilterArgs, limit: usize) -> Result<Value> {
    all_pages(client, &["admin", "responses"], &filter.parameters(), limit).await
}

/// Page after page up to the limit, as one list.
async fn all_pages(
    client: &AdminClient,
    path: &[&str],
    parameters: &[(&'static str, String)],
    limit: usize,
) -> Result<Value> {
    let (mut data, mut cursor): (Vec<Value>, Option<String>) = (Vec::new(), None);
    loop {
        let mut parameters = parameters.to_vec();
        parameters.push(("limit", (limit - data.len()).clamp(1, PAGE_MAX).to_string()));
        parameters.extend(cursor.take().map(|cursor| ("cursor", cursor)));
        let mut page = client.json(Method::GET, path, &parameters).await?;
        let found = page
            .get_mut("data")
            .and_then(Value::as_array_mut)
            .context("the answer is no list")?;
        data.append(found);
        cursor = page.get("next_cursor").and_then(Value::as_str).map(str::to_owned);
        if cursor.is_none() || data.len() >= limit {
            data.truncate(limit);
            return Ok(json!({ "object": "list", "data": data, "next_cursor": cursor }));
        }
    }
}

fn usage_parameters(usage: &ResponsesAction) -> Vec<(&'static str, String)> {
    let ResponsesAction::Usage {
        by,
        from,
        to,
        key,
        model,
        backend,
    } = usage
    else {
        return Vec::new();
    };
    let mut parameters = vec![("by", by.name().to_owned())];
    for (name, value) in [
        ("from", from),
        ("to", to),
        ("key", key),
        ("model", model),
        ("backend", backend),
    ] {
        parameters.extend(value.clone().map(|value| (name, value)));
    }
    parameters
}

async fn delete(client: &AdminClient, ids: &[String], filter: &FilterArgs, yes: bool) -> Result<u64> {
    let parameters = filter.parameters();
    match (ids.is_empty(), parameters.is_empty()) {
        (true, true) => {
            bail!("say what to delete: ids, or filters such as --key NAME; all there is: --from 1970-01-01")
        }
        (false, false) => bail!("give ids or filters, not both"),
        (false, true) => {
            for id in ids {
                client.json(Method::DELETE, &["admin", "responses", id], &[]).await?;
            }
            Ok(ids.len() as u64)
        }
        (true, false) => {
            if !yes && !confirmed()? {
                bail!("nothing was deleted; --yes deletes without asking");
            }
            let answer = client
                .json(Method::DELETE, &["admin", "responses"], &parameters)
                .await?;
            answer
                .get("deleted")
                .and_then(Value::as_u64)
                .context("the answer does not say how many")
        }
    }
}

/// Asks where somebody can answer.
fn confirmed() -> Result<bool> {
    if !io::stdin().is_terminal() {
        return Ok(false);
    }
    eprint!("Delete every exchange that these filters let through? [y/N] ");
    io::stderr().flush()?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

fn print(as_json: bool, found: &Value, table: impl FnOnce(&Value) -> String) -> Result<()> {
    let text = match as_json {
        true => format!("{found}\n"),
        false => table(found),
    };
    io::stdout().lock().write_all(text.as_bytes())?;
    Ok(())
}
