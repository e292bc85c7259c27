//! What a response object repeats of its request.

use crate::Json;
use crate::json::read::Object;
use crate::json::write;

/// The request's own words, for its answer.
#[derive(Clone, Default)]
pub struct Echo {
    fields: Vec<(&'static str, Json)>,
}

/// Each with what stands there where the request is silent. The first three are required in an answer.
const FIELDS: [(&str, &str); 13] = [
    ("parallel_tool_calls", "true"),
    ("tool_choice", "\"auto\""),
    ("tools", "[]"),
    ("instructions", "null"),
    ("max_output_tokens", "null"),
    ("metadata", "{}"),
    ("previous_response_id", "null"),
    ("reasoning", "{\"effort\":null,\"summary\":null}"),
    ("temperature", "null"),
    ("text", "{\"format\":{\"type\":\"text\"}}"),
    ("top_p", "null"),
    ("truncation", "\"disabled\""),
    ("user", "null"),
];

impl Echo {
    pub(super) fn read(root: &Object<'_>) -> Self {
        let field = |(name, silent): &(&'static str, &str)| {
            let value = root.json(name).or_else(|| Json::parse(silent))?;
            Some((*name, value))
        };
        Self {
            fields: FIELDS.iter().filter_map(field).collect(),
        }
    }

    pub(super) fn write(&self, to: &mut write::Object<'_>) {
        self.fields.iter().for_each(|(name, value)| to.field(name, value).end());
        to.field("background", &false).field("store", &false);
    }
}

impl std::fmt::Debug for Echo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Echo({} fields)", self.fields.len())
    }
}
