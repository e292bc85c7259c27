//! A client's chat completion request → [`ChatRequest`].
//!
//! What only tunes the provider's service (`store`, `service_tier`, cache hints) is read over, for it changes nothing
//! in the answer. Everything else that has no place in a [`ChatRequest`] lands in `extra` or `inexpressible`.

use super::message;
use crate::chat::{ChatRequest, Effort, Reasoning, ResponseFormat, Sampling, Tool, ToolChoice};
use crate::error::{BadRequest, Unsupported};
use crate::json::read::{Kind, Node, Object, Problems};

/// Change nothing in the answer.
const IGNORED: [&str; 8] = [
    "metadata",
    "prediction",
    "prompt_cache_key",
    "prompt_cache_options",
    "prompt_cache_retention",
    "service_tier",
    "store",
    "cache_prompt",
];

/// # Errors
/// All problems that were found, each with its path.
pub fn parse(body: &[u8]) -> Result<ChatRequest, BadRequest> {
    let problems = Problems::new();
    let request = Object::root(body, &problems).map(|root| read(&root));
    problems.into_request(request)
}

fn read(root: &Object<'_>) -> ChatRequest {
    root.ignore(&IGNORED);
    let mut request = ChatRequest {
        model: root.require("model").and_then(|node| node.string()).unwrap_or_default(),
        tool_choice: root.node("tool_choice").and_then(|node| read_tool_choice(&node)),
        parallel_tool_calls: root.boolean("parallel_tool_calls"),
        sampling: read_sampling(root),
        // The newer name wins; clients that send both mean the same.
        max_tokens: root.unsigned("max_completion_tokens").or(root.unsigned("max_tokens")),
        response_format: root
            .object("response_format")
            .and_then(|format| read_format(&format, Some("json_schema"))),
        reasoning: read_reasoning(root),
        stream: root.boolean("stream").unwrap_or(false),
        logprobs: root.boolean("logprobs"),
        top_logprobs: root.unsigned("top_logprobs"),
        user: root.string("user").or(root.string("safety_identifier")),
        keep_alive: root.json("keep_alive"),
        ..ChatRequest::default()
    };
    if let Some(options) = root.object("stream_options") {
        request.stream_usage = options.boolean("include_usage").unwrap_or(false);
        options.ignore(&["include_obfuscation"]);
        request.extra.extend(options.rest());
    }
    message::read_all(root, &mut request);
    for node in root.array("tools") {
        read_tool(&node, &mut request);
    }
    refuse_other_features(root, &mut request);
    request.extra.extend(root.rest());
    request
}

fn read_sampling(root: &Object<'_>) -> Sampling {
    Sampling {
        temperature: root.number("temperature"),
        top_p: root.number("top_p"),
        top_k: root.unsigned("top_k"),
        min_p: root.number("min_p"),
        seed: root.integer("seed"),
        presence_penalty: root.number("presence_penalty"),
        frequency_penalty: root.number("frequency_penalty"),
        // llama.cpp's name, and vLLM's.
        repeat_penalty: root.number("repeat_penalty").or(root.number("repetition_penalty")),
        stop: root.node("stop").map(|node| clean_stop(&node)).unwrap_or_default(),
        n: root.unsigned("n"),
        logit_bias: root.json("logit_bias").filter(|bias| bias.get() != "{}"),
    }
}

/// A string or an array of them.
pub(in crate::openai) fn clean_stop(node: &Node<'_>) -> Vec<String> {
    match node.kind() {
        Kind::String => node.string().into_iter().collect(),
        _ => node
            .array()
            .unwrap_or_default()
            .iter()
            .filter_map(Node::string)
            .collect(),
    }
}

/// `reasoning_effort`, or OpenRouter's `reasoning` object.
fn read_reasoning(root: &Object<'_>) -> Option<Reasoning> {
    if let Some(node) = root.node("reasoning_effort") {
        return read_effort(&node);
    }
    let reasoning = root.object("reasoning")?;
    if let Some(node) = reasoning.node("effort") {
        return read_effort(&node);
    }
    if let Some(tokens) = reasoning.unsigned("max_tokens") {
        return Some(Reasoning::Budget(tokens));
    }
    Some(if reasoning.boolean("enabled")? {
        Reasoning::Adaptive
    } else {
        Reasoning::Off
    })
}

pub(in crate::openai) fn read_effort(node: &Node<'_>) -> Option<Reasoning> {
    let name = node.string()?;
    if name == "none" {
        return Some(Reasoning::Off);
    }
    let effort = Effort::parse(&name);
    if effort.is_none() {
        node.wrong(
            "must be none, minimal, low, medium, high, xhigh or max",
            "choose one of these",
        );
    }
    effort.map(Reasoning::Effort)
}

