//! *Keys*: who has one, what each may and does use; made, exchanged and withdrawn. A key itself is shown once, by the script,
//! from the answer that made it: no fragment ever holds one.

use maud::{Markup, html};

use keymap::edit::{KeyLimit, KeyRow, KeyState};

use super::fragment::Fragment;
use super::parts::{self, Tone};
use super::{Page, format};
use crate::api::keys::{self, KeyPage, KeyRequest, Used};
use crate::api::query::Query;
use crate::error::ApiError;
use crate::router::AppState;

const SERVICES_MAX: usize = 200;
const DAY_MS: u64 = 86_400_000;
/// Rows on a page: a row is a kilobyte.
const PAGE_MAX: usize = 50;

pub(super) async fn fragment(state: &AppState, query: Query) -> Result<Fragment, ApiError> {
    let mut request = query.whole(KeyRequest::read)?;
    request.listing = request.listing.at_most(PAGE_MAX);
    let lead =
        html! { "Each key is a router of a mapping file. A change works within a moment; nothing is restarted." };
    let fragment = Fragment::new(Page::Keys, lead);
    let Ok(keyring) = state.desk.keyring() else {
        return Ok(fragment.with(
            "list",
            parts::empty("No mapping folder", html! { p { "This aggregator follows none." } }),
        ));
    };
    let page = keys::page(state, &request).await?;
    let snapshot = keyring.snapshot();
    let services = snapshot.files.iter().filter_map(|file| file.mapping.as_deref());
    let services = services.flat_map(|mapping| mapping.services.iter().map(|service| service.name.to_string()));
    let mut services: Vec<String> = services.collect();
    services.sort_unstable();
    services.dedup();
    services.truncate(SERVICES_MAX);
    Ok(fragment
        .with("tools", tools(&request, page.total))
        .with("list", list(state, &request, &page))
        .with("dialogs", html! { (new_key(&services)) (rotate()) (once()) })
        .live())
}

fn tools(request: &KeyRequest, total: usize) -> Markup {
    html! {
        div.controls {
            form.find role="search" data-go="/ui/keys" {
                label.sr for="search" { "Find a key" }
                input #search type="search" name="search" value=[request.search.as_deref()] placeholder="Name, service, file" title="Or the beginning of a fingerprint";
                button type="submit" { "Find" }
                span.quiet { (format::counted(total, "key", "keys")) }
            }
            button.primary type="button" data-open="new-key" { "New key" }
        }
    }
}

fn list(state: &AppState, request: &KeyRequest, page: &KeyPage) -> Markup {
    if page.rows.is_empty() && request.search.is_some() {
        return parts::empty("No key matches", html! { p { a href="/ui/keys" { "Show all" } } });
    }
    if page.rows.is_empty() {
        return parts::empty(
            "No key yet",
            html! {
                p { "A key lets somebody in by the edge, and leads to one service. Make the first one." }
                p { button.primary type="button" data-open="new-key" { "New key" } }
            },
        );
    }
    let rows: Vec<Vec<Markup>> = page
        .rows
        .iter()
        .map(|row| cells(row, page.used.get(&*row.name)))
        .collect();
    let next = page.next.as_deref().map(|next| {
        let search = request
            .search
            .as_deref()
            .map(|search| format!("&search={}", parts::encoded(search)));
        format!("/ui/keys?cursor={}{}", parts::encoded(next), search.unwrap_or_default())
    });
    html! {
        @if state.store.is_none() {
            (parts::notice(Tone::Quiet, html! { p { "What keys use is counted from stored responses, and nothing is stored here." } }))
        }
        (parts::table("Keys", &["Name", "State", "Leads to", "Limits", "Today", "30 days", "Ends", "Do"], &rows))
        (parts::more(next, "Next keys"))
    }
}

