//! Entries into bytes. Owns the tags' numbers, which are never given again.

use std::net::IpAddr;

use super::{Begun, Ended, Outcome, Plane, ResponseHead, VERSION};
use crate::fields::Writer;
use crate::terms::Mode;

pub(super) mod tag {
    pub(crate) const AT: u8 = 1;
    pub(crate) const PLANE: u8 = 2;
    pub(crate) const REQUEST_ID: u8 = 3;
    pub(crate) const PARENT: u8 = 4;
    pub(crate) const CLIENT: u8 = 5;
    pub(crate) const ROUTER: u8 = 6;
    pub(crate) const SERVICE: u8 = 7;
    pub(crate) const METHOD: u8 = 8;
    pub(crate) const PATH: u8 = 9;
    pub(crate) const MODE: u8 = 10;
    /// And the numbers after it, one for each header.
    pub(crate) const HEADERS: u8 = 32;

    pub(crate) const ELAPSED: u8 = 1;
    pub(crate) const STATUS: u8 = 2;
    pub(crate) const SERVER: u8 = 3;
    pub(crate) const ATTEMPTS: u8 = 4;
    pub(crate) const CONTENT_TYPE: u8 = 5;
    pub(crate) const CONTENT_ENCODING: u8 = 6;
    pub(crate) const FALLBACK_MODEL: u8 = 7;
    pub(crate) const OUTCOME: u8 = 8;
    pub(crate) const CODE: u8 = 9;
    pub(crate) const REQUEST_BYTES: u8 = 10;
    pub(crate) const RESPONSE_BYTES: u8 = 11;
    pub(crate) const CUT_REQUEST: u8 = 12;
    pub(crate) const CUT_RESPONSE: u8 = 13;
}

pub(super) fn plane_number(plane: Plane) -> u64 {
    match plane {
        Plane::Edge => 1,
        Plane::Aggregator => 2,
        Plane::Council => 3,
    }
}

pub(super) fn mode_number(mode: Mode) -> u64 {
    match mode {
        Mode::Full => 1,
        Mode::Metadata => 2,
    }
}

pub(super) fn outcome_number(outcome: &Outcome<'_>) -> u64 {
    match outcome {
        Outcome::Complete => 1,
        Outcome::ClientGone => 2,
        Outcome::UpstreamFailed => 3,
        Outcome::Refused(_) => 4,
        Outcome::Interrupted => 5,
    }
}

impl Begun<'_> {
    /// Appends the payload.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let mut fields = begin(out);
        fields.number(tag::AT, self.at_unix_us);
        fields.number(tag::PLANE, plane_number(self.plane));
        fields.text(tag::REQUEST_ID, self.request_id);
        if let Some(parent) = self.parent {
            fields.bytes(tag::PARENT, &parent.0);
        }
        match self.client {
            Some(IpAddr::V4(ip)) => fields.bytes(tag::CLIENT, &ip.octets()),
            Some(IpAddr::V6(ip)) => fields.bytes(tag::CLIENT, &ip.octets()),
            None => {}
        }
        fields.text_if(tag::ROUTER, self.router);
        fields.text_if(tag::SERVICE, self.service);
        fields.text(tag::METHOD, self.method);
        fields.text(tag::PATH, self.path);
        fields.number(tag::MODE, mode_number(self.mode));
        for (header, value) in self.headers.iter() {
            fields.text(tag::HEADERS + header as u8, value);
        }
    }
}

impl ResponseHead<'_> {
    /// Appends the payload.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let mut fields = begin(out);
        fields.number(tag::ELAPSED, self.elapsed_us);
        fields.number(tag::STATUS, self.status.into());
        fields.text_if(tag::CONTENT_TYPE, self.content_type);
        fields.text_if(tag::CONTENT_ENCODING, self.content_encoding);
        fields.text_if(tag::SERVER, self.server);
        fields.number(tag::ATTEMPTS, self.attempts.into());
        fields.text_if(tag::FALLBACK_MODEL, self.fallback_model);
    }
}

impl Ended<'_> {
    /// Appends the payload.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let mut fields = begin(out);
        fields.number(tag::ELAPSED, self.elapsed_us);
        fields.number(tag::OUTCOME, outcome_number(&self.outcome));
        if let Outcome::Refused(code) = self.outcome {
            fields.text(tag::CODE, code);
        }
        if let Some(status) = self.status {
            fields.number(tag::STATUS, status.into());
        }
        fields.text_if(tag::SERVER, self.server);
        fields.number(tag::ATTEMPTS, self.attempts.into());
        fields.number(tag::REQUEST_BYTES, self.request_bytes);
        fields.number(tag::RESPONSE_BYTES, self.response_bytes);
        fields.flag(tag::CUT_REQUEST, self.cut_request);
        fields.flag(tag::CUT_RESPONSE, self.cut_response);
    }
}

fn begin(out: &mut Vec<u8>) -> Writer<'_> {
    out.push(VERSION);
    Writer(out)
}
