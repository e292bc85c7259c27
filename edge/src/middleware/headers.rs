//! headers: what is set and taken away on the way there and on the way back.

use keymap::Headers;

use super::{Asked, Changes, cross_origin};
use crate::error::Refusal;
use crate::request_id::X_REQUEST_ID;

pub(super) fn apply(headers: &Headers, asked: &Asked<'_>, changes: &mut Changes) -> Result<(), Refusal> {
    for change in &headers.request {
        changes.request.set(change.name.clone(), change.value.clone());
    }
    for change in &headers.response {
        // By this one, answers and log lines are told apart.
        if change.name != X_REQUEST_ID {
            changes.response.set(change.name.clone(), change.value.clone());
        }
    }
    match &headers.cross_origin {
        Some(cross_origin) => cross_origin::apply(cross_origin, asked, changes),
        None => Ok(()),
    }
}
