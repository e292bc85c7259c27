//! A client's Messages request → [`ChatRequest`].
//!
//! Cache hints (`cache_control`) are read over: they change the price of an answer and not the answer.

use super::block;
use crate::chat::{ChatRequest, Effort, Message, Reasoning, ResponseFormat, Role, Sampling, Tool, ToolChoice};
use crate::error::{BadRequest, Unsupported};
use crate::json::read::{Kind, Node, Object, Problems};

/// Change nothing in the answer.
const IGNORED: [&str; 4] = ["cache_control", "service_tier", "inference_geo", "betas"];

/// # Errors
/// All problems that were found, each with its path.
pub fn parse(body: &[u8]) -> Result<ChatRequest, BadRequest> {
    read_body(body, true)
}

/// The body of `/v1/messages/count_tokens`: a request without `max_tokens`, whose input is to be counted.
///
/// # Errors
/// All problems that were found, each with its path.
pub fn parse_count_tokens(body: &[u8]) -> Result<ChatRequest, BadRequest> {
    read_body(body, false)
}

fn read_body(body: &[u8], wants_limit: bool) -> Result<ChatRequest, BadRequest> {
    let problems = Problems::new();
    let request = Object::root(body, &problems).map(|root| {
        if wants_limit {
            root.require("max_tokens");
        }
        read(&root)
    });
    problems.into_request(request)
}

fn read(root: &Object<'_>) -> ChatRequest {
    root.ignore(&IGNORED);
    let mut request = ChatRequest {
        model: root.require("model").and_then(|node| node.string()).unwrap_or_default(),
        sampling: Sampling {
            temperature: root.number("temperature"),
            top_p: root.number("top_p"),
            top_k: root.unsigned("top_k"),
            stop: root.array("stop_sequences").iter().filter_map(Node::string).collect(),
            ..Sampling::default()
        },
        max_tokens: root.unsigned("max_tokens"),
        stream: root.boolean("stream").unwrap_or(false),
        // The dialect always tells it.
        stream_usage: true,
        ..ChatRequest::default()
    };
    if let Some(metadata) = root.object("metadata") {
        request.user = metadata.string("user_id");
    }
    read_system(root, &mut request);
    read_messages(root, &mut request);
    for node in root.array("tools") {
        read_tool(&node, &mut request);
    }
    if let Some(choice) = root.object("tool_choice") {
        request.tool_choice = read_tool_choice(&choice);
        request.parallel_tool_calls = choice.boolean("disable_parallel_tool_use").map(|disabled| !disabled);
    }
    read_thinking(root, &mut request);
    request.extra.extend(root.rest());
    request
}

fn read_system(root: &Object<'_>, request: &mut ChatRequest) {
    let Some(node) = root.node("system") else { return };
    let parts = block::read_content(&node, request);
    if !parts.is_empty() {
        request.messages.push(Message::new(Role::System, parts, "system"));
    }
}

fn read_messages(root: &Object<'_>, request: &mut ChatRequest) {
    let Some(nodes) = root.require("messages").and_then(|node| node.array()) else {
        return;
    };
    if nodes.is_empty() {
        root.problems().note(
            "messages",
            "must not be empty",
            "an empty array",
            "send at least one message",
        );
    }
    for node in &nodes {
        if let Some(message) = node.object() {
            read_message(&message, request);
        }
    }
    request.name_results();
}

/// A user's turn may hold tool results and text: the results come first, as a turn of their own.
fn read_message(message: &Object<'_>, request: &mut ChatRequest) -> Option<()> {
    let role = message.require("role")?;
    let role = match role.string()?.as_str() {
        "user" => Role::User,
        "assistant" => Role::Assistant,
        "system" => Role::System,
        _ => {
            role.wrong(
                "must be user or assistant",
                "choose one of these, and put instructions into system",
            );
            return None;
        }
    };
    let parts = block::read_content(&message.require("content")?, request);
    let (results, others): (Vec<_>, Vec<_>) = parts
        .into_iter()
        .partition(|part| matches!(part, crate::chat::Part::ToolResult { .. }));
    if !results.is_empty() {
        request
            .messages
            .push(Message::new(Role::Tool, results, message.path.clone()));
        if others.is_empty() {
            return Some(());
        }
    }
    request.messages.push(Message::new(role, others, message.path.clone()));
    request.extra.extend(message.rest());
    Some(())
}

