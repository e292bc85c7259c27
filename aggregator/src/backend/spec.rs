//! What is configured of a backend, whether `config.yaml` or a mapping file named it.
//!
//! Invariant: its headers hold keys and are marked sensitive, so that no formatting of a spec shows one.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use axum::http::header::HeaderMap;

use super::price::Prices;
use super::targets::BackendUrl;

/// The API that a backend speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum BackendKind {
    /// OpenAI's, and with it llama.cpp, vLLM, LiteLLM and most others.
    OpenAi,
    Ollama,
    Anthropic,
    Gemini,
}

impl BackendKind {
    pub(crate) const ALL: [Self; 4] = [Self::OpenAi, Self::Ollama, Self::Anthropic, Self::Gemini];

    /// As `config.yaml` spells it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::OpenAi => "openai",
            Self::Ollama => "ollama",
            Self::Anthropic => "anthropic",
            Self::Gemini => "gemini",
        }
    }
}

/// Who named it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Origin {
    /// `config.yaml`
    Configured,
    /// A mapping file.
    Mapped,
}

impl Origin {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Configured => "config",
            Self::Mapped => "mapping",
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Spec {
    /// Unique in the fleet, one word without a slash.
    pub(crate) name: Arc<str>,
    pub(crate) kind: BackendKind,
    pub(crate) url: BackendUrl,
    pub(crate) origin: Origin,
    /// The lowest is tried first.
    pub(crate) priority: i32,
    /// 1 to 100.
    pub(crate) weight: u32,
    /// How long it may be silent, before its answer and within it.
    pub(crate) timeout: Option<Duration>,
    /// What it serves, where it is not asked.
    pub(crate) models: Option<Box<[Arc<str>]>>,
    pub(crate) prices: Prices,
    /// Sent with every request.
    pub(crate) headers: HeaderMap,
}

impl Spec {
    pub(crate) fn id(&self) -> BackendId {
        let configured = || (Arc::clone(&self.name), self.kind);
        BackendId {
            configured: (self.origin == Origin::Configured).then(configured),
            url: self.url.clone(),
        }
    }
}

/// What makes a backend the same one before and after a reload: state that belongs to it lives as long as this stays.
///
/// Mapped ones are ordered by their URLs, in which order lists are merged.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct BackendId {
    configured: Option<(Arc<str>, BackendKind)>,
    url: BackendUrl,
}

impl BackendId {
    #[cfg(test)]
    pub(crate) fn mapped(url: BackendUrl) -> Self {
        Self { configured: None, url }
    }
}

impl fmt::Display for BackendId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.configured {
            Some((name, _)) => write!(f, "{name} ({})", self.url),
            None => write!(f, "{}", self.url),
        }
    }
}
