//! `/tokenize` and `/detokenize`. Tokens are hashes, so what a number stands for is remembered when it is given out.

use serde_json::{Value, json};

use super::{Reply, body};
use crate::state::State;
use crate::text;
use crate::wire::ApiError;

pub(super) fn tokenize(state: &State, body: &Value) -> Result<Reply, ApiError> {
    let content = body::field(body, "content").and_then(Value::as_str).unwrap_or_default();
    let with_pieces = body::flag(body, "with_pieces")?;
    let mut vocabulary = state.vocabulary();
    let tokens: Vec<Value> = text::pieces(content)
        .map(|piece| {
            let id = text::token(piece);
            vocabulary.learn(id, piece);
            if with_pieces {
                json!({"id": id, "piece": piece})
            } else {
                json!(id)
            }
        })
        .collect();
    Ok(Reply::Json(json!({ "tokens": tokens }).to_string().into_bytes()))
}

pub(super) fn detokenize(state: &State, body: &Value) -> Result<Reply, ApiError> {
    let tokens = body::field(body, "tokens").and_then(Value::as_array);
    let vocabulary = state.vocabulary();
    let content: String = tokens
        .into_iter()
        .flatten()
        .filter_map(Value::as_u64)
        .map(|id| vocabulary.text(id as u32))
        .collect();
    Ok(Reply::Json(json!({ "content": content }).to_string().into_bytes()))
}
