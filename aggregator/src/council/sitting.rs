//! One council that is to sit: a template and a client's request, put together and checked before anything is spent.
//!
//! Owns what the request may change of the template, which model each seat gets, and the bound on what it may cost.
//! Invariant: a [`Sitting`] can be held without looking at the request again.

mod asked;

use std::sync::Arc;
use std::time::Duration;

use dialect::chat::{Message, Part, Role, Sampling};
use dialect::{ChatRequest, Failure, FailureKind};

use super::library::Library;
use super::template::{Template, bounds};
use crate::config_file::Council as Settings;
use asked::Wishes;

/// Who wants a short answer does not want to wait for long ones; below this a member has no room to think.
const MEMBER_TOKENS_MIN: u64 = 256;

/// A seat at the table: a member with a model.
#[derive(Clone)]
pub(crate) struct Seat {
    pub(crate) name: Arc<str>,
    pub(crate) persona: String,
    pub(crate) model: Arc<str>,
    pub(crate) temperature: Option<f64>,
    pub(crate) weight: f64,
    pub(crate) max_tokens: u64,
    pub(crate) deadline: Duration,
}

pub(crate) struct Sitting {
    /// Of the deliberation: the client's request's own.
    pub(crate) id: String,
    /// Where marks and orders come from; nobody can foresee it, and whoever has it can replay the council.
    pub(crate) seed: String,
    pub(crate) template: Arc<Template>,
    pub(crate) seats: Vec<Seat>,
    pub(crate) rounds: u32,
    pub(crate) quorum: usize,
    /// Who writes the answer, in the order in which they are tried.
    pub(crate) chair_models: Vec<Arc<str>>,
    pub(crate) chair_temperature: Option<f64>,
    pub(crate) chair_tokens: u64,
    pub(crate) conversation: Vec<Message>,
    /// The client's request without its conversation.
    base: ChatRequest,
    /// The client reads a stream: what has been said cannot be taken back.
    pub(crate) is_streamed: bool,
    pub(crate) wants_events: bool,
    /// And with it each piece of what members say.
    pub(crate) wants_deltas: bool,
}

/// A request that no council will sit for.
#[derive(Debug)]
pub(crate) struct Refused {
    pub(crate) failure: Failure,
    /// The field of the request that is at fault.
    pub(crate) field: Option<String>,
    pub(crate) code: Option<&'static str>,
}

/// What a request is put together with.
pub(crate) struct Given<'a> {
    pub(crate) library: &'a Library,
    pub(crate) settings: &'a Settings,
    /// The one model that can be meant where none is named.
    pub(crate) only_model: &'a dyn Fn() -> Option<Arc<str>>,
    pub(crate) id: &'a str,
    pub(crate) seed: String,
}

impl Sitting {
    /// # Errors
    /// Where the request asks for what no council does, or for more than is allowed.
    pub(crate) fn plan(request: &ChatRequest, given: Given<'_>) -> Result<Self, Refused> {
        let wishes = Wishes::of(request)?;
        refuse_what_no_council_does(request, &wishes)?;
        let (named, model) = given.library.named(&request.model);
        let model = model.or_else(|| named.is_none().then(|| request.model.as_str().into()));
        let template = match &wishes.template {
            Some(name) => given.library.get(name).ok_or_else(unknown_template)?,
            None => named
                .or_else(|| given.library.get(super::DEFAULT_TEMPLATE))
                .ok_or_else(unknown_template)?,
        };
        let fallback_model = || given.settings.default_model.clone().or_else(given.only_model);
        let default = model.filter(|model| !model.is_empty()).or_else(fallback_model);
        let model_of = |own: &Option<Arc<str>>| own.clone().or_else(|| default.clone()).ok_or_else(no_model);

        let member_tokens = request
            .max_tokens
            .map_or(u64::MAX, |tokens| tokens.max(MEMBER_TOKENS_MIN));
        let seats = wishes.members(&template)?;
        let seats: Result<Vec<Seat>, Refused> = seats
            .into_iter()
            .map(|member| {
                Ok(Seat {
                    model: model_of(&member.model)?,
                    name: member.name,
                    persona: member.persona,
                    temperature: member.temperature,
                    weight: member.weight,
                    max_tokens: member.max_tokens.min(member_tokens),
                    deadline: member.deadline,
                })
            })
            .collect();
        let seats = seats?;
        let rounds = wishes.rounds(&template)?;
        let chair = &template.chair;
        let mut chair_models = vec![model_of(&wishes.chair_model.clone().or_else(|| chair.model.clone()))?];
        chair_models.extend(
            wishes
                .chair_fallbacks
                .as_ref()
                .unwrap_or(&chair.fallbacks)
                .iter()
                .cloned(),
        );
        let chair_tokens = request
            .max_tokens
            .map_or(chair.max_tokens, |tokens| tokens.clamp(1, bounds::TOKENS_MAX));
        let sitting = Self {
            id: given.id.to_owned(),
            seed: given.seed,
            quorum: template.quorum_of(seats.len()),
            chair_temperature: chair.temperature.or(request.sampling.temperature),
            chair_tokens,
            chair_models,
            conversation: conversation(request),
            base: ChatRequest {
                messages: Vec::new(),
                extra: Vec::new(),
                ..request.clone()
            },
            is_streamed: request.stream,
            wants_events: wishes.wants_events && request.stream,
            wants_deltas: wishes.wants_deltas && request.stream,
            template,
            seats,
            rounds,
        };
        sitting.refuse_what_costs_too_much(given.settings.tokens_max)?;
        Ok(sitting)
    }

