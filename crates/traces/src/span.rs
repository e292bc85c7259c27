//! A span that is over, as it waits in the queue.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::SystemTime;

use crate::Context;

/// Whose it is: told as `service.name`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plane {
    Edge,
    Aggregator,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It answered a request.
    Server,
    /// It asked a server.
    Client,
    Internal,
}

/// What an attribute says: never anything of a request's or an answer's text.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    Word(&'static str),
    /// Of the configuration, or of the protocol.
    Name(Arc<str>),
    Count(i64),
    Number(f64),
}

#[derive(Debug, Clone, PartialEq)]
pub struct Span {
    pub plane: Plane,
    pub context: Context,
    pub parent: Option<[u8; 8]>,
    /// As it came, for whoever reads it behind us.
    pub state: Option<Arc<str>>,
    pub name: Cow<'static, str>,
    pub kind: Kind,
    pub began: SystemTime,
    pub ended: SystemTime,
    pub attributes: Vec<(&'static str, Value)>,
    /// In one word; `None` where it went well.
    pub error: Option<&'static str>,
}

impl From<&'static str> for Value {
    fn from(word: &'static str) -> Self {
        Self::Word(word)
    }
}

impl From<Arc<str>> for Value {
    fn from(name: Arc<str>) -> Self {
        Self::Name(name)
    }
}

impl From<u64> for Value {
    fn from(count: u64) -> Self {
        Self::Count(i64::try_from(count).unwrap_or(i64::MAX))
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Self {
        Self::Number(number)
    }
}
