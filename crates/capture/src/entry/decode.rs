//! Bytes into entries. Refuses what is not whole or not known; never panics, whatever the bytes.

use std::fmt;
use std::net::IpAddr;

use journal::{ExchangeId, Kind};

use super::encode::{mode_number, outcome_number, plane_number, tag};
use super::{Begun, Ended, Entry, Header, Headers, Outcome, Piece, Plane, ResponseHead, VERSION};
use crate::fields::{Malformed, Reader, Value, take_varint};
use crate::terms::Mode;

/// A record that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadEntry {
    /// A later release wrote it.
    Version { found: u8 },
    /// A field that every entry of its kind has is missing, or holds what it cannot.
    Field(&'static str),
    /// It ends where it should not.
    Malformed,
}

/// What a record of this kind says.
///
/// # Errors
/// Where the payload was not written by [`crate::Recorder`], or by a later release's.
pub fn decode(kind: Kind, payload: &[u8]) -> Result<Entry<'_>, BadEntry> {
    match kind {
        Kind::Begun => begun(payload).map(Entry::Begun),
        Kind::RequestBytes => piece(payload).map(Entry::RequestBytes),
        Kind::ResponseHead => response_head(payload).map(Entry::ResponseHead),
        Kind::ResponseBytes => piece(payload).map(Entry::ResponseBytes),
        Kind::Ended => ended(payload).map(Entry::Ended),
    }
}

fn piece(mut payload: &[u8]) -> Result<Piece<'_>, BadEntry> {
    let elapsed_us = take_varint(&mut payload)?;
    Ok(Piece {
        elapsed_us,
        bytes: payload,
    })
}

fn begun(payload: &[u8]) -> Result<Begun<'_>, BadEntry> {
    let mut begun = Begun::new(Plane::Edge, 0, "", "", "");
    let (mut plane, mut at) = (None, None);
    for field in fields(payload)? {
        let (tag, value) = field?;
        match tag {
            tag::AT => at = Some(number(value, "at")?),
            tag::PLANE => {
                let all = [Plane::Edge, Plane::Aggregator, Plane::Council];
                plane = Some(one_of(value, all, plane_number, "plane")?);
            }
            tag::REQUEST_ID => begun.request_id = text(value, "request_id")?,
            tag::PARENT => begun.parent = Some(ExchangeId(array(value, "parent")?)),
            tag::CLIENT => begun.client = Some(address(value)?),
            tag::ROUTER => begun.router = Some(text(value, "router")?),
            tag::SERVICE => begun.service = Some(text(value, "service")?),
            tag::METHOD => begun.method = text(value, "method")?,
            tag::PATH => begun.path = text(value, "path")?,
            tag::MODE => begun.mode = one_of(value, [Mode::Full, Mode::Metadata], mode_number, "mode")?,
            tag => header(tag, value, &mut begun.headers)?,
        }
    }
    begun.plane = plane.ok_or(BadEntry::Field("plane"))?;
    begun.at_unix_us = at.ok_or(BadEntry::Field("at"))?;
    Ok(begun)
}

fn header<'a>(tag: u8, value: Value<'a>, headers: &mut Headers<'a>) -> Result<(), BadEntry> {
    let of_tag = |header: &Header| tag::HEADERS + *header as u8 == tag;
    if let Some(header) = Header::ALL.into_iter().find(of_tag) {
        headers.set(header, text(value, "header")?);
    }
    Ok(())
}

fn response_head(payload: &[u8]) -> Result<ResponseHead<'_>, BadEntry> {
    let mut head = ResponseHead::default();
    let mut status_seen = None;
    for field in fields(payload)? {
        let (tag, value) = field?;
        match tag {
            tag::ELAPSED => head.elapsed_us = number(value, "elapsed")?,
            tag::STATUS => status_seen = Some(status(value)?),
            tag::CONTENT_TYPE => head.content_type = Some(text(value, "content_type")?),
            tag::CONTENT_ENCODING => head.content_encoding = Some(text(value, "content_encoding")?),
            tag::SERVER => head.server = Some(text(value, "server")?),
            tag::ATTEMPTS => head.attempts = attempts(value)?,
            tag::FALLBACK_MODEL => head.fallback_model = Some(text(value, "fallback_model")?),
            _ => {}
        }
    }
    head.status = status_seen.ok_or(BadEntry::Field("status"))?;
    Ok(head)
}

