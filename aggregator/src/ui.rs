//! The pages at `/ui`: what an operator sees, and acts with.
//!
//! ```text
//!  GET /ui, /ui/PAGE ─▶ shell: the same for everybody, without data; its script asks for the admin token
//!  GET /ui/part/PAGE ─▶ token ─▶ fragment, rendered here ─▶ the script puts it into the shell
//!  GET /ui/live/PAGE ─▶ token ─▶ the same, and then the parts that change, as server-sent events
//!  POST, DELETE /admin/… ◀── what is acted on is the admin API's, which scripts use too
//! ```
//!
//! It owns how things look; what is known is asked where `/admin/*` asks. Invariants: what comes from outside (a model's
//! words, a key's name) is escaped by `maud`, no markup of its is ever passed on; nothing is loaded from another host; no
//! script or style stands in a page, so the strictest policy holds; a fragment is bounded, however much there is.

mod assets;
mod backends;
mod council;
mod format;
mod fragment;
mod keys;
mod live;
mod mappings;
mod overview;
mod parts;
mod plot;
mod responses;
mod shell;
mod try_it;

pub(crate) use assets::asset;
pub(crate) use fragment::part;
pub(crate) use live::live;
pub(crate) use shell::shell;

/// The pages, in the order of the navigation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Page {
    Overview,
    Backends,
    Keys,
    Mappings,
    Responses,
    Council,
    Try,
}

impl Page {
    const ALL: [Self; 7] = [
        Self::Overview,
        Self::Backends,
        Self::Keys,
        Self::Mappings,
        Self::Responses,
        Self::Council,
        Self::Try,
    ];

    /// In paths.
    fn name(self) -> &'static str {
        match self {
            Self::Overview => "overview",
            Self::Backends => "backends",
            Self::Keys => "keys",
            Self::Mappings => "mappings",
            Self::Responses => "responses",
            Self::Council => "council",
            Self::Try => "try",
        }
    }

    fn title(self) -> &'static str {
        match self {
            Self::Overview => "Overview",
            Self::Backends => "Backends",
            Self::Keys => "Keys",
            Self::Mappings => "Mappings",
            Self::Responses => "Responses",
            Self::Council => "Council",
            Self::Try => "Try it",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|page| page.name() == name)
    }
}