fn cells(row: &KeyRow, used: Option<&Used>) -> Vec<Markup> {
    vec![
        html! {
            span.name { (row.name) }
            span.under { (row.file) ":" (row.line) @for print in row.fingerprints.iter().take(1) { " · " code { (print) } } }
        },
        state_badge(row),
        html! {
            span.long { (row.service) }
            @if let Some(models) = &row.models { span.under { (few(models)) } }
        },
        html! { @if row.limits.is_empty() { span.quiet { "none" } } @for limit in &row.limits { span.line { (limit_words(limit)) } } },
        today(row, used),
        html! { @match used {
            Some(used) if used.month.exchanges > 0 => {
                (format::short(tokens(&used.month) as f64)) " tokens"
                span.under { (format::counted(usize::try_from(used.month.exchanges).unwrap_or(0), "request", "requests")) }
            }
            _ => (parts::none()),
        } },
        html! { (row.expires_at.as_deref().map_or("never", |at| at.get(..10).unwrap_or(at))) },
        buttons(row),
    ]
}

fn tokens(usage: &crate::store::Usage) -> u64 {
    usage.input_tokens + usage.output_tokens
}

/// Today's tokens against a budget a day, where there is one.
fn today(row: &KeyRow, used: Option<&Used>) -> Markup {
    let budget = row.limits.iter().find_map(|limit| match limit {
        KeyLimit::Tokens {
            amount,
            period_ms: DAY_MS,
            count,
        } => Some((*amount, *count)),
        _ => None,
    });
    let today = used.map(|used| &used.today).filter(|today| today.exchanges > 0);
    html! {
        @match (today, budget) {
            (None, None) => (parts::none()),
            (today, Some((amount, count))) => {
                @let spent = today.map_or(0, |today| match count { "input" => today.input_tokens, "output" => today.output_tokens, _ => tokens(today) });
                (parts::meter(&format!("Tokens of {} today", row.name), spent, amount))
            }
            (Some(today), None) => { (format::short(tokens(today) as f64)) " tokens" }
        }
        @if let Some(today) = today {
            span.under { (format::counted(usize::try_from(today.exchanges).unwrap_or(0), "request", "requests")) @if today.refused > 0 { ", " (format::whole(today.refused)) " refused" } }
        }
    }
}

fn state_badge(row: &KeyRow) -> Markup {
    let (tone, word) = match row.state {
        KeyState::Ok => (Tone::Good, "ok"),
        KeyState::Expired => (Tone::Quiet, "expired"),
        KeyState::NotYetValid => (Tone::Quiet, "not yet valid"),
        KeyState::Broken => (Tone::Bad, "broken"),
        KeyState::Shadowed => (Tone::Bad, "shadowed"),
    };
    html! {
        (parts::badge(tone, word))
        @if let Some(problem) = &row.problem { span.under { (problem) } }
        @if row.keys.is_none() { span.under { "any key of a pattern" } }
        @if let Some(old) = row.rotation.as_ref().filter(|old| old.old_key_state == KeyState::Ok) {
            span.under { "old key until " (old.old_key_until.as_deref().map_or("revoked", |at| at.get(..16).unwrap_or(at))) }
        }
    }
}

fn few(models: &[String]) -> String {
    match models {
        [] => "no model".to_owned(),
        [one, two, _, ..] if models.len() > 3 => format!("{one}, {two} and {} more", models.len() - 2),
        models => models.join(", "),
    }
}

fn limit_words(limit: &KeyLimit) -> String {
    match limit {
        KeyLimit::Requests { average, period_ms, .. } => {
            format!("{} requests a {}", format::whole(*average), format::period(*period_ms))
        }
        KeyLimit::Concurrent { amount } => format!("{amount} at once"),
        KeyLimit::Tokens {
            amount,
            period_ms,
            count,
        } => {
            let count = if *count == "total" {
                String::new()
            } else {
                format!("{count} ")
            };
            format!(
                "{} {count}tokens a {}",
                format::short(*amount as f64),
                format::period(*period_ms)
            )
        }
    }
}

