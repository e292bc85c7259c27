//! A mapping file's text with another key in one router's rule; every other byte stays.

use std::ops::Range;

use document::Form;
use zeroize::Zeroizing;

use super::page::Page;
use super::spelled::spelled;
use crate::key::{ApiKey, KeyHash};
use crate::rule::Site;

/// A key that takes another's place.
pub(super) struct Exchange<'k> {
    pub(super) from: KeyHash,
    pub(super) to: &'k ApiKey,
    /// Written in the clear, in the same matcher, as Traefik reads it.
    pub(super) plain: bool,
}

/// A text and the router's rule in it.
pub(super) struct Rekeyed {
    pub(super) text: Zeroizing<String>,
    pub(super) rule: Zeroizing<String>,
}

/// `None` where the router's rule is not written in its own place, or in a way that we would not dare to cut.
pub(super) fn with_key(text: &str, router: &str, exchange: &Exchange<'_>) -> Option<Rekeyed> {
    let page = Page::read(text)?;
    let place = page.router(router)?;
    let scalar = place.rule()?;
    let Form::Scalar(_, rule) = &scalar.form else {
        return None;
    };
    let mut in_text = Vec::new();
    let mut in_rule = Vec::new();
    for site in crate::rule::sites(rule).iter().filter(|site| site.key == exchange.from) {
        let written = exchange.written(site);
        in_text.push((spelled(text, scalar, &site.range)?, written.clone()));
        in_rule.push((site.range.clone(), written));
    }
    (!in_text.is_empty()).then(|| Rekeyed {
        text: spliced(text, &in_text),
        rule: spliced(rule, &in_rule),
    })
}

/// A rule with each of its key's matchers in the hashed form.
pub(super) fn hashed(rule: &str, key: KeyHash) -> Zeroizing<String> {
    let sites = crate::rule::sites(rule);
    let ours = sites.iter().filter(|site| site.key == key);
    let edits: Vec<_> = ours
        .map(|site| (site.range.clone(), Zeroizing::new(Site::hashed(key))))
        .collect();
    spliced(rule, &edits)
}

impl Exchange<'_> {
    fn written(&self, site: &Site) -> Zeroizing<String> {
        if self.plain {
            site.plain(self.to)
        } else {
            Zeroizing::new(Site::hashed(self.to.hash()))
        }
    }
}

/// The text with each range replaced; they are in order and apart.
fn spliced(text: &str, edits: &[(Range<usize>, Zeroizing<String>)]) -> Zeroizing<String> {
    let added: usize = edits.iter().map(|(_, new)| new.len()).sum();
    let mut result = Zeroizing::new(String::with_capacity(text.len() + added));
    let mut at = 0;
    for (range, new) in edits {
        result.push_str(&text[at..range.start]);
        result.push_str(new);
        at = range.end;
    }
    result.push_str(&text[at..]);
    result
}