fn ended(payload: &[u8]) -> Result<Ended<'_>, BadEntry> {
    let mut ended = Ended {
        elapsed_us: 0,
        outcome: Outcome::Interrupted,
        status: None,
        server: None,
        attempts: 0,
        request_bytes: 0,
        response_bytes: 0,
        cut_request: false,
        cut_response: false,
    };
    let (mut outcome, mut code) = (None, "");
    for field in fields(payload)? {
        let (tag, value) = field?;
        match tag {
            tag::ELAPSED => ended.elapsed_us = number(value, "elapsed")?,
            tag::OUTCOME => outcome = Some(number(value, "outcome")?),
            tag::CODE => code = text(value, "code")?,
            tag::STATUS => ended.status = Some(status(value)?),
            tag::SERVER => ended.server = Some(text(value, "server")?),
            tag::ATTEMPTS => ended.attempts = attempts(value)?,
            tag::REQUEST_BYTES => ended.request_bytes = number(value, "request_bytes")?,
            tag::RESPONSE_BYTES => ended.response_bytes = number(value, "response_bytes")?,
            tag::CUT_REQUEST => ended.cut_request = number(value, "cut_request")? != 0,
            tag::CUT_RESPONSE => ended.cut_response = number(value, "cut_response")? != 0,
            _ => {}
        }
    }
    ended.outcome = outcome
        .and_then(|number| outcome_of(number, code))
        .ok_or(BadEntry::Field("outcome"))?;
    Ok(ended)
}

fn outcome_of(number: u64, code: &str) -> Option<Outcome<'_>> {
    let all = [
        Outcome::Complete,
        Outcome::ClientGone,
        Outcome::UpstreamFailed,
        Outcome::Refused(code),
        Outcome::Interrupted,
    ];
    all.into_iter().find(|outcome| outcome_number(outcome) == number)
}

fn fields(payload: &[u8]) -> Result<Reader<'_>, BadEntry> {
    match payload.split_first() {
        Some((&VERSION, fields)) => Ok(Reader(fields)),
        Some((&found, _)) => Err(BadEntry::Version { found }),
        None => Err(BadEntry::Malformed),
    }
}

fn number(value: Value<'_>, name: &'static str) -> Result<u64, BadEntry> {
    match value {
        Value::Number(number) => Ok(number),
        Value::Bytes(_) => Err(BadEntry::Field(name)),
    }
}

fn bytes<'a>(value: Value<'a>, name: &'static str) -> Result<&'a [u8], BadEntry> {
    match value {
        Value::Bytes(bytes) => Ok(bytes),
        Value::Number(_) => Err(BadEntry::Field(name)),
    }
}

fn text<'a>(value: Value<'a>, name: &'static str) -> Result<&'a str, BadEntry> {
    std::str::from_utf8(bytes(value, name)?).map_err(|_| BadEntry::Field(name))
}

fn array(value: Value<'_>, name: &'static str) -> Result<[u8; 16], BadEntry> {
    bytes(value, name)?.try_into().map_err(|_| BadEntry::Field(name))
}

fn status(value: Value<'_>) -> Result<u16, BadEntry> {
    u16::try_from(number(value, "status")?).map_err(|_| BadEntry::Field("status"))
}

fn attempts(value: Value<'_>) -> Result<u32, BadEntry> {
    u32::try_from(number(value, "attempts")?).map_err(|_| BadEntry::Field("attempts"))
}

fn address(value: Value<'_>) -> Result<IpAddr, BadEntry> {
    let bytes = bytes(value, "client")?;
    let v4 = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
    let v6 = || <[u8; 16]>::try_from(bytes).map(IpAddr::from);
    v4.or_else(|_| v6()).map_err(|_| BadEntry::Field("client"))
}

fn one_of<T: Copy, const N: usize>(
    value: Value<'_>,
    all: [T; N],
    number_of: impl Fn(T) -> u64,
    name: &'static str,
) -> Result<T, BadEntry> {
    let number = number(value, name)?;
    let found = all.into_iter().find(|one| number_of(*one) == number);
    found.ok_or(BadEntry::Field(name))
}

impl From<Malformed> for BadEntry {
    fn from(Malformed: Malformed) -> Self {
        Self::Malformed
    }
}

impl fmt::Display for BadEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Version { found } => write!(
                f,
                "this release reads entries of version {VERSION}, and this one has version {found}: read it with the \
                 release that wrote it"
            ),
            Self::Field(name) => write!(f, "the entry's {name} is missing or holds what it cannot"),
            Self::Malformed => f.write_str("the entry is cut short or not laid out as one"),
        }
    }
}

impl std::error::Error for BadEntry {}