fn read_tool(node: &Node<'_>, request: &mut ChatRequest) -> Option<()> {
    let tool = node.object()?;
    if tool.string("type").is_some_and(|kind| kind != "custom") {
        request.inexpressible.push(Unsupported::new(
            tool.at("type"),
            "is a tool of Anthropic's own, which this model's backend does not have",
            "declare a tool with a name and an input_schema",
        ));
        return None;
    }
    tool.ignore(&[
        "cache_control",
        "eager_input_streaming",
        "defer_loading",
        "input_examples",
        "allowed_callers",
    ]);
    let name = tool.require("name")?.string()?;
    let schema = tool.require("input_schema")?;
    schema.object()?;
    let (description, strict) = (tool.string("description"), tool.boolean("strict"));
    request.extra.extend(tool.rest());
    request.tools.push(Tool {
        name,
        description,
        parameters: Some(schema.json()),
        strict,
    });
    Some(())
}

fn read_tool_choice(choice: &Object<'_>) -> Option<ToolChoice> {
    let kind = choice.require("type")?;
    match kind.string()?.as_str() {
        "auto" => Some(ToolChoice::Auto),
        "any" => Some(ToolChoice::Required),
        "none" => Some(ToolChoice::None),
        "tool" => choice.require("name")?.string().map(ToolChoice::Named),
        _ => {
            kind.wrong("must be auto, any, tool or none", "choose one of these");
            None
        }
    }
}

/// `thinking` says whether, `output_config` how hard and in what format.
fn read_thinking(root: &Object<'_>, request: &mut ChatRequest) -> Option<()> {
    let config = root.object("output_config");
    let effort = config
        .as_ref()
        .and_then(|config| config.node("effort"))
        .and_then(|node| read_effort(&node));
    let format = config
        .as_ref()
        .and_then(|config| config.object("format"))
        .or_else(|| root.object("output_format"));
    request.response_format = format.and_then(|format| read_format(&format));
    if let Some(config) = config {
        request.extra.extend(config.rest());
    }
    request.reasoning = effort.map(Reasoning::Effort);
    let thinking = root.object("thinking")?;
    let kind = thinking.require("type")?;
    request.reasoning = match kind.string()?.as_str() {
        "disabled" => Some(Reasoning::Off),
        "adaptive" => request.reasoning.or(Some(Reasoning::Adaptive)),
        "enabled" => thinking.require("budget_tokens")?.unsigned().map(Reasoning::Budget),
        _ => {
            kind.wrong("must be enabled, adaptive or disabled", "choose one of these");
            None
        }
    };
    // `display` chooses between whole and summarised thinking, which is Anthropic's own.
    thinking.ignore(&["display"]);
    request.extra.extend(thinking.rest());
    Some(())
}

fn read_effort(node: &Node<'_>) -> Option<Effort> {
    let effort = Effort::parse(&node.string()?);
    if effort.is_none() {
        node.wrong("must be low, medium, high, xhigh or max", "choose one of these");
    }
    effort
}

fn read_format(format: &Object<'_>) -> Option<ResponseFormat> {
    let kind = format.require("type")?;
    if kind.string()? != "json_schema" {
        kind.wrong("must be json_schema", "send a schema, or leave the format out");
        return None;
    }
    let schema = format
        .require("schema")
        .filter(|schema| schema.kind() == Kind::Object)?;
    Some(ResponseFormat::JsonSchema {
        name: None,
        schema: schema.json(),
        strict: Some(true),
    })
}
