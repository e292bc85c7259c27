//! The real server's rule for API keys, with its quirks: an Authorization header, even a wrong one, hides `x-api-key`;
//! the scheme is `Bearer` in just this case, or absent; only health is public.

use crate::http::Request;
use crate::settings::ApiKey;

pub(crate) fn allowed(key: Option<&ApiKey>, request: &Request) -> bool {
    let Some(key) = key else { return true };
    if matches!(request.path(), "/health" | "/v1/health") {
        return true;
    }
    let authorization = request.header("authorization").filter(|value| !value.is_empty());
    let offered = authorization
        .or_else(|| request.header("x-api-key"))
        .unwrap_or_default();
    offered.strip_prefix("Bearer ").unwrap_or(offered) == key.0
}
