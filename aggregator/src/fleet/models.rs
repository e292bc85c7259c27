//! One backend's models: by which names it knows them, what it says of them, which are loaded.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::backend::BackendKind;
use crate::catalogue::ModelList;

/// Ollama's name for the version that is meant where none is named.
pub(super) const LATEST: &str = ":latest";

/// Other names that one model may have.
const ALIASES_MAX: usize = 16;

/// Which of a backend's models are in memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Loaded {
    /// What is listed is loaded, unless its entry says otherwise: llama.cpp, vLLM, hosted services.
    AsListed,
    /// Ollama's `/api/ps`.
    Only(BTreeSet<String>),
}

#[derive(Debug, Clone)]
pub(crate) struct ServedModel {
    pub(crate) loaded: bool,
    /// As the backend describes it, in Ollama's shape and in OpenAI's.
    pub(crate) model: Option<Arc<RawValue>>,
    pub(crate) datum: Option<Arc<RawValue>>,
}

#[derive(Debug, Default)]
pub(crate) struct Models {
    by_id: BTreeMap<Arc<str>, ServedModel>,
    /// Other names, and the id that each stands for; never a name that is an id itself.
    aliases: BTreeMap<Arc<str>, Arc<str>>,
}

impl Models {
    pub(crate) fn of(kind: BackendKind, list: &ModelList, loaded: &Loaded) -> Self {
        let mut models = Self::default();
        for entry in &list.models {
            models
                .entry(&entry.id)
                .model
                .get_or_insert_with(|| Arc::clone(&entry.json));
        }
        for entry in &list.data {
            models
                .entry(&entry.id)
                .datum
                .get_or_insert_with(|| Arc::clone(&entry.json));
        }
        for (id, model) in &mut models.by_id {
            let told = model.datum.as_deref().map(Told::of).unwrap_or_default();
            model.loaded = match loaded {
                Loaded::Only(names) => names.contains(&**id),
                Loaded::AsListed => told.loaded,
            };
            for alias in told.aliases {
                models.aliases.insert(alias.into(), Arc::clone(id));
            }
            if kind == BackendKind::Ollama
                && let Some(short) = id.strip_suffix(LATEST)
            {
                models.aliases.insert(short.into(), Arc::clone(id));
            }
        }
        models.aliases.retain(|alias, _| !models.by_id.contains_key(alias));
        models
    }

    fn entry(&mut self, id: &Arc<str>) -> &mut ServedModel {
        self.by_id.entry(Arc::clone(id)).or_insert(ServedModel {
            loaded: true,
            model: None,
            datum: None,
        })
    }

    pub(crate) fn len(&self) -> usize {
        self.by_id.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Arc<str>, &ServedModel)> {
        self.by_id.iter()
    }

    /// Every name that leads to a model here, with the model's id.
    pub(crate) fn names(&self) -> impl Iterator<Item = (&Arc<str>, &Arc<str>)> {
        self.by_id.keys().map(|id| (id, id)).chain(&self.aliases)
    }

    /// The id that the backend itself uses for what is asked for by this name.
    pub(crate) fn id_of(&self, name: &str) -> Option<&Arc<str>> {
        let own = self.by_id.get_key_value(name).map(|(id, _)| id);
        own.or_else(|| self.aliases.get(name))
    }

    pub(crate) fn get(&self, id: &str) -> Option<&ServedModel> {
        self.by_id.get(id)
    }
}

/// What an entry in OpenAI's shape may tell beyond its id.
#[derive(Debug)]
struct Told {
    loaded: bool,
    aliases: Vec<String>,
}

impl Default for Told {
    fn default() -> Self {
        Self {
            loaded: true,
            aliases: Vec::new(),
        }
    }
}

#[derive(Deserialize)]
struct RawTold<'a> {
    #[serde(borrow)]
    status: Option<&'a RawValue>,
    #[serde(borrow)]
    aliases: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct RawStatus {
    value: String,
}

impl Told {
    fn of(json: &RawValue) -> Self {
        let Ok(raw) = serde_json::from_str::<RawTold<'_>>(json.get()) else {
            return Self::default();
        };
        let status = raw
            .status
            .and_then(|status| serde_json::from_str::<RawStatus>(status.get()).ok());
        let aliases = raw
            .aliases
            .and_then(|aliases| serde_json::from_str::<Vec<String>>(aliases.get()).ok());
        Self {
            loaded: status.is_none_or(|status| status.value == "loaded"),
            aliases: aliases.unwrap_or_default().into_iter().take(ALIASES_MAX).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn models(kind: BackendKind, body: &str, loaded: &Loaded) -> Models {
        Models::of(kind, &ModelList::parse(body.as_bytes()).unwrap(), loaded)
    }

    #[test]
    fn llama_cpps_router_says_what_is_loaded_and_the_others_load_what_they_list() {
        let body = r#"{"data":[{"id":"a","status":{"value":"loaded"},"aliases":["a-short","b"]},
            {"id":"b","status":{"value":"unloaded"}},{"id":"c"},{"id":"d","status":7,"aliases":"no list"}]}"#;
        let models = models(BackendKind::OpenAi, body, &Loaded::AsListed);
        let loaded: Vec<(&str, bool)> = models.iter().map(|(id, model)| (&**id, model.loaded)).collect();
        assert_eq!(loaded, [("a", true), ("b", false), ("c", true), ("d", true)]);
        assert_eq!(models.id_of("a-short").map(|id| &**id), Some("a"));
        assert_eq!(
            models.id_of("b").map(|id| &**id),
            Some("b"),
            "an id is never another's alias"
        );
        assert_eq!(models.id_of("e"), None);
    }

    #[test]
    fn ollamas_latest_needs_no_name_and_ps_says_what_is_loaded() {
        let body =
            r#"{"models":[{"name":"llama3:latest"},{"name":"llama3:8b"},{"name":"qwen:latest"},{"name":"qwen"}]}"#;
        let loaded = Loaded::Only(BTreeSet::from(["llama3:8b".to_owned()]));
        let models = models(BackendKind::Ollama, body, &loaded);
        assert_eq!(models.id_of("llama3").map(|id| &**id), Some("llama3:latest"));
        assert_eq!(models.id_of("qwen").map(|id| &**id), Some("qwen"));
        assert!(models.get("llama3:8b").is_some_and(|model| model.loaded));
        assert!(models.get("llama3:latest").is_some_and(|model| !model.loaded));
    }
}