/// `{"type","json_schema":{…}}`; the Responses API has the schema's fields beside `type`, hence `nested: None`.
pub(in crate::openai) fn read_format(format: &Object<'_>, nested: Option<&str>) -> Option<ResponseFormat> {
    let kind = format.require("type")?;
    match kind.string()?.as_str() {
        "text" => Some(ResponseFormat::Text),
        "json_object" => Some(ResponseFormat::JsonObject),
        "json_schema" => {
            let inner = nested.map(|name| format.require(name).and_then(|node| node.object()));
            let schema = match &inner {
                None => format,
                Some(inner) => inner.as_ref()?,
            };
            let name = schema.string("name");
            let strict = schema.boolean("strict");
            schema.ignore(&["description"]);
            let schema = schema.require("schema")?;
            schema.object()?;
            Some(ResponseFormat::JsonSchema {
                name,
                schema: schema.json(),
                strict,
            })
        }
        _ => {
            kind.wrong("must be text, json_object or json_schema", "choose one of these");
            None
        }
    }
}

/// A word, or the function by its name: nested under `function` (chat completions) or beside `type` (Responses API).
pub(in crate::openai) fn read_tool_choice(node: &Node<'_>) -> Option<ToolChoice> {
    if node.kind() == Kind::Object {
        let choice = node.object()?;
        let function = choice.node("function").and_then(|node| node.object());
        let name = function.as_ref().unwrap_or(&choice).require("name")?;
        return name.string().map(ToolChoice::Named);
    }
    match node.string()?.as_str() {
        "auto" => Some(ToolChoice::Auto),
        "none" => Some(ToolChoice::None),
        "required" => Some(ToolChoice::Required),
        _ => {
            node.wrong("must be auto, none, required or a function", "choose one of these");
            None
        }
    }
}

fn read_tool(node: &Node<'_>, request: &mut ChatRequest) {
    let Some(tool) = node.object() else { return };
    let kind = tool.string("type").unwrap_or_else(|| "function".to_owned());
    if kind != "function" {
        request.inexpressible.push(Unsupported::new(
            tool.at("type"),
            "only function tools can be translated for this model's backend",
            "declare the tool as a function",
        ));
        return;
    }
    if let Some(function) = tool.require("function").and_then(|node| node.object()) {
        read_function(&function, request);
    }
    tool.ignore(&["cache_control"]);
    request.extra.extend(tool.rest());
}

/// `{name, description, parameters, strict}`, wherever it stands.
pub(in crate::openai) fn read_function(function: &Object<'_>, request: &mut ChatRequest) {
    let Some(name) = function.require("name").and_then(|node| node.string()) else {
        return;
    };
    let parameters = function.node("parameters");
    if let Some(node) = &parameters {
        // Noted as a problem where it is none.
        let _ = node.object();
    }
    request.tools.push(Tool {
        name,
        description: function.string("description"),
        parameters: parameters.map(|node| node.json()),
        strict: function.boolean("strict"),
    });
}

/// Features of OpenAI's own service or its past.
fn refuse_other_features(root: &Object<'_>, request: &mut ChatRequest) {
    let refused = [
        (
            "functions",
            "is the predecessor of tools, which is not translated",
            "use tools",
        ),
        (
            "function_call",
            "is the predecessor of tool_choice, which is not translated",
            "use tool_choice",
        ),
        (
            "audio",
            "asks for spoken answers, which are not translated",
            "ask for text",
        ),
        (
            "web_search_options",
            "asks for OpenAI's own search",
            "leave it out, or offer a function tool",
        ),
    ];
    for (name, rule, fix) in refused {
        if let Some(node) = root.node(name) {
            request.inexpressible.push(Unsupported::new(node.path, rule, fix));
        }
    }
    for node in root.array("modalities") {
        if node.string().is_some_and(|modality| modality != "text") {
            request.inexpressible.push(Unsupported::new(
                node.path,
                "only text answers are translated",
                "ask for text",
            ));
        }
    }
    refuse_other_choice(root, request);
}

/// `allowed_tools`, `custom`, and the choices of OpenAI's own tools.
pub(in crate::openai) fn refuse_other_choice(root: &Object<'_>, request: &mut ChatRequest) {
    let choice = root
        .node("tool_choice")
        .filter(|node| node.kind() == Kind::Object)
        .and_then(|node| node.object());
    if choice
        .and_then(|choice| choice.string("type"))
        .is_some_and(|kind| kind != "function")
    {
        request.inexpressible.push(Unsupported::new(
            "tool_choice.type",
            "only a function can be chosen",
            "use function",
        ));
    }
}
