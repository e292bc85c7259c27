//! A template's file → a [`Template`], every problem of it told at once and at its place.
//!
//! The built-in templates are such files too. What must hold between fields is checked where both are known.

mod scalars;

use std::path::Path;
use std::sync::Arc;

use document::{Field, Fields, Node, Position, Problem, Report, Schema, Support, Value, shown_name};

use super::{Chair, Context, Decide, Member, Shape, Template, bounds};
use scalars::{count, decimal, name, one_of, seconds, text, words};

const TOP: Schema = &[
    ("name", Support::Read),
    ("description", Support::Read),
    ("shape", Support::Read),
    ("decide", Support::Read),
    ("rounds", Support::Read),
    ("context", Support::Read),
    ("quorum", Support::Read),
    ("model", Support::Read),
    ("temperature", Support::Read),
    ("max_tokens", Support::Read),
    ("deadline", Support::Read),
    ("members", Support::Read),
    ("synthesizer", Support::Read),
];
const MEMBER: Schema = &[
    ("name", Support::Read),
    ("persona", Support::Read),
    ("model", Support::Read),
    ("temperature", Support::Read),
    ("weight", Support::Read),
    ("max_tokens", Support::Read),
    ("deadline", Support::Read),
    ("count", Support::Read),
];
const CHAIR: Schema = &[
    ("name", Support::Read),
    ("model", Support::Read),
    ("fallbacks", Support::Read),
    ("instructions", Support::Read),
    ("temperature", Support::Read),
    ("max_tokens", Support::Read),
    ("deadline", Support::Read),
];

/// Checks a file's text. `stem` is what the template is called where the text does not say. The template is there where
/// no problem is an error.
pub(crate) fn check(path: &Path, stem: &str, file_text: &str) -> (Option<Template>, Vec<Problem>) {
    let mut report = Report::new(path, file_text);
    let template = match document::parse(file_text) {
        Ok(root) => root_of(root, stem, &mut report),
        Err(fault) => {
            report.error(fault.position, fault.value, fault.rule, fault.fix);
            None
        }
    };
    let (passed, problems) = report.finish();
    (template.filter(|_| passed), problems)
}

/// What holds for members that do not say otherwise.
struct Defaults {
    model: Option<Arc<str>>,
    temperature: Option<f64>,
    max_tokens: u64,
    deadline: std::time::Duration,
}

fn root_of(root: Node<'_>, stem: &str, report: &mut Report<'_>) -> Option<Template> {
    let start = Position { line: 1, column: 1 };
    let mut top = Fields::of(root, TOP, "A template", report)?;
    let named = match top.take("name") {
        Some(field) => name(field, report),
        None => stem_name(stem, report),
    };
    let description = top.take("description").and_then(|field| text(field, report));
    let (shape, shape_at) = shape(&mut top, report);
    let rounds = rounds(&mut top, shape, report);
    let context = top
        .take("context")
        .and_then(|field| one_of(field, &Context::WORDS, report));
    let quorum = top
        .take("quorum")
        .map(|field| (field.node.position, count(field, bounds::MEMBERS_MAX as u64, report)));
    let defaults = Defaults {
        model: top.take("model").and_then(|field| model(field, report)),
        temperature: top
            .take("temperature")
            .and_then(|field| decimal(field, 0.0, 2.0, report)),
        max_tokens: tokens(&mut top, super::MEMBER_TOKENS, report),
        deadline: deadline(&mut top, super::DEADLINE, report),
    };
    let members = match top.take("members") {
        Some(field) => members(field, &defaults, report),
        None => {
            report.error(
                start,
                "",
                "A template has `members`.",
                "Write a list of them, each with a `name` and a `persona`.",
            );
            Vec::new()
        }
    };
    let chair = chair(top.take("synthesizer"), shape, &defaults, report);
    if shape == Shape::Debate && members.len() == 1 {
        let fix = "Write a second member, or another `shape`.";
        report.error(
            shape_at.unwrap_or(start),
            "1 member",
            "A debate has two members or more.",
            fix,
        );
    }
    let quorum = quorum.and_then(|(at, quorum)| within(at, quorum?, members.len(), report));
    Some(Template {
        name: named?,
        description: description.unwrap_or_default().trim().to_owned(),
        shape,
        rounds,
        context: context.unwrap_or(Context::All),
        quorum,
        members,
        chair,
        is_built_in: false,
    })
}

