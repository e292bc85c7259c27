//! `/v1/messages` and its `count_tokens`.

use serde_json::{Value, json};

use super::chat::{Tool, call};
use super::{Limits, Reply, body, prompt};
use crate::dialect::Messages;
use crate::generation::Job;
use crate::state::State;
use crate::text;
use crate::wire::ApiError;

pub(super) fn messages(state: &State, body: &Value) -> Result<Job, ApiError> {
    let prompt = text::tokens(&prompt::render_anthropic(body)?);
    let limits = Limits::read(state, body, &prompt, &["max_tokens"])?;
    let answer = match forced_tool(body) {
        Some(tool) => call(&tool, limits.seed, limits.tokens_max),
        None => limits.sentences(state),
    };
    Ok(Job {
        wish: limits.wish(prompt),
        answer,
        dialect: Box::new(Messages {
            id: state.id("chatcmpl"),
            model: state.settings.model.clone(),
        }),
        report_progress: false,
        timings_per_token: false,
        outlives_client: false,
    })
}

pub(super) fn count_tokens(body: &Value) -> Result<Reply, ApiError> {
    let tokens = text::pieces(&prompt::render_anthropic(body)?).count();
    Ok(Reply::Json(json!({ "input_tokens": tokens }).to_string().into_bytes()))
}

/// `any` takes the first tool, `tool` the named one, anything else none.
fn forced_tool(body: &Value) -> Option<Tool> {
    let choice = body::field(body, "tool_choice")?;
    let wanted = match choice.get("type")?.as_str()? {
        "any" => None,
        "tool" => Some(choice.get("name")?.as_str()?),
        _ => return None,
    };
    let mut tools = body::field(body, "tools")?.as_array()?.iter();
    let tool = tools.find(|tool| wanted.is_none() || tool.get("name").and_then(Value::as_str) == wanted)?;
    Some(Tool {
        name: tool.get("name")?.as_str()?.to_owned(),
        parameters: tool.get("input_schema").cloned().unwrap_or(Value::Null),
    })
}
