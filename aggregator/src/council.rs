//! The council: several personas answer one question, in rounds; a synthesizer writes the one answer.
//!
//! ```text
//!  request ──Sitting::plan──▶ Sitting ──deliberate──▶ Word* ──▶ the client, in its dialect (gateway::deliberation)
//!             ▲   (pure)         │   (engine)                     thinking: who says what, as it is said
//!  Library ───┘                  ├──prompt (pure)──▶ Inquirer ──▶ the gateway's way to a model
//!  (templates, followed)         └──Transcript: said, missing, ranked, counted, used
//! ```
//!
//! It knows no wire format, and how a model is asked is the gateway's. Invariants: nothing is spent before the whole of
//! it is bounded; who is missing is told, never hidden; an answer that no synthesizer wrote is marked as what it is;
//! dropping a deliberation ends every request it has made, and it spawns no task.

mod engine;
mod library;
mod prompt;
mod ranking;
mod sitting;
mod template;
mod transcript;
mod vote;

pub(crate) use engine::{Word, deliberate};
pub(crate) use library::{Current, LibraryFollower, folder};
pub(crate) use sitting::{Given, Refused, Sitting};
pub(crate) use template::Template;
pub(crate) use transcript::Transcript;

use std::sync::Arc;

use serde_json::{Value, json};

use crate::catalogue::ModelList;
use crate::config_file::CurrentConfig;

/// How a model's name begins that is a council.
pub(crate) const PREFIX: &str = "council/";

/// Who sits where a request names no template.
pub(crate) const DEFAULT_TEMPLATE: &str = "diverse-analysis";

/// What the aggregator knows of councils: their templates and settings, as of now.
pub(crate) struct Council {
    pub(crate) templates: Arc<Current>,
    pub(crate) settings: Arc<CurrentConfig>,
}

impl Council {
    pub(crate) fn new(settings: Arc<CurrentConfig>) -> Self {
        Self {
            templates: Arc::new(Current::new()),
            settings,
        }
    }

    /// Whether a model's name means a council.
    pub(crate) fn is_meant(&self, model: &str) -> bool {
        model.starts_with(PREFIX) && self.templates.load().named(model).0.is_some()
    }

    /// The template that a model's name means.
    pub(crate) fn named(&self, model: &str) -> Option<Arc<Template>> {
        self.templates.load().named(model).0
    }

    /// The names by which councils are listed as models; none where they are not to be listed.
    pub(crate) fn listed(&self) -> Vec<Arc<str>> {
        if !self.settings.load().council.is_listed {
            return Vec::new();
        }
        self.templates.load().iter().map(Template::model_name).collect()
    }

    /// The same as a backend would list them.
    pub(crate) fn model_list(&self) -> ModelList {
        ModelList::fixed(&self.listed(), "conclave")
    }

    /// Every template, as `/admin/council/templates` shows it.
    pub(crate) fn describe(&self) -> Vec<(String, Value)> {
        let library = self.templates.load();
        library
            .iter()
            .map(|template| (template.name.to_string(), described(template)))
            .collect()
    }
}

/// Personas are shown: whoever has the admin token wrote them, or can read them in the repository.
fn described(template: &Template) -> Value {
    let members = template.members.iter().map(|member| {
        json!({
            "name": &*member.name,
            "persona": member.persona,
            "model": member.model.as_deref(),
            "temperature": member.temperature,
            "weight": member.weight,
            "max_tokens": member.max_tokens,
            "deadline_ms": millis(member.deadline),
        })
    });
    let chair = &template.chair;
    let fallbacks: Vec<&str> = chair.fallbacks.iter().map(|model| &**model).collect();
    json!({
        "name": &*template.name,
        "model": &*template.model_name(),
        "description": template.description,
        "source": if template.is_built_in { "built_in" } else { "file" },
        "shape": template.shape.name(),
        "rounds": template.rounds,
        "context": template.context.name(),
        "quorum": template.quorum_of(template.members.len()),
        "members": members.collect::<Vec<_>>(),
        "synthesizer": {
            "name": &*chair.name,
            "model": chair.model.as_deref(),
            "fallbacks": fallbacks,
            "instructions": chair.instructions,
            "temperature": chair.temperature,
            "max_tokens": chair.max_tokens,
            "deadline_ms": millis(chair.deadline),
        },
    })
}

fn millis(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// What `conclave check` says of a folder of templates; a folder that is not there has no problems.
///
/// # Errors
/// Where there is a folder and it cannot be read.
pub fn template_problems(dir: &std::path::Path) -> std::io::Result<Vec<document::Problem>> {
    let files = folder::look(dir)?;
    Ok(folder::check(&files)
        .into_iter()
        .flat_map(|checked| checked.problems)
        .collect())
}
