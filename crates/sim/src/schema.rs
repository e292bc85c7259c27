//! Makes up a JSON value that fits a JSON schema: the arguments of simulated tool calls and structured answers.
//! Pure. It honours type, properties, required, items, enum and const, and ignores every other keyword.

use serde_json::{Map, Value, json};

use crate::text::Words;

/// Schemas nest and may refer to themselves; deeper levels become null.
const DEPTH_MAX: usize = 8;

pub(crate) fn example(schema: &Value, words: &mut Words) -> Value {
    value(schema, words, 0)
}

fn value(schema: &Value, words: &mut Words, depth: usize) -> Value {
    if depth > DEPTH_MAX {
        return Value::Null;
    }
    if let Some(fixed) = schema.get("const").or_else(|| schema.get("enum")?.get(0)) {
        return fixed.clone();
    }
    if let Some(first) = ["anyOf", "oneOf"].iter().find_map(|key| schema.get(key)?.get(0)) {
        return value(first, words, depth + 1);
    }
    match kind(schema) {
        "object" => object(schema, words, depth),
        "array" => match schema.get("items") {
            Some(items) => json!([value(items, words, depth + 1)]),
            None => json!([]),
        },
        "integer" | "number" => json!(1),
        "boolean" => json!(true),
        "null" => Value::Null,
        _ => json!(words.word()),
    }
}

fn kind(schema: &Value) -> &str {
    match schema.get("type") {
        Some(Value::String(kind)) => kind,
        Some(Value::Array(kinds)) => kinds.first().and_then(Value::as_str).unwrap_or("string"),
        _ if schema.get("properties").is_some() => "object",
        _ => "string",
    }
}

fn object(schema: &Value, words: &mut Words, depth: usize) -> Value {
    let properties = schema.get("properties").and_then(Value::as_object);
    let fields: Map<String, Value> = properties
        .into_iter()
        .flatten()
        .map(|(name, schema)| (name.clone(), value(schema, words, depth + 1)))
        .collect();
    Value::Object(fields)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_type_gets_a_value_of_its_type() {
        let schema = json!({"type": "object", "properties": {
            "city": {"type": "string"}, "days": {"type": "integer"}, "metric": {"type": "boolean"},
            "unit": {"enum": ["celsius", "kelvin"]}, "tags": {"type": "array", "items": {"type": "string"}},
            "where": {"properties": {"lat": {"type": ["number", "null"]}}}, "either": {"anyOf": [{"type": "null"}]},
        }});
        let made = example(&schema, &mut Words::new(1));
        assert!(made["city"].is_string());
        assert_eq!(made["days"], json!(1));
        assert_eq!(made["metric"], json!(true));
        assert_eq!(made["unit"], json!("celsius"));
        assert!(made["tags"][0].is_string());
        assert_eq!(made["where"]["lat"], json!(1));
        assert_eq!(made["either"], Value::Null);
    }

    #[test]
    fn a_bottomless_schema_ends() {
        let mut schema = json!({"type": "string"});
        for _ in 0..100 {
            schema = json!({"type": "array", "items": schema});
        }
        assert!(example(&schema, &mut Words::new(1)).is_array());
    }
}
