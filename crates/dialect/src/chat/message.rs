//! One turn of a conversation and the parts it is made of.
//!
//! `Debug` shows shapes and lengths only: a prompt is nobody's to print.

use std::fmt;

use crate::{Dialect, Json};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Instructions. OpenAI's `developer` is the same.
    System,
    User,
    Assistant,
    /// Holds [`Part::ToolResult`]s and nothing else.
    Tool,
}

/// One turn. Two turns of the same role may follow each other; a dialect that forbids it merges them.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    pub role: Role,
    pub parts: Vec<Part>,
    /// Where the client wrote it (`messages[2]`), so that a refusal can name the field.
    pub at: String,
}

impl Message {
    pub fn new(role: Role, parts: Vec<Part>, at: impl Into<String>) -> Self {
        Self {
            role,
            parts,
            at: at.into(),
        }
    }

    /// The path of one part, as a client would look for it.
    pub fn part_at(&self, part: usize) -> String {
        format!("{}.content[{part}]", self.at)
    }

    /// All text parts, joined as they are.
    pub fn text(&self) -> String {
        self.parts.iter().filter_map(Part::as_text).collect()
    }
}

#[derive(Clone, PartialEq)]
pub enum Part {
    Text(String),
    Image(Image),
    /// What a model thought aloud.
    Thinking {
        text: String,
        signature: Option<Signature>,
    },
    /// Thinking that only its provider can read (Anthropic's `redacted_thinking`).
    RedactedThinking {
        data: String,
    },
    ToolCall {
        id: String,
        name: String,
        /// JSON text as the model wrote it, keys in its order; a model may write what is not JSON.
        arguments: String,
        /// Gemini signs calls.
        signature: Option<Signature>,
    },
    ToolResult {
        /// The id of the call it answers.
        id: String,
        /// The tool's name; empty where the dialect does not say (see [`crate::ChatRequest::tool_name`]).
        name: String,
        /// Text and images only.
        content: Vec<Part>,
        is_error: bool,
    },
}

/// An image, at hand or elsewhere.
#[derive(Clone, PartialEq, Eq)]
pub enum Image {
    /// `data` is base64 without its `data:` prefix; the media type is `image/…`.
    Inline { media_type: String, data: String },
    /// To be fetched by whoever is allowed to; never by this crate.
    Url(String),
}

/// A provider's proof that it wrote a part. Means nothing to any other provider, so it carries whose it is.
#[derive(Clone, PartialEq, Eq)]
pub struct Signature {
    pub dialect: Dialect,
    pub value: String,
}

impl Signature {
    pub fn new(dialect: Dialect, value: impl Into<String>) -> Self {
        Self {
            dialect,
            value: value.into(),
        }
    }

    /// The value where it was made by `dialect`: no signature survives a change of provider.
    pub fn of(signature: &Option<Self>, dialect: Dialect) -> Option<&str> {
        signature
            .as_ref()
            .filter(|it| it.dialect == dialect)
            .map(|it| it.value.as_str())
    }
}

impl Part {
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    pub fn as_image_mut(&mut self) -> Option<&mut Image> {
        match self {
            Self::Image(image) => Some(image),
            _ => None,
        }
    }

    /// A call's arguments as an object, where they are one. An empty text is an empty object: models write that.
    pub fn arguments_object(arguments: &str) -> Option<Json> {
        if arguments.trim().is_empty() {
            return Json::parse("{}");
        }
        Json::parse(arguments).filter(Json::is_object)
    }
}

impl fmt::Debug for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => write!(f, "Text({} bytes)", text.len()),
            Self::Image(image) => write!(f, "Image({image:?})"),
            Self::Thinking { text, signature } => {
                write!(f, "Thinking({} bytes, signed: {})", text.len(), signature.is_some())
            }
            Self::RedactedThinking { data } => write!(f, "RedactedThinking({} bytes)", data.len()),
            Self::ToolCall {
                id,
                name,
                arguments,
                signature,
            } => {
                let signed = signature.is_some();
                write!(f, "ToolCall({id}, {name}, {} bytes, signed: {signed})", arguments.len())
            }
            Self::ToolResult {
                id,
                name,
                content,
                is_error,
            } => {
                write!(f, "ToolResult({id}, {name}, {content:?}, is_error: {is_error})")
            }
        }
    }
}

impl fmt::Debug for Image {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inline { media_type, data } => write!(f, "Inline({media_type}, {} bytes)", data.len()),
            Self::Url(url) => write!(f, "Url({} bytes)", url.len()),
        }
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signature({:?}, {} bytes)", self.dialect, self.value.len())
    }
}

impl Image {
    /// A `data:` URI taken apart, or the URL as it is. `None` where a `data:` URI is not base64 or names no type.
    pub fn from_url(url: &str) -> Option<Self> {
        let Some(rest) = url.strip_prefix("data:") else {
            return Some(Self::Url(url.to_owned()));
        };
        let (head, data) = rest.split_once(',')?;
        let media_type = head.strip_suffix(";base64")?.split(';').next()?;
        (!media_type.is_empty()).then(|| Self::Inline {
            media_type: media_type.to_owned(),
            data: data.to_owned(),
        })
    }

    /// The image as one URL: as it was, or a `data:` URI.
    pub fn to_url(&self) -> String {
        match self {
            Self::Inline { media_type, data } => format!("data:{media_type};base64,{data}"),
            Self::Url(url) => url.clone(),
        }
    }

    /// The media type that base64 data begins with, for dialects that name none. `image/png` where it is none of those
    /// that vision models take.
    pub fn sniff(data: &str) -> &'static str {
        const STARTS: [(&str, &str); 4] = [
            ("/9j/", "image/jpeg"),
            ("iVBOR", "image/png"),
            ("R0lGOD", "image/gif"),
            ("UklGR", "image/webp"),
        ];
        STARTS
            .iter()
            .find(|(start, _)| data.starts_with(start))
            .map_or("image/png", |(_, media_type)| media_type)
    }
}
