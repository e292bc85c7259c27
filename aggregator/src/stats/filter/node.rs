//! YAML as nodes that know where they stand, so that a mistake of kind is reported at its place and not only the
//! first one of a file.

use std::fmt;

use keymap::Position;
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_yaml::{Location, Spanned};

#[derive(Debug)]
pub(super) struct Located {
    pub(super) node: Node,
    pub(super) position: Position,
}

#[derive(Debug)]
pub(super) enum Node {
    Null,
    /// Text, numbers and truth values alike: names are compared as text.
    Scalar(String),
    List(Vec<Located>),
    Map(Vec<(Located, Located)>),
}

impl Node {
    /// For a message.
    pub(super) fn shown(&self) -> String {
        match self {
            Self::Null => String::new(),
            Self::Scalar(text) => text.clone(),
            Self::List(_) => "a list".to_owned(),
            Self::Map(_) => "a mapping".to_owned(),
        }
    }
}

/// An empty text is a null at the whole file's position.
pub(super) fn parse(text: &str) -> Result<Located, (Position, String)> {
    let parsed: Result<Option<Located>, _> = serde_yaml::from_str(text);
    match parsed {
        Ok(node) => Ok(node.unwrap_or(Located {
            node: Node::Null,
            position: Position::default(),
        })),
        Err(error) => {
            let plain = error.without_snippet();
            let message = plain.to_string();
            // The first line says what is wrong; where is told by the position.
            let message = message.lines().next().unwrap_or_default().to_owned();
            Err((plain.location().map(position).unwrap_or_default(), message))
        }
    }
}

fn position(location: Location) -> Position {
    let cut = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
    Position {
        line: cut(location.line()),
        column: cut(location.column()),
    }
}

impl<'de> Deserialize<'de> for Located {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<Node>::deserialize(deserializer)?;
        Ok(Self {
            node: spanned.value,
            position: position(spanned.referenced),
        })
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any YAML")
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_none<E>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        Node::deserialize(deserializer)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Scalar(value.to_string()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
        Ok(Node::Scalar(value.to_string()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
        Ok(Node::Scalar(value.to_string()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Node, E> {
        Ok(Node::Scalar(value.to_string()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Node, E> {
        Ok(Node::Scalar(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Node, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Node::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Node, A::Error> {
        let mut map = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            map.push(entry);
        }
        Ok(Node::Map(map))
    }
}
