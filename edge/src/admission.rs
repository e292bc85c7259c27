//! Whether a request that found its router may go on: validity, models, limits; and what it owes when it is over.
//!
//! ```text
//!  head ──▶ look (nothing is taken) ──▶ needs the body? ──▶ models ──▶ take ──▶ forward ──▶ charge as it passes ──▶ settle
//!              │                                              │          │
//!              └──────────────── refused ◀────────────────────┴──────────┘        nothing is used
//! ```
//!
//! Owns the order of these. Refuses to know tables and carriers: it is told a route's limits and what was asked. The body
//! is changed by splicing, never written anew: the value of `model` where it is an alias, and `include_usage` where
//! tokens are counted.

use bytes::Bytes;
use dialect::splice::{Body, SpliceError};
use keymap::Models;

use crate::error::Refusal;
use crate::limits::clock::Instant64;
use crate::limits::set::{Limits, Over, Taken, Tokens};
use crate::limits::standing::Standing;
use crate::model::InBody;
use crate::usage::{Endpoint, Meter};

/// What of a request limits look at.
pub(crate) struct Asked<'a> {
    pub(crate) path: &'a str,
    /// The model that it names, where that counts.
    pub(crate) model_in_path: Option<&'a str>,
    /// It has a body, or may have.
    pub(crate) brings_body: bool,
    pub(crate) body: Option<AskedBody<'a>>,
    /// It asks for a connection that is no longer HTTP, in which nothing can be read.
    pub(crate) upgrades: bool,
}

#[derive(Clone, Copy)]
pub(crate) struct AskedBody<'a> {
    pub(crate) bytes: &'a [u8],
    /// Of a JSON object or a form that names one.
    pub(crate) model: Option<&'a InBody<'a>>,
}

impl<'a> AskedBody<'a> {
    pub(crate) fn model_name(&self) -> Option<&'a str> {
        self.model.map(|model| &*model.name)
    }
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Ruling {
    Pass,
    NeedsBody,
    Refuse(Refusal),
}

/// One request's standing with its route's limits.
#[derive(Default)]
pub(crate) struct Admission {
    standing: Standing,
    taken: Option<Taken>,
    meter: Option<Meter>,
    hides_usage: bool,
    body: Option<Bytes>,
    model_in_path: Option<Box<str>>,
}

impl Admission {
    /// What becomes of a request. Asked again, with the body, where that is needed.
    pub(crate) fn rule(&mut self, limits: &Limits, asked: &Asked<'_>, now: Instant64) -> Ruling {
        if let Err(over) = limits.look(now, &mut self.standing) {
            return Ruling::Refuse(refusal(over));
        }
        if asked.upgrades && (limits.counts_tokens() || !limits.models().is_empty()) {
            return Ruling::Refuse(Refusal::UpgradeNotCounted);
        }
        if let Some(model) = asked.model_in_path {
            match chosen(limits.models(), Some(model), false) {
                Ok(renamed) => self.model_in_path = renamed.map(Into::into),
                Err(refusal) => return Ruling::Refuse(refusal),
            }
        }
        let endpoint = Endpoint::of(asked.path);
        let reads_body = !limits.models().is_empty() || (limits.counts_tokens() && endpoint.tells_on_request());
        if reads_body && asked.brings_body {
            let Some(body) = asked.body else {
                return Ruling::NeedsBody;
            };
            // A path that names the model leaves nothing for a body to name.
            let may_lack = body.bytes.is_empty() || asked.model_in_path.is_some();
            match chosen(limits.models(), body.model_name(), may_lack) {
                Ok(model) => self.rewrite(body, model, limits.counts_tokens() && endpoint.tells_on_request()),
                Err(refusal) => return Ruling::Refuse(refusal),
            }
        }
        match limits.take(now, &mut self.standing) {
            Ok(taken) => self.taken = Some(taken),
            Err(over) => return Ruling::Refuse(refusal(over)),
        }
        self.meter = limits.counts_tokens().then(|| Meter::new(endpoint));
        Ruling::Pass
    }

