//! A model's name and what stands in for it, in the order in which they are tried. Pure.

use std::sync::Arc;

use crate::config_file::Fallbacks;

/// Names that one request may lead through. A configuration is checked for cycles; this holds even where it is not.
const CHAIN_MAX: usize = 16;

/// The name itself, then its fallbacks in order, each followed by its own; no name twice.
pub(super) fn chain(model: &str, fallbacks: &Fallbacks) -> Vec<Arc<str>> {
    let mut chain: Vec<Arc<str>> = Vec::new();
    // Names still to come, the next one last.
    let mut ahead: Vec<Arc<str>> = vec![model.into()];
    while let Some(name) = ahead.pop() {
        if chain.len() == CHAIN_MAX {
            break;
        }
        if chain.contains(&name) {
            continue;
        }
        let own = fallbacks.get(&name).into_iter().flatten();
        ahead.extend(own.rev().cloned());
        chain.push(name);
    }
    chain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fallbacks(of: &[(&str, &[&str])]) -> Fallbacks {
        let names = |names: &[&str]| names.iter().map(|name| Arc::from(*name)).collect();
        of.iter()
            .map(|(model, chain)| (Arc::from(*model), names(chain)))
            .collect()
    }

    #[test]
    fn a_chain_is_walked_in_order_and_never_round_in_circles() {
        let circle = fallbacks(&[("a", &["b", "c"]), ("b", &["a", "d"]), ("d", &["d", "c"])]);
        for (model, expected) in [
            ("a", vec!["a", "b", "d", "c"]),
            ("c", vec!["c"]),
            ("b", vec!["b", "a", "c", "d"]),
        ] {
            let chain = chain(model, &circle);
            assert_eq!(
                chain.iter().map(|name| &**name).collect::<Vec<_>>(),
                expected,
                "{model}"
            );
        }
    }

    #[test]
    fn a_chain_has_an_end() {
        let names: Vec<String> = (0..100).map(|index| format!("m{index:03}")).collect();
        let links: Vec<(&str, [&str; 1])> = names.windows(2).map(|pair| (&*pair[0], [&*pair[1]])).collect();
        let links: Vec<(&str, &[&str])> = links.iter().map(|(from, to)| (*from, &to[..])).collect();
        assert_eq!(chain("m000", &fallbacks(&links)).len(), CHAIN_MAX);
    }
}
