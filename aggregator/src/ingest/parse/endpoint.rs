//! What a path asks for. Owns the list of endpoints that an exchange is read at; what is not in it is kept as bytes.
//!
//! A mapping may put any prefix before a path, so that its end decides.

use dialect::Dialect;

/// An endpoint whose request and answer can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Endpoint {
    /// `/v1/chat/completions`
    Chat,
    /// `/v1/completions`, and llama.cpp's own `/completion` and `/infill`
    Completions,
    /// `/v1/responses`
    Responses,
    /// `/v1/embeddings`, and llama.cpp's own `/embedding`
    Embeddings,
    /// `/v1/messages`
    Messages,
    /// `/api/chat`
    OllamaChat,
    /// `/api/generate`
    OllamaGenerate,
    /// `/api/embed`, `/api/embeddings`
    OllamaEmbed,
    /// `…:generateContent`, `…:streamGenerateContent`
    Gemini,
    /// `…:embedContent`, `…:batchEmbedContents`
    GeminiEmbed,
}

/// The longer end stands before the shorter one that it ends in.
const ENDS: [(&str, Endpoint); 17] = [
    ("/chat/completions", Endpoint::Chat),
    ("/completions", Endpoint::Completions),
    ("/completion", Endpoint::Completions),
    ("/infill", Endpoint::Completions),
    ("/responses", Endpoint::Responses),
    ("/api/embeddings", Endpoint::OllamaEmbed),
    ("/api/embed", Endpoint::OllamaEmbed),
    ("/embeddings", Endpoint::Embeddings),
    ("/embedding", Endpoint::Embeddings),
    ("/messages", Endpoint::Messages),
    ("/api/chat", Endpoint::OllamaChat),
    ("/api/generate", Endpoint::OllamaGenerate),
    ("/council/chat", Endpoint::Chat),
    (":generateContent", Endpoint::Gemini),
    (":streamGenerateContent", Endpoint::Gemini),
    (":embedContent", Endpoint::GeminiEmbed),
    (":batchEmbedContents", Endpoint::GeminiEmbed),
];

impl Endpoint {
    pub(crate) fn of_path(path: &str) -> Option<Self> {
        let path = path.split('?').next().unwrap_or_default().trim_end_matches('/');
        ENDS.iter()
            .find(|(end, _)| path.ends_with(end))
            .map(|(_, endpoint)| *endpoint)
    }

    pub(crate) fn dialect(self) -> Dialect {
        match self {
            Self::Chat | Self::Completions | Self::Responses | Self::Embeddings => Dialect::OpenAi,
            Self::Messages => Dialect::Anthropic,
            Self::OllamaChat | Self::OllamaGenerate | Self::OllamaEmbed => Dialect::Ollama,
            Self::Gemini | Self::GeminiEmbed => Dialect::Gemini,
        }
    }

    pub(crate) fn embeds(self) -> bool {
        matches!(self, Self::Embeddings | Self::OllamaEmbed | Self::GeminiEmbed)
    }

    /// Whether an answer is a stream where the request does not say.
    pub(super) fn streams_unasked(self, path: &str) -> bool {
        match self {
            Self::OllamaChat | Self::OllamaGenerate => true,
            Self::Gemini => path.contains(":streamGenerateContent"),
            _ => false,
        }
    }
}

/// The model in a path of Gemini's, `…/models/NAME:method`.
pub(super) fn model_in_path(path: &str) -> Option<&str> {
    let (_, rest) = path.rsplit_once("models/")?;
    let (name, _) = rest.split_once(':')?;
    (!name.is_empty()).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_path_says_what_it_asks_for() {
        let cases = [
            ("/v1/chat/completions", Some(Endpoint::Chat)),
            ("/team-a/v1/chat/completions/", Some(Endpoint::Chat)),
            ("/v1/completions?x=/v1/messages", Some(Endpoint::Completions)),
            ("/completion", Some(Endpoint::Completions)),
            ("/v1/embeddings", Some(Endpoint::Embeddings)),
            ("/api/embeddings", Some(Endpoint::OllamaEmbed)),
            ("/v1/messages", Some(Endpoint::Messages)),
            ("/v1/messages/count_tokens", None),
            ("/v1beta/models/g:streamGenerateContent", Some(Endpoint::Gemini)),
            ("/v1/models", None),
            ("", None),
        ];
        for (path, endpoint) in cases {
            assert_eq!(Endpoint::of_path(path), endpoint, "{path}");
        }
        assert_eq!(model_in_path("/v1beta/models/g-2:generateContent"), Some("g-2"));
        assert_eq!(model_in_path("/v1/models/:x"), None);
    }
}