    /// Members × rounds × tokens, and the synthesizer's: what the models may write at most.
    pub(crate) fn tokens_at_most(&self) -> u64 {
        let reviews = u64::from(self.template.shape == super::template::Shape::Review);
        let times = u64::from(self.rounds) + reviews;
        let members = self.seats.iter().map(|seat| seat.max_tokens.saturating_mul(times));
        let chairs = self.chair_tokens.saturating_mul(self.chair_models.len() as u64);
        members.fold(chairs, u64::saturating_add)
    }

    fn refuse_what_costs_too_much(&self, bound: u64) -> Result<(), Refused> {
        let most = self.tokens_at_most();
        if most <= bound {
            return Ok(());
        }
        let message = format!(
            "This council may write {most} tokens ({} members, {} rounds, {} synthesizers), and no more than {bound} are \
             allowed here; ask for fewer members, rounds or tokens, or raise `council.tokens_max`.",
            self.seats.len(),
            self.rounds,
            self.chair_models.len(),
        );
        Err(Refused::new(FailureKind::InvalidRequest, message).coded("council_too_large"))
    }

    pub(crate) fn weights_differ(&self) -> bool {
        self.seats.windows(2).any(|pair| pair[0].weight != pair[1].weight)
    }

    pub(crate) fn weight_of(&self, member: &str) -> f64 {
        self.seats
            .iter()
            .find(|seat| *seat.name == *member)
            .map_or(1.0, |seat| seat.weight)
    }

    /// The client wants JSON: not a word of ours may stand in the answer.
    pub(crate) fn wants_json(&self) -> bool {
        use dialect::chat::ResponseFormat::{JsonObject, JsonSchema};
        matches!(self.base.response_format, Some(JsonObject | JsonSchema { .. }))
    }

    /// What a member's model is asked. Its seat's number makes its samples differ where the client fixed the seed.
    pub(crate) fn member_request(&self, seat: usize, messages: Vec<Message>) -> ChatRequest {
        let of = &self.seats[seat];
        let sampling = &self.base.sampling;
        let offset = i64::try_from(seat).unwrap_or(0);
        ChatRequest {
            model: of.model.to_string(),
            messages,
            max_tokens: Some(of.max_tokens),
            sampling: Sampling {
                temperature: of.temperature.or(sampling.temperature),
                seed: sampling.seed.map(|seed| seed.wrapping_add(offset)),
                // These are about the answer that the client reads.
                stop: Vec::new(),
                ..sampling.clone()
            },
            response_format: None,
            ..self.asking()
        }
    }

    pub(crate) fn chair_request(&self, model: &str, messages: Vec<Message>) -> ChatRequest {
        ChatRequest {
            model: model.to_owned(),
            messages,
            max_tokens: Some(self.chair_tokens),
            sampling: Sampling {
                temperature: self.chair_temperature,
                ..self.base.sampling.clone()
            },
            ..self.asking()
        }
    }

    /// Always a stream: what nobody waits for any more stops at once.
    fn asking(&self) -> ChatRequest {
        ChatRequest {
            stream: true,
            stream_usage: true,
            tools: Vec::new(),
            tool_choice: None,
            ..self.base.clone()
        }
    }
}

/// The client's turns, without what models thought aloud: no template wants it back, and it would be read many times.
fn conversation(request: &ChatRequest) -> Vec<Message> {
    let is_said = |part: &Part| !matches!(part, Part::Thinking { .. } | Part::RedactedThinking { .. });
    let said = |message: &Message| Message {
        parts: message.parts.iter().filter(|part| is_said(part)).cloned().collect(),
        ..message.clone()
    };
    request.messages.iter().map(said).collect()
}

fn refuse_what_no_council_does(request: &ChatRequest, wishes: &Wishes) -> Result<(), Refused> {
    request
        .expressible()
        .map_err(|refusal| Refused::new(FailureKind::InvalidRequest, refusal.to_string()).at(&refusal.field))?;
    let refused = |field: &str, rule: &str| {
        let message = format!("{field}: {rule}; leave it out, or ask a model instead of a council");
        Err(Refused::new(FailureKind::InvalidRequest, message).at(field))
    };
    if !request.tools_offered().is_empty() {
        return refused("tools", "a council calls no tools");
    }
    if request.sampling.n.is_some_and(|n| n > 1) {
        return refused("n", "a council gives one answer");
    }
    if request.logprobs == Some(true) || request.top_logprobs.is_some() {
        return refused("logprobs", "a council's answer is several models', and has none");
    }
    if let Some(field) = &wishes.unknown {
        return refused(field, "is nothing that a council could pass on to its members");
    }
    let is_asked = |message: &Message| message.role != Role::System && !message.parts.is_empty();
    if !request.messages.iter().any(is_asked) {
        let message = "messages: must hold a question; found none; add a message of the user's";
        return Err(Refused::new(FailureKind::InvalidRequest, message).at("messages"));
    }
    Ok(())
}

fn unknown_template() -> Refused {
    // The name is not repeated: a client may have put anything there.
    let message = "template: there is no council of this name; GET /v1/models lists them as council/NAME";
    Refused::new(FailureKind::InvalidRequest, message)
        .at("template")
        .coded("council_not_found")
}

fn no_model() -> Refused {
    let message = "model: several models are served, and none is named for this council; ask for council/NAME:MODEL, or \
                   set `council.default_model` in config.yaml";
    Refused::new(FailureKind::InvalidRequest, message)
        .at("model")
        .coded("council_needs_model")
}

impl Refused {
    pub(crate) fn new(kind: FailureKind, message: impl Into<String>) -> Self {
        Self {
            failure: Failure::new(kind, message),
            field: None,
            code: None,
        }
    }

    pub(crate) fn at(self, field: &str) -> Self {
        Self {
            field: Some(field.to_owned()),
            ..self
        }
    }

    pub(crate) fn coded(self, code: &'static str) -> Self {
        Self {
            code: Some(code),
            ..self
        }
    }
}
