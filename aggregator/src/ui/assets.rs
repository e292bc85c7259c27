//! Styles, scripts and the icon, which are in the binary. They hold no data, so anybody may have them.

use axum::extract::Path;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, HeaderMap, IF_NONE_MATCH};
use axum::http::{Method, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};

use crate::error::ApiError;

const SCRIPT: &str = "text/javascript; charset=utf-8";

const FILES: [(&str, &str, &str); 11] = [
    ("app.css", "text/css; charset=utf-8", include_str!("assets/app.css")),
    ("icon.svg", "image/svg+xml", include_str!("assets/icon.svg")),
    ("theme.js", SCRIPT, include_str!("assets/theme.js")),
    ("app.js", SCRIPT, include_str!("assets/app.js")),
    ("api.js", SCRIPT, include_str!("assets/api.js")),
    ("actions.js", SCRIPT, include_str!("assets/actions.js")),
    ("plots.js", SCRIPT, include_str!("assets/plots.js")),
    ("keys.js", SCRIPT, include_str!("assets/keys.js")),
    ("council.js", SCRIPT, include_str!("assets/council.js")),
    ("try.js", SCRIPT, include_str!("assets/try.js")),
    ("talk.js", SCRIPT, include_str!("assets/talk.js")),
];

pub(crate) async fn asset(
    Path(name): Path<String>,
    headers: HeaderMap,
    method: Method,
    uri: Uri,
) -> Result<Response, ApiError> {
    let file = FILES.into_iter().find(|(file, _, _)| *file == name);
    let (_, kind, text) = file.ok_or(ApiError::UnknownPath { method, uri })?;
    let tag = format!("\"{:08x}\"", crc32c::crc32c(text.as_bytes()));
    let known = headers
        .get(IF_NONE_MATCH)
        .is_some_and(|known| known.as_bytes() == tag.as_bytes());
    // Asked for each time, sent when it has changed: an upgrade shows at once.
    let head = [(CACHE_CONTROL, "no-cache".to_owned()), (ETAG, tag)];
    Ok(match known {
        true => (StatusCode::NOT_MODIFIED, head).into_response(),
        false => (head, [(CONTENT_TYPE, kind)], text).into_response(),
    })
}
