//! *Overview*: which servers are up, who uses what, how fast it is, what went wrong.

use maud::{Markup, html};
use serde_json::Value;

use super::fragment::Fragment;
use super::parts;
use super::{Page, backends, format, plot};
use crate::api::query::Query;
use crate::api::series::{self, By};
use crate::error::ApiError;
use crate::router::AppState;
use crate::series::{Series, Source, Span};

mod host;
mod plots;
mod trouble;

/// Backends on this page; all of them are on theirs.
const BACKENDS_MAX: usize = 12;

pub(super) async fn fragment(state: &AppState, query: Query) -> Result<Fragment, ApiError> {
    let (span, by) = query.whole(series::asked)?;
    let series = state.desk.series(span, state.store.as_ref()).await?;
    let stats = state.stats.serve().await;
    let stats: Option<Value> = stats.and_then(|stats| serde_json::from_slice(&stats).ok());
    let lead = html! { "The last " (span.words()) ". Times are UTC." };
    Ok(Fragment::new(Page::Overview, lead)
        .with("controls", controls(span, by))
        .with("notice", trouble::notices(state))
        .with("figures", figures(state, &series))
        .with("plots", plots::plots(&series, by))
        .with("now", now(state))
        .with("trouble", trouble::latest(state).await?)
        .with("host", host::section(stats.as_ref(), &state.desk.history, &series))
        .live())
}

fn controls(span: Span, by: By) -> Markup {
    let link = |span: Span, by: By| format!("/ui/overview?span={}&by={}", span.name(), by.name());
    html! {
        div.controls {
            (parts::choice("Span", Span::ALL.into_iter().map(|other| (other.name(), link(other, by), other == span))))
            (parts::choice("Lines", By::ALL.into_iter().map(|other| {
                let name = match other { By::Backend => "By backend", By::Key => "By key" };
                (name, link(span, other), other == by)
            })))
        }
    }
}

fn figures(state: &AppState, series: &Series) -> Markup {
    let view = state.fleet.view();
    let total = series.total();
    let up = view.backends.iter().filter(|backend| backend.is_healthy()).count();
    let in_flight: u32 = view.backends.iter().map(|backend| backend.traffic.in_flight()).sum();
    let mean = match total.first_tokens {
        0 => format::NONE.to_owned(),
        count => format::micros(total.first_token_us / count),
    };
    let tokens = match series.source {
        Source::Store => format::short((total.input_tokens + total.output_tokens) as f64),
        Source::Memory => format::NONE.to_owned(),
    };
    let first = match series.source {
        Source::Store => "First token",
        Source::Memory => "First byte",
    };
    html! {
        dl.figures {
            (parts::figure("Backends up", &format!("{up} of {}", view.backends.len()), ""))
            (parts::figure("Running now", &format::whole(u64::from(in_flight)), "through the aggregator"))
            (parts::figure("Requests", &format::short(total.requests as f64), "of clients"))
            (parts::figure("Tokens", &tokens, "read and written"))
            (parts::figure(first, &mean, "on average"))
            (parts::figure("Errors", &format::percent(total.errors, total.requests), &format::whole(total.errors)))
        }
    }
}

/// How the backends are at this moment.
fn now(state: &AppState) -> Markup {
    let view = state.fleet.view();
    let mut all: Vec<_> = view.backends.iter().collect();
    // Who needs a look stands first.
    all.sort_by(|a, b| (a.is_healthy(), &a.spec.name).cmp(&(b.is_healthy(), &b.spec.name)));
    let rest = all.len().saturating_sub(BACKENDS_MAX);
    html! {
        section.card aria-labelledby="now-title" {
            header { h2 #now-title { "Backends now" } a href="/ui/backends" { "All backends" } }
            @if all.is_empty() {
                p.quiet { "None yet. Backends come from mapping files and from " code { "backends" } " in config.yaml." }
            }
            ul.lines {
                @for backend in all.iter().take(BACKENDS_MAX) { li {
                    span.what { (backend.spec.name) }
                    (backends::status(backend))
                    span.detail { (backends::loaded_words(backend)) }
                    span.load { (backends::load(backend)) }
                } }
            }
            @if rest > 0 { p.quiet { "and " (format::counted(rest, "other", "others")) } }
        }
    }
}

impl Series {
    /// Of all that clients asked; where keys are not known, of all that backends were asked.
    fn total(&self) -> crate::store::Sums {
        let groups = match self.source {
            Source::Store => &self.by_key,
            Source::Memory => &self.by_backend,
        };
        let mut total = crate::store::Sums::default();
        groups.values().flatten().for_each(|sums| total.add(sums));
        total
    }
}

/// When each part begins, as an axis says it.
fn times(series: &Series) -> Vec<String> {
    let at = |part: usize| series.from_us + series.step_us * i64::try_from(part).unwrap_or(0);
    let say = match series.span.is_days() {
        true => format::day,
        false => format::clock,
    };
    (0..series.span.parts()).map(|part| say(at(part))).collect()
}

/// Plots' lines of a figure, the largest first.
fn lines(series: &Series, by: By, of: impl Fn(&crate::store::Sums) -> Option<f64>) -> Vec<plot::Line> {
    let groups = match by {
        By::Key => &series.by_key,
        By::Backend => &series.by_backend,
    };
    let line = |(name, sums): (&String, &Vec<crate::store::Sums>)| plot::Line {
        name: match (name.as_str(), by) {
            ("", By::Backend) => "answered here".to_owned(),
            ("", By::Key) => "no key".to_owned(),
            (name, _) => name.to_owned(),
        },
        values: sums
            .iter()
            .enumerate()
            .map(|(part, sums)| if part < series.missing { None } else { of(sums) })
            .collect(),
    };
    groups.iter().map(line).collect()
}
