//! What a client asks for. Every `None` is "the client left it out", which each dialect must leave out too.

use std::collections::HashMap;
use std::fmt;

use super::message::{Image, Message, Part};
use crate::error::Unsupported;
use crate::{Dialect, Json};

/// A result follows its call closely; what parsing named already is not looked for.
const PARTS_BACK_MAX: usize = 512;

/// One chat request, parsed.
#[derive(Clone, PartialEq, Default)]
pub struct ChatRequest {
    pub model: String,
    /// In the client's order; system messages stay where they were.
    pub messages: Vec<Message>,
    pub tools: Vec<Tool>,
    pub tool_choice: Option<ToolChoice>,
    pub parallel_tool_calls: Option<bool>,
    pub sampling: Sampling,
    /// Tokens the answer may have, thinking included.
    pub max_tokens: Option<u64>,
    pub response_format: Option<ResponseFormat>,
    pub reasoning: Option<Reasoning>,
    pub stream: bool,
    /// The client asked for the usage of a stream. Backends are always asked; the client gets it only if it did.
    pub stream_usage: bool,
    pub logprobs: Option<bool>,
    pub top_logprobs: Option<u64>,
    /// An opaque name of the end user.
    pub user: Option<String>,
    /// How long the backend keeps the model in memory, as the client wrote it (Ollama).
    pub keep_alive: Option<Json>,
    /// Top-level fields (or `options.…`, `generationConfig.…`) that have no counterpart here: path and value.
    pub extra: Vec<(String, Json)>,
    /// What the client wrote that no other dialect can be told. [`ChatRequest::expressible`] refuses with the first.
    pub inexpressible: Vec<Unsupported>,
}

/// How tokens are drawn.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Sampling {
    pub temperature: Option<f64>,
    pub top_p: Option<f64>,
    pub top_k: Option<u64>,
    pub min_p: Option<f64>,
    pub seed: Option<i64>,
    pub presence_penalty: Option<f64>,
    pub frequency_penalty: Option<f64>,
    /// llama.cpp's and Ollama's.
    pub repeat_penalty: Option<f64>,
    pub stop: Vec<String>,
    /// How many answers. More than one is expressible nowhere but in OpenAI.
    pub n: Option<u64>,
    pub logit_bias: Option<Json>,
}

/// A function the model may call.
#[derive(Clone, PartialEq)]
pub struct Tool {
    pub name: String,
    pub description: Option<String>,
    /// A JSON schema; where there is none the function takes no arguments.
    pub parameters: Option<Json>,
    pub strict: Option<bool>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ToolChoice {
    Auto,
    None,
    Required,
    Named(String),
}

#[derive(Clone, PartialEq)]
pub enum ResponseFormat {
    Text,
    JsonObject,
    JsonSchema {
        name: Option<String>,
        schema: Json,
        strict: Option<bool>,
    },
}

/// How much the model may think.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reasoning {
    Off,
    /// On, as much as the model finds right.
    Adaptive,
    Effort(Effort),
    /// At most this many tokens.
    Budget(u64),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effort {
    Minimal,
    Low,
    Medium,
    High,
    XHigh,
    Max,
}

/// What a renderer may decide for itself.
#[derive(Debug, Clone, Default)]
pub struct RenderOptions {
    /// The backend's own name of the model, where it differs from what the client asked for.
    pub model: Option<String>,
    /// What becomes of parameters the dialect does not have.
    pub policy: Policy,
    /// `max_tokens` for a dialect that demands one (Anthropic) when the client gave none; `None` takes 4,096.
    pub max_tokens_default: Option<u64>,
    /// `anthropic-version` the backend is called with; `None` is 2023-06-01.
    pub anthropic_version: Option<String>,
    /// OpenAI's own service wants `max_completion_tokens`; everyone else's servers know `max_tokens`.
    pub max_completion_tokens: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Policy {
    /// Refuse, naming the field.
    #[default]
    Refuse,
    /// Leave out what only tunes (seed, penalties, logprobs, unknown fields). Content is never left out.
    Drop,
}

impl ChatRequest {
    /// Refuses what was noted when the request was parsed. Every renderer asks this first.
    pub fn expressible(&self) -> Result<(), Unsupported> {
        self.inexpressible.first().map_or(Ok(()), |first| Err(first.clone()))
    }

