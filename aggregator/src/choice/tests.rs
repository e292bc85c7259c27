//! Fleets made by hand, names asked for, and who is tried.

use std::sync::Arc;

use super::*;
use crate::config_file::{Routing, Strategy};
use crate::fleet::made::{Made, up, view};

fn asked(view: &FleetView, model: &str, excluded: &[u32]) -> Result<Vec<String>, ChoiceError> {
    let ask = Ask {
        model,
        held: &HashMap::new(),
        excluded,
    };
    let shown = |candidate: Candidate| {
        let backend = &view.backends[candidate.backend].spec.name;
        let fallback = candidate
            .fallback
            .map(|name| format!(" for {name}"))
            .unwrap_or_default();
        format!("{backend}: {}{fallback}", candidate.model)
    };
    plan(view, &ask).map(|plan| plan.into_iter().map(shown).collect())
}

#[test]
fn names_mean_a_model_first_and_a_backend_second() {
    let fleet = [
        up("gpu", &["llama", "meta/llama", "gpu/llama", "a/b/c"]),
        up("meta", &["llama", "other"]),
        Made {
            status: Status::Down,
            ..up("gone", &[])
        },
    ];
    let view = view(&fleet, &[]);
    for (name, expected) in [
        ("meta/llama", Ok(vec!["gpu: meta/llama"])),
        ("gpu/llama", Ok(vec!["gpu: gpu/llama"])),
        ("gpu/meta/llama", Ok(vec!["gpu: meta/llama"])),
        ("gpu/a/b/c", Ok(vec!["gpu: a/b/c"])),
        ("meta/other", Ok(vec!["meta: other"])),
        ("other", Ok(vec!["meta: other"])),
        ("gpu/other", Err(ChoiceError::UnknownModel)),
        ("nobody/llama", Err(ChoiceError::UnknownModel)),
        ("gone/llama", Err(ChoiceError::Unavailable)),
        ("", Err(ChoiceError::UnknownModel)),
        ("/", Err(ChoiceError::UnknownModel)),
        ("gpu/", Err(ChoiceError::UnknownModel)),
    ] {
        let expected = expected.map(|all| all.into_iter().map(str::to_owned).collect::<Vec<_>>());
        assert_eq!(asked(&view, name, &[]), expected, "{name}");
    }
    let both = asked(&view, "llama", &[]).unwrap();
    assert_eq!(both.len(), 2, "a name that several serve is one model: {both:?}");
}

#[test]
fn fallbacks_are_walked_where_a_model_is_unknown_down_or_spent() {
    let fleet = [
        up("one", &["big"]),
        up("two", &["small", "tiny"]),
        Made {
            status: Status::Down,
            ..up("three", &["huge"])
        },
    ];
    let fallbacks: &[(&str, &[&str])] = &[
        ("big", &["small"]),
        ("small", &["tiny"]),
        ("huge", &["missing", "small"]),
        ("gpt", &["two/tiny"]),
    ];
    let view = view(&fleet, fallbacks);
    for (name, excluded, expected) in [
        (
            "big",
            &[][..],
            Ok(vec!["one: big", "two: small for small", "two: tiny for tiny"]),
        ),
        ("big", &[0], Ok(vec!["two: small for small", "two: tiny for tiny"])),
        ("huge", &[], Ok(vec!["two: small for small", "two: tiny for tiny"])),
        ("gpt", &[], Ok(vec!["two: tiny for two/tiny"])),
        ("huge", &[1], Err(ChoiceError::Unavailable)),
        ("missing", &[], Err(ChoiceError::UnknownModel)),
        ("tiny", &[], Ok(vec!["two: tiny"])),
    ] {
        let expected = expected.map(|all| all.into_iter().map(str::to_owned).collect::<Vec<_>>());
        assert_eq!(asked(&view, name, excluded), expected, "{name}");
    }
}

#[test]
fn the_ailing_are_tried_after_everything_else_even_fallbacks() {
    let fleet = [
        Made {
            status: Status::Slow,
            ..up("slow", &["big"])
        },
        up("failing", &["big"]),
        Made {
            priority: 9,
            ..up("well", &["big"])
        },
        up("other", &["small"]),
    ];
    let view = view(&fleet, &[("big", &["small"])]);
    view.backends[1].traffic.failed_for_test();
    let order = asked(&view, "big", &[]).unwrap();
    assert_eq!(order[..2], ["well: big", "other: small for small"]);
    let mut last = order[2..].to_vec();
    last.sort();
    assert_eq!(last, ["failing: big", "slow: big"]);
}

#[test]
fn each_model_takes_turns_of_its_own() {
    let mut view = view(&[up("one", &["a", "b"]), up("two", &["a", "b"])], &[]);
    view.routing = Arc::new(Routing {
        strategy: Strategy::RoundRobin,
        ..Routing::default()
    });
    let mut first = |model| asked(&view, model, &[]).unwrap()[0].clone();
    let picks = ["a", "b", "a", "b"].map(&mut first);
    assert_eq!(picks, ["one: a", "one: b", "two: a", "two: b"]);
}

#[test]
fn a_drained_backend_is_not_tried_until_it_is_put_back() {
    let view = view(&[up("one", &["m"]), up("two", &["m"])], &[]);
    assert!(view.backends[0].traffic.drain(true));
    assert!(!view.backends[0].traffic.drain(true), "it was drained before");
    assert_eq!(asked(&view, "m", &[]), Ok(vec!["two: m".to_owned()]));
    assert_eq!(asked(&view, "one/m", &[]), Err(ChoiceError::Unavailable));
    assert!(view.backends[0].traffic.drain(false));
    assert_eq!(asked(&view, "m", &[]).unwrap().len(), 2);
}
