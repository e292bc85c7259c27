//! Built-in templates, names, and folders with mistakes in them.

use std::path::PathBuf;

use super::folder::{self, Found};
use super::*;
use crate::council::template::{Context, Decide, Shape};

fn found(name: &str, text: &str) -> Found {
    Found {
        path: PathBuf::from(name),
        text: Ok(text.to_owned()),
    }
}

/// What is said of one file: line, column and rule of each problem.
fn problems(text: &str) -> Vec<(u32, u32, String)> {
    let checked = folder::check(&[found("t.yaml", text)]);
    let of = |problem: &document::Problem| (problem.position.line, problem.position.column, problem.rule.clone());
    checked.iter().flat_map(|file| file.problems.iter().map(of)).collect()
}

#[test]
fn the_built_in_templates_are_the_five_and_without_a_problem() {
    for (name, text) in BUILT_IN {
        let (template, problems) = read::check(Path::new(name), name, text);
        assert!(problems.is_empty(), "{problems:#?}");
        assert_eq!(&*template.unwrap().name, name);
    }
    let library = Library::built_in();
    let shapes: Vec<(&str, Shape, u32, usize)> = library
        .iter()
        .map(|it| (&*it.name, it.shape, it.rounds, it.members.len()))
        .collect();
    assert_eq!(
        shapes,
        [
            ("code-review", Shape::Analysis, 1, 3),
            ("debate", Shape::Debate, 2, 2),
            ("diverse-analysis", Shape::Analysis, 1, 3),
            ("peer-review", Shape::Review, 1, 3),
            ("self-consistency", Shape::Vote(Decide::Majority), 1, 5),
        ]
    );
}

#[test]
fn a_models_name_is_a_template_and_perhaps_a_model() {
    let library = Library::built_in();
    for (name, template, model) in [
        ("council/debate", Some("debate"), None),
        ("council/debate:llama3.1:8b", Some("debate"), Some("llama3.1:8b")),
        ("council/debate:latest", Some("debate"), None),
        ("council/debate:", Some("debate"), None),
        ("council/debate:gpu/org/m", Some("debate"), Some("gpu/org/m")),
        ("council/nothing", None, None),
        ("council/nothing:m", None, None),
        ("debate", None, None),
        ("m", None, None),
    ] {
        let (found, named) = library.named(name);
        assert_eq!(
            (found.as_ref().map(|it| &*it.name), named.as_deref()),
            (template, model),
            "{name}"
        );
    }
}

#[test]
fn a_template_of_ones_own_in_full() {
    let text = "description: Two views.\nshape: debate\nrounds: 3\ncontext: opponents\nquorum: 1\nmodel: m\n\
                temperature: 0.5\nmax_tokens: 100\ndeadline: 1.5\nmembers:\n  - {name: a, persona: For., weight: 2}\n  \
                - name: b\n    persona: Against.\n    model: other\n    temperature: 1\n    max_tokens: 50\n    deadline: 9\n    \
                count: 2\nsynthesizer: {name: jury, model: big, fallbacks: [small, tiny], instructions: Be just., \
                temperature: 0, max_tokens: 70, deadline: 3}\n";
    let checked = folder::check(&[found("own.yml", text)]).remove(0);
    assert!(checked.problems.is_empty(), "{:#?}", checked.problems);
    let template = checked.template.unwrap();
    assert_eq!(
        (&*template.name, template.rounds, template.context, template.quorum),
        ("own", 3, Context::Opponents, Some(1))
    );
    let members: Vec<_> = template
        .members
        .iter()
        .map(|it| {
            (
                &*it.name,
                it.model.as_deref(),
                it.temperature,
                it.weight,
                it.max_tokens,
                it.deadline.as_millis(),
            )
        })
        .collect();
    assert_eq!(
        members,
        [
            ("a", Some("m"), Some(0.5), 2.0, 100, 1_500),
            ("b-1", Some("other"), Some(1.0), 1.0, 50, 9_000),
            ("b-2", Some("other"), Some(1.0), 1.0, 50, 9_000),
        ]
    );
    let chair = &template.chair;
    assert_eq!(
        (&*chair.name, chair.model.as_deref(), chair.max_tokens),
        ("jury", Some("big"), 70)
    );
    assert_eq!(
        chair.fallbacks.iter().map(|it| &**it).collect::<Vec<_>>(),
        ["small", "tiny"]
    );
}

