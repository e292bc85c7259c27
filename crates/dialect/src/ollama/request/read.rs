//! A client's bytes → what it asked.

use serde_json::json;

use super::{Asked, messages, options};
use crate::chat::{ChatRequest, Effort, Message, Part, Reasoning, ResponseFormat, Role, Tool};
use crate::error::{BadRequest, Unsupported};
use crate::json::Json;
use crate::json::read::{Kind, Node, Object, Problems};
use crate::ollama::Endpoint;

/// Ollama's own bound.
const TOP_LOGPROBS_MAX: u64 = 20;

/// All that an Ollama client may ask at `endpoint`.
pub fn read(endpoint: Endpoint, bytes: &[u8]) -> Result<Asked, BadRequest> {
    let problems = Problems::new();
    let asked = Object::root(bytes, &problems).and_then(|body| match endpoint {
        Endpoint::Chat => chat(&body),
        Endpoint::Generate => generate(&body),
    });
    problems.into_request(asked)
}

fn chat(body: &Object<'_>) -> Option<Asked> {
    let mut request = common(body)?;
    request.tools = body.array("tools").iter().filter_map(tool).collect();
    let empty = messages::read(body, &mut request) == 0;
    Some(finish(body, request, empty))
}

fn generate(body: &Object<'_>) -> Option<Asked> {
    let mut request = common(body)?;
    let prompt = body.string("prompt").unwrap_or_default();
    let system = body.string("system").unwrap_or_default();
    let images = messages::images(body);
    refuse_generate_only(body, &mut request);
    let empty = prompt.is_empty() && images.is_empty();
    if !empty {
        if !system.is_empty() {
            request
                .messages
                .push(Message::new(Role::System, vec![Part::Text(system)], "system"));
        }
        let text = (!prompt.is_empty()).then_some(Part::Text(prompt));
        let parts = images.into_iter().map(Part::Image).chain(text).collect();
        request.messages.push(Message::new(Role::User, parts, "prompt"));
    }
    Some(finish(body, request, empty))
}

/// What both endpoints have.
fn common(body: &Object<'_>) -> Option<ChatRequest> {
    let model = body.require("model")?;
    let mut request = ChatRequest {
        model: model.string()?,
        stream: body.boolean("stream").unwrap_or(true),
        stream_usage: true,
        response_format: body.node("format").and_then(|format| response_format(&format)),
        reasoning: body.node("think").and_then(|think| reasoning(&think)),
        logprobs: body.boolean("logprobs"),
        top_logprobs: body.unsigned("top_logprobs"),
        keep_alive: body.node("keep_alive").and_then(|keep| keep_alive(&keep)),
        ..ChatRequest::default()
    };
    if request.model.is_empty() {
        model.wrong("must name a model", "name one that GET /api/tags lists");
    }
    if request.top_logprobs.is_some_and(|top| top > TOP_LOGPROBS_MAX) {
        let problems = body.problems();
        problems.note(body.at("top_logprobs"), "must be from 0 to 20", "more", "ask for fewer");
    }
    if let Some(options) = body.object("options") {
        options::read(&options, &mut request);
    }
    overflow(body, &mut request);
    Some(request)
}

/// What happens where the prompt is longer than the context: every other backend refuses, which `false` asks for.
fn overflow(body: &Object<'_>, request: &mut ChatRequest) {
    for field in ["truncate", "shift"] {
        if body.boolean(field) == Some(true) {
            request.extra.push((body.at(field), Json::from(&json!(true))));
        }
    }
}

