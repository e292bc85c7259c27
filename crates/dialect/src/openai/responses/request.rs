//! The request's outer level.

use super::echo::Echo;
use super::input;
use crate::chat::{ChatRequest, Message, Part, Role};
use crate::error::{BadRequest, Unsupported};
use crate::json::read::{Node, Object, Problems};
use crate::openai::request::{read_effort, read_format, read_function, read_tool_choice, refuse_other_choice};

/// Change nothing in the answer. `store` among them: what is not stored is not promised either (`"store":false` is
/// what the answer says).
const IGNORED: [&str; 10] = [
    "metadata",
    "prompt_cache_key",
    "prompt_cache_options",
    "prompt_cache_retention",
    "safety_identifier",
    "service_tier",
    "store",
    "stream_options",
    "truncation",
    "background",
];

/// # Errors
/// All problems that were found, each with its path; what refers to stored things is one.
pub fn parse(body: &[u8]) -> Result<(ChatRequest, Echo), BadRequest> {
    let problems = Problems::new();
    let read = Object::root(body, &problems).map(|root| {
        let echo = Echo::read(&root);
        (read(&root), echo)
    });
    problems.into_request(read)
}

fn read(root: &Object<'_>) -> ChatRequest {
    refuse_state(root);
    root.ignore(&IGNORED);
    let mut request = ChatRequest {
        model: root.require("model").and_then(|node| node.string()).unwrap_or_default(),
        tool_choice: root.node("tool_choice").and_then(|node| read_tool_choice(&node)),
        parallel_tool_calls: root.boolean("parallel_tool_calls"),
        max_tokens: root.unsigned("max_output_tokens"),
        stream: root.boolean("stream").unwrap_or(false),
        stream_usage: true,
        top_logprobs: root.unsigned("top_logprobs").filter(|top| *top > 0),
        user: root.string("user"),
        ..ChatRequest::default()
    };
    request.sampling.temperature = root.number("temperature");
    request.sampling.top_p = root.number("top_p");
    if let Some(text) = root.string("instructions") {
        request
            .messages
            .push(Message::new(Role::System, vec![Part::Text(text)], "instructions"));
    }
    if let Some(input) = root.require("input") {
        input::read(&input, &mut request);
    }
    root.array("tools")
        .iter()
        .for_each(|tool| read_tool(tool, &mut request));
    if let Some(text) = root.object("text") {
        request.response_format = text.object("format").and_then(|format| read_format(&format, None));
        request.extra.extend(text.rest());
    }
    if let Some(reasoning) = root.object("reasoning") {
        request.reasoning = reasoning.node("effort").and_then(|node| read_effort(&node));
        // How thinking is summarised: here it is never anything but whole.
        reasoning.ignore(&["summary", "generate_summary"]);
        request.extra.extend(reasoning.rest());
    }
    read_include(root, &mut request);
    refuse_other_features(root, &mut request);
    request.extra.extend(root.rest());
    request
}

/// No backend could do it: the state is nowhere.
fn refuse_state(root: &Object<'_>) {
    let refer = |name: &str, fix: &'static str| {
        if let Some(node) = root.node(name) {
            node.wrong("refers to what was stored, and nothing is stored here", fix);
        }
    };
    refer("previous_response_id", "send the whole conversation as input");
    refer("conversation", "send the whole conversation as input");
    refer("prompt", "send the prompt's text as instructions and input");
    if let Some(node) = root.node("background").filter(|node| node.text() == "true") {
        node.wrong(
            "asks for an answer to be fetched later, and nothing is stored here",
            "leave it out",
        );
    }
}

fn refuse_other_features(root: &Object<'_>, request: &mut ChatRequest) {
    if let Some(node) = root.node("truncation").filter(|node| node.text() == "\"auto\"") {
        let rule = "auto would leave out messages, which no other API does";
        request.inexpressible.push(Unsupported::new(
            node.path,
            rule,
            "send disabled, or a shorter conversation",
        ));
    }
    refuse_other_choice(root, request);
}

/// Tools are flat here: the function's fields stand beside `type`.
fn read_tool(node: &Node<'_>, request: &mut ChatRequest) {
    let Some(tool) = node.object() else { return };
    match tool.require("type").and_then(|kind| kind.string()).as_deref() {
        Some("function") => {
            read_function(&tool, request);
            request.extra.extend(tool.rest());
        }
        Some(_) => {
            let rule = "is a tool of OpenAI's own, which this model's backend does not have";
            request
                .inexpressible
                .push(Unsupported::new(tool.at("type"), rule, "declare it as a function"));
        }
        None => {}
    }
}

fn read_include(root: &Object<'_>, request: &mut ChatRequest) {
    for node in root.array("include") {
        match node.string().as_deref() {
            Some("message.output_text.logprobs") => request.logprobs = Some(true),
            // Given wherever there is something of the kind.
            Some("reasoning.encrypted_content") | None => {}
            Some(_) => {
                let rule = "asks for results of OpenAI's own tools, which this model's backend does not have";
                request
                    .inexpressible
                    .push(Unsupported::new(node.path, rule, "leave it out"));
            }
        }
    }
}
