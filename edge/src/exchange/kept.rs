//! What is kept of an exchange, as the journal wants it told.

use capture::{End, Outcome as KeptOutcome, ResponseHead};
use http::HeaderMap;

use super::{Destination, Exchange, Outcome};
use crate::error::Refusal;
use crate::response_facts::ResponseFacts;
use crate::rewrite::KeptAs;
use crate::tap::Described;
use crate::upstream::Upstream;

impl Exchange {
    /// `headers`: where they are at hand.
    pub(super) fn described<'a>(&'a self, headers: Option<&'a HeaderMap>) -> Described<'a> {
        Described {
            started: self.started,
            request_id: &self.request_id,
            client: self.client.ip().to_canonical(),
            route: self.route.as_deref(),
            destination: self.destination.as_ref(),
            method: self.method.as_str(),
            path: self.target.as_ref().map_or("", keymap::Target::path),
            headers,
        }
    }

    /// What an aggregator is told, where it is the one that gets the request and the edge has a journal.
    pub(super) fn kept_as(&self) -> Option<KeptAs> {
        let is_aggregator = matches!(self.destination, Some(Destination::Aggregator(_)));
        // What came without a key is not the edge's to keep.
        if !is_aggregator || self.plane.tap.is_none() || self.route.is_none() {
            return None;
        }
        Some(match &self.recorder {
            None => KeptAs::Nothing,
            Some(recorder) => {
                let mut text = [0; uuid::fmt::Hyphenated::LENGTH];
                uuid::Uuid::from_bytes(recorder.id().0)
                    .hyphenated()
                    .encode_lower(&mut text);
                KeptAs::Exchange(text)
            }
        })
    }

    pub(super) fn head_kept<'a>(&'a self, status: u16, facts: &ResponseFacts<'a>) -> ResponseHead<'a> {
        ResponseHead {
            elapsed_us: 0,
            status,
            content_type: facts.text("content-type"),
            content_encoding: facts.text("content-encoding"),
            server: self.current_server().map(Upstream::label),
            attempts: self.attempts.count,
            fallback_model: facts.text("x-fallback-model"),
        }
    }

    /// The end, told once; what is told later does not count.
    pub(super) fn end_kept(&mut self, outcome: Outcome) {
        if self.recorder.is_none()
            && let Outcome::Refused(refusal) = outcome
            && refusal != Refusal::Preflight
            && self.route.is_some()
        {
            self.recorder = crate::tap::begin(&self.plane, &self.described(None));
        }
        let Some(mut recorder) = self.recorder.take() else {
            return;
        };
        recorder.end(&End {
            outcome: match outcome {
                Outcome::Complete => KeptOutcome::Complete,
                Outcome::ClientGone => KeptOutcome::ClientGone,
                Outcome::UpstreamFailed => KeptOutcome::UpstreamFailed,
                Outcome::Refused(refusal) => KeptOutcome::Refused(refusal.code()),
            },
            status: self.status,
            server: self.current_server().map(Upstream::label),
            attempts: self.attempts.count,
        });
        self.recorder = Some(recorder);
    }
}
