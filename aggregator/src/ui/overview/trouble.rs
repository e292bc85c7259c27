//! What went wrong: what is wrong now, and the latest exchanges that did not go well.

use maud::{Markup, html};

use crate::error::ApiError;
use crate::fleet::Status;
use crate::router::AppState;
use crate::store::{Filter, PageRequest, Row, Status as Ended};
use crate::ui::format;
use crate::ui::parts::{self, Tone};

const LATEST_MAX: usize = 6;

/// What somebody should look at, each with the way to it.
pub(super) fn notices(state: &AppState) -> Markup {
    let view = state.fleet.view();
    let down = view
        .backends
        .iter()
        .filter(|backend| backend.status == Status::Down)
        .count();
    let drained = view
        .backends
        .iter()
        .filter(|backend| backend.traffic.is_draining())
        .count();
    let broken = state
        .desk
        .keyring()
        .map_or(0, |keyring| keyring.snapshot().bad_files().count());
    let configuration = state.settings.is_broken();
    if down + drained + broken == 0 && !configuration {
        return html! {};
    }
    let tone = if down + broken > 0 || configuration {
        Tone::Bad
    } else {
        Tone::Warn
    };
    parts::notice(
        tone,
        html! {
            ul {
                @if down > 0 { li { a href="/ui/backends" { (format::counted(down, "backend is down", "backends are down")) } } }
                @if broken > 0 { li { a href="/ui/mappings?state=problems" { (format::counted(broken, "mapping file does not check", "mapping files do not check")) } } }
                @if configuration { li { "config.yaml does not check; its last good content is in use." } }
                @if drained > 0 { li { a href="/ui/backends" { (format::counted(drained, "backend is drained", "backends are drained")) } } }
            }
        },
    )
}

/// The newest of each way to go wrong, merged.
pub(super) async fn latest(state: &AppState) -> Result<Markup, ApiError> {
    let Some(store) = &state.store else {
        return Ok(html! {});
    };
    let mut rows: Vec<Row> = Vec::new();
    for status in [Ended::UpstreamFailed, Ended::Interrupted] {
        let filter = Filter {
            status: Some(status),
            ..Filter::default()
        };
        let page = PageRequest {
            limit: LATEST_MAX,
            before: None,
        };
        rows.extend(store.list(filter, page).await?.items);
    }
    rows.sort_by_key(|row| std::cmp::Reverse(row.seq));
    rows.truncate(LATEST_MAX);
    Ok(html! {
        section.card aria-labelledby="trouble-title" {
            header { h2 #trouble-title { "Broke off lately" } a href="/ui/responses" { "All responses" } }
            @if rows.is_empty() { p.quiet { "None of the stored answers broke off." } }
            ul.lines {
                @for row in &rows { li {
                    a.what href={ "/ui/responses?id=" (row.id) } { (format::moment(row.started_at_us)) }
                    (parts::badge(Tone::Bad, if row.answered.status == Ended::Interrupted { "interrupted" } else { "upstream failed" }))
                    span.detail { (row.answered.model.as_deref().or(row.asked.model.as_deref()).unwrap_or(format::NONE)) }
                    span.load { (row.answered.backend.as_deref().unwrap_or(format::NONE)) }
                } }
            }
        }
    })
}
