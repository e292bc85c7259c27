//! What the tables say, as words: the same on a screen and in a pipe. Pure.

use std::time::Duration;

use super::scene::{Key, Scene, Server, Totals};

pub(super) const SERVERS: [&str; 8] = ["SERVER", "PLANE", "STATE", "NOW", "REQ/S", "TOK/S", "FIRST", "LOADED"];
pub(super) const KEYS: [&str; 8] = ["KEY", "NOW", "REQ/S", "REQUESTS", "TOK/S", "TOKENS", "FIRST", "BUDGET"];

/// What keys are sorted by, in the order in which a key of the keyboard goes through them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum SortBy {
    /// Who works now, and then who works most.
    #[default]
    Now,
    RequestRate,
    Requests,
    TokenRate,
    Tokens,
    Budget,
    Name,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Order {
    pub(super) by: SortBy,
    pub(super) reversed: bool,
}

impl SortBy {
    pub(super) fn next(self) -> Self {
        match self {
            Self::Now => Self::RequestRate,
            Self::RequestRate => Self::Requests,
            Self::Requests => Self::TokenRate,
            Self::TokenRate => Self::Tokens,
            Self::Tokens => Self::Budget,
            Self::Budget => Self::Name,
            Self::Name => Self::Now,
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Now => "now",
            Self::RequestRate => "req/s",
            Self::Requests => "requests",
            Self::TokenRate => "tok/s",
            Self::Tokens => "tokens",
            Self::Budget => "budget",
            Self::Name => "name",
        }
    }

    /// The largest first.
    fn weight(self, key: &Key) -> (f64, f64) {
        let of_budget = |(used, limit): (f64, f64)| if limit > 0.0 { used / limit } else { 0.0 };
        match self {
            Self::Now => (key.in_flight, key.requests),
            Self::RequestRate => (key.requests_per_s, key.requests),
            Self::Requests => (key.requests, 0.0),
            Self::TokenRate => (key.tokens_per_s, key.requests),
            Self::Tokens => (key.tokens.unwrap_or(0.0), key.requests),
            Self::Budget => (key.budget.map_or(-1.0, of_budget), key.requests),
            Self::Name => (0.0, 0.0),
        }
    }
}

impl Order {
    pub(super) fn sort(self, keys: &mut [Key]) {
        keys.sort_by(|a, b| {
            let (of_a, of_b) = (self.by.weight(a), self.by.weight(b));
            let heavier = of_b.0.total_cmp(&of_a.0).then(of_b.1.total_cmp(&of_a.1));
            heavier.then_with(|| a.name.cmp(&b.name))
        });
        if self.reversed {
            keys.reverse();
        }
    }
}

pub(super) fn server(server: &Server) -> [String; 8] {
    [
        server.name.clone(),
        server.plane.to_owned(),
        server.state.to_owned(),
        count(server.in_flight),
        rate(server.requests_per_s),
        server.tokens_per_s.map_or_else(none, rate),
        time(server.first_token),
        server.models.clone(),
    ]
}

pub(super) fn key(key: &Key) -> [String; 8] {
    let budget = |(used, limit): (f64, f64)| {
        let percent = if limit > 0.0 { used / limit * 100.0 } else { 100.0 };
        format!("{percent:.0} % of {}", short(limit))
    };
    [
        key.name.clone(),
        count(key.in_flight),
        rate(key.requests_per_s),
        short(key.requests),
        key.tokens.map_or_else(none, |_| rate(key.tokens_per_s)),
        key.tokens.map_or_else(none, short),
        time(key.first_token),
        key.budget.map_or_else(none, budget),
    ]
}

pub(super) fn planes(scene: &Scene) -> [String; 2] {
    let said = |name: &str, away: &Option<String>| match away {
        None => format!("{name} up"),
        Some(cause) => format!("{name} {cause}"),
    };
    [said("edge", &scene.edge), said("aggregator", &scene.aggregator)]
}

pub(super) fn totals(totals: &Totals) -> String {
    let mut line = format!(
        "{} in flight · {} req/s · {} tok/s · first token {} · {} connections · {} keys",
        count(totals.in_flight),
        rate(totals.requests_per_s),
        rate(totals.tokens_per_s),
        time(totals.first_token),
        count(totals.connections),
        count(totals.keys),
    );
    if totals.bad_files > 0.0 {
        line.push_str(&format!(" · {} bad mapping files", count(totals.bad_files)));
    }
    line
}

fn none() -> String {
    "-".to_owned()
}

fn count(value: f64) -> String {
    format!("{value:.0}")
}

fn rate(value: f64) -> String {
    match value {
        0.0 => "0".to_owned(),
        small if small < 10.0 => format!("{small:.1}"),
        large => short(large),
    }
}

/// Four characters, or so.
fn short(value: f64) -> String {
    for (unit, name) in [(1e12, "T"), (1e9, "G"), (1e6, "M"), (1e4, "k")] {
        if value >= unit {
            let unit = if name == "k" { 1e3 } else { unit };
            return format!("{:.1}{name}", value / unit);
        }
    }
    format!("{value:.0}")
}

fn time(span: Option<Duration>) -> String {
    match span {
        None => none(),
        Some(span) if span < Duration::from_secs(1) => format!("{} ms", span.as_millis()),
        Some(span) => format!("{:.1} s", span.as_secs_f64()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        for (value, expected) in [
            (0.0, "0"),
            (999.4, "999"),
            (9_999.0, "9999"),
            (12_345.0, "12.3k"),
            (2_500_000.0, "2.5M"),
            (3e12, "3.0T"),
        ] {
            assert_eq!(short(value), expected);
        }
        assert_eq!((rate(0.25).as_str(), rate(42.4).as_str()), ("0.2", "42"));
        assert_eq!(time(Some(Duration::from_millis(1500))), "1.5 s");
    }

    #[test]
    fn keys_are_sorted_by_what_was_asked_for() {
        let made = |name: &str, in_flight, requests, budget| Key {
            name: name.to_owned(),
            in_flight,
            requests,
            budget,
            ..Key::default()
        };
        let keys = [
            made("c", 0.0, 7.0, None),
            made("a", 2.0, 1.0, Some((1.0, 10.0))),
            made("b", 0.0, 9.0, Some((9.0, 10.0))),
        ];
        for (by, reversed, expected) in [
            (SortBy::Now, false, "abc"),
            (SortBy::Requests, false, "bca"),
            (SortBy::Requests, true, "acb"),
            (SortBy::Budget, false, "bac"),
            (SortBy::Name, false, "abc"),
        ] {
            let mut sorted = keys.clone();
            Order { by, reversed }.sort(&mut sorted);
            let names: String = sorted.iter().map(|key| key.name.as_str()).collect();
            assert_eq!(names, expected, "{by:?} {reversed}");
        }
        let mut by = SortBy::default();
        (0..7).for_each(|_| by = by.next());
        assert_eq!(by, SortBy::default(), "it goes round");
    }
}
