use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::limits::set::tests::route;

fn applied(route: &Route, target: &str) -> Result<Target, Refusal> {
    let target = Target::parse(target.as_bytes()).map_err(Refusal::BadTarget)?;
    let asked = Asked {
        target: &target,
        method: &Method::GET,
        headers: &HeaderMap::new(),
        client: [127, 0, 0, 1].into(),
        now: Instant::now(),
    };
    let mut changes = None;
    apply(route, &asked, &mut changes)?;
    Ok(changes.and_then(|changes| changes.target).unwrap_or(target))
}

#[test]
fn a_route_without_middlewares_changes_nothing_and_takes_no_memory() {
    let mut changes = None;
    let target = Target::parse(b"/v1/x").expect("a target");
    let asked = Asked {
        target: &target,
        method: &Method::GET,
        headers: &HeaderMap::new(),
        client: [127, 0, 0, 1].into(),
        now: Instant::now(),
    };
    assert_eq!(apply(&route(""), &asked, &mut changes), Ok(()));
    assert!(changes.is_none());
}

const REWRITES: &str = "    m1: {stripPrefix: {prefixes: [/a/b, /a, /x]}}\n    m2: {replacePathRegex: {regex: '^/r/(.*)', \
                        replacement: '/$1'}}\n    m3: {addPrefix: {prefix: /models}}\n    m4: {stripPrefix: {prefixes: [/models/m]}}\n";

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever a rewrite makes of a path, what is forwarded is clean, and no server-wide path comes of it unnamed.
    #[test]
    fn no_rewrite_reaches_what_the_guard_did_not_see(
        path in "(/(a|b|r|x|m|models|load|unload|slots|%73lots|SLOTS|\\.|\\.\\.|%2e|%2F|props|v1|stream|)){1,6}",
    ) {
        thread_local! {
            static ROUTE: Arc<Route> = route(REWRITES);
        }
        if let Ok(target) = ROUTE.with(|route| applied(route, &path)) {
            prop_assert!(!keymap::is_server_wide(target.path()), "{} → {}", path, target.forward());
            let again = Target::parse(target.forward().as_bytes()).expect("what is forwarded is a target");
            prop_assert_eq!((again.forward(), again.path()), (target.forward(), target.path()));
        }
    }
}

#[test]
fn a_replacement_that_grows_without_bound_is_refused() {
    let doubling: String = (0..40)
        .map(|at| format!("    m{at}: {{replacePathRegex: {{regex: '^(.*)$', replacement: '$1$1'}}}}\n"))
        .collect();
    assert!(matches!(
        applied(&route(&doubling), "/aaaa"),
        Err(Refusal::BadTarget(_))
    ));
}
