//! `GET /admin/usage`: what was used, by key, model, backend or day. It outlives the exchanges it counts.

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use super::listing::Listing;
use super::query::{BadQuery, Query};
use super::responses;
use super::time::date;
use crate::error::ApiError;
use crate::router::AppState;
use crate::store::{Usage, UsageBy, UsageRequest};

pub(crate) async fn show(State(state): State<AppState>, query: Query) -> Result<Json<Value>, ApiError> {
    let store = responses::store(&state)?;
    let request = query.whole(asked)?;
    let by = request.by;
    let page = store.usage(request).await?;
    let data: Vec<Value> = page.items.iter().map(|usage| entry(by, usage)).collect();
    Ok(Json(
        json!({ "object": "list", "data": data, "next_cursor": page.next }),
    ))
}

fn asked(query: &mut Query) -> Result<UsageRequest, ApiError> {
    let by = query
        .parsed("by", "`key`, `model`, `backend` or `day`", by)?
        .unwrap_or(UsageBy::Key);
    let Listing { limit, after } = Listing::read(query)?;
    Ok(UsageRequest {
        by,
        from_day: query.day("from")?,
        to_day: query.day("to")?,
        of: of(by, query)?,
        limit,
        after,
    })
}

/// Whose days are asked for: one name at most, for the sums are kept of each alone.
fn of(by: UsageBy, query: &mut Query) -> Result<Option<(UsageBy, String)>, ApiError> {
    let mut of = None;
    for (name, dimension) in [
        ("key", UsageBy::Key),
        ("model", UsageBy::Model),
        ("backend", UsageBy::Backend),
    ] {
        let Some(value) = query.text(name)? else { continue };
        if by != UsageBy::Day || of.is_some() {
            let wanted = "a name beside `by=day`, and no other name with it";
            return Err(ApiError::BadQuery(BadQuery::Value { name, wanted }));
        }
        of = Some((dimension, value));
    }
    Ok(of)
}

fn by(text: &str) -> Option<UsageBy> {
    match text {
        "key" => Some(UsageBy::Key),
        "model" => Some(UsageBy::Model),
        "backend" => Some(UsageBy::Backend),
        "day" => Some(UsageBy::Day),
        _ => None,
    }
}

fn entry(by: UsageBy, usage: &Usage) -> Value {
    let name = || Some(usage.group.clone()).filter(|name| !name.is_empty());
    let (group, value) = match by {
        UsageBy::Key => ("key", name()),
        UsageBy::Model => ("model", name()),
        UsageBy::Backend => ("backend", name()),
        UsageBy::Day => ("day", usage.group.parse().ok().map(date)),
    };
    let mean = |sum: u64, count: u64| (count > 0).then(|| responses::milliseconds(sum) / count as f64);
    json!({
        "object": "usage",
        group: value,
        "requests": usage.exchanges,
        "complete": usage.complete,
        "client_gone": usage.client_gone,
        "upstream_failed": usage.upstream_failed,
        "interrupted": usage.interrupted,
        "refused": usage.refused,
        "requests_with_tokens": usage.counted,
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "cached_tokens": usage.cached_tokens,
        "thinking_tokens": usage.thinking_tokens,
        "total_tokens": usage.input_tokens + usage.output_tokens,
        "request_bytes": usage.request_bytes,
        "response_bytes": usage.response_bytes,
        "duration_ms": responses::milliseconds(usage.duration_us),
        "first_token_ms_mean": mean(usage.first_token_us, usage.first_tokens),
    })
}
