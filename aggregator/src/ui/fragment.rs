//! A page's content: named parts, each rendered by itself, so that a live page exchanges only what has changed.

use axum::extract::{Path, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse as _, Response};
use maud::{Markup, html};

use super::{Page, backends, council, keys, mappings, overview, responses, try_it};
use crate::api::query::Query;
use crate::error::ApiError;
use crate::router::AppState;

/// What stands below a page's heading.
pub(super) struct Fragment {
    page: Page,
    /// Beside the heading: what the page is about, in a sentence.
    lead: Markup,
    parts: Vec<(&'static str, Markup)>,
    is_live: bool,
}

impl Fragment {
    pub(super) fn new(page: Page, lead: Markup) -> Self {
        Self {
            page,
            lead,
            parts: Vec::new(),
            is_live: false,
        }
    }

    pub(super) fn with(mut self, name: &'static str, markup: Markup) -> Self {
        self.parts.push((name, markup));
        self
    }

    /// Its parts are to be exchanged as they change.
    pub(super) fn live(mut self) -> Self {
        self.is_live = true;
        self
    }

    pub(super) fn parts(self) -> Vec<(&'static str, Markup)> {
        self.parts
    }

    fn whole(&self) -> Markup {
        html! {
            div.page data-page=(self.page.name()) data-title=(self.page.title()) data-live[self.is_live] {
                header.head {
                    h1 tabindex="-1" { (self.page.title()) }
                    div.lead { (self.lead) }
                }
                @for (name, markup) in &self.parts {
                    div.part data-part=(name) { (markup) }
                }
            }
        }
    }
}

pub(crate) async fn part(
    State(state): State<AppState>,
    Path(name): Path<String>,
    query: Query,
) -> Result<Response, ApiError> {
    let fragment = rendered(&state, &name, query).await?;
    let kind = [(CONTENT_TYPE, "text/html; charset=utf-8"), (CACHE_CONTROL, "no-store")];
    Ok((kind, fragment.whole().into_string()).into_response())
}

pub(super) async fn rendered(state: &AppState, name: &str, query: Query) -> Result<Fragment, ApiError> {
    let page = Page::from_name(name).ok_or(ApiError::UnknownPage)?;
    match page {
        Page::Overview => overview::fragment(state, query).await,
        Page::Backends => backends::fragment(state, query).await,
        Page::Keys => keys::fragment(state, query).await,
        Page::Mappings => mappings::fragment(state, query).await,
        Page::Responses => responses::fragment(state, query).await,
        Page::Council => council::fragment(state, query).await,
        Page::Try => try_it::fragment(state, query).await,
    }
}
