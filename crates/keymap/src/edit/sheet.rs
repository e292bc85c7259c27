//! The folder's files as they are now: text, and what it means where it checks.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use document::{Node, Position, Severity, Value};
use zeroize::Zeroizing;

use super::error::EditError;
use crate::check::check;
use crate::key::KeyHash;
use crate::load::{is_mapping, terms};
use crate::mapping::{Mapping, Router};
use crate::rule::salvage_keys;

/// One mapping file.
pub(super) struct Sheet {
    pub(super) name: String,
    pub(super) path: PathBuf,
    pub(super) text: Zeroizing<String>,
    /// `None`: it has errors.
    pub(super) mapping: Option<Mapping>,
}

/// All mapping files, by name: the first to define a name wins it.
pub(super) struct Sheets {
    pub(super) all: Vec<Sheet>,
    folder: PathBuf,
}

impl Sheets {
    pub(super) fn read(folder: &Path) -> Result<Self, EditError> {
        // The edge would take nothing of what is written there.
        custody::folder(folder).map_err(|error| EditError::io("The folder cannot be used", folder, error))?;
        let listing =
            fs::read_dir(folder).map_err(|error| EditError::io("The folder cannot be listed", folder, error))?;
        let mut names = BTreeSet::new();
        for entry in listing {
            let entry = entry.map_err(|error| EditError::io("The folder cannot be listed", folder, error))?;
            names.extend(
                entry
                    .file_name()
                    .to_str()
                    .filter(|name| is_mapping(name))
                    .map(str::to_owned),
            );
        }
        let sheets = names
            .into_iter()
            .filter_map(|name| Sheet::read(folder, name).transpose());
        let all = sheets.collect::<Result<_, _>>()?;
        Ok(Self {
            all,
            folder: folder.to_owned(),
        })
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    pub(super) fn named(&self, file: &str) -> Option<&Sheet> {
        self.all.iter().find(|sheet| sheet.name == file)
    }

    pub(super) fn routers(&self) -> impl Iterator<Item = (&Sheet, &Arc<Router>)> {
        let mappings = self
            .all
            .iter()
            .filter_map(|sheet| Some((sheet, sheet.mapping.as_ref()?)));
        mappings.flat_map(|(sheet, mapping)| mapping.routers.iter().map(move |router| (sheet, router)))
    }

    /// Where routers of this name are defined, the one that counts first.
    pub(super) fn routers_named(&self, name: &str) -> Vec<(&Sheet, &Arc<Router>)> {
        self.routers().filter(|(_, router)| *router.name == *name).collect()
    }

    /// A file that has errors and may hold this name. What the edge serves of it is not what stands in it.
    pub(super) fn broken_with(&self, name: &str) -> Option<&Sheet> {
        self.all
            .iter()
            .find(|sheet| sheet.mapping.is_none() && has_word(&sheet.text, name))
    }

    /// A file that has errors and seems to hold one of these keys, which the edge may serve from what it held before.
    pub(super) fn broken_holding(&self, keys: &BTreeSet<KeyHash>) -> Option<&Sheet> {
        let holds = |sheet: &Sheet| salvage_keys(&sheet.text).iter().any(|key| keys.contains(key));
        self.all.iter().find(|sheet| sheet.mapping.is_none() && holds(sheet))
    }

    pub(super) fn service_names(&self) -> BTreeSet<Arc<str>> {
        let mappings = self.all.iter().filter_map(|sheet| sheet.mapping.as_ref());
        mappings
            .flat_map(|mapping| mapping.services.iter().map(|service| Arc::clone(&service.name)))
            .collect()
    }

    pub(super) fn middleware_names(&self) -> BTreeSet<Arc<str>> {
        let mappings = self.all.iter().filter_map(|sheet| sheet.mapping.as_ref());
        mappings
            .flat_map(|mapping| mapping.middlewares.iter().map(|one| Arc::clone(&one.name)))
            .collect()
    }
}

impl Sheet {
    /// `None`: a link that leads nowhere. A file that is there and unreadable may hold any name, so it is an error.
    fn read(folder: &Path, name: String) -> Result<Option<Self>, EditError> {
        let path = folder.join(&name);
        let bytes = match custody::read(&path, &terms(folder)) {
            Ok(contents) => contents.bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(EditError::io("The file cannot be read", &path, error)),
        };
        let text = Zeroizing::new(String::from_utf8_lossy(&bytes).into_owned());
        let is_text = text.len() == bytes.len();
        Ok(Some(Self {
            mapping: if is_text { check(&path, &text).0 } else { None },
            text,
            name,
            path,
        }))
    }

    /// Whether anything in the file may refer to one of these names: any value that spells it, to be on the safe side.
    pub(super) fn mentions(&self, names: &BTreeSet<&str>) -> bool {
        match document::parse(&self.text) {
            Ok(root) => node_mentions(&root, names),
            Err(_) => names.iter().any(|name| self.text.contains(name)),
        }
    }

    /// The file has errors, so the edge serves what it held before.
    pub(super) fn broken(&self) -> EditError {
        let problems = check(&self.path, &self.text).1;
        let first = problems.iter().find(|problem| problem.severity == Severity::Error);
        let position = first.map_or(Position::default(), |problem| problem.position);
        let rule =
            "This file does not check, so the edge serves its last good content and would not see an edit of it.";
        let fix = "Mend it (`conclave check` shows what is wrong), or delete it: then its keys stop at once.";
        EditError::new(rule, first.map_or("", |problem| &problem.rule), fix).at(&self.path, position)
    }
}

fn has_word(text: &str, word: &str) -> bool {
    let joins = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
    text.match_indices(word).any(|(at, _)| {
        let (before, after) = (&text[..at], &text[at + word.len()..]);
        !before.ends_with(joins) && !after.starts_with(joins)
    })
}

fn node_mentions(node: &Node<'_>, names: &BTreeSet<&str>) -> bool {
    match &node.value {
        Value::Null => false,
        // A list may be written as one text with commas.
        Value::Scalar(text) => text.split(',').any(|word| {
            let word = word.trim();
            names.contains(word.strip_suffix("@file").unwrap_or(word))
        }),
        Value::List(items) => items.iter().any(|item| node_mentions(item, names)),
        Value::Map(entries) => entries.iter().any(|entry| node_mentions(&entry.value, names)),
    }
}
