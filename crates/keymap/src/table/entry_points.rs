//! Entry points as bits, so that whether a router is on one is seen without reading the router.

use std::sync::Arc;

/// Beyond so many, those that come last in the alphabet have no bit, and routers are asked by name.
const BITS_MAX: usize = 16;

/// The names of those that exist and have a bit, in order of the bits.
#[derive(Debug, Default, Clone)]
pub(super) struct EntryPoints(Arc<[Box<str>]>);

/// Some of the entry points.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Points(u16);

impl EntryPoints {
    pub(super) fn new<'a>(names: impl IntoIterator<Item = &'a String>) -> Self {
        let names = names.into_iter().take(BITS_MAX);
        Self(names.map(|name| name.as_str().into()).collect())
    }

    /// Those of the names that have a bit.
    pub(super) fn named<'a>(&self, names: impl IntoIterator<Item = &'a str>) -> Points {
        let place = |name: &str| self.0.iter().position(|known| **known == *name);
        let places = names.into_iter().filter_map(place);
        Points(places.fold(0, |bits, at| bits | 1 << at))
    }
}

impl Points {
    pub(super) const ALL: Self = Self(u16::MAX);

    /// Whether one is among both.
    pub(super) fn meet(self, others: Self) -> bool {
        self.0 & others.0 != 0
    }
}