/// What only the server that owns the model and its template can do.
fn refuse_generate_only(body: &Object<'_>, request: &mut ChatRequest) {
    let elsewhere = "use /api/chat, or ask for a model whose backend is Ollama itself";
    let empty = [json!(""), json!([]), json!(false), json!(0)];
    let asked = |field: &str| body.node(field).filter(|node| !empty.contains(&node.json().value()));
    for (field, rule) in [
        (
            "template",
            "replaces the model's prompt template, which no other API can",
        ),
        (
            "raw",
            "sends the prompt without a template, which no other chat API can",
        ),
        (
            "context",
            "holds another server's token numbers, which mean nothing to this model's backend",
        ),
        ("suffix", "asks for what comes between two texts, which no chat API can"),
        ("width", "asks for an image, which no chat API makes"),
        ("height", "asks for an image, which no chat API makes"),
        ("steps", "asks for an image, which no chat API makes"),
    ] {
        if asked(field).is_some() {
            request.inexpressible.push(Unsupported::new(field, rule, elsewhere));
        }
    }
}

/// An empty conversation loads or unloads; every other is one.
fn finish(body: &Object<'_>, mut request: ChatRequest, empty: bool) -> Asked {
    if empty {
        let model = request.model;
        return match request.keep_alive {
            Some(keep) if is_zero(&keep) => Asked::Unload { model },
            keep_alive => Asked::Load { model, keep_alive },
        };
    }
    if body.boolean("_debug_render_only") == Some(true) {
        let rule = "asks for the prompt that the model's own server would build, which no other API tells";
        request
            .inexpressible
            .push(Unsupported::new(body.at("_debug_render_only"), rule, "leave it out"));
    }
    request.extra.extend(body.rest());
    Asked::Chat(Box::new(request))
}

fn response_format(format: &Node<'_>) -> Option<ResponseFormat> {
    match format.kind() {
        Kind::String => match format.string()?.as_str() {
            "" => None,
            "json" => Some(ResponseFormat::JsonObject),
            _ => {
                format.wrong("must be \"json\" or a JSON schema", "send one of the two");
                None
            }
        },
        Kind::Object => Some(ResponseFormat::JsonSchema {
            name: None,
            schema: format.json(),
            strict: None,
        }),
        _ => {
            format.wrong("must be \"json\" or a JSON schema", "send one of the two");
            None
        }
    }
}

fn reasoning(think: &Node<'_>) -> Option<Reasoning> {
    let levels = [Effort::Low, Effort::Medium, Effort::High, Effort::Max];
    match think.kind() {
        Kind::Boolean => Some(if think.boolean()? {
            Reasoning::Adaptive
        } else {
            Reasoning::Off
        }),
        Kind::String => {
            let text = think.string()?;
            let effort = Effort::parse(&text).filter(|effort| levels.contains(effort));
            if effort.is_none() && !text.is_empty() {
                think.wrong(
                    "must be true, false, \"low\", \"medium\", \"high\" or \"max\"",
                    "send one of these",
                );
            }
            effort.map(Reasoning::Effort)
        }
        _ => {
            think.wrong(
                "must be true, false, \"low\", \"medium\", \"high\" or \"max\"",
                "send one of these",
            );
            None
        }
    }
}

fn keep_alive(keep: &Node<'_>) -> Option<Json> {
    if matches!(keep.kind(), Kind::Number | Kind::String) {
        return Some(keep.json());
    }
    keep.wrong(
        "must be a duration like \"5m\" or a number of seconds",
        "send one of the two",
    );
    None
}

/// `0`, `0.0`, `"0"`, `"0s"`, `"0h0m"`.
fn is_zero(keep: &Json) -> bool {
    match keep.value() {
        serde_json::Value::Number(number) => number.as_f64() == Some(0.0),
        serde_json::Value::String(text) => text.contains('0') && !text.bytes().any(|it| matches!(it, b'1'..=b'9')),
        _ => false,
    }
}

fn tool(node: &Node<'_>) -> Option<Tool> {
    let tool = node.object()?;
    if let Some(kind) = tool.node("type")
        && kind.string().is_some_and(|kind| kind != "function")
    {
        kind.wrong("must be \"function\"", "offer functions only");
    }
    let function = tool.require("function")?.object()?;
    Some(Tool {
        name: function.require("name")?.string()?,
        description: function.string("description"),
        parameters: function.json("parameters"),
        strict: function.boolean("strict"),
    })
}
