//! What each kind of backend is asked, and how its answers read. Pure.
//!
//! Every answer becomes one [`ModelList`]. Ollama's and OpenAI's entries stay as they came; of the hosted services'
//! lists, whose shapes no client of ours expects, entries in OpenAI's shape are made.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::Deserialize;

use super::spec::BackendKind;
use crate::catalogue::{Entry, ListError, ModelList};

/// Where a backend of this kind lists its models. The hosted services list in pages; one holds all there are.
pub(super) fn list_path(kind: BackendKind) -> &'static str {
    match kind {
        BackendKind::OpenAi => "/v1/models",
        BackendKind::Ollama => "/api/tags",
        BackendKind::Anthropic => "/v1/models?limit=1000",
        BackendKind::Gemini => "/v1beta/models?pageSize=1000",
    }
}

/// Where Ollama says what is in memory.
pub(super) const OLLAMA_LOADED_PATH: &str = "/api/ps";

pub(super) fn models(kind: BackendKind, body: &[u8]) -> Result<ModelList, ListError> {
    match kind {
        BackendKind::OpenAi => ModelList::parse(body),
        BackendKind::Ollama => ModelList::parse(body).map(with_openai_entries),
        BackendKind::Anthropic => anthropic(body),
        BackendKind::Gemini => gemini(body),
    }
}

/// The names in Ollama's `/api/ps`.
pub(super) fn ollama_loaded(body: &[u8]) -> Option<BTreeSet<String>> {
    let list = ModelList::parse(body).ok()?;
    Some(list.models.iter().map(|entry| entry.id.to_string()).collect())
}

/// Who serves the models, as llama.cpp (`llamacpp`) and vLLM (`vllm`) tell of themselves.
pub(super) fn owner(list: &ModelList) -> Option<String> {
    #[derive(Deserialize)]
    struct Owned {
        owned_by: String,
    }
    let first = list.data.first()?;
    serde_json::from_str::<Owned>(first.json.get())
        .ok()
        .map(|owned| owned.owned_by)
}

fn with_openai_entries(mut list: ModelList) -> ModelList {
    let known: BTreeSet<Arc<str>> = list.data.iter().map(|entry| Arc::clone(&entry.id)).collect();
    let missing = list.models.iter().filter(|entry| !known.contains(&entry.id));
    let made: Vec<Entry> = missing
        .filter_map(|entry| Entry::openai(&entry.id, "ollama", 0))
        .collect();
    list.data.extend(made);
    list
}

fn anthropic(body: &[u8]) -> Result<ModelList, ListError> {
    let ids: Vec<Arc<str>> = ModelList::parse(body)?.data.into_iter().map(|entry| entry.id).collect();
    Ok(ModelList::fixed(&ids, "anthropic"))
}

#[derive(Deserialize)]
struct RawGemini {
    models: Option<Vec<RawGeminiModel>>,
}

#[derive(Deserialize)]
struct RawGeminiModel {
    name: String,
}

/// `models/gemini-…`, of which clients write what follows the slash. An empty page has no list at all.
fn gemini(body: &[u8]) -> Result<ModelList, ListError> {
    let raw: RawGemini = serde_json::from_slice(body).map_err(ListError::Json)?;
    let models = raw.models.ok_or(ListError::NoList)?;
    let id = |model: &RawGeminiModel| Arc::from(model.name.strip_prefix("models/").unwrap_or(&model.name));
    let ids: Vec<Arc<str>> = models.iter().map(id).filter(|id: &Arc<str>| !id.is_empty()).collect();
    Ok(ModelList::fixed(&ids, "google"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(entries: &[Entry]) -> Vec<&str> {
        entries.iter().map(|entry| &*entry.id).collect()
    }

    #[test]
    fn each_kinds_list_becomes_one_in_openais_shape() {
        for (kind, body, expected) in [
            (BackendKind::OpenAi, r#"{"data":[{"id":"a/b"}]}"#, vec!["a/b"]),
            (
                BackendKind::Ollama,
                r#"{"models":[{"name":"llama3:8b","model":"llama3:8b"}]}"#,
                vec!["llama3:8b"],
            ),
            (
                BackendKind::Anthropic,
                r#"{"data":[{"type":"model","id":"claude-x","display_name":"X"}],"has_more":false}"#,
                vec!["claude-x"],
            ),
            (
                BackendKind::Gemini,
                r#"{"models":[{"name":"models/gemini-x","inputTokenLimit":1},{"name":"tuned/y"},{"name":"models/"}]}"#,
                vec!["gemini-x", "tuned/y"],
            ),
        ] {
            let list = models(kind, body.as_bytes()).unwrap();
            assert_eq!(ids(&list.data), expected, "{kind:?}");
        }
        for kind in BackendKind::ALL {
            for bad in ["", "[]", "{}", "<html>"] {
                assert!(models(kind, bad.as_bytes()).is_err(), "{kind:?} {bad}");
            }
        }
    }

    #[test]
    fn ollamas_entries_stay_as_they_came_and_get_a_twin() {
        let list = models(BackendKind::Ollama, br#"{"models":[{"name":"m","size":7}]}"#).unwrap();
        assert_eq!(list.models[0].json.get(), r#"{"name":"m","size":7}"#);
        assert_eq!(owner(&list).as_deref(), Some("ollama"));
    }

    #[test]
    fn ps_names_what_is_loaded() {
        let body = br#"{"models":[{"name":"m:1","model":"m:1","size_vram":1}]}"#;
        assert_eq!(ollama_loaded(body), Some(BTreeSet::from(["m:1".to_owned()])));
        assert_eq!(ollama_loaded(br#"{"models":[]}"#), Some(BTreeSet::new()));
        assert_eq!(ollama_loaded(b"404"), None);
    }
}
