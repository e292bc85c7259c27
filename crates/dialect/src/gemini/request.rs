//! A request → the path and the bytes of `generateContent`.
//!
//! `turns` says what each message becomes and refuses what cannot be said; `config` spells what tunes the answer.

mod config;
mod part;
mod turns;

use bytes::Bytes;

use self::part::WirePart;
use self::turns::Turn;
use crate::Dialect::Gemini;
use crate::chat::{ChatRequest, RenderOptions, Tool, ToolChoice};
use crate::error::Unsupported;
use crate::json::write::{self, Array, Object};

/// What is asked of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    Generate,
    Stream,
    BatchEmbed,
}

/// Stands for a signature where the history was written by another provider or its client dropped it: Gemini 3 refuses a
/// call without one, and this value tells it not to look.
pub(super) const UNSIGNED: &str = "skip_thought_signature_validator";

/// Path and query, under the base URL. Whatever a model is called, it stays one segment.
pub fn path(model: &str, method: Method) -> String {
    let verb = match method {
        Method::Generate => "generateContent",
        Method::Stream => "streamGenerateContent?alt=sse",
        Method::BatchEmbed => "batchEmbedContents",
    };
    let (kind, name) = resource(model);
    let mut path = format!("/v1beta/{kind}/");
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            path.push(byte.into());
        } else {
            path.extend([
                '%',
                HEX[usize::from(byte >> 4)].into(),
                HEX[usize::from(byte & 15)].into(),
            ]);
        }
    }
    format!("{path}:{verb}")
}

const HEX: &[u8; 16] = b"0123456789ABCDEF";

/// `models` and the name, or `tunedModels` where the name says so.
pub(super) fn resource(model: &str) -> (&str, &str) {
    match model.split_once('/') {
        Some((kind @ ("models" | "tunedModels"), name)) => (kind, name),
        _ => ("models", model),
    }
}

/// What `generateContent` and `streamGenerateContent` are sent: whether to stream is in the path.
pub fn render(request: &ChatRequest, options: &RenderOptions) -> Result<Bytes, Unsupported> {
    request.expressible()?;
    check(request, options)?;
    let system = turns::system(request)?;
    let contents = turns::contents(request)?;
    let model = options.model.as_deref().unwrap_or(&request.model);
    let body = write::object(|body| {
        if !system.is_empty() {
            body.object("systemInstruction", |it| write_parts(it, &system));
        }
        body.array("contents", |list| {
            contents.iter().for_each(|turn| write_turn(list, turn))
        });
        if !request.tools.is_empty() {
            body.array("tools", |tools| {
                tools.object(|it| write_tools(it, &request.tools));
            });
            write_tool_config(body, request);
        }
        config::write(body, request, model);
    });
    Ok(body.into())
}

/// Refuses what Gemini has no words for. `user` and `keep_alive` change no answer and are left out.
fn check(request: &ChatRequest, options: &RenderOptions) -> Result<(), Unsupported> {
    let it = &request.sampling;
    if it.n.is_some_and(|n| n > 1) {
        return Err(Unsupported::no_counterpart(Gemini, "n"));
    }
    let lacking = [
        (it.logit_bias.is_some(), "logit_bias"),
        (it.min_p.is_some(), "min_p"),
        (it.repeat_penalty.is_some(), "repeat_penalty"),
        (
            request.parallel_tool_calls == Some(false) && !request.tools_offered().is_empty(),
            "parallel_tool_calls",
        ),
    ];
    for (lacks, field) in lacking {
        if lacks {
            options.lacks(Gemini, field)?;
        }
    }
    request
        .extra
        .iter()
        .try_for_each(|(field, _)| options.lacks(Gemini, field))
}

fn write_turn(list: &mut Array<'_>, turn: &Turn<'_>) {
    list.object(|it| {
        it.field("role", turn.role);
        write_parts(it, &turn.parts);
    });
}

fn write_parts(turn: &mut Object<'_>, parts: &[WirePart<'_>]) {
    turn.array("parts", |list| {
        for part in parts {
            list.object(|it| part.write(it));
        }
    });
}

fn write_tools(it: &mut Object<'_>, tools: &[Tool]) {
    it.array("functionDeclarations", |list| {
        for tool in tools {
            list.object(|function| {
                function.field("name", &tool.name).opt("description", &tool.description);
                function.opt("parametersJsonSchema", &tool.parameters);
            });
        }
    });
}

/// Tools are offered even where they may not be called, for the history may hold calls. `strict` is what `VALIDATED` is,
/// and `ANY` keeps to the schemas anyway.
fn write_tool_config(body: &mut Object<'_>, request: &ChatRequest) {
    let strict = request.tools.iter().any(|tool| tool.strict == Some(true));
    let mode = match &request.tool_choice {
        None | Some(ToolChoice::Auto) if strict => "VALIDATED",
        None => return,
        Some(ToolChoice::Auto) => "AUTO",
        Some(ToolChoice::None) => "NONE",
        Some(ToolChoice::Required | ToolChoice::Named(_)) => "ANY",
    };
    body.object("toolConfig", |it| {
        it.object("functionCallingConfig", |config| {
            config.field("mode", mode);
            if let Some(ToolChoice::Named(name)) = &request.tool_choice {
                config.field("allowedFunctionNames", &[name]);
            }
        });
    });
}
