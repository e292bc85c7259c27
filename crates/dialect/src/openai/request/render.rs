//! [`ChatRequest`] → the body for a backend that speaks OpenAI: llama.cpp, vLLM, LiteLLM, OpenAI itself.
//!
//! Usage of a stream is always asked for. `keep_alive` is left out: it is about the backend's memory, not the answer.

use bytes::Bytes;

use crate::Dialect;
use crate::chat::{
    ChatRequest, Message, Part, Reasoning, RenderOptions, ResponseFormat, Role, Signature, Tool, ToolChoice,
};
use crate::error::Unsupported;
use crate::json::write::{self, Array, Object};

/// # Errors
/// The first field that OpenAI's API has no counterpart for.
pub fn render(request: &ChatRequest, options: &RenderOptions) -> Result<Bytes, Unsupported> {
    request.expressible()?;
    for (field, _) in &request.extra {
        options.lacks(Dialect::OpenAi, field)?;
    }
    let body = write::object(|to| {
        to.field("model", options.model.as_ref().unwrap_or(&request.model));
        to.array("messages", |to| {
            request.messages.iter().for_each(|message| write_message(message, to))
        });
        write_tools(request, to);
        write_sampling(request, options, to);
        write_format(request, to);
        if let Some(effort) = request.reasoning.and_then(effort) {
            to.field("reasoning_effort", effort);
        }
        to.opt("logprobs", &request.logprobs)
            .opt("top_logprobs", &request.top_logprobs)
            .opt("user", &request.user);
        if request.stream {
            to.field("stream", &true);
            to.object("stream_options", |to| {
                to.field("include_usage", &true);
            });
        }
    });
    Ok(body.into())
}

fn effort(reasoning: Reasoning) -> Option<&'static str> {
    match reasoning {
        Reasoning::Off => Some("none"),
        // As much as the model finds right is what it does unasked.
        Reasoning::Adaptive => None,
        Reasoning::Effort(effort) => Some(effort.name()),
        Reasoning::Budget(tokens) => Some(crate::chat::Effort::of_budget(tokens).name()),
    }
}

fn write_sampling(request: &ChatRequest, options: &RenderOptions, to: &mut Object<'_>) {
    let sampling = &request.sampling;
    to.opt("temperature", &sampling.temperature)
        .opt("top_p", &sampling.top_p);
    to.opt("top_k", &sampling.top_k)
        .opt("min_p", &sampling.min_p)
        .opt("repeat_penalty", &sampling.repeat_penalty);
    to.opt("seed", &sampling.seed)
        .opt("n", &sampling.n)
        .opt("logit_bias", &sampling.logit_bias);
    to.opt("presence_penalty", &sampling.presence_penalty)
        .opt("frequency_penalty", &sampling.frequency_penalty);
    if !sampling.stop.is_empty() {
        to.field("stop", &sampling.stop);
    }
    let limit = if options.max_completion_tokens {
        "max_completion_tokens"
    } else {
        "max_tokens"
    };
    to.opt(limit, &request.max_tokens);
}

fn write_format(request: &ChatRequest, to: &mut Object<'_>) {
    let Some(format) = &request.response_format else { return };
    to.object("response_format", |to| match format {
        ResponseFormat::Text => to.field("type", "text").end(),
        ResponseFormat::JsonObject => to.field("type", "json_object").end(),
        ResponseFormat::JsonSchema { name, schema, strict } => {
            to.field("type", "json_schema").object("json_schema", |to| {
                // The name is required and means nothing to anyone.
                to.field("name", name.as_deref().unwrap_or("answer"))
                    .field("schema", schema)
                    .opt("strict", strict);
            });
        }
    });
}

fn write_tools(request: &ChatRequest, to: &mut Object<'_>) {
    if request.tools.is_empty() {
        return;
    }
    to.array("tools", |to| request.tools.iter().for_each(|tool| write_tool(tool, to)));
    match &request.tool_choice {
        None => {}
        Some(ToolChoice::Auto) => to.field("tool_choice", "auto").end(),
        Some(ToolChoice::None) => to.field("tool_choice", "none").end(),
        Some(ToolChoice::Required) => to.field("tool_choice", "required").end(),
        Some(ToolChoice::Named(name)) => {
            to.object("tool_choice", |to| {
                to.field("type", "function")
                    .object("function", |to| to.field("name", name).end());
            });
        }
    }
    to.opt("parallel_tool_calls", &request.parallel_tool_calls);
}

