//! *Backends*: how each is, what it serves, and whether it gets requests.

use maud::{Markup, html};

use super::fragment::Fragment;
use super::parts::{self, Tone};
use super::{Page, format};
use crate::api::listing::Listing;
use crate::api::query::Query;
use crate::error::ApiError;
use crate::fleet::{Backend, Status};
use crate::router::AppState;

/// Backends on one page, and models named of each.
const PAGE_MAX: usize = 50;
const MODELS_MAX: usize = 8;

pub(super) async fn fragment(state: &AppState, query: Query) -> Result<Fragment, ApiError> {
    let (search, listing) = query.whole(|query| Ok((query.search()?, Listing::read(query)?.at_most(PAGE_MAX))))?;
    let view = state.fleet.view();
    let needle = search.as_deref().unwrap_or_default();
    let mut all: Vec<&Backend> = view.backends.iter().map(|backend| &**backend).collect();
    all.retain(|backend| matches(backend, needle));
    all.sort_by(|a, b| a.spec.name.cmp(&b.spec.name));
    let (shown, next) = listing.page(&all, |backend| &backend.spec.name);
    let next = next.map(|after| {
        let search = search
            .iter()
            .map(|search| format!("&search={}", parts::encoded(search)));
        format!(
            "/ui/backends?cursor={}{}",
            parts::encoded(&after),
            search.collect::<String>()
        )
    });
    let lead = html! { "Asked every few seconds. Draining keeps new requests away; what runs goes on." };
    Ok(Fragment::new(Page::Backends, lead)
        .with("find", find(search.as_deref(), view.backends.len()))
        .with(
            "list",
            html! { (list(shown, view.backends.is_empty())) (parts::more(next, "Next backends")) },
        )
        .live())
}

fn matches(backend: &Backend, needle: &str) -> bool {
    needle.is_empty()
        || backend.spec.name.to_lowercase().contains(needle)
        || backend.spec.url.as_str().to_lowercase().contains(needle)
        || backend.models.iter().any(|(id, _)| id.to_lowercase().contains(needle))
}

fn find(search: Option<&str>, count: usize) -> Markup {
    html! {
        form.find role="search" data-go="/ui/backends" {
            label.sr for="search" { "Find a backend, an address or a model" }
            input #search type="search" name="search" value=[search] placeholder="Name, address or model";
            button type="submit" { "Find" }
            span.quiet { (format::counted(count, "backend", "backends")) }
        }
    }
}

fn list(shown: &[&Backend], is_empty: bool) -> Markup {
    if is_empty {
        return parts::empty(
            "No backend yet",
            html! { p { "Every server of a mapping file is one, and so is every entry of " code { "backends" } " in config.yaml. \
            They appear here by themselves." } },
        );
    }
    if shown.is_empty() {
        return parts::empty(
            "No backend matches",
            html! { p { a href="/ui/backends" { "Show all" } } },
        );
    }
    html! { ul.servers { @for backend in shown { li { (card(backend)) } } } }
}

fn card(backend: &Backend) -> Markup {
    let spec = &backend.spec;
    html! {
        article.card.server aria-label=(spec.name) {
            header {
                h2 { (spec.name) }
                (status(backend))
                (drain_button(backend))
            }
            p.address { (spec.url) " · " (spec.kind.name()) " · from " (match spec.origin.name() { "config" => "config.yaml", _ => "a mapping file" }) }
            @if let Some(cause) = &backend.cause { p.cause { (cause) } }
            dl.facts {
                div { dt { "Load" } dd { (load(backend)) } }
                div { dt { "First byte" } dd { (backend.traffic.latency().map_or_else(|| format::NONE.to_owned(), |latency| format::time(latency.as_secs_f64() * 1e3))) } }
                div { dt { "Answered" } dd { (format::whole(backend.traffic.answered_total())) } }
                div { dt { "Failed" } dd { (format::whole(backend.traffic.failed_total())) } }
                div { dt { "Priority" } dd { (spec.priority) } }
            }
            (models(backend))
        }
    }
}

fn models(backend: &Backend) -> Markup {
    let count = backend.models.len();
    html! {
        @if count == 0 { p.quiet { "No model is known of it." } }
        @else {
            ul.models aria-label={ "Models of " (backend.spec.name) } {
                @for (id, model) in backend.models.iter().take(MODELS_MAX) {
                    li class=[model.loaded.then_some("loaded")] { (id) @if model.loaded { span.state { " · loaded" } } }
                }
                @if count > MODELS_MAX { li.quiet { "and " (count - MODELS_MAX) " more" } }
            }
        }
    }
}

fn drain_button(backend: &Backend) -> Markup {
    let name = &backend.spec.name;
    let (path, word) = match backend.traffic.is_draining() {
        true => ("undrain", "Undrain"),
        false => ("drain", "Drain"),
    };
    html! {
        button type="button" data-post={ "/admin/backends/" (parts::encoded(name)) "/" (path) } data-said={ (name) ": " (path) "ed" } {
            (word) span.sr { " " (name) }
        }
    }
}

/// How it is, in a word.
pub(super) fn status(backend: &Backend) -> Markup {
    if backend.traffic.is_draining() {
        let words = match backend.traffic.in_flight() {
            0 => "drained".to_owned(),
            running => format!("draining, {running} running"),
        };
        return parts::badge(Tone::Warn, &words);
    }
    match (backend.status, backend.traffic.is_suspended()) {
        (Status::Down, _) => parts::badge(Tone::Bad, "down"),
        (_, true) => parts::badge(Tone::Warn, "suspended"),
        (Status::Up, _) => parts::badge(Tone::Good, "up"),
        (Status::Slow, _) => parts::badge(Tone::Warn, "slow"),
        (Status::Unknown, _) => parts::badge(Tone::Quiet, "not heard of yet"),
    }
}

/// How many requests it works on, of how many it can.
pub(super) fn load(backend: &Backend) -> Markup {
    let busy = u64::from(backend.busy());
    html! {
        @match backend.slots {
            Some(slots) if slots > 0 => (parts::meter("Slots", busy, u64::from(slots))),
            _ => { (format::whole(busy)) " running" }
        }
    }
}

pub(super) fn loaded_words(backend: &Backend) -> String {
    let mut loaded = backend
        .models
        .iter()
        .filter(|(_, model)| model.loaded)
        .map(|(id, _)| id);
    match (loaded.next(), loaded.count()) {
        (None, _) => format::counted(backend.models.len(), "model, none loaded", "models, none loaded"),
        (Some(only), 0) => only.to_string(),
        (Some(first), more) => format!("{first} and {more} more"),
    }
}
