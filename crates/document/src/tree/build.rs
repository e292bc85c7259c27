//! Parser events → nodes. Aliases and `<<` merges are resolved here, within a bound.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use serde_yaml::granit_parser::{Event, Marker, ScalarStyle, Tag};

use super::{DEPTH_MAX, Entry, Fault, Node, Value};
use crate::problem::Position;

/// Memory that anchors and aliases may take by repeating what stands elsewhere in the file. A hundred thousand routers
/// that share a list of middlewares stay below it; an alias bomb does not get far.
const REPEATED_BYTES_MAX: usize = 128 << 20;

#[derive(Default)]
pub(super) struct Tree<'t> {
    root: Option<Node<'t>>,
    /// The lists and maps that are open, outermost first.
    open: Vec<Open<'t>>,
    anchors: HashMap<usize, Node<'t>>,
    repeated_bytes: usize,
}

struct Open<'t> {
    position: Position,
    start: usize,
    anchor: usize,
    children: Children<'t>,
}

enum Children<'t> {
    List(Vec<Node<'t>>),
    /// With the key whose value comes next.
    Map(Vec<Entry<'t>>, Option<Key<'t>>),
}

struct Key<'t> {
    text: Cow<'t, str>,
    position: Position,
}

impl<'t> Tree<'t> {
    pub(super) fn grow(&mut self, event: Event<'t>, at: Marker) -> Result<(), Fault> {
        match event {
            Event::Scalar(text, style, anchor, tag) => self.scalar(text, style, anchor, tag.as_deref(), at),
            Event::SequenceStart(_, anchor, _) => self.open(Children::List(Vec::new()), anchor, at),
            Event::MappingStart(_, anchor, _) => self.open(Children::Map(Vec::new(), None), anchor, at),
            Event::SequenceEnd | Event::MappingEnd => self.close(),
            Event::Alias(anchor) => self.alias(anchor, position(at)),
            _ => Ok(()),
        }
    }

    pub(super) fn into_root(self) -> Node<'t> {
        self.root.unwrap_or(Node {
            position: Position { line: 1, column: 1 },
            start: 0,
            value: Value::Null,
        })
    }

    fn scalar(
        &mut self,
        text: Cow<'t, str>,
        style: ScalarStyle,
        anchor: usize,
        tag: Option<&Tag>,
        at: Marker,
    ) -> Result<(), Fault> {
        let position = position(at);
        if let Some(key) = self.awaits_key() {
            *key = Some(Key { text, position });
            return Ok(());
        }
        let null =
            style == ScalarStyle::Plain && tag.is_none() && matches!(&*text, "" | "~" | "null" | "Null" | "NULL");
        let value = if null { Value::Null } else { Value::Scalar(text.into()) };
        self.complete(
            Node {
                position,
                start: at.byte_offset().unwrap_or(0),
                value,
            },
            anchor,
        )
    }

    fn open(&mut self, children: Children<'t>, anchor: usize, at: Marker) -> Result<(), Fault> {
        if self.awaits_key().is_some() {
            return Err(Fault::key_is_no_text(position(at)));
        }
        self.open.push(Open {
            position: position(at),
            start: at.byte_offset().unwrap_or(0),
            anchor,
            children,
        });
        Ok(())
    }

    fn close(&mut self) -> Result<(), Fault> {
        let Some(open) = self.open.pop() else { return Ok(()) };
        let value = match open.children {
            Children::List(items) => Value::List(items.into()),
            Children::Map(entries, _) => Value::Map(merged(entries)?.into()),
        };
        self.complete(
            Node {
                position: open.position,
                start: open.start,
                value,
            },
            open.anchor,
        )
    }

    fn alias(&mut self, anchor: usize, position: Position) -> Result<(), Fault> {
        // The parser knows the anchor; that its node is not complete means that the alias stands inside it.
        let extent = self
            .anchors
            .get(&anchor)
            .map(Extent::of)
            .ok_or_else(|| Fault::recursive_alias(position))?;
        if self.open.len() + extent.depth > DEPTH_MAX {
            return Err(Fault::too_deep(position));
        }
        self.repeat(extent.bytes, position)?;
        let node = self.anchors[&anchor].clone();
        match (self.awaits_key(), node.value) {
            (Some(key), Value::Scalar(text)) => {
                let text = text.into_name();
                *key = Some(Key { text, position });
            }
            (Some(_), _) => return Err(Fault::key_is_no_text(position)),
            (None, value) => self.place(Node { value, ..node })?,
        }
        Ok(())
    }

    fn complete(&mut self, node: Node<'t>, anchor: usize) -> Result<(), Fault> {
        // 0 is the parser's word for no anchor.
        if anchor != 0 {
            self.repeat(Extent::of(&node).bytes, node.position)?;
            self.anchors.insert(anchor, node.clone());
        }
        self.place(node)
    }

    fn repeat(&mut self, bytes: usize, position: Position) -> Result<(), Fault> {
        self.repeated_bytes += bytes;
        if self.repeated_bytes > REPEATED_BYTES_MAX {
            Err(Fault::too_many_aliases(position))
        } else {
            Ok(())
        }
    }

    /// Puts a finished node where it belongs: into the list or map that is open, or at the root.
    fn place(&mut self, node: Node<'t>) -> Result<(), Fault> {
        match self.open.last_mut().map(|open| &mut open.children) {
            Some(Children::List(items)) => items.push(node),
            Some(Children::Map(entries, key)) => {
                if let Some(key) = key.take() {
                    entries.push(Entry {
                        key: key.text,
                        position: key.position,
                        value: node,
                    });
                }
            }
            None => match (&self.root, &node.value) {
                (None | Some(Node { value: Value::Null, .. }), _) => self.root = Some(node),
                // What a stray `---` at the end makes.
                (Some(_), Value::Null) => {}
                (Some(_), _) => return Err(Fault::second_document(node.position)),
            },
        }
        Ok(())
    }

    /// The slot for a key, where a map is open whose next node is one.
    fn awaits_key(&mut self) -> Option<&mut Option<Key<'t>>> {
        match &mut self.open.last_mut()?.children {
            Children::Map(_, key) if key.is_none() => Some(key),
            _ => None,
        }
    }
}

