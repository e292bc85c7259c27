//! retry, circuitBreaker.

use std::time::Duration;

use super::super::value;
use crate::breaker::Condition;
use crate::mapping::{CircuitBreaker, MiddlewareKind, Retry};
use document::{Field, Fields, Report, Schema, Support};

const OWN_RULES: Support = Support::Ignored("what may be tried again is the edge's to say.");

const RETRY: Schema = &[
    ("attempts", Support::Read),
    ("initialInterval", Support::Read),
    ("timeout", OWN_RULES),
    ("status", OWN_RULES),
    ("maxRequestBodyBytes", OWN_RULES),
    ("disableRetryOnNetworkError", OWN_RULES),
    ("retryNonIdempotentMethod", OWN_RULES),
];

pub(super) fn retry(field: Field<'_>, owner: &str, report: &mut Report<'_>) -> Option<MiddlewareKind> {
    /// More attempts than anyone has servers are no help, and a load of their own.
    const ATTEMPTS_MAX: u32 = 100;
    let at = field.position;
    let mut fields = Fields::of(field.node, RETRY, owner, report)?;
    let initial_interval = fields
        .take("initialInterval")
        .map_or(Some(Duration::ZERO), |field| value::duration(field, report));
    let fix = "Write for example `attempts: 3`.";
    let attempts = value::required(fields.take("attempts"), owner, at, "attempts", fix, report)?;
    let attempts = value::count(attempts, 1, ATTEMPTS_MAX, report)?;
    Some(MiddlewareKind::Retry(Retry {
        attempts,
        initial_interval: initial_interval?,
    }))
}

const CIRCUIT_BREAKER: Schema = &[
    ("expression", Support::Read),
    ("checkPeriod", Support::Read),
    ("fallbackDuration", Support::Read),
    ("recoveryDuration", Support::Read),
    ("responseCode", Support::Read),
];

pub(super) fn circuit_breaker(field: Field<'_>, owner: &str, report: &mut Report<'_>) -> Option<MiddlewareKind> {
    let at = field.position;
    let mut fields = Fields::of(field.node, CIRCUIT_BREAKER, owner, report)?;
    let mut period = |name, default, report: &mut Report<'_>| {
        let field = fields.take(name);
        field.map_or(Some(default), |field| value::period(field, report))
    };
    let check_period = period("checkPeriod", Duration::from_millis(100), report);
    let fallback_duration = period("fallbackDuration", Duration::from_secs(10), report);
    let recovery_duration = period("recoveryDuration", Duration::from_secs(10), report);
    let response_status = fields
        .take("responseCode")
        .map_or(Some(503), |field| value::status(field, 400, report));
    let fix = "Write for example `expression: NetworkErrorRatio() > 0.30`.";
    let expression = value::required(fields.take("expression"), owner, at, "expression", fix, report)
        .and_then(|field| condition(field, report));
    Some(MiddlewareKind::CircuitBreaker(Box::new(CircuitBreaker {
        expression: expression?,
        check_period: check_period?,
        fallback_duration: fallback_duration?,
        recovery_duration: recovery_duration?,
        response_status: response_status?,
    })))
}

fn condition(field: Field<'_>, report: &mut Report<'_>) -> Option<Condition> {
    let text = field.text(report)?;
    match Condition::parse(text.value()) {
        Ok(condition) => Some(condition),
        Err(error) => {
            let at = text.node.locate(report.text(), error.offset);
            report.error(at, error.value, error.rule, error.fix);
            None
        }
    }
}