    fn rewrite(&mut self, body: AskedBody<'_>, model: Option<&str>, counts: bool) {
        // What is no JSON object is the server's to refuse.
        if let Ok(Some(rewritten)) = rewritten(body, model, counts) {
            self.hides_usage = rewritten.hides_usage;
            self.body = Some(rewritten.body.into());
        }
    }

    /// The body to forward in place of the client's.
    pub(crate) fn body(&self) -> Option<&Bytes> {
        self.body.as_ref()
    }

    /// What stands in the path in place of the model's name there.
    pub(crate) fn model_in_path(&self) -> Option<&str> {
        self.model_in_path.as_deref()
    }

    /// What the client did not ask for is taken out of its stream.
    pub(crate) fn hides_usage(&self) -> bool {
        self.hides_usage
    }

    /// The answer's bytes are looked at, so they must come as they are meant.
    pub(crate) fn reads_answer(&self) -> bool {
        self.meter.is_some()
    }

    pub(crate) fn standing(&self) -> &Standing {
        &self.standing
    }

    pub(crate) fn answer_begins(&mut self, answer: &AnswerHead<'_>, limits: &Limits, now: Instant64) {
        if let Some(meter) = &mut self.meter {
            let is_encoded = answer.is_encoded;
            let owed = meter.begin(answer.status, answer.content_type, is_encoded, answer.request_bytes);
            limits.charge(owed, now);
        }
    }

    pub(crate) fn answer_passes(&mut self, bytes: &[u8], limits: &Limits, now: impl Fn() -> Instant64) {
        if let Some(meter) = &mut self.meter {
            let owed = meter.push(bytes);
            if owed != Tokens::default() {
                limits.charge(owed, now());
            }
        }
    }

    /// The server has done: its slots are free and its tokens counted before the client sees the end, so that the next
    /// request finds both. Returns what was counted.
    pub(crate) fn settle(&mut self, limits: &Limits, now: Instant64) -> Option<Tokens> {
        if let Some(taken) = &mut self.taken {
            taken.free_slots();
        }
        let mut meter = self.meter.take()?;
        limits.charge(meter.end(), now);
        Some(meter.total())
    }

    /// No server answered: nothing was used.
    pub(crate) fn come_to_nothing(&mut self, limits: &Limits, now: Instant64) {
        if let Some(taken) = self.taken.take() {
            limits.put_back(taken, now);
        }
        if let Some(mut meter) = self.meter.take() {
            limits.charge(meter.cancel(), now);
        }
    }
}

/// What of an answer's head counting depends on.
pub(crate) struct AnswerHead<'a> {
    pub(crate) status: u16,
    pub(crate) content_type: &'a [u8],
    pub(crate) is_encoded: bool,
    pub(crate) request_bytes: u64,
}

fn refusal(over: Over) -> Refusal {
    match over {
        Over::Validity => Refusal::KeyExpired,
        Over::Rate => Refusal::RateLimited,
        Over::Slots => Refusal::TooManyAtOnce,
        Over::Budget => Refusal::BudgetUsedUp,
    }
}

/// The model that is to be asked for, where the client's name for it is another.
///
/// A request without a model (unless it `may_lack` one) would be answered by whatever the server has loaded, so it is
/// refused where not every model is allowed.
fn chosen<'a>(models: &'a [Models], asked: Option<&'a str>, may_lack: bool) -> Result<Option<&'a str>, Refusal> {
    let mut model = asked;
    for rule in models {
        model = model.map(|model| rule.renamed(model));
        let allowed = match model {
            Some(model) => rule.allows(model),
            None => rule.allow.is_none() || may_lack,
        };
        if !allowed {
            return Err(Refusal::ModelNotAllowed);
        }
    }
    Ok(model.filter(|model| asked != Some(*model)))
}

struct Rewritten {
    body: Vec<u8>,
    hides_usage: bool,
}

