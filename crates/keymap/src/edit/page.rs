//! Where in a mapping file's text its routers stand.
//!
//! Fields are found as `check` finds them: `http` and `routers` in any case, a router by its exact name. What an alias
//! or a merge brings from elsewhere is not found: it belongs to others too.

use document::{Form, Piece, outline};

pub(super) struct Page<'t> {
    root: Piece<'t>,
}

/// A router in the map it stands in.
pub(super) struct Place<'p, 't> {
    /// The name of the section, `routers`.
    pub(super) section: &'p Piece<'t>,
    pub(super) map: &'p Piece<'t>,
    pub(super) flow: bool,
    pub(super) entries: &'p [(Piece<'t>, Piece<'t>)],
    /// Which of the entries it is.
    pub(super) index: usize,
}

impl<'t> Page<'t> {
    pub(super) fn read(text: &'t str) -> Option<Self> {
        let root = outline(text).ok()??;
        Some(Self { root })
    }

    pub(super) fn router(&self, name: &str) -> Option<Place<'_, 't>> {
        let (_, http) = field(&self.root, |key| key.eq_ignore_ascii_case("http"))?;
        let (section, map) = field(http, |key| key.eq_ignore_ascii_case("routers"))?;
        let Form::Map { flow, entries } = &map.form else {
            return None;
        };
        let index = entries.iter().position(|(key, _)| is(key, |key| key == name))?;
        Some(Place {
            section,
            map,
            flow: *flow,
            entries,
            index,
        })
    }
}

impl<'p, 't> Place<'p, 't> {
    pub(super) fn name(&self) -> &'p Piece<'t> {
        &self.entries[self.index].0
    }

    pub(super) fn body(&self) -> &'p Piece<'t> {
        &self.entries[self.index].1
    }

    pub(super) fn rule(&self) -> Option<&'p Piece<'t>> {
        field(self.body(), |key| key.eq_ignore_ascii_case("rule")).map(|(_, value)| value)
    }
}

fn field<'p, 't>(map: &'p Piece<'t>, wanted: impl Fn(&str) -> bool) -> Option<(&'p Piece<'t>, &'p Piece<'t>)> {
    let Form::Map { entries, .. } = &map.form else {
        return None;
    };
    let (key, value) = entries.iter().find(|(key, _)| is(key, &wanted))?;
    Some((key, value))
}

fn is(key: &Piece<'_>, wanted: impl Fn(&str) -> bool) -> bool {
    matches!(&key.form, Form::Scalar(_, text) if wanted(text))
}
