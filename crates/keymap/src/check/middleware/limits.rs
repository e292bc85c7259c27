//! rateLimit, inFlightReq, fairShare, tokenLimit, validity, models.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::super::value;
use crate::mapping::{CountedTokens, FairShare, InFlightReq, MiddlewareKind, Models, RateLimit, TokenLimit, Validity};
use document::{Field, Fields, Report, Schema, Support, entries, shown_field, text};

const OWN_COUNTS: Support = Support::Ignored("the edge keeps its own counts.");
const PER_ROUTER: Support = Support::Ignored("requests are counted for each router as a whole.");

const RATE_LIMIT: Schema = &[
    ("average", Support::Read),
    ("period", Support::Read),
    ("burst", Support::Read),
    ("sourceCriterion", PER_ROUTER),
    ("redis", OWN_COUNTS),
];

pub(super) fn rate_limit(field: Field<'_>, owner: &str, report: &mut Report<'_>) -> Option<MiddlewareKind> {
    let at = field.position;
    let mut fields = Fields::of(field.node, RATE_LIMIT, owner, report)?;
    let average = fields
        .take("average")
        .map_or(Some(0), |field| value::whole(field, 0, report));
    if average == Some(0) {
        let rule = "A `rateLimit` with an `average` of 0, or none, limits nothing.";
        report.warning(
            at,
            "rateLimit",
            rule,
            "Write for example `average: 60` and `period: 1m`.",
        );
    }
    let period = fields
        .take("period")
        .map_or(Some(Duration::from_secs(1)), |field| value::period(field, report));
    let burst = fields
        .take("burst")
        .map_or(Some(1), |field| value::whole(field, 1, report));
    Some(MiddlewareKind::RateLimit(RateLimit {
        average: average?,
        period: period?,
        burst: burst?,
    }))
}

const IN_FLIGHT_REQ: Schema = &[("amount", Support::Read), ("sourceCriterion", PER_ROUTER)];

pub(super) fn in_flight_req(field: Field<'_>, owner: &str, report: &mut Report<'_>) -> Option<MiddlewareKind> {
    let at = field.position;
    let mut fields = Fields::of(field.node, IN_FLIGHT_REQ, owner, report)?;
    let fix = "Write for example `amount: 4`.";
    let amount = value::required(fields.take("amount"), owner, at, "amount", fix, report)?;
    let amount = value::whole(amount, 1, report)?;
    Some(MiddlewareKind::InFlightReq(InFlightReq { amount }))
}

const FAIR_SHARE: Schema = &[("weight", Support::Read)];

pub(super) fn fair_share(field: Field<'_>, owner: &str, report: &mut Report<'_>) -> Option<MiddlewareKind> {
    /// A share of a thousandth is none: whoever is to have so little gets a limit.
    const WEIGHT_MAX: u32 = 1000;
    let at = field.position;
    let mut fields = Fields::of(field.node, FAIR_SHARE, owner, report)?;
    let fix = "Write for example `weight: 3`.";
    let weight = value::required(fields.take("weight"), owner, at, "weight", fix, report)?;
    let weight = value::count(weight, 1, WEIGHT_MAX, report)?;
    Some(MiddlewareKind::FairShare(FairShare { weight }))
}

const TOKEN_LIMIT: Schema = &[
    ("amount", Support::Read),
    ("period", Support::Read),
    ("count", Support::Read),
];

pub(super) fn token_limit(field: Field<'_>, owner: &str, report: &mut Report<'_>) -> Option<MiddlewareKind> {
    const DAY: Duration = Duration::from_secs(24 * 3600);
    let at = field.position;
    let mut fields = Fields::of(field.node, TOKEN_LIMIT, owner, report)?;
    let period = fields
        .take("period")
        .map_or(Some(DAY), |field| value::period(field, report));
    let words = [
        ("input", CountedTokens::Input),
        ("output", CountedTokens::Output),
        ("total", CountedTokens::Total),
    ];
    let count = fields
        .take("count")
        .map_or(Some(CountedTokens::Total), |field| value::word(field, &words, report));
    let fix = "Write for example `amount: 200000`.";
    let amount = value::required(fields.take("amount"), owner, at, "amount", fix, report)?;
    let amount = value::whole(amount, 1, report)?;
    Some(MiddlewareKind::TokenLimit(TokenLimit {
        amount,
        period: period?,
        count: count?,
    }))
}

