//! The response object.

use bytes::Bytes;

use super::echo::Echo;
use super::item::{Item, Kind};
use crate::chat::{ChatResponse, Cost, Finish, Part, Usage};
use crate::error::{Failure, FailureKind};
use crate::json::write::{self, Object};
use crate::openai::request::arguments_or_none;
use crate::stream::Identity;

/// The answer, whole. Its id is made from `identity`: the backend's means nothing here.
pub fn render(response: &ChatResponse, echo: &Echo, identity: &Identity) -> Bytes {
    let items = items(response, &identity.id);
    let state = State::of(response.finish);
    let body = write::object(|to| {
        Snapshot {
            identity,
            model: &response.model,
            echo,
            items: &items,
            state: &state,
            usage: &response.usage,
        }
        .write(to);
    });
    body.into()
}

fn items(response: &ChatResponse, identity: &str) -> Vec<Item> {
    let mut items: Vec<Item> = Vec::new();
    for part in &response.parts {
        let kind = match part {
            Part::Text(more) => match items.last_mut().map(|item| &mut item.kind) {
                Some(Kind::Message { text, .. }) => {
                    text.push_str(more);
                    continue;
                }
                _ => Kind::Message {
                    text: more.clone(),
                    logprobs: Vec::new(),
                },
            },
            Part::Thinking { text, signature } => Kind::Reasoning {
                text: text.clone(),
                signature: signature.clone(),
            },
            Part::ToolCall {
                id, name, arguments, ..
            } => {
                let (call_id, name) = (id.clone(), name.clone());
                let arguments = arguments_or_none(arguments).to_owned();
                Kind::Call {
                    index: items.len(),
                    call_id,
                    name,
                    arguments,
                }
            }
            // Only its maker can read the one; a model writes none of the others.
            Part::RedactedThinking { .. } | Part::Image(_) | Part::ToolResult { .. } => continue,
        };
        items.push(Item {
            done: true,
            ..Item::new(identity, items.len(), kind)
        });
    }
    let message = items.iter_mut().find_map(|item| match &mut item.kind {
        Kind::Message { logprobs, .. } => Some(logprobs),
        _ => None,
    });
    if let Some(logprobs) = message {
        logprobs.clone_from(&response.logprobs);
    }
    items
}

/// How far an answer is.
pub(super) enum State {
    InProgress,
    Completed,
    Incomplete(&'static str),
    Failed(Failure),
}

impl State {
    pub(super) fn of(finish: Finish) -> Self {
        match finish {
            Finish::Stop | Finish::ToolCalls => Self::Completed,
            Finish::Length => Self::Incomplete("max_output_tokens"),
            Finish::ContentFilter => Self::Incomplete("content_filter"),
            Finish::Error => Self::Failed(Failure::cut()),
        }
    }

    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::InProgress => "in_progress",
            Self::Completed => "completed",
            Self::Incomplete(_) => "incomplete",
            Self::Failed(_) => "failed",
        }
    }
}

pub(super) struct Snapshot<'a> {
    pub(super) identity: &'a Identity,
    pub(super) model: &'a str,
    pub(super) echo: &'a Echo,
    pub(super) items: &'a [Item],
    pub(super) state: &'a State,
    pub(super) usage: &'a Usage,
}

impl Snapshot<'_> {
    pub(super) fn write(&self, to: &mut Object<'_>) {
        to.field("id", &format!("resp_{}", self.identity.id))
            .field("object", "response");
        to.field("created_at", &self.identity.created)
            .field("status", self.state.name())
            .field("model", self.model);
        match self.state {
            State::Failed(failure) => to.object("error", |to| {
                to.field("code", code(failure.kind)).field("message", &failure.message);
            }),
            _ => to.null("error"),
        };
        match self.state {
            State::Incomplete(reason) => to.object("incomplete_details", |to| to.field("reason", reason).end()),
            _ => to.null("incomplete_details"),
        };
        self.echo.write(to);
        let incomplete = !matches!(self.state, State::InProgress);
        to.array("output", |to| {
            for item in self.items {
                to.object(|to| item.write(false, incomplete, to));
            }
        });
        match self.usage.total() {
            Some(total) => to.object("usage", |to| write_usage(self.usage, total, to)),
            None => to.null("usage"),
        };
    }
}

/// The few codes that a response's error may have.
fn code(kind: FailureKind) -> &'static str {
    match kind {
        FailureKind::RateLimit => "rate_limit_exceeded",
        FailureKind::InvalidRequest | FailureKind::TooLarge => "invalid_prompt",
        _ => "server_error",
    }
}

/// The details are required here: what nobody told is 0.
fn write_usage(usage: &Usage, total: u64, to: &mut Object<'_>) {
    to.opt("input_tokens", &usage.input);
    to.object("input_tokens_details", |to| {
        to.field("cached_tokens", &usage.cached.unwrap_or(0));
        to.field("cache_write_tokens", &usage.cache_creation.unwrap_or(0));
    });
    to.opt("output_tokens", &usage.output);
    to.object("output_tokens_details", |to| {
        to.field("reasoning_tokens", &usage.reasoning.unwrap_or(0)).end()
    });
    to.field("total_tokens", &total);
    to.opt("cost", &usage.cost.map(Cost::amount));
}
