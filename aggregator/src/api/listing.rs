//! A page of a list that is in the order of its names: so many entries, from a name on.

use super::query::Query;
use crate::error::ApiError;

/// Which entries.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    pub(crate) limit: usize,
    /// The last name of the page before.
    pub(crate) after: Option<String>,
}

impl Listing {
    pub(crate) fn read(query: &mut Query) -> Result<Self, ApiError> {
        Ok(Self {
            limit: query.limit()?,
            after: query.after()?,
        })
    }

    /// The same, with no more than `most` entries.
    pub(crate) fn at_most(mut self, most: usize) -> Self {
        self.limit = self.limit.min(most);
        self
    }

    /// The entries of this page, and the name after which the next one begins. `all` is in the order of its names.
    pub(crate) fn page<'a, T>(&self, all: &'a [T], name: impl Fn(&T) -> &str) -> (&'a [T], Option<String>) {
        let begin = match self.after.as_deref() {
            Some(after) => all.partition_point(|entry| name(entry) <= after),
            None => 0,
        };
        let rest = &all[begin..];
        let shown = &rest[..rest.len().min(self.limit)];
        let next = shown.last().filter(|_| rest.len() > shown.len());
        (shown, next.map(|entry| name(entry).to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_put_together_are_the_list() {
        let all = ["a", "b", "b/c", "d", "é"];
        for limit in 1..=all.len() + 1 {
            let mut listing = Listing { limit, after: None };
            let mut seen = Vec::new();
            loop {
                let (shown, next) = listing.page(&all, |name| name);
                assert!(shown.len() <= limit);
                seen.extend_from_slice(shown);
                match next {
                    Some(after) => listing.after = Some(after),
                    None => break,
                }
            }
            assert_eq!(seen, all, "{limit} at a time");
        }
    }

    #[test]
    fn a_name_that_is_gone_is_as_good_a_place_as_one_that_is_there() {
        let after = |after: &str| Listing {
            limit: 10,
            after: Some(after.to_owned()),
        };
        assert_eq!(after("bb").page(&["a", "b", "c"], |name| name), (&["c"][..], None));
        assert_eq!(after("z").page(&["a", "b", "c"], |name| name), (&[][..], None));
    }
}
