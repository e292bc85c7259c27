//! [`ChatRequest`] → the body of `/v1/messages`.

use bytes::Bytes;

use super::block;
use super::turns::{lacks_signed_thinking, system, turns};
use crate::Dialect;
use crate::anthropic::VERSION;
use crate::chat::{ChatRequest, Effort, Reasoning, RenderOptions, ResponseFormat, Tool, ToolChoice};
use crate::error::Unsupported;
use crate::json::write::{self, Object};

/// The dialect demands a bound; every model of the version can write this much.
const MAX_TOKENS_DEFAULT: u64 = 4_096;
/// The smallest budget for thinking that is taken.
const BUDGET_TOKENS_MIN: u64 = 1_024;

/// # Errors
/// The first field that Anthropic's API has no counterpart for.
pub fn render(request: &ChatRequest, options: &RenderOptions) -> Result<Bytes, Unsupported> {
    request.expressible()?;
    refuse(request, options)?;
    let turns = turns(request)?;
    let max_tokens = request
        .max_tokens
        .or(options.max_tokens_default)
        .unwrap_or(MAX_TOKENS_DEFAULT);
    let thinking_possible = !lacks_signed_thinking(&turns);
    let body = write::object(|to| {
        to.field("model", options.model.as_ref().unwrap_or(&request.model))
            .field("max_tokens", &max_tokens);
        let system = system(request);
        to.opt("system", &(!system.is_empty()).then_some(system));
        to.array("messages", |to| {
            for turn in &turns {
                to.object(|to| {
                    to.field("role", if turn.assistant { "assistant" } else { "user" });
                    to.array("content", |to| {
                        turn.parts.iter().for_each(|part| block::write(part, to))
                    });
                });
            }
        });
        write_tools(request, to);
        write_sampling(request, options, to);
        write_thinking(request, max_tokens, thinking_possible, to);
        if let Some(user) = &request.user {
            to.object("metadata", |to| to.field("user_id", user).end());
        }
        if request.stream {
            to.field("stream", &true);
        }
    });
    Ok(body.into())
}

/// What would change the answer and cannot be said, and what only tunes, by policy.
fn refuse(request: &ChatRequest, options: &RenderOptions) -> Result<(), Unsupported> {
    if request.sampling.n.is_some_and(|n| n > 1) {
        return Err(Unsupported::no_counterpart(Dialect::Anthropic, "n"));
    }
    if request.response_format == Some(ResponseFormat::JsonObject) {
        let rule = "json_object has no counterpart in Anthropic's API, which this model's backend speaks";
        return Err(Unsupported::new("response_format.type", rule, "send a json_schema"));
    }
    let sampling = &request.sampling;
    let tuning = [
        ("seed", sampling.seed.is_some()),
        (
            "presence_penalty",
            sampling.presence_penalty.is_some_and(|penalty| penalty != 0.0),
        ),
        (
            "frequency_penalty",
            sampling.frequency_penalty.is_some_and(|penalty| penalty != 0.0),
        ),
        (
            "repeat_penalty",
            sampling.repeat_penalty.is_some_and(|penalty| penalty != 1.0),
        ),
        ("min_p", sampling.min_p.is_some_and(|min_p| min_p != 0.0)),
        ("logit_bias", sampling.logit_bias.is_some()),
        ("logprobs", request.logprobs == Some(true)),
        ("top_logprobs", request.top_logprobs.is_some_and(|top| top > 0)),
    ];
    let unknown = request.extra.iter().map(|(field, _)| field.as_str());
    let lacking = tuning
        .iter()
        .filter(|(_, given)| *given)
        .map(|(field, _)| *field)
        .chain(unknown);
    lacking
        .into_iter()
        .try_for_each(|field| options.lacks(Dialect::Anthropic, field))
}

fn write_sampling(request: &ChatRequest, options: &RenderOptions, to: &mut Object<'_>) {
    let sampling = &request.sampling;
    // Later versions answer 400 to these three.
    if options
        .anthropic_version
        .as_deref()
        .is_none_or(|version| version == VERSION)
    {
        to.opt(
            "temperature",
            &sampling.temperature.map(|temperature| temperature.clamp(0.0, 1.0)),
        );
        to.opt("top_p", &sampling.top_p).opt("top_k", &sampling.top_k);
    }
    if !sampling.stop.is_empty() {
        to.field("stop_sequences", &sampling.stop);
    }
}

fn write_tools(request: &ChatRequest, to: &mut Object<'_>) {
    if request.tools.is_empty() {
        return;
    }
    to.array("tools", |to| {
        for tool in &request.tools {
            to.object(|to| write_tool(tool, to));
        }
    });
    let alone = request.parallel_tool_calls == Some(false);
    if request.tool_choice.is_none() && !alone {
        return;
    }
    to.object("tool_choice", |to| {
        match &request.tool_choice {
            None | Some(ToolChoice::Auto) => to.field("type", "auto"),
            Some(ToolChoice::None) => to.field("type", "none"),
            Some(ToolChoice::Required) => to.field("type", "any"),
            Some(ToolChoice::Named(name)) => to.field("type", "tool").field("name", name),
        };
        if alone && request.tool_choice != Some(ToolChoice::None) {
            to.field("disable_parallel_tool_use", &true);
        }
    });
}

fn write_tool(tool: &Tool, to: &mut Object<'_>) {
    to.field("name", &tool.name).opt("description", &tool.description);
    match &tool.parameters {
        Some(schema) => to.field("input_schema", schema),
        None => to.object("input_schema", |to| {
            to.field("type", "object").object("properties", |_| {}).end()
        }),
    };
    to.opt("strict", &tool.strict.filter(|strict| *strict));
}

fn write_thinking(request: &ChatRequest, max_tokens: u64, possible: bool, to: &mut Object<'_>) {
    let schema = match &request.response_format {
        Some(ResponseFormat::JsonSchema { schema, .. }) => Some(schema),
        _ => None,
    };
    let effort = match request.reasoning {
        // There is nothing below low.
        Some(Reasoning::Effort(effort)) => Some(effort.max(Effort::Low).name()),
        _ => None,
    };
    if schema.is_some() || effort.is_some() {
        to.object("output_config", |to| {
            to.opt("effort", &effort);
            if let Some(schema) = schema {
                to.object("format", |to| {
                    to.field("type", "json_schema").field("schema", schema).end()
                });
            }
        });
    }
    match request.reasoning {
        Some(Reasoning::Off) => to.object("thinking", |to| to.field("type", "disabled").end()),
        Some(Reasoning::Adaptive | Reasoning::Effort(_)) if possible => {
            to.object("thinking", |to| to.field("type", "adaptive").end())
        }
        // The budget is part of the answer's bound and must leave room for words.
        Some(Reasoning::Budget(tokens)) if possible && max_tokens > BUDGET_TOKENS_MIN => {
            let tokens = tokens.clamp(BUDGET_TOKENS_MIN, max_tokens - 1);
            to.object("thinking", |to| {
                to.field("type", "enabled").field("budget_tokens", &tokens).end()
            })
        }
        _ => to,
    };
}
