//! Every route of the simulator, in one table. A path it lacks, or a path with another method, is a 404.

/// What a route leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Endpoint {
    Health,
    Models,
    Chat,
    Completion,
    CompletionOpenAi,
    Messages,
    CountTokens,
    Embeddings,
    EmbeddingsOpenAi,
    Tokenize,
    Detokenize,
    ApplyTemplate,
    Props,
    Slots,
    Metrics,
    LoraAdapters,
}

pub(crate) const ROUTES: [(&str, &str, Endpoint); 21] = [
    ("GET", "/health", Endpoint::Health),
    ("GET", "/v1/health", Endpoint::Health),
    ("GET", "/v1/models", Endpoint::Models),
    ("GET", "/models", Endpoint::Models),
    ("POST", "/v1/chat/completions", Endpoint::Chat),
    ("POST", "/chat/completions", Endpoint::Chat),
    ("POST", "/v1/completions", Endpoint::CompletionOpenAi),
    ("POST", "/completion", Endpoint::Completion),
    ("POST", "/completions", Endpoint::Completion),
    ("POST", "/v1/messages", Endpoint::Messages),
    ("POST", "/v1/messages/count_tokens", Endpoint::CountTokens),
    ("POST", "/v1/embeddings", Endpoint::EmbeddingsOpenAi),
    ("POST", "/embeddings", Endpoint::Embeddings),
    ("POST", "/embedding", Endpoint::Embeddings),
    ("POST", "/tokenize", Endpoint::Tokenize),
    ("POST", "/detokenize", Endpoint::Detokenize),
    ("POST", "/apply-template", Endpoint::ApplyTemplate),
    ("GET", "/props", Endpoint::Props),
    ("GET", "/slots", Endpoint::Slots),
    ("GET", "/metrics", Endpoint::Metrics),
    ("GET", "/lora-adapters", Endpoint::LoraAdapters),
];

pub(crate) fn endpoint(method: &str, path: &str) -> Option<Endpoint> {
    let method = if method == "HEAD" { "GET" } else { method };
    ROUTES
        .iter()
        .find(|(m, p, _)| *m == method && *p == path)
        .map(|(_, _, endpoint)| *endpoint)
}

/// Where a path is counted; one past the table for those it lacks.
pub(crate) fn index(path: &str) -> usize {
    ROUTES.iter().position(|(_, p, _)| *p == path).unwrap_or(ROUTES.len())
}
