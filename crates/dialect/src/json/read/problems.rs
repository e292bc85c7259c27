//! What was found wrong with a document: all of it, up to a bound.

use std::borrow::Cow;
use std::cell::RefCell;

use crate::error::{BadRequest, BadResponse, Problem};

/// More are not told: who mends twenty will ask again.
const PROBLEMS_MAX: usize = 20;

/// What was found wrong so far.
#[derive(Debug, Default)]
pub struct Problems {
    list: RefCell<Vec<Problem>>,
    lenient: bool,
}

impl Problems {
    /// For what a client sent.
    pub fn new() -> Self {
        Self::default()
    }

    /// For what a backend sent.
    pub fn lenient() -> Self {
        Self {
            lenient: true,
            ..Self::default()
        }
    }

    pub fn note(
        &self,
        field: impl Into<String>,
        rule: impl Into<Cow<'static, str>>,
        found: impl Into<Cow<'static, str>>,
        fix: impl Into<Cow<'static, str>>,
    ) {
        let mut list = self.list.borrow_mut();
        if list.len() < PROBLEMS_MAX {
            list.push(Problem {
                field: field.into(),
                rule: rule.into(),
                found: found.into(),
                fix: fix.into(),
            });
        }
    }

    pub(super) fn is_lenient(&self) -> bool {
        self.lenient
    }

    pub fn is_empty(&self) -> bool {
        self.list.borrow().is_empty()
    }

    /// `value` where nothing was noted and there is one.
    pub fn into_request<T>(self, value: Option<T>) -> Result<T, BadRequest> {
        if value.is_none() && self.is_empty() {
            self.note("", "must be a request", "something else", "send a JSON object");
        }
        match value {
            Some(value) if self.is_empty() => Ok(value),
            _ => Err(BadRequest {
                problems: self.list.into_inner(),
            }),
        }
    }

    pub fn into_response<T>(self, value: Option<T>) -> Result<T, BadResponse> {
        match (value, self.list.into_inner().into_iter().next()) {
            (Some(value), None) => Ok(value),
            (_, Some(first)) => Err(BadResponse::new(first.field, first.rule)),
            (None, None) => Err(BadResponse::new("", "must be a JSON object")),
        }
    }
}
