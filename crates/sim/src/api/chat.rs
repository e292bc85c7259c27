//! `/v1/chat/completions` and `/apply-template`.

use serde_json::{Value, json};

use super::{Limits, Reply, body, prompt};
use crate::answer::{Answer, Kind};
use crate::dialect::Chat;
use crate::generation::Job;
use crate::schema;
use crate::state::State;
use crate::text::{self, Random, Words};
use crate::wire::ApiError;

/// The first that is there counts.
const MAXIMA: [&str; 3] = ["n_predict", "max_completion_tokens", "max_tokens"];

pub(super) fn chat(state: &State, body: &Value) -> Result<Job, ApiError> {
    let prompt = text::tokens(&prompt::render(body)?);
    if body::integer(body, "n")?.is_some_and(|n| n > 1) {
        return Err(ApiError::new(
            501,
            "The simulator makes one choice a request; leave out `n`",
        ));
    }
    let tool = forced_tool(body)?;
    let format = structured(body)?;
    let limits = Limits::read(state, body, &prompt, &MAXIMA)?;
    let answer = match (tool, format) {
        (Some(tool), _) => call(&tool, limits.seed, limits.tokens_max),
        (None, Some(schema)) => {
            let value = schema::example(&schema, &mut Words::new(limits.seed));
            Answer::fixed(Kind::Text, &value.to_string(), limits.tokens_max)
        }
        (None, None) => limits.sentences(state),
    };
    let include_usage = match body::field(body, "stream_options") {
        Some(options) => body::flag(options, "include_usage")?,
        None => false,
    };
    Ok(Job {
        wish: limits.wish(prompt),
        answer,
        dialect: Box::new(Chat::new(
            state.id("chatcmpl"),
            state.now(),
            &state.settings.model,
            include_usage,
        )),
        report_progress: body::flag(body, "return_progress")?,
        timings_per_token: body::flag(body, "timings_per_token")?,
        outlives_client: false,
    })
}

pub(super) fn apply_template(body: &Value) -> Result<Reply, ApiError> {
    Ok(Reply::Json(
        json!({"prompt": prompt::render(body)?}).to_string().into_bytes(),
    ))
}

/// A tool that must be called: its name and the schema of its arguments.
pub(super) struct Tool {
    pub name: String,
    pub parameters: Value,
}

/// `required` takes the first tool. `auto` answers in words: a simulator that called a tool on its own would never
/// let an agent's loop end.
fn forced_tool(body: &Value) -> Result<Option<Tool>, ApiError> {
    let named = match body::field(body, "tool_choice") {
        None => return Ok(None),
        Some(Value::String(choice)) => match choice.as_str() {
            "none" | "auto" => return Ok(None),
            "required" => None,
            other => return Err(ApiError::invalid(format!("Invalid tool_choice: {other}"))),
        },
        Some(choice) => choice.pointer("/function/name").and_then(Value::as_str),
    };
    let tools = body::field(body, "tools").and_then(Value::as_array);
    let mut functions = tools.into_iter().flatten().filter_map(|tool| tool.get("function"));
    let Some(function) = functions.find(|f| named.is_none() || f.get("name").and_then(Value::as_str) == named) else {
        return Ok(None);
    };
    Ok(Some(Tool {
        name: function
            .get("name")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned(),
        parameters: function.get("parameters").cloned().unwrap_or(Value::Null),
    }))
}

pub(super) fn call(tool: &Tool, seed: u64, tokens_max: usize) -> Answer {
    let parameters = if tool.parameters.is_object() {
        &tool.parameters
    } else {
        &json!({"type": "object"})
    };
    let arguments = schema::example(parameters, &mut Words::new(seed));
    let kind = Kind::Tool {
        name: tool.name.clone(),
        id: Random(seed).id(),
    };
    Answer::fixed(kind, &spaced(&arguments), tokens_max)
}

/// With a blank after each separator, so that the arguments come in several fragments: a token is a word.
fn spaced(arguments: &Value) -> String {
    match arguments.as_object() {
        Some(fields) => {
            let fields: Vec<String> = fields
                .iter()
                .map(|(name, value)| format!("{}: {value}", Value::from(name.as_str())))
                .collect();
            format!("{{{}}}", fields.join(", "))
        }
        None => arguments.to_string(),
    }
}

/// The schema that a `response_format` asks for.
fn structured(body: &Value) -> Result<Option<Value>, ApiError> {
    let Some(format) = body::field(body, "response_format") else {
        return Ok(None);
    };
    match format.get("type").and_then(Value::as_str).unwrap_or("text") {
        "text" => Ok(None),
        "json_object" => Ok(Some(match body::field(format, "schema") {
            Some(schema) => schema.clone(),
            None => json!({"type": "object", "properties": {"simulated": {"type": "boolean"}, "answer": {}}}),
        })),
        "json_schema" => Ok(Some(
            format.pointer("/json_schema/schema").cloned().unwrap_or(json!({})),
        )),
        other => Err(ApiError::invalid(format!(
            "response_format type must be one of \"text\" or \"json_object\", but got: {other}"
        ))),
    }
}
