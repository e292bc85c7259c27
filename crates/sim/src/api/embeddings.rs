//! `/v1/embeddings` and llama.cpp's own `/embedding`: unit vectors that depend on the text alone.

use serde_json::{Value, json};

use super::{Reply, body};
use crate::state::State;
use crate::text::{self, Random, Token};
use crate::wire::ApiError;

pub(super) fn openai(state: &State, request_body: &[u8]) -> Result<Reply, ApiError> {
    let dimensions = dimensions(state)?;
    let body = body::parse(request_body)?;
    let base64_wanted = match body::field(&body, "encoding_format").map(Value::as_str) {
        None | Some(Some("float")) => false,
        Some(Some("base64")) => true,
        _ => {
            return Err(ApiError::invalid(
                "The format to return the embeddings in. Can be either float or base64",
            ));
        }
    };
    let inputs = inputs(state, &body)?;
    let prompt_tokens: usize = inputs.iter().map(Vec::len).sum();
    let data: Vec<Value> = inputs
        .iter()
        .enumerate()
        .map(|(index, input)| {
            let vector = vector(input, dimensions);
            if base64_wanted {
                let bytes: Vec<u8> = vector.iter().flat_map(|number| number.to_le_bytes()).collect();
                json!({"embedding": base64(&bytes), "index": index, "object": "embedding", "encoding_format": "base64"})
            } else {
                json!({"embedding": vector, "index": index, "object": "embedding"})
            }
        })
        .collect();
    let model = body::field(&body, "model")
        .and_then(Value::as_str)
        .unwrap_or(&state.settings.model);
    let usage = json!({"prompt_tokens": prompt_tokens, "total_tokens": prompt_tokens});
    let answer = json!({"model": model, "object": "list", "usage": usage, "data": data});
    Ok(Reply::Json(answer.to_string().into_bytes()))
}

pub(super) fn native(state: &State, request_body: &[u8]) -> Result<Reply, ApiError> {
    let dimensions = dimensions(state)?;
    let inputs = inputs(state, &body::parse(request_body)?)?;
    let answers = inputs.iter().enumerate();
    let answers: Vec<Value> = answers
        .map(|(index, input)| json!({"index": index, "embedding": [vector(input, dimensions)]}))
        .collect();
    Ok(Reply::Json(Value::from(answers).to_string().into_bytes()))
}

fn dimensions(state: &State) -> Result<usize, ApiError> {
    let off = || {
        ApiError::new(
            501,
            "This server does not support embeddings. Start it with `--embeddings`",
        )
    };
    state.settings.embedding_dimensions.ok_or_else(off)
}

/// The texts, each as tokens: a string, a list of strings, a list of tokens, or a list of lists of tokens.
fn inputs(state: &State, body: &Value) -> Result<Vec<Vec<Token>>, ApiError> {
    let input = body::field(body, "input").or_else(|| body::field(body, "content"));
    let input = input.ok_or_else(|| ApiError::invalid("\"input\" or \"content\" must be provided"))?;
    let inputs = match input {
        Value::Array(parts) if parts.is_empty() => return Err(ApiError::invalid("\"input\" must not be empty")),
        Value::Array(parts) if !parts.iter().all(Value::is_u64) => {
            parts.iter().map(one).collect::<Result<Vec<_>, _>>()?
        }
        one_input => vec![one(one_input)?],
    };
    if inputs.iter().any(Vec::is_empty) {
        return Err(ApiError::invalid("Input content cannot be empty"));
    }
    let context = state.settings.context_tokens;
    match inputs.iter().find(|input| input.len() > context) {
        Some(input) => Err(ApiError::context_exceeded(input.len(), context)),
        None => Ok(inputs),
    }
}

fn one(input: &Value) -> Result<Vec<Token>, ApiError> {
    match input {
        Value::String(text) => Ok(text::tokens(text)),
        Value::Array(parts) if parts.iter().all(Value::is_u64) => Ok(parts
            .iter()
            .filter_map(Value::as_u64)
            .map(|token| token as Token)
            .collect()),
        _ => Err(ApiError::invalid(
            "\"input\" must be a string, a list of strings or a list of tokens",
        )),
    }
}

fn vector(input: &[Token], dimensions: usize) -> Vec<f32> {
    let mut random = Random(text::seed(input));
    let raw: Vec<f32> = (0..dimensions)
        .map(|_| random.below(2001) as f32 / 1000.0 - 1.0)
        .collect();
    let length = raw.iter().map(|number| number * number).sum::<f32>().sqrt();
    if length == 0.0 {
        return vec![1.0 / (dimensions as f32).sqrt(); dimensions];
    }
    raw.iter().map(|number| number / length).collect()
}

/// RFC 4648 with padding. A dozen lines, where a crate would be one more dependency for this one field.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let bits = three
            .iter()
            .chain([0, 0].iter())
            .take(3)
            .fold(0_usize, |bits, byte| bits << 8 | usize::from(*byte));
        for at in 0..4 {
            let digit = ALPHABET[bits >> (18 - 6 * at) & 63];
            text.push(if at <= three.len() { char::from(digit) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_the_rfcs() {
        for (plain, encoded) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64(plain.as_bytes()), encoded);
        }
    }

    #[test]
    fn a_vector_has_length_one_and_depends_on_its_text() {
        let (a, b) = (vector(&[1, 2], 64), vector(&[2, 1], 64));
        assert_ne!(a, b);
        assert_eq!(a, vector(&[1, 2], 64));
        assert!((a.iter().map(|x| x * x).sum::<f32>() - 1.0).abs() < 1e-5);
    }
}
