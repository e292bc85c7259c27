//! The templates there are: the built-in ones, and those of a folder, which is followed while the service runs.
//!
//! Invariant: every template in a [`Library`] was checked; one of the folder stands before a built-in one of its name.

pub(crate) mod folder;
mod follow;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use super::PREFIX;
use super::template::{Template, read};
pub(crate) use follow::{Current, LibraryFollower};

/// What Ollama's clients put behind a name without a tag.
const LATEST: &str = "latest";

const BUILT_IN: [(&str, &str); 5] = [
    ("code-review", include_str!("templates/code-review.yaml")),
    ("debate", include_str!("templates/debate.yaml")),
    ("diverse-analysis", include_str!("templates/diverse-analysis.yaml")),
    ("peer-review", include_str!("templates/peer-review.yaml")),
    ("self-consistency", include_str!("templates/self-consistency.yaml")),
];

#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Library {
    templates: BTreeMap<Arc<str>, Arc<Template>>,
}

impl Library {
    pub(crate) fn built_in() -> Self {
        let mut library = Self::default();
        for (name, text) in BUILT_IN {
            match read::check(Path::new(name), name, text) {
                (Some(template), _) => library.add(Template {
                    is_built_in: true,
                    ..template
                }),
                // A test holds that this does not happen.
                (None, problems) => tracing::error!(name, ?problems, "a built-in template is broken"),
            }
        }
        library
    }

    fn add(&mut self, template: Template) {
        self.templates.insert(Arc::clone(&template.name), Arc::new(template));
    }

    pub(crate) fn get(&self, name: &str) -> Option<Arc<Template>> {
        self.templates.get(name).cloned()
    }

    /// In the order of their names.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Template> {
        self.templates.values().map(|template| &**template)
    }

    /// The template that a model's name means, `council/NAME` or `council/NAME:MODEL`, and the model.
    pub(crate) fn named(&self, model: &str) -> (Option<Arc<Template>>, Option<Arc<str>>) {
        let Some(rest) = model.strip_prefix(PREFIX) else {
            return (None, None);
        };
        let (name, model) = rest.split_once(':').unwrap_or((rest, ""));
        let model = (!model.is_empty() && model != LATEST).then(|| model.into());
        match self.get(name) {
            Some(template) => (Some(template), model),
            None => (None, None),
        }
    }
}

#[cfg(test)]
mod tests;