    /// Gives every tool's result that names no tool the name of the call it answers. One pass: a history may be long,
    /// and walking back from each result would take a million steps a million times.
    pub fn name_results(&mut self) {
        let mut called: HashMap<String, String> = HashMap::new();
        for part in self.messages.iter_mut().flat_map(|message| &mut message.parts) {
            match part {
                Part::ToolCall { id, name, .. } => drop(called.insert(id.clone(), name.clone())),
                Part::ToolResult { id, name, .. } if name.is_empty() => {
                    name.clone_from(called.get(id).unwrap_or(&String::new()));
                }
                _ => {}
            }
        }
    }

    /// The name of the tool that call `id` was for, found by walking back from message `before`, not too far.
    pub fn tool_name(&self, id: &str, before: usize) -> Option<&str> {
        self.messages[..before.min(self.messages.len())]
            .iter()
            .rev()
            .flat_map(|message| message.parts.iter().rev())
            .take(PARTS_BACK_MAX)
            .find_map(|part| match part {
                Part::ToolCall { id: call, name, .. } if call == id => Some(name.as_str()),
                _ => None,
            })
    }

    /// Every image with its path, those of tools' results too: whoever may fetch addresses puts [`Image::Inline`] there.
    pub fn images_mut(&mut self) -> impl Iterator<Item = (String, &mut Image)> {
        self.messages.iter_mut().flat_map(|message| {
            let at = message.at.clone();
            message.parts.iter_mut().enumerate().flat_map(move |(index, part)| {
                let path = format!("{at}.content[{index}]");
                let images: Vec<&mut Image> = match part {
                    Part::Image(image) => vec![image],
                    Part::ToolResult { content, .. } => content.iter_mut().filter_map(Part::as_image_mut).collect(),
                    _ => Vec::new(),
                };
                images.into_iter().map(move |image| (path.clone(), image))
            })
        })
    }

    /// The tools that are offered: none where the client forbade their use.
    pub fn tools_offered(&self) -> &[Tool] {
        if self.tool_choice == Some(ToolChoice::None) {
            &[]
        } else {
            &self.tools
        }
    }
}

impl RenderOptions {
    /// `Ok` where the policy drops what `dialect` does not have; else the refusal.
    pub fn lacks(&self, dialect: Dialect, field: &str) -> Result<(), Unsupported> {
        match self.policy {
            Policy::Drop => Ok(()),
            Policy::Refuse => Err(Unsupported::no_counterpart(dialect, field)),
        }
    }
}

impl Effort {
    pub const ALL: [(&'static str, Self); 6] = [
        ("minimal", Self::Minimal),
        ("low", Self::Low),
        ("medium", Self::Medium),
        ("high", Self::High),
        ("xhigh", Self::XHigh),
        ("max", Self::Max),
    ];

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .find(|(name, _)| *name == text)
            .map(|(_, effort)| *effort)
    }

    pub fn name(self) -> &'static str {
        Self::ALL
            .iter()
            .find(|(_, effort)| *effort == self)
            .map_or("high", |(name, _)| name)
    }

    /// The tokens of thinking that an effort is taken for where a dialect counts tokens.
    pub fn budget_tokens(self) -> u64 {
        match self {
            Self::Minimal | Self::Low => 1_024,
            Self::Medium => 4_096,
            Self::High => 16_384,
            Self::XHigh | Self::Max => 32_768,
        }
    }

    /// The other way round.
    pub fn of_budget(tokens: u64) -> Self {
        match tokens {
            0..=2_048 => Self::Low,
            2_049..=8_192 => Self::Medium,
            _ => Self::High,
        }
    }
}

impl fmt::Debug for ChatRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChatRequest")
            .field("model", &self.model)
            .field("messages", &self.messages)
            .field("tools", &self.tools.len())
            .field("tool_choice", &self.tool_choice)
            .field("sampling", &self.sampling)
            .field("max_tokens", &self.max_tokens)
            .field("reasoning", &self.reasoning)
            .field("stream", &self.stream)
            .field("extra", &self.extra.iter().map(|(name, _)| name).collect::<Vec<_>>())
            .field("inexpressible", &self.inexpressible)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Tool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tool({})", self.name)
    }
}

impl fmt::Debug for ResponseFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text => "Text",
            Self::JsonObject => "JsonObject",
            Self::JsonSchema { .. } => "JsonSchema",
        })
    }
}
