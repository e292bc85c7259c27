//! What is filtered by, as it was typed: read, shown again in the form, and carried from page to page.

use maud::{Markup, html};

use crate::api::query::Query;
use crate::error::ApiError;
use crate::store::{Filter, Status};
use crate::ui::parts::encoded;

/// Every filter of `GET /admin/responses`.
const NAMES: [&str; 11] = [
    "text",
    "key",
    "model",
    "backend",
    "status",
    "from",
    "to",
    "min_tokens",
    "max_tokens",
    "min_duration_ms",
    "max_duration_ms",
];

pub(super) struct Filters {
    typed: Vec<(&'static str, String)>,
}

impl Filters {
    /// Fields that were left empty filter nothing.
    pub(super) fn read(query: &mut Query) -> Result<Self, ApiError> {
        let mut typed = Vec::new();
        for name in NAMES {
            let value = query.parsed(name, "a text", |text| Some(text.trim().to_owned()))?;
            typed.extend(value.filter(|value| !value.is_empty()).map(|value| (name, value)));
        }
        Ok(Self { typed })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.typed.is_empty()
    }

    /// # Errors
    /// Where a value is not in its form.
    pub(super) fn filter(&self) -> Result<Filter, ApiError> {
        let pairs = self
            .typed
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.clone()));
        let mut query = Query::of_pairs(pairs.collect())?;
        query.filter()
    }

    /// The same list, with something more in its query.
    pub(super) fn link(&self, more: &str) -> String {
        format!("/ui/responses?{}{more}", self.query())
    }

    fn query(&self) -> String {
        let pairs = self
            .typed
            .iter()
            .map(|(name, value)| format!("{name}={}&", encoded(value)));
        pairs.collect()
    }

    fn value(&self, name: &str) -> Option<&str> {
        self.typed
            .iter()
            .find(|(typed, _)| *typed == name)
            .map(|(_, value)| value.as_str())
    }

    pub(super) fn form(&self, is_searchable: bool) -> Markup {
        let more = [
            "from",
            "to",
            "min_tokens",
            "max_tokens",
            "min_duration_ms",
            "max_duration_ms",
        ];
        let is_open = more.iter().any(|name| self.value(name).is_some());
        html! {
            form.filters role="search" aria-label="Filter responses" data-go="/ui/responses" {
                @if is_searchable { (self.text("text", "Words", "In prompt, answer, thinking")) }
                (self.text("key", "Key", ""))
                (self.text("model", "Model", ""))
                (self.text("backend", "Backend", ""))
                div.field {
                    label for="f-status" { "Ended" }
                    select #f-status name="status" {
                        option value="" { "in any way" }
                        @for status in Status::ALL {
                            option value=(status.name()) selected[self.value("status") == Some(status.name())] { (status.name().replace('_', " ")) }
                        }
                    }
                }
                details.more-filters open[is_open] {
                    summary { "Times and sizes" }
                    div.fields {
                        (self.text("from", "From", "2026-11-22 or a time"))
                        (self.text("to", "To", "2026-11-22 or a time"))
                        (self.text("min_tokens", "Tokens, at least", ""))
                        (self.text("max_tokens", "Tokens, at most", ""))
                        (self.text("min_duration_ms", "Took at least", "ms"))
                        (self.text("max_duration_ms", "Took at most", "ms"))
                    }
                }
                div.row {
                    button.primary type="submit" { "Filter" }
                    @if !self.is_empty() { a.button href="/ui/responses" { "Clear" } }
                    button type="button" data-download={ "/admin/responses/export?" (self.query()) "format=jsonl" } data-name="responses.jsonl" { "Export" }
                    button type="button" data-download={ "/admin/responses/export?" (self.query()) "format=chat" } data-name="conversations.jsonl" { "Export for fine-tuning" }
                }
            }
        }
    }

    fn text(&self, name: &'static str, label: &str, hint: &str) -> Markup {
        html! {
            div.field {
                label for={ "f-" (name) } { (label) }
                input id={ "f-" (name) } name=(name) value=[self.value(name)] placeholder=[(!hint.is_empty()).then_some(hint)] autocomplete="off" spellcheck="false";
            }
        }
    }
}
