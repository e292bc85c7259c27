//! One backend's answer to `GET /v1/models`, reduced to its entries and their ids.
//!
//! Entries stay as they came, byte for byte: unknown fields and numbers that no Rust type holds survive.
//! Refuses nothing but an answer that is no model list at all; an entry without a usable id is passed over.

use std::fmt;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::value::RawValue;

/// An entry and the id it goes by.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) id: Arc<str>,
    /// Shared with the fleet's view of the backend.
    pub(crate) json: Arc<RawValue>,
}

/// llama-server answers with both lists: `models` is Ollama's shape, `data` OpenAI's.
#[derive(Debug, Clone, Default)]
pub(crate) struct ModelList {
    pub(crate) models: Vec<Entry>,
    pub(crate) data: Vec<Entry>,
}

/// An answer that is no model list.
#[derive(Debug)]
pub(crate) enum ListError {
    Json(serde_json::Error),
    /// Neither `models` nor `data` is a list.
    NoList,
}

impl fmt::Display for ListError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Json(error) => write!(f, "it answers no JSON object: {error}"),
            Self::NoList => f.write_str("its answer has neither a list `data` nor a list `models`"),
        }
    }
}

#[derive(Deserialize)]
struct RawList<'a> {
    #[serde(borrow)]
    models: Option<&'a RawValue>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
}

/// The fields of an entry that may name a model.
#[derive(Deserialize)]
struct RawEntry<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    model: Option<&'a RawValue>,
    #[serde(borrow)]
    name: Option<&'a RawValue>,
}

impl ModelList {
    pub(crate) fn parse(body: &[u8]) -> Result<Self, ListError> {
        let raw: RawList<'_> = serde_json::from_slice(body).map_err(ListError::Json)?;
        let (models, data) = (items(raw.models), items(raw.data));
        if models.is_none() && data.is_none() {
            return Err(ListError::NoList);
        }
        Ok(Self {
            models: entries(models, |entry| truthy(entry.model).or_else(|| truthy(entry.name))),
            data: entries(data, |entry| truthy(entry.id)),
        })
    }
}

impl ModelList {
    /// A list made of names alone, in both shapes.
    pub(crate) fn fixed(ids: &[Arc<str>], owner: &str) -> Self {
        let datum = |id: &Arc<str>| Entry::openai(id, owner, 0);
        Self {
            models: Vec::new(),
            data: ids.iter().filter_map(datum).collect(),
        }
    }
}

impl Entry {
    /// An entry in OpenAI's shape, for backends that speak of their models in another.
    pub(crate) fn openai(id: &Arc<str>, owner: &str, created: i64) -> Option<Self> {
        let json = serde_json::json!({"id": &**id, "object": "model", "created": created, "owned_by": owner});
        Some(Self {
            id: Arc::clone(id),
            json: serde_json::value::to_raw_value(&json).ok()?.into(),
        })
    }
}

fn items(list: Option<&RawValue>) -> Option<Vec<&RawValue>> {
    serde_json::from_str(list?.get()).ok()
}

fn entries(items: Option<Vec<&RawValue>>, id: impl Fn(&RawEntry<'_>) -> Option<String>) -> Vec<Entry> {
    let named = |json: &RawValue| {
        let entry: RawEntry<'_> = serde_json::from_str(json.get()).ok()?;
        Some(Entry {
            id: id(&entry)?.into(),
            json: json.to_owned().into(),
        })
    };
    items.into_iter().flatten().filter_map(named).collect()
}

/// The text of a scalar that Python would call true, as Python's `str` writes it: `routheon-server` names models so.
fn truthy(value: Option<&RawValue>) -> Option<String> {
    let text = value?.get();
    match text.as_bytes().first()? {
        b'"' => serde_json::from_str::<String>(text)
            .ok()
            .filter(|name| !name.is_empty()),
        b't' => Some("True".to_owned()),
        b'-' | b'0'..=b'9' => text
            .parse::<f64>()
            .is_ok_and(|number| number != 0.0)
            .then(|| text.to_owned()),
        // `false` and `null` name nothing; a list or an object is no name.
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(entries: &[Entry]) -> Vec<&str> {
        entries.iter().map(|entry| &*entry.id).collect()
    }

    #[test]
    fn a_model_is_named_by_model_then_name_and_a_datum_by_id() {
        let body = br#"{"models":[{"model":"m","name":"n"},{"name":"only-name"},{"model":"","name":"fallback"},
            {"model":123},{"model":true},{"model":0},{"model":null},{},"text",7,null,{"model":["x"]}],
            "data":[{"id":"d"},{"id":""},{"id":12.5},{"name":"no-id"},[],{"id":{"a":1}},{"id":"\ud800"}]}"#;
        let list = ModelList::parse(body).unwrap();
        assert_eq!(ids(&list.models), ["m", "only-name", "fallback", "123", "True"]);
        assert_eq!(ids(&list.data), ["d", "12.5"]);
    }

    #[test]
    fn one_list_is_enough_and_what_is_no_list_is_passed_over() {
        for (body, models, data) in [
            (r#"{"data":[{"id":"a"}]}"#, 0, 1),
            (r#"{"models":[{"name":"a"}]}"#, 1, 0),
            (r#"{"models":null,"data":[{"id":"a"}]}"#, 0, 1),
            (r#"{"models":{"a":1},"data":[{"id":"a"}]}"#, 0, 1),
            (r#"{"object":"list","data":[]}"#, 0, 0),
        ] {
            let list = ModelList::parse(body.as_bytes()).unwrap();
            assert_eq!((list.models.len(), list.data.len()), (models, data), "{body}");
        }
    }

    #[test]
    fn what_is_no_model_list_is_an_error_and_never_a_panic() {
        for body in [
            "",
            "<html>",
            "{}",
            r#"{"data":null}"#,
            "42",
            r#"{"data":[{"id":"a"}]"#,
            "\u{0}",
        ] {
            assert!(ModelList::parse(body.as_bytes()).is_err(), "{body}");
        }
        let deep = format!("{{\"data\":[{}{}]}}", "[".repeat(100_000), "]".repeat(100_000));
        assert!(ModelList::parse(deep.as_bytes()).is_ok_and(|list| list.data.is_empty()));
    }
}
