//! `--stats-config-file`: which sections and fields `/stats` shows. Names and meaning are `routheon-server`'s.
//!
//! ```yaml
//! enabled_sections: [system, cpu, memory]     # others are left out; absent: all sections
//! enabled_fields:
//!   memory: [percent, free_gb]                # other fields are left out
//!   cpu: []                                   # shown as {}
//! ```
//!
//! A file that cannot be read or does not check is an error at start. The original shows everything then, which is
//! what whoever wrote the file wanted to prevent. Names that do not exist are reported as warnings.

mod check;
mod node;

use custody::{Contents, Terms};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use keymap::{Position, Problem, Severity};
use serde_json::{Map, Value};

use self::check::{Check, problem};

/// Far more than all names together.
const FILE_BYTES_MAX: u64 = 256 * 1024;

/// A checked filter that limits something.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StatsFilter {
    /// `None`: all of them.
    sections: Option<BTreeSet<String>>,
    fields: BTreeMap<String, BTreeSet<String>>,
}

/// What a file amounts to.
#[derive(Debug, Clone)]
pub struct LoadedFilter {
    /// `None` where the file limits nothing.
    pub filter: Option<StatsFilter>,
    pub warnings: Vec<Problem>,
}

impl StatsFilter {
    /// Reads and checks a file.
    ///
    /// # Errors
    /// Every problem of the file that is an error, with its warnings.
    pub fn load(path: &Path) -> Result<LoadedFilter, Vec<Problem>> {
        let read = custody::read(path, &Terms::configuration(FILE_BYTES_MAX)).and_then(Contents::text);
        let text = read.map_err(|error| {
            let fix = "correct the path or the file's permissions, or leave the option out to show everything";
            vec![problem(
                path,
                Severity::Error,
                Position::default(),
                String::new(),
                &format!("the file given with --stats-config-file cannot be read: {error}"),
                custody::fix(&error).unwrap_or(fix),
            )]
        })?;
        Self::parse(path, &text)
    }

    /// Checks a file's text; `path` is for the messages.
    ///
    /// # Errors
    /// As [`StatsFilter::load`].
    pub fn parse(path: &Path, text: &str) -> Result<LoadedFilter, Vec<Problem>> {
        let mut check = Check::new(path);
        let filter = match node::parse(text) {
            Ok(root) => check.root(&root),
            Err((position, message)) => {
                check.syntax(position, &message);
                Self::default()
            }
        };
        let limits = filter != Self::default();
        if !limits {
            check.without_effect();
        }
        match check.finish() {
            Ok(warnings) => Ok(LoadedFilter {
                filter: limits.then_some(filter),
                warnings,
            }),
            Err(problems) => Err(problems),
        }
    }

    /// What is left of a sample.
    pub(super) fn apply(&self, stats: &Value) -> Value {
        let sections = stats.as_object().into_iter().flatten();
        let shown = sections.filter(|(name, _)| self.sections.as_ref().is_none_or(|all| all.contains(*name)));
        shown
            .map(|(name, section)| (name.clone(), self.narrow(name, section)))
            .collect::<Map<_, _>>()
            .into()
    }

