//! A request → the bytes of `/api/chat`.
//!
//! Two passes: `turns` says what each message becomes and refuses what cannot be said, then it is written in one go.

use bytes::Bytes;

use crate::Dialect::Ollama;
use crate::chat::{
    ChatRequest, Effort, Image, Message, Part, Reasoning, RenderOptions, ResponseFormat, Role, Tool, ToolChoice,
};
use crate::error::Unsupported;
use crate::json::Json;
use crate::json::write::{self, Array, Object};

/// What a backend's `/api/chat` is sent.
pub fn render(request: &ChatRequest, options: &RenderOptions) -> Result<Bytes, Unsupported> {
    request.expressible()?;
    check(request, options)?;
    let turns = turns(request)?;
    let body = write::object(|body| {
        body.field("model", options.model.as_deref().unwrap_or(&request.model));
        body.array("messages", |list| turns.iter().for_each(|turn| write_turn(list, turn)));
        let tools = request.tools_offered();
        if !tools.is_empty() {
            body.array("tools", |list| tools.iter().for_each(|tool| write_tool(list, tool)));
        }
        body.field("stream", &request.stream);
        write_format(body, request.response_format.as_ref());
        write_options(body, request);
        write_think(body, request.reasoning);
        body.opt("keep_alive", &request.keep_alive);
        body.opt("logprobs", &request.logprobs)
            .opt("top_logprobs", &request.top_logprobs);
    });
    Ok(body.into())
}

/// Refuses what `/api/chat` has no words for. `user` names the end user and changes no answer: it is left out.
fn check(request: &ChatRequest, options: &RenderOptions) -> Result<(), Unsupported> {
    if request.sampling.n.is_some_and(|n| n > 1) {
        return Err(Unsupported::no_counterpart(Ollama, "n"));
    }
    if matches!(request.tool_choice, Some(ToolChoice::Required | ToolChoice::Named(_))) {
        return Err(Unsupported::no_counterpart(Ollama, "tool_choice"));
    }
    if request.sampling.logit_bias.is_some() {
        options.lacks(Ollama, "logit_bias")?;
    }
    if request.parallel_tool_calls == Some(false) && !request.tools_offered().is_empty() {
        options.lacks(Ollama, "parallel_tool_calls")?;
    }
    for (index, tool) in request.tools_offered().iter().enumerate() {
        if tool.strict == Some(true) {
            options.lacks(Ollama, &format!("tools[{index}].function.strict"))?;
        }
    }
    request
        .extra
        .iter()
        .try_for_each(|(field, _)| options.lacks(Ollama, field))
}

/// One of Ollama's messages.
struct Turn<'a> {
    role: &'static str,
    text: String,
    thinking: String,
    images: Vec<&'a str>,
    calls: Vec<(&'a str, &'a str, Json)>,
    /// The tool and the call that this answers.
    answers: Option<(&'a str, &'a str)>,
}

impl Turn<'_> {
    fn new(role: &'static str) -> Self {
        Self {
            role,
            text: String::new(),
            thinking: String::new(),
            images: vec![],
            calls: vec![],
            answers: None,
        }
    }
}

/// Tool results become messages of their own, before what else their message holds.
fn turns(request: &ChatRequest) -> Result<Vec<Turn<'_>>, Unsupported> {
    let mut turns = Vec::with_capacity(request.messages.len());
    for (index, message) in request.messages.iter().enumerate() {
        let mut turn = Turn::new(role(message.role));
        for (number, part) in message.parts.iter().enumerate() {
            match part {
                Part::ToolResult { .. } => turns.push(result(request, index, number)?),
                _ => add(&mut turn, message, number, part)?,
            }
        }
        if message.role != Role::Tool {
            turns.push(turn);
        }
    }
    Ok(turns)
}

fn role(role: Role) -> &'static str {
    match role {
        Role::System => "system",
        Role::User => "user",
        Role::Assistant => "assistant",
        Role::Tool => "tool",
    }
}

fn add<'a>(turn: &mut Turn<'a>, message: &Message, number: usize, part: &'a Part) -> Result<(), Unsupported> {
    match part {
        Part::Text(text) => turn.text.push_str(text),
        Part::Image(image) => turn.images.push(inline(image, || message.part_at(number))?),
        Part::Thinking { text, .. } => turn.thinking.push_str(text),
        // Only its own provider can read it, as no signature survives a change of provider.
        Part::RedactedThinking { .. } => {}
        Part::ToolCall {
            id, name, arguments, ..
        } => {
            let object = Part::arguments_object(arguments).ok_or_else(|| no_object(message, turn.calls.len()))?;
            turn.calls.push((id, name, object));
        }
        Part::ToolResult { .. } => {}
    }
    Ok(())
}

