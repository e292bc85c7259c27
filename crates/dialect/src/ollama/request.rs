//! `/api/chat` and `/api/generate`: read as a client sends them, written as `/api/chat` for a backend.
//!
//! Refuses what only the server that owns the model can do (`template`, `raw`, `context`, `suffix`). Options that say
//! how a model is loaded are read over: it is loaded already. Fields nobody knows are carried in `extra`.

mod messages;
mod options;
mod read;
mod render;

use crate::chat::ChatRequest;
use crate::error::BadRequest;
use crate::json::Json;
use crate::json::read::Problems;

pub(super) use options::ignore_loading as loading_options;
pub use read::read;
pub use render::render;

/// What a client wants of its model.
#[derive(Debug, Clone, PartialEq)]
pub enum Asked {
    Chat(Box<ChatRequest>),
    /// An empty request: have the model in memory. Answered by [`super::response::loaded`].
    Load {
        model: String,
        keep_alive: Option<Json>,
    },
    /// An empty request with a `keep_alive` of zero.
    Unload {
        model: String,
    },
}

impl Asked {
    pub fn model(&self) -> &str {
        match self {
            Self::Chat(request) => &request.model,
            Self::Load { model, .. } | Self::Unload { model } => model,
        }
    }
}

/// A `/api/chat` that is a conversation; an empty one is a problem here. See [`read`] for all that may be asked.
pub fn parse(bytes: &[u8]) -> Result<ChatRequest, BadRequest> {
    match read(super::Endpoint::Chat, bytes)? {
        Asked::Chat(request) => Ok(*request),
        Asked::Load { .. } | Asked::Unload { .. } => {
            let problems = Problems::new();
            problems.note("messages", "must hold a message", "none", "add one");
            problems.into_request(None)
        }
    }
}
