//! Walks a JSON document level by level, knows the path of everything, and notes every problem instead of stopping.
//!
//! ```text
//!  Problems ◀──notes── Object{path, fields} ──object("a")──▶ Object ──node("b")──▶ Node{path, raw}
//! ```
//!
//! `null` is absent. In a client's document a name that is given twice is a problem; in a backend's the last one wins
//! ([`Problems::lenient`]), for its client can mend nothing.

mod fields;
mod problems;

use std::borrow::Cow;
use std::cell::Cell;

use serde_json::value::RawValue;

use crate::json::Json;

pub(crate) use fields::spans;
pub use problems::Problems;

/// No field of any dialect has a longer name.
const NAME_CHARS_MAX: usize = 64;

/// One value and where it is.
#[derive(Clone)]
pub struct Node<'a> {
    pub path: String,
    raw: &'a RawValue,
    problems: &'a Problems,
}

/// One object's fields and where they are.
pub struct Object<'a> {
    pub path: String,
    fields: Vec<Field<'a>>,
    problems: &'a Problems,
}

struct Field<'a> {
    name: Cow<'a, str>,
    raw: &'a RawValue,
    taken: Cell<bool>,
}

impl<'a> Field<'a> {
    fn all(raw: &'a RawValue) -> Option<Vec<Self>> {
        let field = |(name, raw)| Self {
            name,
            raw,
            taken: Cell::new(false),
        };
        Some(spans(raw)?.into_iter().map(field).collect())
    }
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

impl<'a> Object<'a> {
    /// The document as a whole; notes what is wrong where it is no object.
    pub fn root(bytes: &'a [u8], problems: &'a Problems) -> Option<Self> {
        match serde_json::from_slice::<&RawValue>(bytes) {
            Ok(raw) => Node {
                path: String::new(),
                raw,
                problems,
            }
            .object(),
            Err(error) => {
                let found = format!(
                    "{} at line {}, column {}",
                    category(&error),
                    error.line(),
                    error.column()
                );
                problems.note("", "must be one JSON object", found, "send well-formed JSON");
                None
            }
        }
    }

    pub fn problems(&self) -> &'a Problems {
        self.problems
    }

    /// The path of a field of this object.
    pub fn at(&self, name: &str) -> String {
        joined(&self.path, name)
    }

    /// A field that is there and not null.
    pub fn node(&self, name: &str) -> Option<Node<'a>> {
        let field = self.fields.iter().rev().find(|field| field.name == name)?;
        field.taken.set(true);
        (field.raw.get() != "null").then(|| Node {
            path: self.at(name),
            raw: field.raw,
            problems: self.problems,
        })
    }

    /// As [`Self::node`], but its absence is a problem.
    pub fn require(&self, name: &str) -> Option<Node<'a>> {
        let node = self.node(name);
        if node.is_none() {
            self.problems.note(self.at(name), "is required", "nothing", "add it");
        }
        node
    }

    /// Marks a field as dealt with that changes nothing in the answer.
    pub fn ignore(&self, names: &[&str]) {
        for field in &self.fields {
            if names.contains(&field.name.as_ref()) {
                field.taken.set(true);
            }
        }
    }

    pub fn string(&self, name: &str) -> Option<String> {
        self.node(name)?.string()
    }

    pub fn boolean(&self, name: &str) -> Option<bool> {
        self.node(name)?.boolean()
    }

    /// A whole number from 0.
    pub fn unsigned(&self, name: &str) -> Option<u64> {
        self.node(name)?.unsigned()
    }

    pub fn integer(&self, name: &str) -> Option<i64> {
        self.node(name)?.integer()
    }

    pub fn number(&self, name: &str) -> Option<f64> {
        self.node(name)?.number()
    }

    pub fn object(&self, name: &str) -> Option<Object<'a>> {
        self.node(name)?.object()
    }

    /// The items of an array; none where it is absent.
    pub fn array(&self, name: &str) -> Vec<Node<'a>> {
        self.node(name).and_then(|node| node.array()).unwrap_or_default()
    }

    pub fn json(&self, name: &str) -> Option<Json> {
        self.node(name).map(|node| node.json())
    }

    /// What nobody has asked for yet, nulls left out: path and value.
    pub fn rest(&self) -> Vec<(String, Json)> {
        let untaken = self
            .fields
            .iter()
            .filter(|field| !field.taken.get() && field.raw.get() != "null");
        untaken
            .map(|field| (self.at(&field.name), Json::from(field.raw)))
            .collect()
    }

    /// Every field in its order, marked as dealt with.
    pub fn entries(&self) -> Vec<(String, Node<'a>)> {
        let entry = |field: &Field<'a>| {
            field.taken.set(true);
            (
                field.name.to_string(),
                Node {
                    path: self.at(&field.name),
                    raw: field.raw,
                    problems: self.problems,
                },
            )
        };
        self.fields.iter().map(entry).collect()
    }
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
        match Field::all(self.raw) {
            Some(fields) => {
                self.refuse_duplicates(&fields);
                Some(Object {
                    path: self.path.clone(),
                    fields,
                    problems: self.problems,
                })
            }
            None => self.refuse("must be an object"),
        }
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

    fn refuse_duplicates(&self, fields: &[Field<'_>]) {
        if self.problems.is_lenient() {
            return;
        }
        let mut names: Vec<&str> = fields.iter().map(|field| field.name.as_ref()).collect();
        names.sort_unstable();
        if let Some(pair) = names.windows(2).find(|pair| pair[0] == pair[1]) {
            let path = joined(&self.path, pair[0]);
            self.problems
                .note(path, "may be given once", "the name twice", "remove one of the two");
        }
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

/// The path of a field. A name that is no plain word is quoted, and a long one cut: whoever sent it knows the rest.
fn joined(path: &str, name: &str) -> String {
    let plain = !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"_-$".contains(&byte));
    let name: String = name.chars().take(NAME_CHARS_MAX).collect();
    let name = if plain { name } else { format!("{name:?}") };
    if path.is_empty() {
        name
    } else {
        format!("{path}.{name}")
    }
}

fn category(error: &serde_json::Error) -> &'static str {
    match error.classify() {
        serde_json::error::Category::Eof => "an end too early",
        _ => "a syntax error",
    }
}