/// `None` where nothing changes.
fn rewritten(asked: AskedBody<'_>, model: Option<&str>, counts: bool) -> Result<Option<Rewritten>, SpliceError> {
    if model.is_none() && !counts {
        return Ok(None);
    }
    if let Some(place) = asked.model.and_then(|model| model.place.clone()) {
        let body = model.map(|name| [&asked.bytes[..place.start], name.as_bytes(), &asked.bytes[place.end..]].concat());
        return Ok(body.map(|body| Rewritten {
            body,
            hides_usage: false,
        }));
    }
    let mut body = Body::scan(asked.bytes)?;
    let asks_usage = counts && body.stream() == Ok(Some(true)) && body.include_usage() == Ok(false);
    if let Some(model) = model {
        body.set_model(model)?;
    }
    if asks_usage {
        body.ask_usage()?;
    }
    Ok((model.is_some() || asks_usage).then(|| Rewritten {
        body: body.apply(),
        hides_usage: asks_usage,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::in_body;

    #[test]
    fn aliases_come_first_and_what_they_give_must_be_allowed() {
        let models = Models {
            allow: Some(["small".into(), "large".into()].into()),
            alias: [("gpt".into(), "large".into()), ("hidden".into(), "secret".into())].into(),
        };
        let alias_only = Models {
            allow: None,
            alias: models.alias.clone(),
        };
        let cases = [
            (&models, "{…}", Some("small"), Ok(None)),
            (&models, "{…}", Some("gpt"), Ok(Some("large"))),
            (&models, "{…}", Some("hidden"), Err(Refusal::ModelNotAllowed)),
            (&models, "{…}", Some("other"), Err(Refusal::ModelNotAllowed)),
            (&models, "{…}", None, Err(Refusal::ModelNotAllowed)),
            (&models, "", None, Ok(None)),
            (&alias_only, "{…}", Some("other"), Ok(None)),
            (&alias_only, "{…}", Some("hidden"), Ok(Some("secret"))),
            (&alias_only, "{…}", None, Ok(None)),
        ];
        for (models, text, model, expected) in cases {
            let found = chosen(std::slice::from_ref(models), model, text.is_empty());
            assert_eq!(found, expected, "{model:?}");
        }
    }

    fn body(text: &str) -> AskedBody<'_> {
        AskedBody {
            bytes: text.as_bytes(),
            model: None,
        }
    }

    #[test]
    fn only_what_must_change_does() {
        let cases = [
            (
                r#"{ "model" : "a","x":1.0 }"#,
                Some("b"),
                false,
                Some((r#"{ "model" : "b","x":1.0 }"#, false)),
            ),
            (r#"{"model":"a"}"#, None, true, None),
            (
                r#"{"stream":true}"#,
                None,
                true,
                Some((r#"{"stream_options":{"include_usage":true},"stream":true}"#, true)),
            ),
            (
                r#"{"stream":true,"stream_options":{"include_usage":true}}"#,
                None,
                true,
                None,
            ),
            (r#"{"stream":false}"#, None, true, None),
        ];
        for (text, model, counts, expected) in cases {
            let found = rewritten(body(text), model, counts).expect("JSON");
            let found = found.map(|found| (String::from_utf8(found.body).expect("text"), found.hides_usage));
            assert_eq!(
                found.as_ref().map(|(text, hides)| (text.as_str(), *hides)),
                expected,
                "{text}"
            );
        }
        assert!(rewritten(body("no JSON"), Some("b"), true).is_err());
    }

    #[test]
    fn of_a_form_the_field_s_value_alone_changes() {
        let form = "--X\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\na\r\n--X--\r\n";
        let model = in_body("multipart/form-data; boundary=X", form.as_bytes()).expect("one");
        let asked = AskedBody {
            bytes: form.as_bytes(),
            model: model.as_ref(),
        };
        assert_eq!(asked.model_name(), Some("a"));
        let found = rewritten(asked, Some("long-name"), true)
            .expect("a form")
            .expect("changed");
        assert_eq!(
            String::from_utf8(found.body).expect("text"),
            form.replace("\r\na\r\n", "\r\nlong-name\r\n")
        );
    }
}
