//! What a request asks: the model, whether for a stream, and its texts, which are searched.
//!
//! Nothing is refused here: a request that a backend took is kept with what can be read of it.

use dialect::json::read::{Kind, Node, Object, Problems};
use serde_json::value::RawValue;

use super::endpoint::{Endpoint, model_in_path};
use super::mend::{holds_text, mend};

/// The texts of one request that are searched. Beyond that the end counts, for it is what was asked last.
const PROMPT_BYTES_MAX: usize = 1 << 20;

#[derive(Default, Clone, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) model: Option<String>,
    pub(crate) streams: bool,
    /// Answers asked for at once.
    pub(crate) answers: u64,
    /// All its texts, one after the other.
    pub(crate) prompt: String,
}

/// `body` may be the beginning of one.
pub(super) fn read(endpoint: Endpoint, path: &str, body: &[u8]) -> Asked {
    let is_whole = serde_json::from_slice::<&RawValue>(body).is_ok();
    let mended = if is_whole { None } else { mend(body) };
    let problems = Problems::lenient();
    let in_path = || model_in_path(path).map(str::to_owned);
    let Some(root) = Object::root(mended.as_deref().unwrap_or(body), &problems) else {
        return Asked {
            model: in_path(),
            streams: endpoint.streams_unasked(path),
            ..Asked::default()
        };
    };
    let mut prompt = String::new();
    append_inputs(&root, &mut prompt);
    Asked {
        // Half a model's name is another model's.
        model: root
            .string("model")
            .filter(|model| is_whole || holds_text(body, model))
            .or_else(in_path),
        streams: root.boolean("stream").unwrap_or_else(|| endpoint.streams_unasked(path)),
        answers: root.unsigned("n").unwrap_or(1),
        prompt: last_bytes(prompt, PROMPT_BYTES_MAX),
    }
}

/// The places where the dialects have their texts.
fn append_inputs(root: &Object<'_>, prompt: &mut String) {
    const PLACES: [&str; 10] = [
        "system",
        "instructions",
        "systemInstruction",
        "prompt",
        "input",
        "input_prefix",
        "messages",
        "contents",
        "content",
        "requests",
    ];
    for place in PLACES.iter().filter_map(|place| root.node(place)) {
        append_texts(&place, prompt);
    }
}

/// Every text in a value: a text, the items of an array, and of an object what stands where the dialects put text.
fn append_texts(node: &Node<'_>, prompt: &mut String) {
    match node.kind() {
        Kind::String => {
            if let Some(text) = node.string().filter(|text| !text.is_empty()) {
                if !prompt.is_empty() {
                    prompt.push('\n');
                }
                prompt.push_str(&text);
            }
        }
        // Tokens of an embedding's input, by the thousand, are no texts.
        Kind::Array if !node.text().contains('"') => {}
        Kind::Array => node
            .array()
            .unwrap_or_default()
            .iter()
            .for_each(|item| append_texts(item, prompt)),
        Kind::Object => {
            let Some(object) = node.object() else { return };
            for name in ["text", "content", "parts"] {
                if let Some(node) = object.node(name) {
                    append_texts(&node, prompt);
                }
            }
        }
        _ => {}
    }
}

fn last_bytes(text: String, bytes_max: usize) -> String {
    match text.len().checked_sub(bytes_max) {
        None => text,
        Some(from) => {
            let from = (from..text.len())
                .find(|at| text.is_char_boundary(*at))
                .unwrap_or(text.len());
            text[from..].to_owned()
        }
    }
}

impl std::fmt::Debug for Asked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Asked")
            .field("model", &self.model)
            .field("streams", &self.streams)
            .field("prompt_bytes", &self.prompt.len())
            .finish_non_exhaustive()
    }
}
