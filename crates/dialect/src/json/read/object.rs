//! One object: its fields by name, those that were asked for and those that were not.

use std::borrow::Cow;
use std::cell::Cell;

use serde_json::value::RawValue;

use super::{Node, Problems, spans};
use crate::json::Json;

/// No field of any dialect has a longer name.
const NAME_CHARS_MAX: usize = 64;

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

    /// `None` where the value is no object.
    pub(super) fn of(node: &Node<'a>) -> Option<Self> {
        let object = Self {
            path: node.path.clone(),
            fields: Field::all(node.raw)?,
            problems: node.problems,
        };
        object.refuse_duplicates();
        Some(object)
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

    fn refuse_duplicates(&self) {
        if self.problems.is_lenient() {
            return;
        }
        let mut names: Vec<&str> = self.fields.iter().map(|field| field.name.as_ref()).collect();
        names.sort_unstable();
        if let Some(pair) = names.windows(2).find(|pair| pair[0] == pair[1]) {
            self.problems.note(
                self.at(pair[0]),
                "may be given once",
                "the name twice",
                "remove one of the two",
            );
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
