//! Ollama's answers about models: `/api/tags`, `/api/ps`, `/api/show`, `/api/version`.
//!
//! Pure builders over what is known (`known`). What Ollama's clients insist on is always there, also where nothing is
//! known: the CLI slices the first twelve characters off `digest`, and every time must parse.

use serde_json::{Map, Value, json};

use super::known::KnownModel;
use super::time;

/// The digest of a model whose content nobody told us. Zeros say so and still have the length the CLI slices.
const DIGEST_UNKNOWN: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// A backend of ours never unloads a model by itself; Ollama shows the same far year for `keep_alive: -1`.
const NEVER_EXPIRES: &str = "2318-01-01T00:00:00Z";

/// Stands where `general.architecture` is not known: clients look up `{architecture}.context_length` by it.
const ARCHITECTURE_UNKNOWN: &str = "unknown";

/// `GET /api/tags`: every model there is.
pub fn tags<'a>(models: impl IntoIterator<Item = &'a KnownModel>) -> Value {
    json!({"models": models.into_iter().map(tag).collect::<Vec<_>>()})
}

/// `GET /api/ps`: the models that are loaded.
pub fn ps<'a>(models: impl IntoIterator<Item = &'a KnownModel>) -> Value {
    json!({"models": models.into_iter().map(process).collect::<Vec<_>>()})
}

/// `GET /api/version`. Some clients compare numbers, so callers pass a version that begins with one.
pub fn version(version: &str) -> Value {
    json!({"version": version})
}

/// `POST /api/show`. An Ollama backend's own answer passes whole.
pub fn show(model: &KnownModel) -> Value {
    if let Some(own) = model.verbatim.as_ref().filter(|own| own.contains_key("model_info")) {
        return Value::Object(own.clone());
    }
    let mut answer = json!({
        "modelfile": format!("# Served by a backend that has no Modelfile.\nFROM {}\n", model.name.replace('\n', " ")),
        "details": details(model),
        "model_info": model_info(model),
        "capabilities": capabilities(model),
        "modified_at": modified_at(model),
    });
    set(&mut answer, "template", model.template.as_deref());
    set(
        &mut answer,
        "parameters",
        model.context_served.map(|tokens| format!("{:<30} {tokens}", "num_ctx")),
    );
    answer
}

/// The model that a `/api/show` request names; old clients say `name`.
pub fn show_request_model(body: &Value) -> Option<&str> {
    ["model", "name"]
        .iter()
        .find_map(|field| body[field].as_str().filter(|name| !name.is_empty()))
}

fn tag(model: &KnownModel) -> Value {
    if let Some(own) = &model.verbatim {
        return renamed(own, model);
    }
    json!({
        "name": model.name,
        "model": model.name,
        "modified_at": modified_at(model),
        "size": model.size_bytes.unwrap_or(0),
        "digest": DIGEST_UNKNOWN,
        "details": details(model),
        "capabilities": capabilities(model),
    })
}

fn process(model: &KnownModel) -> Value {
    if let Some(own) = &model.verbatim {
        return renamed(own, model);
    }
    json!({
        "name": model.name,
        "model": model.name,
        "size": model.size_bytes.unwrap_or(0),
        "digest": DIGEST_UNKNOWN,
        "details": details(model),
        "expires_at": NEVER_EXPIRES,
        // Nobody tells where a model lies. Its whole size is shown, for the CLI reads zero as "all on the CPU".
        "size_vram": model.size_bytes.unwrap_or(0),
        "context_length": context_length(model).unwrap_or(0),
    })
}

fn renamed(own: &Map<String, Value>, model: &KnownModel) -> Value {
    let mut entry = own.clone();
    entry.insert("name".to_owned(), json!(model.name));
    entry.insert("model".to_owned(), json!(model.name));
    Value::Object(entry)
}

fn details(model: &KnownModel) -> Value {
    let family = model.architecture.as_deref().unwrap_or_default();
    let families: Vec<&str> = model.architecture.as_deref().into_iter().collect();
    let mut details = json!({
        "parent_model": "",
        "format": if model.size_bytes.is_some() { "gguf" } else { "" },
        "family": family,
        "families": families,
        "parameter_size": model.parameters.map(parameter_size).unwrap_or_default(),
        "quantization_level": model.quantization.as_deref().unwrap_or_default(),
    });
    set(&mut details, "context_length", context_length(model));
    set(&mut details, "embedding_length", model.embedding_length);
    details
}

fn model_info(model: &KnownModel) -> Value {
    let architecture = model.architecture.as_deref().unwrap_or(ARCHITECTURE_UNKNOWN);
    let mut info = json!({"general.architecture": architecture});
    set(&mut info, "general.parameter_count", model.parameters);
    set(
        &mut info,
        &format!("{architecture}.context_length"),
        context_length(model),
    );
    set(
        &mut info,
        &format!("{architecture}.embedding_length"),
        model.embedding_length,
    );
    set(&mut info, &format!("{architecture}.vocab_size"), model.vocabulary);
    info
}

/// What a client may send. Ollama shows what the model was trained for, because there `num_ctx` can raise what the
/// server accepts up to it; here it cannot, so the server's own bound comes first.
fn context_length(model: &KnownModel) -> Option<u64> {
    model.context_served.or(model.context_trained)
}

fn capabilities(model: &KnownModel) -> Vec<&'static str> {
    model
        .capabilities
        .iter()
        .map(|capability| capability.as_str())
        .collect()
}

fn modified_at(model: &KnownModel) -> String {
    model.modified_s.map_or_else(|| time::ZERO.to_owned(), time::rfc3339)
}

/// 8030261248 → `8.0B`, as Ollama prints sizes: whole numbers bare, one decimal for billions, two for millions.
fn parameter_size(parameters: u64) -> String {
    let scaled = |unit: u64, decimals: usize, letter: char| {
        let decimals = if parameters.is_multiple_of(unit) { 0 } else { decimals };
        #[expect(clippy::cast_precision_loss, reason = "two decimals are shown")]
        let number = parameters as f64 / unit as f64;
        format!("{number:.decimals$}{letter}")
    };
    match parameters {
        1_000_000_000.. => scaled(1_000_000_000, 1, 'B'),
        1_000_000.. => scaled(1_000_000, 2, 'M'),
        1_000.. => scaled(1_000, 0, 'K'),
        _ => parameters.to_string(),
    }
}

fn set(object: &mut Value, field: &str, value: Option<impl Into<Value>>) {
    if let (Some(map), Some(value)) = (object.as_object_mut(), value) {
        map.insert(field.to_owned(), value.into());
    }
}