fn stem_name(stem: &str, report: &mut Report<'_>) -> Option<Arc<str>> {
    if super::is_name(stem) {
        return Some(stem.into());
    }
    let rule = "The file's name is no name for a template, and it has no `name`.";
    let fix = "Write `name:` with letters, digits, `-`, `_` and `.`, at most 64.";
    report.error(Position { line: 1, column: 1 }, shown_name(stem), rule, fix);
    None
}

fn shape(top: &mut Fields<'_>, report: &mut Report<'_>) -> (Shape, Option<Position>) {
    let field = top.take("shape");
    let at = field.as_ref().map(|field| field.node.position);
    let shape = field
        .and_then(|field| one_of(field, &Shape::WORDS, report))
        .unwrap_or(Shape::Analysis);
    let Some(field) = top.take("decide") else {
        return (shape, at);
    };
    let position = field.position;
    let decide = one_of(
        field,
        &[("majority", Decide::Majority), ("median", Decide::Median)],
        report,
    );
    match shape {
        Shape::Vote(default) => (Shape::Vote(decide.unwrap_or(default)), at),
        other => {
            report.error(
                position,
                "decide",
                "Only a vote is decided by a count.",
                "Remove it, or write `shape: vote`.",
            );
            (other, at)
        }
    }
}

fn rounds(top: &mut Fields<'_>, shape: Shape, report: &mut Report<'_>) -> u32 {
    let default = if shape == Shape::Debate { 2 } else { 1 };
    let Some(field) = top.take("rounds") else {
        return default;
    };
    let position = field.node.position;
    let rounds = count(field, u64::from(bounds::ROUNDS_MAX), report).unwrap_or(default as usize);
    let rounds = u32::try_from(rounds).unwrap_or(default);
    if rounds > 1 && !shape.has_rounds() {
        let rule = format!("In a {} members answer once.", shape.name());
        report.error(
            position,
            rounds.to_string(),
            rule,
            "Write 1, or `shape: analysis` or `debate`.",
        );
    }
    rounds
}

fn within(at: Position, quorum: usize, members: usize, report: &mut Report<'_>) -> Option<usize> {
    if quorum > members && members > 0 {
        let rule = format!("`quorum` is how many members must answer, and there are {members}.");
        report.error(at, quorum.to_string(), rule, "Write a number no larger than that.");
        return None;
    }
    Some(quorum)
}

fn members(field: Field<'_>, defaults: &Defaults, report: &mut Report<'_>) -> Vec<Member> {
    let position = field.position;
    let Value::List(items) = field.node.value else {
        let value = document::described(&field.node.value);
        report.error(
            field.node.position,
            value,
            "`members` takes a list.",
            "Write `- name: …` lines below it.",
        );
        return Vec::new();
    };
    let mut all: Vec<Member> = Vec::new();
    for item in items {
        let at = item.position;
        let Some((member, copies)) = member(item, defaults, report) else {
            continue;
        };
        if all.iter().any(|other| other.name == member.name) {
            let rule = "Each member has a name of its own.";
            report.error(
                at,
                shown_name(&member.name),
                rule,
                "Rename one of them; `count` asks one member several times.",
            );
        }
        all.extend(copied(member, copies));
    }
    if all.is_empty() {
        report.error(
            position,
            "an empty list",
            "A council has at least one member.",
            "Write one.",
        );
    }
    if all.len() > bounds::MEMBERS_MAX {
        let rule = format!(
            "A council has at most {} members, counting each one's `count`.",
            bounds::MEMBERS_MAX
        );
        report.error(position, all.len().to_string(), rule, "Remove some.");
    }
    all
}

/// One member asked several times is as many members.
fn copied(member: Member, copies: usize) -> Vec<Member> {
    if copies == 1 {
        return vec![member];
    }
    let numbered = |index: usize| Member {
        name: format!("{}-{}", member.name, index + 1).into(),
        ..member.clone()
    };
    (0..copies).map(numbered).collect()
}

