//! Reading a request's JSON as leniently as the real server does: null is absent, an unknown field is ignored, and a
//! wrong type is an error that names the field.

use serde_json::Value;

use crate::wire::ApiError;

pub(super) fn parse(body: &[u8]) -> Result<Value, ApiError> {
    if body.is_empty() {
        return Err(ApiError::invalid(
            "[json.exception.parse_error.101] parse error at line 1, column 1: empty input",
        ));
    }
    // serde_json's message gives line and column and never a piece of the body.
    serde_json::from_slice(body).map_err(|error| ApiError::invalid(format!("[json.exception.parse_error.101] {error}")))
}

/// A field that is there and not null.
pub(super) fn field<'a>(body: &'a Value, name: &str) -> Option<&'a Value> {
    body.get(name).filter(|value| !value.is_null())
}

pub(super) fn integer(body: &Value, name: &str) -> Result<Option<i64>, ApiError> {
    let Some(value) = field(body, name) else {
        return Ok(None);
    };
    match value.as_i64().or_else(|| value.as_f64().map(|number| number as i64)) {
        Some(number) => Ok(Some(number)),
        None => Err(wrong_type(name, "number", value)),
    }
}

pub(super) fn count(body: &Value, name: &str) -> Result<Option<usize>, ApiError> {
    Ok(integer(body, name)?.map(|number| usize::try_from(number).unwrap_or(0)))
}

pub(super) fn flag(body: &Value, name: &str) -> Result<bool, ApiError> {
    match field(body, name) {
        None => Ok(false),
        Some(value) => value.as_bool().ok_or_else(|| wrong_type(name, "boolean", value)),
    }
}

/// The strings of the first of these fields that is there; one string counts as a list of one.
pub(super) fn strings(body: &Value, names: &[&str]) -> Vec<String> {
    match names.iter().find_map(|name| field(body, name)) {
        Some(Value::String(one)) => vec![one.clone()],
        Some(Value::Array(many)) => many.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        _ => Vec::new(),
    }
}

fn wrong_type(name: &str, wanted: &str, value: &Value) -> ApiError {
    let found = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let error = "[json.exception.type_error.302]";
    ApiError::invalid(format!("Field '{name}': {error} type must be {wanted}, but is {found}"))
}