fn buttons(row: &KeyRow) -> Markup {
    let name = parts::encoded(&row.name);
    html! {
        div.row {
            button type="button" data-rotate=(row.name) { "Rotate" span.sr { " " (row.name) } }
            button.danger type="button" data-delete={ "/admin/keys/" (name) } data-said={ (row.name) ": revoked" }
                data-ask={ "Revoke " (row.name) "?" }
                data-ask-text="The key stops working at once, and its router is taken out of the mapping file. Requests that have begun are not cut."
                data-ask-yes="Revoke" { "Revoke" span.sr { " " (row.name) } }
        }
    }
}

fn new_key(services: &[String]) -> Markup {
    html! {
        dialog #new-key aria-labelledby="new-key-title" {
            form data-new-key {
                h2 #new-key-title { "New key" }
                div.fields {
                    (field("name", "Name", "letters, digits, - _ and .", html! {
                        input #f-name name="name" required maxlength="100" pattern="[A-Za-z0-9][A-Za-z0-9._\\-]*" autocomplete="off" spellcheck="false" aria-describedby="h-name"; }))
                    (field("service", "Leads to", "a service of the folder, or a server's URL", html! {
                        input #f-service name="service" list="services" autocomplete="off" spellcheck="false" aria-describedby="h-service"
                            required[services.len() != 1] placeholder=[(services.len() == 1).then(|| &*services[0])];
                        datalist #services { @for service in services { option value=(service) {} } } }))
                    (field("models", "Models", "parted by commas; empty for all", html! {
                        input #f-models name="models" autocomplete="off" spellcheck="false" aria-describedby="h-models"; }))
                    (field("expires", "Ends", "30d, 12h, or 2027-01-01; empty for never", html! {
                        input #f-expires name="expires" autocomplete="off" aria-describedby="h-expires"; }))
                    (field("requests_per_minute", "Requests a minute", "empty for no limit", number("requests_per_minute")))
                    (field("tokens_per_day", "Tokens a day", "read and written; empty for no limit", number("tokens_per_day")))
                    (field("concurrent", "At once", "empty for no limit", number("concurrent")))
                    (field("note", "Note", "becomes a comment in the file", html! { input #f-note name="note" autocomplete="off" aria-describedby="h-note"; }))
                }
                div.foot {
                    p.trouble role="alert" {}
                    div.row {
                        button type="button" data-close { "Cancel" }
                        button.primary type="submit" { "Make key" }
                    }
                }
            }
        }
    }
}

fn number(name: &str) -> Markup {
    html! { input id={ "f-" (name) } name=(name) type="number" min="1" step="1" inputmode="numeric" aria-describedby={ "h-" (name) }; }
}

fn field(name: &str, label: &str, hint: &str, input: Markup) -> Markup {
    html! {
        div.field {
            label for={ "f-" (name) } { (label) }
            (input)
            span.hint id={ "h-" (name) } { (hint) }
        }
    }
}

fn rotate() -> Markup {
    html! {
        dialog #rotate aria-labelledby="rotate-title" {
            form data-rotate-form {
                h2 #rotate-title { "Rotate " span data-name {} }
                p { "A new key is made, and shown once. The old one goes on for a while, so that nobody is cut off." }
                (field("grace", "The old key works for another", "24h, 30m, 7d", html! { input #f-grace name="grace" value="24h" required aria-describedby="h-grace"; }))
                p.trouble role="alert" {}
                div.row {
                    button type="button" data-close { "Cancel" }
                    button.primary type="submit" { "Rotate" }
                }
            }
        }
    }
}

/// Where a key is shown the one time it is.
fn once() -> Markup {
    html! {
        dialog #once aria-labelledby="once-title" {
            h2 #once-title { "The key of " span data-name {} }
            p { "Copy it now: it is shown this once. The file holds its SHA-256 alone." }
            output.secret #once-key tabindex="0" aria-label="The key" {}
            p.hint data-until {}
            div.row {
                button type="button" data-copy="once-key" { "Copy" }
                button.primary type="button" data-forget { "I have it" }
            }
        }
    }
}