fn no_object(message: &Message, call: usize) -> Unsupported {
    Unsupported::new(
        format!("{}.tool_calls[{call}].function.arguments", message.at),
        "must be a JSON object for Ollama's API, which this model's backend speaks",
        "send the arguments as an object, or leave the call and its result out",
    )
}

/// `is_error` has no field: the content is what tells the model.
fn result(request: &ChatRequest, index: usize, number: usize) -> Result<Turn<'_>, Unsupported> {
    let message = &request.messages[index];
    let mut turn = Turn::new("tool");
    if let Part::ToolResult { id, name, content, .. } = &message.parts[number] {
        let name = if name.is_empty() {
            request.tool_name(id, index).unwrap_or_default()
        } else {
            name
        };
        turn.answers = Some((name, id));
        for part in content {
            add(&mut turn, message, number, part)?;
        }
    }
    Ok(turn)
}

fn inline(image: &Image, at: impl FnOnce() -> String) -> Result<&str, Unsupported> {
    match image {
        Image::Inline { data, .. } => Ok(data),
        Image::Url(_) => Err(Unsupported::new(
            at(),
            "is an address, and Ollama takes only the image itself",
            "send the image as a data: URI",
        )),
    }
}

fn write_turn(list: &mut Array<'_>, turn: &Turn<'_>) {
    list.object(|it| {
        it.field("role", turn.role).field("content", &turn.text);
        if !turn.thinking.is_empty() {
            it.field("thinking", &turn.thinking);
        }
        if !turn.images.is_empty() {
            it.field("images", &turn.images);
        }
        if !turn.calls.is_empty() {
            it.array("tool_calls", |calls| write_calls(calls, &turn.calls));
        }
        if let Some((name, id)) = turn.answers {
            for (field, text) in [("tool_name", name), ("tool_call_id", id)] {
                it.opt(field, &(!text.is_empty()).then_some(text));
            }
        }
    });
}

fn write_calls(list: &mut Array<'_>, calls: &[(&str, &str, Json)]) {
    for (index, (id, name, arguments)) in calls.iter().enumerate() {
        list.object(|call| {
            call.field("id", id).object("function", |function| {
                function
                    .field("index", &index)
                    .field("name", name)
                    .field("arguments", arguments);
            });
        });
    }
}

fn write_tool(list: &mut Array<'_>, tool: &Tool) {
    list.object(|it| {
        it.field("type", "function").object("function", |function| {
            function.field("name", &tool.name).opt("description", &tool.description);
            match &tool.parameters {
                Some(schema) => function.field("parameters", schema),
                None => function.object("parameters", |schema| {
                    schema.field("type", "object").object("properties", |_| ());
                }),
            };
        });
    });
}

/// A schema is always kept to by Ollama's grammar, so that `strict` has nothing to add.
fn write_format(body: &mut Object<'_>, format: Option<&ResponseFormat>) {
    match format {
        None | Some(ResponseFormat::Text) => {}
        Some(ResponseFormat::JsonObject) => {
            body.field("format", "json");
        }
        Some(ResponseFormat::JsonSchema { schema, .. }) => {
            body.field("format", schema);
        }
    }
}

/// What the client left out stays out: Ollama's and the model's own defaults apply.
fn write_options(body: &mut Object<'_>, request: &ChatRequest) {
    let it = &request.sampling;
    body.object("options", |options| {
        options.opt("num_predict", &request.max_tokens);
        options
            .opt("temperature", &it.temperature)
            .opt("top_p", &it.top_p)
            .opt("top_k", &it.top_k);
        options.opt("min_p", &it.min_p).opt("seed", &it.seed);
        options
            .opt("presence_penalty", &it.presence_penalty)
            .opt("frequency_penalty", &it.frequency_penalty);
        options.opt("repeat_penalty", &it.repeat_penalty);
        if !it.stop.is_empty() {
            options.field("stop", &it.stop);
        }
    });
}

fn write_think(body: &mut Object<'_>, reasoning: Option<Reasoning>) {
    let level = |effort| match effort {
        Effort::Minimal | Effort::Low => "low",
        Effort::Medium => "medium",
        Effort::High => "high",
        Effort::XHigh | Effort::Max => "max",
    };
    match reasoning {
        None => {}
        Some(Reasoning::Off) => {
            body.field("think", &false);
        }
        Some(Reasoning::Adaptive) => {
            body.field("think", &true);
        }
        Some(Reasoning::Effort(effort)) => {
            body.field("think", level(effort));
        }
        Some(Reasoning::Budget(tokens)) => {
            body.field("think", level(Effort::of_budget(tokens)));
        }
    }
}
