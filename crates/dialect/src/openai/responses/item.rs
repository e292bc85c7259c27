//! Output items: what an answer is made of here.

use crate::Dialect;
use crate::chat::{Signature, TokenLogprob};
use crate::json::write::Object;

pub(super) struct Item {
    pub(super) id: String,
    pub(super) kind: Kind,
    pub(super) done: bool,
}

pub(super) enum Kind {
    Reasoning {
        text: String,
        signature: Option<Signature>,
    },
    Message {
        text: String,
        logprobs: Vec<TokenLogprob>,
    },
    Call {
        index: usize,
        call_id: String,
        name: String,
        arguments: String,
    },
}

impl Item {
    pub(super) fn new(identity: &str, place: usize, kind: Kind) -> Self {
        let prefix = match kind {
            Kind::Reasoning { .. } => "rs",
            Kind::Message { .. } => "msg",
            Kind::Call { .. } => "fc",
        };
        Self {
            id: format!("{prefix}_{identity}_{place}"),
            kind,
            done: false,
        }
    }

    /// The item as it stands. One that has only begun (`bare`) has no content yet.
    pub(super) fn write(&self, bare: bool, incomplete: bool, to: &mut Object<'_>) {
        let status = match (self.done, incomplete) {
            (true, _) => "completed",
            (false, true) => "incomplete",
            (false, false) => "in_progress",
        };
        to.field("id", &self.id);
        match &self.kind {
            Kind::Reasoning { text, signature } => {
                to.field("type", "reasoning").array("summary", |_| {});
                to.array("content", |to| {
                    if !bare {
                        to.object(|to| reasoning_text(text, to));
                    }
                });
                to.opt("encrypted_content", &signature.as_ref().map(seal))
                    .field("status", status);
            }
            Kind::Message { text, logprobs } => {
                to.field("type", "message")
                    .field("role", "assistant")
                    .field("status", status);
                to.array("content", |to| {
                    if !bare {
                        to.object(|to| output_text(text, logprobs, to));
                    }
                });
            }
            Kind::Call {
                call_id,
                name,
                arguments,
                ..
            } => {
                let arguments = if bare { "" } else { arguments };
                to.field("type", "function_call")
                    .field("call_id", call_id)
                    .field("name", name);
                to.field("arguments", arguments).field("status", status);
            }
        }
    }
}

pub(super) fn reasoning_text(text: &str, to: &mut Object<'_>) {
    to.field("type", "reasoning_text").field("text", text);
}

pub(super) fn output_text(text: &str, logprobs: &[TokenLogprob], to: &mut Object<'_>) {
    to.field("type", "output_text")
        .field("text", text)
        .array("annotations", |_| {});
    write_logprobs(logprobs, to);
}

pub(super) fn write_logprobs(logprobs: &[TokenLogprob], to: &mut Object<'_>) {
    to.array("logprobs", |to| {
        for entry in logprobs {
            to.object(|to| {
                to.field("token", &entry.token).field("logprob", &entry.logprob);
                to.field("bytes", entry.bytes.as_deref().unwrap_or_default());
                to.array("top_logprobs", |to| {
                    for top in &entry.top {
                        to.object(|to| {
                            to.field("token", &top.token).field("logprob", &top.logprob);
                            to.field("bytes", top.bytes.as_deref().unwrap_or_default());
                        });
                    }
                });
            });
        }
    });
}

/// A signature as the opaque text that clients carry back for us.
fn seal(signature: &Signature) -> String {
    format!("{}:{}", signature.dialect.name(), signature.value)
}

pub(super) fn unseal(sealed: &str) -> Option<Signature> {
    let (name, value) = sealed.split_once(':')?;
    let dialect = Dialect::ALL.into_iter().find(|dialect| dialect.name() == name)?;
    Some(Signature::new(dialect, value))
}
