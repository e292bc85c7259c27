//! What a path is for: whose dialect an answer is in, and whether it generates.

use dialect::Dialect;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Endpoint {
    pub(crate) dialect: Dialect,
    pub(crate) kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// OpenAI's chat and completions, whose streams tell of usage where asked to.
    OnRequest,
    /// It generates, and tells of itself.
    Generates,
    Embeds,
    /// Nothing is estimated: what it tells counts.
    Other,
}

impl Endpoint {
    /// Its streams tell of their tokens where the request asks for it.
    pub(crate) fn tells_on_request(self) -> bool {
        self.kind == Kind::OnRequest
    }

    /// By the path's end, since servers may stand under a prefix.
    pub(crate) fn of(path: &str) -> Self {
        use Dialect::{Anthropic, Gemini, Ollama, OpenAi};
        use Kind::{Embeds, Generates, OnRequest, Other};
        const ENDS: &[(&str, Dialect, Kind)] = &[
            ("/chat/completions", OpenAi, OnRequest),
            ("/completions", OpenAi, OnRequest),
            ("/completion", OpenAi, Generates),
            ("/infill", OpenAi, Generates),
            ("/responses", OpenAi, Generates),
            ("/api/embeddings", Ollama, Embeds),
            ("/embeddings", OpenAi, Embeds),
            ("/embedding", OpenAi, Embeds),
            ("/rerank", OpenAi, Embeds),
            ("/messages", Anthropic, Generates),
            ("/api/chat", Ollama, Generates),
            ("/api/generate", Ollama, Generates),
            ("/api/embed", Ollama, Embeds),
            (":generateContent", Gemini, Generates),
            (":streamGenerateContent", Gemini, Generates),
            (":embedContent", Gemini, Embeds),
        ];
        let path = path.strip_suffix('/').unwrap_or(path);
        let found = ENDS.iter().find(|(end, ..)| path.ends_with(end));
        found.map_or(
            Self {
                dialect: OpenAi,
                kind: Other,
            },
            |&(_, dialect, kind)| Self { dialect, kind },
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_known_by_their_end() {
        for (path, dialect, kind) in [
            ("/v1/chat/completions", Dialect::OpenAi, Kind::OnRequest),
            ("/v1/completions/", Dialect::OpenAi, Kind::OnRequest),
            ("/completion", Dialect::OpenAi, Kind::Generates),
            ("/v1/embeddings", Dialect::OpenAi, Kind::Embeds),
            ("/api/embeddings", Dialect::Ollama, Kind::Embeds),
            ("/base/v1/messages", Dialect::Anthropic, Kind::Generates),
            (
                "/v1beta/models/m:streamGenerateContent",
                Dialect::Gemini,
                Kind::Generates,
            ),
            ("/api/chat", Dialect::Ollama, Kind::Generates),
            ("/v1/models", Dialect::OpenAi, Kind::Other),
            ("/v1/messages/count_tokens", Dialect::OpenAi, Kind::Other),
        ] {
            assert_eq!(Endpoint::of(path), Endpoint { dialect, kind }, "{path}");
        }
    }
}