const VALIDITY: Schema = &[("notBefore", Support::Read), ("notAfter", Support::Read)];

pub(super) fn validity(field: Field<'_>, owner: &str, report: &mut Report<'_>) -> Option<MiddlewareKind> {
    let at = field.position;
    let mut fields = Fields::of(field.node, VALIDITY, owner, report)?;
    let (not_before, not_after) = (fields.take("notBefore"), fields.take("notAfter"));
    if not_before.is_none() && not_after.is_none() {
        let fix = "Write for example `notAfter: 2027-01-01`.";
        let rule = format!("{owner} needs `notBefore` or `notAfter`.");
        report.error(at, "", rule, fix);
        return None;
    }
    let ends_at = not_after.as_ref().map_or(at, |field| field.node.position);
    let not_before = not_before.map(|field| value::moment(field, report));
    let ends = not_after.map(|field| value::end_moment(field, report));
    let (not_before, ends) = (flat(not_before)?, flat(ends)?);
    if let (Some(begin), Some(end)) = (not_before, ends)
        && begin >= end
    {
        let rule = "`notAfter` is later than `notBefore`.";
        report.error(ends_at, "", rule, "Mend one of the two.");
        return None;
    }
    Some(MiddlewareKind::Validity(Validity { not_before, ends }))
}

/// Absent is fine, wrong is not.
fn flat<T>(read: Option<Option<T>>) -> Option<Option<T>> {
    match read {
        None => Some(None),
        Some(read) => read.map(Some),
    }
}

const MODELS: Schema = &[("allow", Support::Read), ("alias", Support::Read)];

pub(super) fn models(field: Field<'_>, owner: &str, report: &mut Report<'_>) -> Option<MiddlewareKind> {
    let at = field.position;
    let mut fields = Fields::of(field.node, MODELS, owner, report)?;
    let (allow, alias) = (fields.take("allow"), fields.take("alias"));
    if allow.is_none() && alias.is_none() {
        let rule = format!("{owner} needs `allow` or `alias`.");
        report.error(at, "", rule, "Write for example `allow: [TinyLlama_Chat]`.");
        return None;
    }
    let allow = match allow {
        None => None,
        Some(field) => {
            let at = field.node.position;
            let names = field.names(report);
            if names.is_empty() {
                let fix = "Name a model, or take the field out to allow all of them.";
                report.error(at, "", "`allow` names at least one model.", fix);
                return None;
            }
            Some(names)
        }
    };
    let alias = alias.map_or_else(Box::default, |field| aliases(field, report));
    Some(MiddlewareKind::Models(Models { allow, alias }))
}

fn aliases(field: Field<'_>, report: &mut Report<'_>) -> Box<[(Arc<str>, Arc<str>)]> {
    let mut aliases = BTreeMap::new();
    for entry in entries(field.node, "`alias`", report).unwrap_or_default() {
        let Some(model) = text(entry.value, "Each of `alias`", report) else {
            continue;
        };
        let (from, to) = (entry.key.trim(), model.value().trim());
        if from.is_empty() || to.is_empty() {
            let fix = "Write `name that is asked for: name of a model`.";
            report.error(entry.position, "", "An alias leads from a name to a model's name.", fix);
        } else if aliases.insert(Arc::from(from), Arc::from(to)).is_some() {
            let rule = "A name has one alias.";
            report.error(entry.position, shown_field(from), rule, "Remove one of them.");
        }
    }
    aliases.into_iter().collect()
}
