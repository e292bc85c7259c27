//! What a request wants of its council beyond the template: `template`, `members`, `rounds`, `synthesizer`, and
//! `stream_options.include_council`. They came as fields that a chat request has no place for.

use std::sync::Arc;
use std::time::Duration;

use dialect::json::read::{Kind, Node, Object, Problems};
use dialect::{BadRequest, ChatRequest, FailureKind};

use super::Refused;
use crate::council::PREFIX;
use crate::council::template::{Member, Template, bounds, is_name};

const OWN: [&str; 4] = ["template", "members", "rounds", "synthesizer"];
const INCLUDE: &str = "stream_options.include_council";

#[derive(Default)]
pub(super) struct Wishes {
    pub(super) template: Option<String>,
    members: Option<Vec<Wanted>>,
    rounds: Option<u64>,
    pub(super) chair_model: Option<Arc<str>>,
    pub(super) chair_fallbacks: Option<Vec<Arc<str>>>,
    pub(super) wants_events: bool,
    /// And each piece of what members say, as they say it.
    pub(super) wants_deltas: bool,
    /// A field that is neither a chat request's nor a council's.
    pub(super) unknown: Option<String>,
}

/// A member as a request names it.
enum Wanted {
    OfTemplate(String, String),
    Own(Box<Member>),
}

impl Wishes {
    /// # Errors
    /// All that is wrong with these fields.
    pub(super) fn of(request: &ChatRequest) -> Result<Self, Refused> {
        let mut body = String::from("{");
        let mut wishes = Self::default();
        for (field, value) in &request.extra {
            if OWN.contains(&field.as_str()) {
                let comma = if body.len() > 1 { "," } else { "" };
                body.push_str(&format!("{comma}\"{field}\":{}", value.get()));
            } else if field == INCLUDE {
                wishes.wants_deltas = value.get() == "\"deltas\"";
                wishes.wants_events = wishes.wants_deltas || value.get() == "true";
            } else {
                wishes.unknown.get_or_insert_with(|| field.clone());
            }
        }
        body.push('}');
        let problems = Problems::new();
        let read = Object::root(body.as_bytes(), &problems).map(|root| wishes.read(&root));
        problems.into_request(read).map_err(|bad| refused(&bad))?;
        Ok(wishes)
    }

    fn read(&mut self, root: &Object<'_>) {
        self.template = root.string("template");
        self.rounds = root.unsigned("rounds");
        if let Some(node) = root.node("members") {
            let items = node.array().unwrap_or_default();
            if items.is_empty() || items.len() > bounds::MEMBERS_MAX {
                node.wrong(
                    format!("must hold 1 to {} members", bounds::MEMBERS_MAX),
                    "name as many, or leave it out",
                );
            }
            self.members = Some(items.iter().take(bounds::MEMBERS_MAX).filter_map(member).collect());
        }
        if let Some(node) = root.node("synthesizer") {
            self.read_chair(&node);
        }
    }

    /// A model's name, or an object with more.
    fn read_chair(&mut self, node: &Node<'_>) {
        if node.kind() == Kind::String {
            self.chair_model = model(node);
            return;
        }
        let Some(object) = node.object() else { return };
        self.chair_model = object.node("model").and_then(|node| model(&node));
        if let Some(list) = object.node("fallbacks") {
            let items = list.array().unwrap_or_default();
            if items.len() > bounds::FALLBACKS_MAX {
                list.wrong(
                    format!("must hold {} models at most", bounds::FALLBACKS_MAX),
                    "name fewer",
                );
            }
            self.chair_fallbacks = Some(items.iter().take(bounds::FALLBACKS_MAX).filter_map(model).collect());
        }
        refuse_rest(&object);
    }

