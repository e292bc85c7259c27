//! `GET /admin/series`: what happened when, by key or by backend, in equal parts of a span.

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use super::query::Query;
use super::responses::milliseconds;
use super::time::rfc3339;
use crate::error::ApiError;
use crate::router::AppState;
use crate::series::{Series, Source, Span};
use crate::store::Sums;

pub(crate) async fn show(State(state): State<AppState>, query: Query) -> Result<Json<Value>, ApiError> {
    let (span, by) = query.whole(asked)?;
    let series = state.desk.series(span, state.store.as_ref()).await?;
    Ok(Json(shape(&series, by)))
}

/// Of which span, and what makes a line of it.
pub(crate) fn asked(query: &mut Query) -> Result<(Span, By), ApiError> {
    Ok((span(query)?, by(query)?))
}

/// What makes a line of a plot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum By {
    #[default]
    Backend,
    Key,
}

impl By {
    pub(crate) const ALL: [Self; 2] = [Self::Backend, Self::Key];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Backend => "backend",
            Self::Key => "key",
        }
    }
}

fn span(query: &mut Query) -> Result<Span, ApiError> {
    let span = query.parsed("span", "`15m`, `1h`, `6h`, `24h`, `7d` or `30d`", Span::from_name)?;
    Ok(span.unwrap_or_default())
}

fn by(query: &mut Query) -> Result<By, ApiError> {
    let by = query.parsed("by", "`backend` or `key`", |text| {
        By::ALL.into_iter().find(|by| by.name() == text)
    })?;
    Ok(by.unwrap_or_default())
}

fn shape(series: &Series, by: By) -> Value {
    let groups = match by {
        By::Key => &series.by_key,
        By::Backend => &series.by_backend,
    };
    let groups = groups.iter().map(|(name, sums)| {
        let name = Some(name).filter(|name| !name.is_empty());
        json!({ "name": name, "parts": sums.iter().map(part).collect::<Vec<_>>() })
    });
    json!({
        "object": "series",
        "by": by.name(),
        "span": series.span.name(),
        "source": match series.source { Source::Store => "store", Source::Memory => "memory" },
        "from": rfc3339(series.from_us),
        "step_ms": series.step_us / 1_000,
        "parts": series.span.parts(),
        "missing": series.missing,
        "data": groups.collect::<Vec<_>>(),
    })
}

fn part(sums: &Sums) -> Value {
    let mean = |sum: u64, count: u64| (count > 0).then(|| milliseconds(sum) / count as f64);
    json!({
        "requests": sums.requests,
        "errors": sums.errors,
        "input_tokens": sums.input_tokens,
        "output_tokens": sums.output_tokens,
        "first_token_ms_mean": mean(sums.first_token_us, sums.first_tokens),
    })
}