/// The entries with every `<<` replaced by what it brings; what stands in the map itself wins, then the earlier source.
fn merged(entries: Vec<Entry<'_>>) -> Result<Vec<Entry<'_>>, Fault> {
    let is_merge = |entry: &Entry<'_>| entry.key == "<<";
    if !entries.iter().any(is_merge) {
        return Ok(entries);
    }
    let (merges, mut kept): (Vec<_>, Vec<_>) = entries.into_iter().partition(is_merge);
    let mut known: HashSet<Cow<'_, str>> = kept.iter().map(|entry| entry.key.clone()).collect();
    for merge in merges {
        let sources = match merge.value.value {
            Value::List(sources) => sources,
            _ => Box::new([merge.value]),
        };
        for source in sources {
            let Value::Map(brought) = source.value else {
                return Err(Fault::merge_of_no_map(source.position));
            };
            kept.extend(brought.into_iter().filter(|entry| known.insert(entry.key.clone())));
        }
    }
    Ok(kept)
}

/// What a copy of a node costs, and how deep it is.
struct Extent {
    bytes: usize,
    depth: usize,
}

impl Extent {
    fn of(node: &Node<'_>) -> Self {
        let within = match &node.value {
            Value::Null => Self { bytes: 0, depth: 0 },
            Value::Scalar(text) => Self {
                bytes: text.own_bytes(),
                depth: 0,
            },
            Value::List(items) => items
                .iter()
                .map(Self::of)
                .fold(Self { bytes: 0, depth: 1 }, Self::with_child),
            Value::Map(entries) => entries
                .iter()
                .map(Self::of_entry)
                .fold(Self { bytes: 0, depth: 1 }, Self::with_child),
        };
        Self {
            bytes: within.bytes + size_of::<Node<'_>>(),
            ..within
        }
    }

    fn of_entry(entry: &Entry<'_>) -> Self {
        let value = Self::of(&entry.value);
        Self {
            bytes: value.bytes + entry.key.len() + size_of::<Entry<'_>>() - size_of::<Node<'_>>(),
            ..value
        }
    }

    fn with_child(self, child: Self) -> Self {
        Self {
            bytes: self.bytes + child.bytes,
            depth: self.depth.max(child.depth + 1),
        }
    }
}

pub(super) fn position(at: Marker) -> Position {
    let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    Position {
        line: count(at.line()),
        column: count(at.col()).saturating_add(1),
    }
}
