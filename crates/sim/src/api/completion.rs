//! `/v1/completions` and llama.cpp's own `/completion`: one prompt, as text or as tokens.

use serde_json::Value;

use super::{Limits, body};
use crate::dialect::{Dialect, Native, OpenAi};
use crate::generation::Job;
use crate::state::State;
use crate::text::{self, Token};
use crate::wire::ApiError;

pub(super) fn openai(state: &State, body: &Value) -> Result<Job, ApiError> {
    let (tokens, _) = prompt(body)?;
    let limits = Limits::read(state, body, &tokens, &["n_predict", "max_tokens"])?;
    let (id, model) = (state.id("chatcmpl"), state.settings.model.clone());
    job(
        state,
        body,
        tokens,
        &limits,
        Box::new(OpenAi {
            id,
            created: state.now(),
            model,
        }),
    )
}

pub(super) fn native(state: &State, body: &Value) -> Result<Job, ApiError> {
    let (tokens, prompt) = prompt(body)?;
    let limits = Limits::read(state, body, &tokens, &["n_predict", "max_tokens"])?;
    let dialect = Native {
        model: state.settings.model.clone(),
        prompt,
        prompt_tokens: tokens.len(),
        tokens_max: limits.asked_max,
        stream: limits.stream,
        made: 0,
    };
    job(state, body, tokens, &limits, Box::new(dialect))
}

fn job(
    state: &State,
    body: &Value,
    tokens: Vec<Token>,
    limits: &Limits,
    dialect: Box<dyn Dialect>,
) -> Result<Job, ApiError> {
    Ok(Job {
        wish: limits.wish(tokens),
        answer: limits.sentences(state),
        dialect,
        report_progress: body::flag(body, "return_progress")?,
        timings_per_token: body::flag(body, "timings_per_token")?,
        outlives_client: false,
    })
}

fn prompt(body: &Value) -> Result<(Vec<Token>, String), ApiError> {
    let missing = || ApiError::invalid("[json.exception.out_of_range.403] key 'prompt' not found");
    match body::field(body, "prompt").ok_or_else(missing)? {
        Value::String(text) => Ok((text::tokens(text), text.clone())),
        Value::Array(parts) if parts.iter().all(Value::is_u64) => Ok((
            parts
                .iter()
                .filter_map(Value::as_u64)
                .map(|token| token as Token)
                .collect(),
            String::new(),
        )),
        Value::Array(parts) => match parts.as_slice() {
            [Value::String(text)] => Ok((text::tokens(text), text.clone())),
            _ => Err(ApiError::new(501, "The simulator takes one prompt a request")),
        },
        _ => Err(ApiError::invalid("\"prompt\" must be a string or an array of tokens")),
    }
}
