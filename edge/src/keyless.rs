//! What a request without a key may see when no mapping says otherwise: the model list and the host's figures.

const BUILT_IN: [&str; 2] = ["/v1/models", "/stats"];

/// Whether the aggregator answers this without a key.
pub(crate) fn is_built_in(method: &http::Method, path: &str) -> bool {
    matches!(*method, http::Method::GET | http::Method::HEAD) && BUILT_IN.contains(&path)
}
