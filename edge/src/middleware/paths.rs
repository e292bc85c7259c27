//! stripPrefix, addPrefix, replacePath, replacePathRegex: a target → the target of another path.
//!
//! They work on the path as it would be forwarded, and what comes out is cleaned again: a prefix that is taken off may
//! leave dot segments that were none before.

use http::{HeaderName, HeaderValue};
use keymap::{AddPrefix, ReplacePath, ReplacePathRegex, StripPrefix, Target, TargetError};

const X_FORWARDED_PREFIX: HeaderName = HeaderName::from_static("x-forwarded-prefix");
const X_REPLACED_PATH: HeaderName = HeaderName::from_static("x-replaced-path");

pub(super) struct Rewritten {
    pub(super) target: Target,
    /// What the server is told of it.
    pub(super) told: Option<(HeaderName, Option<HeaderValue>)>,
}

pub(super) type Outcome = Result<Option<Rewritten>, TargetError>;

/// The first prefix that fits; `None` where none does.
pub(super) fn strip(strip: &StripPrefix, target: &Target) -> Outcome {
    let path = target.forward_path();
    let mut fitting = strip
        .prefixes
        .iter()
        .filter_map(|prefix| Some((prefix, path.strip_prefix(&**prefix)?)));
    let Some((prefix, rest)) = fitting.next() else {
        return Ok(None);
    };
    let target = target.with_path(rest.as_bytes())?;
    Ok(Some(told(target, X_FORWARDED_PREFIX, prefix)))
}

pub(super) fn add(add: &AddPrefix, target: &Target) -> Outcome {
    let path = [&*add.prefix, target.forward_path()].concat();
    let target = target.with_path(path.as_bytes())?;
    Ok(Some(Rewritten { target, told: None }))
}

pub(super) fn replace(replace: &ReplacePath, target: &Target) -> Outcome {
    let new = target.with_path(replace.path.as_bytes())?;
    Ok(Some(told(new, X_REPLACED_PATH, target.forward_path())))
}

pub(super) fn replace_regex(replace: &ReplacePathRegex, target: &Target) -> Outcome {
    let path = target.forward_path();
    let Some(replaced) = replace.regex.replaced(path.as_bytes(), &replace.replacement) else {
        return Ok(None);
    };
    let new = target.with_path(&replaced)?;
    Ok(Some(told(new, X_REPLACED_PATH, path)))
}

/// A forwarded path is ASCII, and so always a header's value.
fn told(target: Target, name: HeaderName, value: &str) -> Rewritten {
    let value = HeaderValue::from_str(value).ok();
    Rewritten {
        target,
        told: Some((name, value)),
    }
}
