//! `/v1/completions`, the text completions of old, on top of chat: inbound only.
//!
//! The prompt becomes one user message. What completes text beyond that (`suffix`, `echo`, `best_of`) is refused; a
//! backend that speaks OpenAI gets such requests as they are. Thinking has no place in a text completion.

use bytes::Bytes;

use super::request::clean_stop;
use super::{error, response, usage};
use crate::chat::{ChatRequest, ChatResponse, Event, Finish, Message, Part, Role, Sampling, Usage};
use crate::error::{BadRequest, Failure, Unsupported};
use crate::json::read::{Kind, Object, Problems};
use crate::json::write::{self, Object as Writer};
use crate::stream::EncoderOptions;
use crate::{sse, stream};

/// # Errors
/// All problems that were found, each with its path.
pub fn parse(body: &[u8]) -> Result<ChatRequest, BadRequest> {
    let problems = Problems::new();
    let request = Object::root(body, &problems).map(|root| read(&root));
    problems.into_request(request)
}

fn read(root: &Object<'_>) -> ChatRequest {
    let options = root.object("stream_options");
    let mut request = ChatRequest {
        model: root.require("model").and_then(|node| node.string()).unwrap_or_default(),
        sampling: Sampling {
            temperature: root.number("temperature"),
            top_p: root.number("top_p"),
            top_k: root.unsigned("top_k"),
            min_p: root.number("min_p"),
            seed: root.integer("seed"),
            presence_penalty: root.number("presence_penalty"),
            frequency_penalty: root.number("frequency_penalty"),
            repeat_penalty: root.number("repeat_penalty"),
            stop: root.node("stop").map(|node| clean_stop(&node)).unwrap_or_default(),
            n: root.unsigned("n"),
            logit_bias: root.json("logit_bias"),
        },
        max_tokens: root.unsigned("max_tokens"),
        stream: root.boolean("stream").unwrap_or(false),
        stream_usage: options
            .and_then(|options| options.boolean("include_usage"))
            .unwrap_or(false),
        user: root.string("user"),
        ..ChatRequest::default()
    };
    read_prompt(root, &mut request);
    refuse(root, &mut request);
    request.extra = root.rest();
    request
}

fn read_prompt(root: &Object<'_>, request: &mut ChatRequest) {
    let Some(prompt) = root.require("prompt") else { return };
    let text = match prompt.kind() {
        Kind::String => prompt.string(),
        _ => match prompt.array().unwrap_or_default().as_slice() {
            [one] if one.kind() == Kind::String => one.string(),
            _ => {
                let rule = "must be one text where the backend does not speak OpenAI's API";
                request
                    .inexpressible
                    .push(Unsupported::new("prompt", rule, "send one text a request"));
                return;
            }
        },
    };
    let parts = text.map(Part::Text).into_iter().collect();
    request.messages.push(Message::new(Role::User, parts, "prompt"));
}

fn refuse(root: &Object<'_>, request: &mut ChatRequest) {
    let refused = [
        ("suffix", root.string("suffix").is_some_and(|suffix| !suffix.is_empty())),
        ("echo", root.boolean("echo") == Some(true)),
        ("best_of", root.unsigned("best_of").is_some_and(|best_of| best_of > 1)),
        // The old shape of logprobs; 0 still asks for the chosen token's.
        ("logprobs", root.node("logprobs").is_some()),
    ];
    for (field, given) in refused {
        if given {
            let rule = "completes text in a way that a chat backend cannot";
            request
                .inexpressible
                .push(Unsupported::new(field, rule, "leave it out"));
        }
    }
}

/// The text completion object.
pub fn render(response: &ChatResponse) -> Bytes {
    let text: String = response.parts.iter().filter_map(Part::as_text).collect();
    let body = write::object(|to| {
        head(&response.id, response.created, &response.model, to);
        to.array("choices", |to| {
            to.object(|to| choice(&text, Some(response.finish), to)).end()
        });
        if usage::complete(&response.usage) {
            to.object("usage", |to| usage::write(&response.usage, to));
        }
    });
    body.into()
}

fn head(id: &str, created: u64, model: &str, to: &mut Writer<'_>) {
    to.field("id", id)
        .field("object", "text_completion")
        .field("created", &created)
        .field("model", model);
}

fn choice(text: &str, finish: Option<Finish>, to: &mut Writer<'_>) {
    to.field("text", text).field("index", &0).null("logprobs");
    // Text completions know no calls, and no tools were offered.
    let finish = finish.map(|finish| {
        if finish == Finish::ToolCalls {
            Finish::Stop
        } else {
            finish
        }
    });
    to.field("finish_reason", &finish.map(response::finish_name));
}

/// Events → chunks of a text completion.
pub struct Encoder {
    options: EncoderOptions,
    id: String,
    usage: Usage,
    finish: Option<Finish>,
    over: bool,
}

impl Encoder {
    pub fn new(options: EncoderOptions) -> Self {
        let id = format!("cmpl-{}", options.identity.id);
        Self {
            options,
            id,
            usage: Usage::default(),
            finish: None,
            over: false,
        }
    }

    fn head(&self, to: &mut Writer<'_>) {
        head(&self.id, self.options.identity.created, &self.options.model, to);
    }

    fn chunk(&self, text: &str, finish: Option<Finish>, out: &mut Vec<u8>) {
        let data = write::object(|to| {
            self.head(to);
            to.array("choices", |to| to.object(|to| choice(text, finish, to)).end());
        });
        sse::write(out, "", &data);
    }

    fn done(&mut self, out: &mut Vec<u8>) {
        self.chunk("", Some(self.finish.unwrap_or_default()), out);
        if self.options.include_usage {
            usage::write_chunk(&self.usage, |to| self.head(to), out);
        }
        sse::write(out, "", b"[DONE]");
        self.over = true;
    }

    fn fail(&mut self, failure: &Failure, out: &mut Vec<u8>) {
        if !std::mem::replace(&mut self.over, true) {
            sse::write(out, "", &error::render(failure));
        }
    }
}

impl stream::Encoder for Encoder {
    fn push(&mut self, event: &Event, out: &mut Vec<u8>) {
        if self.over {
            return;
        }
        match event {
            Event::Start { id, .. } if !id.is_empty() => self.id.clone_from(id),
            Event::Text(text) => self.chunk(text, None, out),
            Event::Finish {
                finish: Finish::Error, ..
            } => self.fail(&Failure::broke_off(), out),
            Event::Finish { finish, .. } => self.finish = Some(*finish),
            Event::Usage(usage) => self.usage.update(usage),
            Event::Error(failure) => self.fail(failure, out),
            Event::Done => self.done(out),
            // No tools were offered, and thinking has no place here.
            _ => {}
        }
    }

    fn error(&mut self, failure: &Failure, out: &mut Vec<u8>) {
        self.fail(failure, out);
    }

    fn heartbeat(&self) -> &'static [u8] {
        sse::HEARTBEAT
    }
}
