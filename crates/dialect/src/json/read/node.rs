//! One value: what kind it is, and what it says where it is of the kind that is asked for.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::{Object, Problems};
use crate::json::Json;

/// One value and where it is.
#[derive(Clone)]
pub struct Node<'a> {
    pub path: String,
    pub(super) raw: &'a RawValue,
    pub(super) problems: &'a Problems,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Null,
    Boolean,
    Number,
    String,
    Array,
    Object,
}

impl<'a> Node<'a> {
    pub fn kind(&self) -> Kind {
        match self.raw.get().as_bytes().first() {
            Some(b'{') => Kind::Object,
            Some(b'[') => Kind::Array,
            Some(b'"') => Kind::String,
            Some(b't' | b'f') => Kind::Boolean,
            Some(b'n') => Kind::Null,
            _ => Kind::Number,
        }
    }

    pub fn problems(&self) -> &'a Problems {
        self.problems
    }

    /// The text of the value as it came.
    pub fn text(&self) -> &'a str {
        self.raw.get()
    }

    pub fn json(&self) -> Json {
        Json::from(self.raw)
    }

    /// Notes that this value breaks `rule`.
    pub fn wrong(&self, rule: impl Into<Cow<'static, str>>, fix: impl Into<Cow<'static, str>>) {
        self.problems.note(self.path.clone(), rule, self.kind().phrase(), fix);
    }

    pub fn string(&self) -> Option<String> {
        self.scalar("must be a string")
    }

    pub fn boolean(&self) -> Option<bool> {
        self.scalar("must be true or false")
    }

    pub fn unsigned(&self) -> Option<u64> {
        // Some clients compute a count and send it as 256.0.
        let whole = |number: f64| (number >= 0.0 && number.fract() == 0.0 && number < 9e15).then_some(number as u64);
        match serde_json::from_str(self.raw.get()) {
            Ok(number) => Some(number),
            Err(_) => self
                .quiet()
                .and_then(whole)
                .or_else(|| self.refuse("must be a whole number from 0")),
        }
    }

    pub fn integer(&self) -> Option<i64> {
        self.scalar("must be a whole number")
    }

    pub fn number(&self) -> Option<f64> {
        self.scalar("must be a number")
    }

    pub fn object(&self) -> Option<Object<'a>> {
        Object::of(self).or_else(|| self.refuse("must be an object"))
    }

    pub fn array(&self) -> Option<Vec<Node<'a>>> {
        let Ok(items) = serde_json::from_str::<Vec<&'a RawValue>>(self.raw.get()) else {
            return self.refuse("must be an array");
        };
        let node = |(index, raw)| Node {
            path: format!("{}[{index}]", self.path),
            raw,
            problems: self.problems,
        };
        Some(items.into_iter().enumerate().map(node).collect())
    }

    /// A text, or what `item` makes of the items of an array; anything else breaks `rule`.
    pub fn text_or_each<T>(
        &self,
        rule: &'static str,
        text: impl FnOnce(String) -> T,
        item: impl FnMut(&Self) -> Option<T>,
    ) -> Vec<T> {
        match self.kind() {
            Kind::String => self.string().map(text).into_iter().collect(),
            Kind::Array => self.array().unwrap_or_default().iter().filter_map(item).collect(),
            _ => {
                self.wrong(rule, "send a string");
                Vec::new()
            }
        }
    }

    fn scalar<T: serde::Deserialize<'a>>(&self, rule: &'static str) -> Option<T> {
        self.quiet().or_else(|| self.refuse(rule))
    }

    fn quiet<T: serde::Deserialize<'a>>(&self) -> Option<T> {
        serde_json::from_str(self.raw.get()).ok()
    }

    fn refuse<T>(&self, rule: &'static str) -> Option<T> {
        self.wrong(rule, "send what the API's reference says");
        None
    }
}

impl Kind {
    pub fn phrase(self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Boolean => "a boolean",
            Self::Number => "a number",
            Self::String => "a string",
            Self::Array => "an array",
            Self::Object => "an object",
        }
    }
}