    /// The members that sit: the template's, or those that are asked for.
    pub(super) fn members(&self, template: &Template) -> Result<Vec<Member>, Refused> {
        let Some(wanted) = &self.members else {
            return Ok(template.members.clone());
        };
        let mut members: Vec<Member> = Vec::new();
        for wanted in wanted {
            let (member, at) = match wanted {
                Wanted::Own(member) => ((**member).clone(), "members"),
                Wanted::OfTemplate(name, at) => {
                    let found = template.members.iter().find(|member| *member.name == **name);
                    let message = format!(
                        "{at}: must be a member of the template {}; found another name; give it a persona, \
                                           or name one of: {}",
                        template.name,
                        names(template)
                    );
                    let found = found.ok_or_else(|| Refused::new(FailureKind::InvalidRequest, message).at(at))?;
                    (found.clone(), at.as_str())
                }
            };
            if members.iter().any(|other| other.name == member.name) {
                let message = format!("{at}: must name each member once; found a name twice; rename one of the two");
                return Err(Refused::new(FailureKind::InvalidRequest, message).at(at));
            }
            members.push(member);
        }
        Ok(members)
    }

    pub(super) fn rounds(&self, template: &Template) -> Result<u32, Refused> {
        let Some(rounds) = self.rounds else {
            return Ok(template.rounds);
        };
        let max = if template.shape.has_rounds() {
            bounds::ROUNDS_MAX
        } else {
            1
        };
        match u32::try_from(rounds) {
            Ok(rounds) if (1..=max).contains(&rounds) => Ok(rounds),
            _ => {
                let message = format!(
                    "rounds: must be from 1 to {max} in a {}; found another number; ask for fewer",
                    template.shape.name()
                );
                Err(Refused::new(FailureKind::InvalidRequest, message).at("rounds"))
            }
        }
    }
}

fn names(template: &Template) -> String {
    template
        .members
        .iter()
        .map(|member| &*member.name)
        .collect::<Vec<_>>()
        .join(", ")
}

fn member(node: &Node<'_>) -> Option<Wanted> {
    if node.kind() == Kind::String {
        return node.string().map(|name| Wanted::OfTemplate(name, node.path.clone()));
    }
    let object = node.object()?;
    let name_node = object.require("name")?;
    let name = name_node.string()?;
    if !is_name(&name) {
        name_node.wrong(
            "must be letters, digits, `-`, `_` or `.`, at most 64",
            "choose a plainer name",
        );
    }
    let persona_node = object.require("persona");
    let persona = persona_node.as_ref().and_then(Node::string).unwrap_or_default();
    if let Some(node) = persona_node.filter(|_| persona.len() > bounds::TEXT_BYTES_MAX) {
        node.wrong(
            format!("must not be longer than {} bytes", bounds::TEXT_BYTES_MAX),
            "shorten it",
        );
    }
    let mut member = Member::named(name.as_str().into(), persona.trim().to_owned());
    member.model = object.node("model").and_then(|node| model(&node));
    member.temperature = within(&object, "temperature", 0.0, 2.0);
    if let Some(weight) = within(&object, "weight", bounds::WEIGHT_MIN, bounds::WEIGHT_MAX) {
        member.weight = weight;
    }
    if let Some(tokens) = within(&object, "max_tokens", 1.0, bounds::TOKENS_MAX as f64) {
        member.max_tokens = tokens as u64;
    }
    if let Some(seconds) = within(&object, "deadline", 0.1, bounds::DEADLINE_S_MAX) {
        member.deadline = Duration::from_secs_f64(seconds);
    }
    refuse_rest(&object);
    Some(Wanted::Own(Box::new(member)))
}

fn within(object: &Object<'_>, name: &str, min: f64, max: f64) -> Option<f64> {
    let node = object.node(name)?;
    let number = node.number()?;
    if (min..=max).contains(&number) {
        return Some(number);
    }
    node.wrong(format!("must be from {min} to {max}"), "choose a number between these");
    None
}

fn model(node: &Node<'_>) -> Option<Arc<str>> {
    let name = node.string()?;
    if name.is_empty() || name.starts_with(PREFIX) {
        node.wrong(
            "must be a model that a backend serves",
            "name one that GET /v1/models lists, and no council",
        );
        return None;
    }
    Some(name.into())
}

fn refuse_rest(object: &Object<'_>) {
    for (path, _) in object.rest() {
        object
            .problems()
            .note(path, "is no field of this object", "one", "leave it out");
    }
}

fn refused(bad: &BadRequest) -> Refused {
    let refused = Refused::new(FailureKind::InvalidRequest, bad.to_string());
    match bad.problems.first() {
        Some(problem) => refused.at(&problem.field),
        None => refused,
    }
}