#[test]
fn every_mistake_is_told_at_its_place() {
    let members = "members:\n  - {name: a, persona: x}\n";
    for (text, line, column, rule) in [
        ("members: [\n", 1, 10, "Brackets must match"),
        ("", 1, 1, "has `members`"),
        ("- a\n", 1, 1, "must be a map"),
        ("shape: debat\nmembers: [{name: a}, {name: b}]\n", 1, 8, "`shape` takes"),
        ("members: []\n", 1, 1, "at least one member"),
        ("members: a\n", 1, 10, "takes a list"),
        ("members:\n  - {persona: x}\n", 2, 5, "has a `name`"),
        ("members:\n  - {name: a b, persona: x}\n", 2, 12, "letters, digits"),
        ("members:\n  - {name: a}\n  - {name: a}\n", 3, 5, "a name of its own"),
        ("members:\n  - {name: a, temprature: 1}\n", 2, 15, "no such field"),
        ("members:\n  - {name: a, temperature: 3}\n", 2, 28, "from 0 to 2"),
        ("members:\n  - {name: a, weight: 0}\n", 2, 23, "from 0.01 to 100"),
        ("members:\n  - {name: a, count: 17}\n", 2, 22, "from 1 to 16"),
        ("members:\n  - {name: a, persona: ''}\n", 2, 24, "must not be empty"),
        (
            "members:\n  - {name: a, count: 9}\n  - {name: b, count: 9}\n",
            1,
            1,
            "at most 16 members",
        ),
        ("rounds: 6\nmembers:\n  - {name: a, persona: x}\n", 1, 9, "from 1 to 5"),
        ("shape: vote\nrounds: 2\nmembers: [{name: a}]\n", 2, 9, "answer once"),
        ("shape: debate\nmembers: [{name: a}]\n", 1, 8, "two members"),
        ("decide: median\nmembers: [{name: a}]\n", 1, 1, "Only a vote"),
        (
            "quorum: 2\nmembers: [{name: a}]\n",
            1,
            9,
            "how many members must answer",
        ),
        (
            "model: council/debate\nmembers: [{name: a}]\n",
            1,
            8,
            "models, not councils",
        ),
        ("deadline: 5m\nmembers: [{name: a}]\n", 1, 11, "takes seconds"),
        ("name: a:b\nmembers: [{name: a}]\n", 1, 7, "letters, digits"),
        (
            "synthesizer: {fallbacks: [a, b, c, d, e]}\nmembers: [{name: a}]\n",
            1,
            26,
            "at most 4",
        ),
        ("max_tokens: 0\nmembers: [{name: a}]\n", 1, 13, "from 1 to 131072"),
    ] {
        let found = problems(text);
        let at = found
            .iter()
            .any(|(l, c, told)| (*l, *c) == (line, column) && told.contains(rule));
        assert!(at, "{text}\n{line}:{column} {rule}\n{found:#?}");
    }
    assert_eq!(problems(members), []);
    assert_eq!(
        problems("shape: x\nrounds: x\nquorum: x\nmembers:\n  - {weight: x}\n").len(),
        5,
        "all at once"
    );
}

#[test]
fn two_files_with_one_name_and_a_file_that_is_none() {
    let good = "name: same\nmembers: [{name: a}]\n";
    let unreadable = Found {
        path: "c.yaml".into(),
        text: Err("it is larger than 1 MiB".to_owned()),
    };
    let checked = folder::check(&[found("a.yaml", good), found("b.yaml", good), unreadable]);
    assert!(checked[0].template.is_some() && checked[1].template.is_none() && checked[2].template.is_none());
    assert!(checked[1].problems[0].rule.contains("a.yaml has this one already"));
    assert!(checked[2].problems[0].rule.contains("larger than 1 MiB"));
}

#[test]
fn a_folder_holds_yaml_files_and_may_not_be_there() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["b.yml", "a.yaml", ".hidden.yaml", "note.txt", "c.yaml.bak"] {
        std::fs::write(folder.path().join(name), "x").unwrap();
    }
    let names: Vec<String> = folder::look(folder.path())
        .unwrap()
        .iter()
        .map(|found| found.path.file_name().unwrap().to_string_lossy().into_owned())
        .collect();
    assert_eq!(names, ["a.yaml", "b.yml"]);
    assert!(folder::look(&folder.path().join("nothing")).unwrap().is_empty());
}