    fn narrow(&self, name: &str, section: &Value) -> Value {
        let Some(fields) = self.fields.get(name) else {
            return section.clone();
        };
        match section {
            Value::Object(all) => {
                let shown = all.iter().filter(|(field, _)| fields.contains(*field));
                shown
                    .map(|(field, value)| (field.clone(), value.clone()))
                    .collect::<Map<_, _>>()
                    .into()
            }
            // The cards: each is narrowed like a section.
            Value::Array(cards) => cards.iter().map(|card| self.narrow(name, card)).collect(),
            scalar => scalar.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn parse(text: &str) -> Result<LoadedFilter, Vec<Problem>> {
        StatsFilter::parse(Path::new("stats.yml"), text)
    }

    fn filtered(text: &str) -> Value {
        let LoadedFilter { filter, warnings } = parse(text).unwrap();
        assert_eq!(warnings, []);
        filter.unwrap().apply(&json!({
            "timestamp": "now",
            "cpu": {"usage_percent": 1.0, "core_count": 2},
            "memory": {"used": 2, "free": 3},
            "disk": {"total": 4},
            "gpu": [{"name": "a", "bus": "b"}, {"name": "c", "bus": "d"}],
        }))
    }

    #[test]
    fn sections_and_fields_are_limited_as_routheon_server_does() {
        for (text, shown) in [
            (
                "enabled_sections: [cpu, memory, disk]\nenabled_fields:\n  memory: [used]\n  disk: []\n",
                json!({"cpu": {"usage_percent": 1.0, "core_count": 2}, "memory": {"used": 2}, "disk": {}}),
            ),
            ("enabled_sections: []\n", json!({})),
            ("enabled_sections:\n- timestamp\n", json!({"timestamp": "now"})),
            (
                "enabled_sections: [timestamp, disk]\nenabled_fields: {disk: , memory: [used], timestamp: []}\n",
                json!({"timestamp": "now", "disk": {}}),
            ),
            (
                "enabled_sections: [gpu]\nenabled_fields: {gpu: [name]}\n",
                json!({"gpu": [{"name": "a"}, {"name": "c"}]}),
            ),
        ] {
            assert_eq!(filtered(text), shown, "{text}");
        }
        let without_sections = filtered("enabled_sections:\nenabled_fields: {cpu: [core_count]}\n");
        assert_eq!(without_sections["cpu"], json!({"core_count": 2}));
        assert_eq!(without_sections["memory"], json!({"used": 2, "free": 3}));
    }

    #[test]
    fn every_mistake_is_an_error_at_its_place() {
        for (text, places) in [
            ("enabled_sections: not-a-list", vec![(1, 19)]),
            (
                "enabled_sections: {cpu: 1}\nenabled_fields: [cpu]\n",
                vec![(1, 19), (2, 17)],
            ),
            ("enabled_fields:\n", vec![(1, 15)]),
            (
                "enabled_fields:\n  cpu: usage_percent\n  memory: 3\n",
                vec![(2, 8), (3, 11)],
            ),
            ("enabled_sections:\n  - cpu\n  - [memory]\n", vec![(3, 5)]),
            ("- cpu\n", vec![(1, 1)]),
            ("enabled_sections: [cpu\n", vec![(1, 19)]),
            ("enabled_sections: [cpu]\nenabled_sections: [disk]\n", vec![(2, 1)]),
        ] {
            let problems = parse(text).unwrap_err();
            let found: Vec<(u32, u32)> = problems
                .iter()
                .map(|problem| (problem.position.line, problem.position.column))
                .collect();
            assert_eq!(found, places, "{text}\n{problems:#?}");
            assert!(
                problems
                    .iter()
                    .all(|problem| !problem.rule.is_empty() && !problem.fix.is_empty())
            );
        }
    }

    #[test]
    fn what_has_no_effect_is_a_warning() {
        for (text, warnings, filters) in [
            ("", 1, false),
            ("# nothing\n", 1, false),
            ("{}", 1, false),
            ("enabled_fields: {}\n", 1, false),
            ("enabled_section: [cpu]\n", 2, false),
            ("enabled_sections: [cpu, cpus]\n", 1, true),
            (
                "enabled_fields: {memory: [used, use], gpu: [name, names], timestamp: []}\n",
                2,
                true,
            ),
            ("enabled_fields: {memroy: [used]}\n", 1, true),
        ] {
            let LoadedFilter {
                filter,
                warnings: problems,
            } = parse(text).unwrap();
            assert_eq!(
                (problems.len(), filter.is_some()),
                (warnings, filters),
                "{text}\n{problems:#?}"
            );
            assert!(problems.iter().all(|problem| problem.severity == Severity::Warning));
        }
    }

    #[test]
    fn a_file_that_cannot_be_read_is_an_error_that_names_it() {
        let folder = tempfile::tempdir().unwrap();
        let binary = folder.path().join("binary.yml");
        std::fs::write(&binary, [0xff, 0xfe, 0x00]).unwrap();
        let long = folder.path().join("long.yml");
        std::fs::write(&long, vec![b'#'; 300 * 1024]).unwrap();
        for path in [
            &folder.path().join("missing.yml"),
            &folder.path().to_path_buf(),
            &binary,
            &long,
        ] {
            let problems = StatsFilter::load(path).unwrap_err();
            assert_eq!(problems.len(), 1);
            assert!(problems[0].to_string().contains(path.to_str().unwrap()));
        }
    }
}
