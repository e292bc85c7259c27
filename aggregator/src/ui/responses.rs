//! *Responses*: what was asked and answered: found, filtered, read as a conversation, taken out as a file.

use maud::{Markup, html};

use super::fragment::Fragment;
use super::parts::{self, Tone};
use super::{Page, format};
use crate::api::query::Query;
use crate::api::responses::cursor_text;
use crate::error::ApiError;
use crate::router::AppState;
use crate::store::{Filter, PageRequest, Row, Status, Store};

mod conversation;
mod filters;

use filters::Filters;

const PAGE_MAX: usize = 50;
/// A page of the store is bounded in time and may be short: so many are put together for one of ours.
const LOOKS_MAX: usize = 8;

pub(super) async fn fragment(state: &AppState, mut query: Query) -> Result<Fragment, ApiError> {
    let Some(store) = &state.store else {
        return Ok(Fragment::new(Page::Responses, html! {}).with("list", off()));
    };
    if let Some(id) = query.parsed("id", "an exchange's id", |text| text.parse().ok())? {
        query.whole(|_| Ok(()))?;
        let stored = store.show(id).await?.ok_or(ApiError::UnknownResponse)?;
        let lead = html! { a.back href="/ui/responses" { "All responses" } };
        return Ok(Fragment::new(Page::Responses, lead).with("conversation", conversation::whole(&stored)));
    }
    let (filters, before) = query.whole(|query| Ok((Filters::read(query)?, query.place()?)))?;
    let filter = filters.filter()?;
    let found = find(store, &filter, before).await?;
    let lead =
        html! { "Every exchange that is kept, the newest first. Prompts are in it: it is for administrators' eyes." };
    let is_searchable = store.facts().is_searchable;
    Ok(Fragment::new(Page::Responses, lead)
        .with("filters", filters.form(is_searchable))
        .with("list", list(&found, &filters)))
}

struct Found {
    rows: Vec<Row>,
    next: Option<i64>,
}

async fn find(store: &Store, filter: &Filter, before: Option<i64>) -> Result<Found, ApiError> {
    let mut found = Found {
        rows: Vec::new(),
        next: before,
    };
    for look in 0..LOOKS_MAX {
        if look > 0 && found.next.is_none() {
            break;
        }
        let page = PageRequest {
            limit: PAGE_MAX - found.rows.len(),
            before: found.next,
        };
        let page = store.list(filter.clone(), page).await?;
        found.rows.extend(page.items);
        found.next = page.next;
        if found.rows.len() >= PAGE_MAX {
            break;
        }
    }
    Ok(found)
}

fn off() -> Markup {
    parts::empty(
        "Nothing is stored here",
        html! {
            p { "Start with " code { "--db-path" } " and, for what passes the edge, " code { "--journal" } "; or switch "
                code { "response_storage" } " on in config.yaml." }
        },
    )
}

fn list(found: &Found, filters: &Filters) -> Markup {
    let more = found
        .next
        .map(|next| filters.link(&format!("cursor={}", cursor_text(next))));
    if found.rows.is_empty() {
        return html! {
            @match (&more, filters.is_empty()) {
                (Some(_), _) => (parts::empty("Nothing so far", html! { p { "There is more to look through." } })),
                (None, true) => (parts::empty("No response yet", html! { p { "The first exchange appears here as soon as it is stored." } })),
                (None, false) => (parts::empty("Nothing matches", html! { p { a href="/ui/responses" { "Take the filters off" } } })),
            }
            (parts::more(more, "Look further"))
        };
    }
    let rows: Vec<Vec<Markup>> = found.rows.iter().map(cells).collect();
    html! {
        (parts::table("Responses", &["Began", "Key", "Model", "Backend", "Ended", "Tokens", "First token", "Took"], &rows))
        (parts::more(more, "Older"))
    }
}

fn cells(row: &Row) -> Vec<Markup> {
    let or_none = |text: Option<&str>| html! { @match text { Some(text) => (text), None => (parts::none()) } };
    let name = |text: Option<&str>| match text {
        Some(text) => html! { span.long { (text) } },
        None => parts::none(),
    };
    let time = |us: Option<u64>| or_none(us.map(format::micros).as_deref());
    let short = |tokens: Option<u64>| format::short(tokens.unwrap_or(0) as f64);
    let tokens = match (row.tokens.input, row.tokens.output) {
        (None, None) => None,
        (input, output) => Some(format!("{} in, {} out", short(input), short(output))),
    };
    let is_councils = row.plane.name() == "council";
    vec![
        html! { a href={ "/ui/responses?id=" (row.id) } { (format::moment(row.started_at_us)) } },
        match (&row.asked.key, is_councils) {
            (None, true) => html! { span.quiet { "for a council" } },
            (key, is_councils) => {
                html! { (name(key.as_deref())) @if is_councils { span.under { "for a council" } } }
            }
        },
        name(row.answered.model.as_deref().or(row.asked.model.as_deref())),
        name(row.answered.backend.as_deref()),
        ended(row),
        or_none(tokens.as_deref()),
        time(row.timing.first_token_us),
        time(row.timing.duration_us),
    ]
}

/// How it ended, in a word.
fn ended(row: &Row) -> Markup {
    if let Some(code) = &row.answered.refused {
        return parts::badge(Tone::Warn, &format!("refused: {code}"));
    }
    let failed = row.answered.http_status.filter(|status| *status >= 400);
    match (row.answered.status, failed) {
        (Status::Complete, None) => parts::badge(Tone::Good, "complete"),
        (Status::Complete, Some(status)) => parts::badge(Tone::Bad, &format!("HTTP {status}")),
        (Status::ClientGone, _) => parts::badge(Tone::Quiet, "client gone"),
        (Status::UpstreamFailed, _) => parts::badge(Tone::Bad, "upstream failed"),
        (Status::Interrupted, _) => parts::badge(Tone::Bad, "interrupted"),
    }
}
