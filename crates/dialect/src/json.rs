//! JSON that keeps what it does not need to understand: text as it came, keys in their order, numbers in full.
//!
//! [`Json`] is carried text; [`read`] walks a document one level at a time and knows the path of everything; [`write`]
//! spells a document without building it first.

mod compact;
pub mod read;
pub mod write;

pub(crate) use compact::compact;

use std::fmt;

use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

/// One JSON value as the text it came in. Valid always; never re-encoded.
#[derive(Clone)]
pub struct Json(Box<RawValue>);

impl Json {
    /// `None` where `text` is not one JSON value.
    pub fn parse(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok().map(Self)
    }

    pub fn get(&self) -> &str {
        self.0.get()
    }

    pub fn raw(&self) -> &RawValue {
        &self.0
    }

    pub fn is_object(&self) -> bool {
        self.get().starts_with('{')
    }

    pub fn is_null(&self) -> bool {
        self.get() == "null"
    }

    /// Parsed; numbers beyond 64 bits lose digits, so only for looking, not for passing on.
    pub fn value(&self) -> serde_json::Value {
        serde_json::from_str(self.get()).unwrap_or_default()
    }
}

impl From<&RawValue> for Json {
    fn from(raw: &RawValue) -> Self {
        Self(raw.to_owned())
    }
}

impl From<&serde_json::Value> for Json {
    fn from(value: &serde_json::Value) -> Self {
        Self(serde_json::value::to_raw_value(value).unwrap_or_default())
    }
}

impl PartialEq for Json {
    fn eq(&self, other: &Self) -> bool {
        self.get() == other.get()
    }
}

impl Serialize for Json {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl fmt::Debug for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Json({} bytes)", self.get().len())
    }
}