fn member(node: Node<'_>, defaults: &Defaults, report: &mut Report<'_>) -> Option<(Member, usize)> {
    let at = node.position;
    let mut fields = Fields::of(node, MEMBER, "A member", report)?;
    let named = match fields.take("name") {
        Some(field) => name(field, report),
        None => {
            report.error(
                at,
                "",
                "A member has a `name`.",
                "Write one: letters, digits, `-`, `_` and `.`.",
            );
            None
        }
    };
    let persona = fields.take("persona").and_then(|field| text(field, report));
    let copies = fields
        .take("count")
        .and_then(|field| count(field, bounds::MEMBERS_MAX as u64, report));
    let weight = fields
        .take("weight")
        .and_then(|field| decimal(field, bounds::WEIGHT_MIN, bounds::WEIGHT_MAX, report));
    let member = Member {
        persona: persona.unwrap_or_default().trim().to_owned(),
        model: fields
            .take("model")
            .and_then(|field| model(field, report))
            .or_else(|| defaults.model.clone()),
        temperature: temperature(&mut fields, report).or(defaults.temperature),
        weight: weight.unwrap_or(1.0),
        max_tokens: tokens(&mut fields, defaults.max_tokens, report),
        deadline: deadline(&mut fields, defaults.deadline, report),
        // A name that is wrong is told of; the others are looked at all the same.
        name: named.unwrap_or_else(|| "unnamed".into()),
    };
    Some((member, copies.unwrap_or(1)))
}

fn chair(field: Option<Field<'_>>, shape: Shape, defaults: &Defaults, report: &mut Report<'_>) -> Chair {
    let mut chair = Chair {
        model: defaults.model.clone(),
        ..Chair::of(shape)
    };
    let fields = field.and_then(|field| Fields::of(field.node, CHAIR, "`synthesizer`", report));
    let Some(mut fields) = fields else { return chair };
    if let Some(named) = fields.take("name").and_then(|field| name(field, report)) {
        chair.name = named;
    }
    if let Some(own) = fields.take("model").and_then(|field| model(field, report)) {
        chair.model = Some(own);
    }
    if let Some(field) = fields.take("fallbacks") {
        chair.fallbacks = fallbacks(field, report);
    }
    if let Some(instructions) = fields.take("instructions").and_then(|field| text(field, report)) {
        chair.instructions = instructions.trim().to_owned();
    }
    chair.temperature = temperature(&mut fields, report);
    chair.max_tokens = tokens(&mut fields, chair.max_tokens, report);
    chair.deadline = deadline(&mut fields, defaults.deadline, report);
    chair
}

fn fallbacks(field: Field<'_>, report: &mut Report<'_>) -> Vec<Arc<str>> {
    let position = field.node.position;
    let names = field.names(report).into_vec();
    if names.len() > bounds::FALLBACKS_MAX {
        let rule = format!("A synthesizer has at most {} fallbacks.", bounds::FALLBACKS_MAX);
        report.error(position, names.len().to_string(), rule, "Remove some.");
    }
    if names.iter().any(|name| is_council(name)) {
        no_council(position, report);
    }
    names
}

fn model(field: Field<'_>, report: &mut Report<'_>) -> Option<Arc<str>> {
    let position = field.node.position;
    let model = words(field, report)?;
    if is_council(&model) {
        no_council(position, report);
        return None;
    }
    Some(model.into())
}

fn is_council(model: &str) -> bool {
    model.starts_with(crate::council::PREFIX)
}

fn no_council(at: Position, report: &mut Report<'_>) {
    let fix = "Name a model that a backend serves.";
    report.error(at, "a council", "A council's members are models, not councils.", fix);
}

fn temperature(fields: &mut Fields<'_>, report: &mut Report<'_>) -> Option<f64> {
    fields
        .take("temperature")
        .and_then(|field| decimal(field, 0.0, 2.0, report))
}

fn tokens(fields: &mut Fields<'_>, default: u64, report: &mut Report<'_>) -> u64 {
    let tokens = fields
        .take("max_tokens")
        .and_then(|field| count(field, bounds::TOKENS_MAX, report));
    tokens.map_or(default, |tokens| tokens as u64)
}

fn deadline(fields: &mut Fields<'_>, default: std::time::Duration, report: &mut Report<'_>) -> std::time::Duration {
    let own = fields
        .take("deadline")
        .and_then(|field| seconds(field, 0.1, bounds::DEADLINE_S_MAX, report));
    own.unwrap_or(default)
}