fn write_tool(tool: &Tool, to: &mut Array<'_>) {
    to.object(|to| {
        to.field("type", "function").object("function", |to| {
            to.field("name", &tool.name).opt("description", &tool.description);
            to.opt("parameters", &tool.parameters).opt("strict", &tool.strict);
        });
    });
}

fn write_message(message: &Message, to: &mut Array<'_>) {
    match message.role {
        Role::Tool => write_results(message, to),
        Role::Assistant => to
            .object(|to| {
                to.field("role", "assistant");
                write_assistant(&message.parts, to);
            })
            .end(),
        Role::System | Role::User => to
            .object(|to| {
                let role = if message.role == Role::System { "system" } else { "user" };
                to.field("role", role);
                write_content(&message.parts, to);
            })
            .end(),
    }
}

/// One message a result. Images cannot stand in a tool's message, so they follow in a user's.
fn write_results(message: &Message, to: &mut Array<'_>) {
    let mut images = Vec::new();
    for part in &message.parts {
        let Part::ToolResult {
            id, content, is_error, ..
        } = part
        else {
            continue;
        };
        let text: String = content.iter().filter_map(Part::as_text).collect();
        // There is no flag for it, and models know the word.
        let text = if *is_error && !text.to_ascii_lowercase().starts_with("error") {
            format!("Error: {text}")
        } else {
            text
        };
        to.object(|to| {
            to.field("role", "tool")
                .field("tool_call_id", id)
                .field("content", &text)
                .end()
        });
        images.extend(content.iter().filter(|part| matches!(part, Part::Image(_))).cloned());
    }
    if !images.is_empty() {
        to.object(|to| {
            to.field("role", "user");
            write_content(&images, to);
        });
    }
}

/// The fields of an assistant's message: in a request and in an answer they are the same.
pub(in crate::openai) fn write_assistant(parts: &[Part], to: &mut Object<'_>) {
    let texts: String = parts.iter().filter_map(Part::as_text).collect();
    let calls: Vec<&Part> = parts
        .iter()
        .filter(|part| matches!(part, Part::ToolCall { .. }))
        .collect();
    if texts.is_empty() && !calls.is_empty() {
        to.null("content");
    } else {
        to.field("content", &texts);
    }
    let thinking: String = parts.iter().filter_map(thinking_text).collect();
    if !thinking.is_empty() {
        to.field("reasoning_content", &thinking);
    }
    if !calls.is_empty() {
        to.array("tool_calls", |to| calls.iter().for_each(|call| write_call(call, to)));
    }
}

fn thinking_text(part: &Part) -> Option<&str> {
    match part {
        Part::Thinking { text, .. } => Some(text),
        _ => None,
    }
}

fn write_call(call: &Part, to: &mut Array<'_>) {
    let Part::ToolCall {
        id,
        name,
        arguments,
        signature,
    } = call
    else {
        return;
    };
    to.object(|to| {
        to.field("id", id).field("type", "function");
        to.object("function", |to| {
            to.field("name", name)
                .field("arguments", arguments_or_none(arguments))
                .end()
        });
        write_signature(signature, to);
    });
}

/// A call without arguments is written as the empty object: `""` is no JSON, and clients parse it.
pub(in crate::openai) fn arguments_or_none(arguments: &str) -> &str {
    if arguments.trim().is_empty() { "{}" } else { arguments }
}

/// Google's own place for it in this dialect; clients that echo calls whole bring it back.
pub(in crate::openai) fn write_signature(signature: &Option<Signature>, to: &mut Object<'_>) {
    if let Some(value) = Signature::of(signature, Dialect::Gemini) {
        to.object("extra_content", |to| {
            to.object("google", |to| to.field("thought_signature", value).end());
        });
    }
}

fn write_content(parts: &[Part], to: &mut Object<'_>) {
    if let [Part::Text(text)] = parts {
        to.field("content", text);
        return;
    }
    to.array("content", |to| {
        for part in parts {
            match part {
                Part::Text(text) => to.object(|to| to.field("type", "text").field("text", text).end()).end(),
                Part::Image(image) => to
                    .object(|to| {
                        to.field("type", "image_url");
                        to.object("image_url", |to| to.field("url", &image.to_url()).end());
                    })
                    .end(),
                // Only assistants think and call, only tools answer.
                Part::Thinking { .. }
                | Part::RedactedThinking { .. }
                | Part::ToolCall { .. }
                | Part::ToolResult { .. } => {}
            }
        }
    });
}
