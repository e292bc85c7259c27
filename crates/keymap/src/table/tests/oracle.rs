use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue};
use proptest::prelude::*;

use super::scenarios::{File, shown};
use crate::key::KeyHash;
use crate::mapping::Mapping;
use crate::table::{Compiler, Model, Request};
use crate::{Credential, Table};

/// A rule as the generator thinks of it. Small numbers stand for keys, paths, models and header values.
#[derive(Debug, Clone)]
enum Sketch {
    Key(u8),
    KeySha256(u8),
    /// An exact value of `Authorization`, by [`authorization`].
    Exactly(u8, u8),
    /// An anchored list of keys after `Bearer `.
    List(u8, u8),
    /// A pattern that is no list: keys from this one on.
    From(u8),
    ApiKey(u8),
    Path(u8),
    Model(u8),
    Header(u8),
    Not(Box<Self>),
    And(Box<Self>, Box<Self>),
    Or(Box<Self>, Box<Self>),
}

/// What `Model` is held against.
#[derive(Debug, Clone, Copy)]
enum Body {
    Read(Option<u8>),
    /// Unread: as if each matcher of it, negated or not, held or failed.
    Suits(bool),
}

const KEYS: u8 = 4;
const FILES: u8 = 4;
const ENTRY_POINTS: [&str; 3] = ["web", "admin", "gone"];

/// The ways a key may stand in `Authorization`.
fn authorization(way: u8, key: u8) -> String {
    match way % 4 {
        0 => format!("Bearer k{key}"),
        1 => format!("bearer  k{key}"),
        2 => format!("k{key}"),
        _ => format!("Basic k{key}"),
    }
}

impl Sketch {
    fn text(&self) -> String {
        match self {
            Self::Key(key) => format!("Key(`k{key}`)"),
            Self::KeySha256(key) => format!("KeySha256(`{}`)", KeyHash::of(format!("k{key}").as_bytes()).to_hex()),
            Self::Exactly(way, key) => format!("Header(`Authorization`, `{}`)", authorization(*way, *key)),
            Self::List(one, other) => format!("HeaderRegexp(`authorization`, `^Bearer (k{one}|k{other})$`)"),
            Self::From(least) => format!("HeaderRegexp(`Authorization`, `^Bearer +k[{least}-9]`)"),
            Self::ApiKey(key) => format!("Header(`X-Api-Key`, `k{key}`)"),
            Self::Path(path) => format!("Path(`/p{path}`)"),
            Self::Model(model) => format!("Model(`m{model}`)"),
            Self::Header(value) => format!("Header(`X-Other`, `v{value}`)"),
            Self::Not(inner) => format!("!({})", inner.text()),
            Self::And(left, right) => format!("({} && {})", left.text(), right.text()),
            Self::Or(left, right) => format!("({} || {})", left.text(), right.text()),
        }
    }

    /// Whether the rule holds, and if so, whether a key had a part in it. `wanted` says which truth is asked for, which
    /// is how negation is carried down.
    fn outcome(&self, asked: &Asked<'_>, wanted: bool, model: Body) -> Option<bool> {
        let plain = |holds: bool| (holds == wanted).then_some(false);
        let by_key = |holds: bool| (holds == wanted).then_some(wanted);
        let both = |left: Option<bool>, right: Option<bool>| Some(left? | right?);
        let either = |left: Option<bool>, right: Option<bool>| match (left, right) {
            (Some(left), Some(right)) => Some(left | right),
            (one, other) => one.or(other),
        };
        match self {
            Self::Key(key) | Self::KeySha256(key) => by_key(asked.key == Some(format!("k{key}"))),
            Self::Exactly(way, key) => by_key(asked.authorization() == Some(authorization(*way, *key))),
            Self::List(one, other) => {
                let seen = asked.authorization();
                by_key([one, other].iter().any(|key| seen == Some(format!("Bearer k{key}"))))
            }
            Self::From(least) => by_key(asked.authorization().is_some_and(|value| {
                let key = value.strip_prefix("Bearer ").map(|rest| rest.trim_start_matches(' '));
                key.and_then(|key| key.strip_prefix('k'))
                    .and_then(|key| key.parse().ok())
                    .is_some_and(|key: u8| key >= *least)
            })),
            Self::ApiKey(key) => by_key(asked.lines.contains(&("x-api-key", format!("k{key}")))),
            Self::Path(path) => plain(asked.path == format!("/p{path}")),
            Self::Model(name) => match model {
                Body::Read(model) => plain(model == Some(*name)),
                Body::Suits(suits) => suits.then_some(false),
            },
            Self::Header(value) => plain(asked.lines.contains(&("x-other", format!("v{value}")))),
            Self::Not(inner) => inner.outcome(asked, !wanted, model),
            Self::And(left, right) | Self::Or(left, right) => {
                let (left, right) = (left.outcome(asked, wanted, model), right.outcome(asked, wanted, model));
                if matches!(self, Self::And(..)) == wanted {
                    both(left, right)
                } else {
                    either(left, right)
                }
            }
        }
    }

    /// Whether some request with this credential is let in by it: matchers of anything else may go either way.
    fn knows(&self, asked: &Asked<'_>, wanted: bool) -> Option<bool> {
        match self {
            Self::Path(_) | Self::Model(_) | Self::Header(_) => Some(false),
            Self::Not(inner) => inner.knows(asked, !wanted),
            Self::And(left, right) | Self::Or(left, right) => {
                let (left, right) = (left.knows(asked, wanted), right.knows(asked, wanted));
                match (left, right, matches!(self, Self::And(..)) == wanted) {
                    (Some(left), Some(right), _) => Some(left | right),
                    (_, _, true) => None,
                    (one, other, false) => one.or(other),
                }
            }
            _ => self.outcome(asked, wanted, Body::Read(None)),
        }
    }
}

#[derive(Debug, Clone)]
struct SketchRouter {
    name: u8,
    rule: Sketch,
    priority: i64,
    entry_points: Option<Vec<usize>>,
    /// The number of the file that defines it; the last one never comes.
    service: u8,
}

type SketchFile = Vec<SketchRouter>;

/// A request: the headers that bring a key, and how.
#[derive(Debug, Clone)]
struct SketchRequest {
    key: Option<u8>,
    /// Whether each of `Authorization`, `x-api-key` and `x-goog-api-key` brings it.
    carriers: [bool; 3],
    way: u8,
    path: u8,
    other: Option<u8>,
    model: Option<Option<u8>>,
    entry_point: Option<usize>,
}

/// What the oracle knows of a request.
struct Asked<'a> {
    lines: &'a [(&'static str, String)],
    key: Option<String>,
    path: String,
}

impl Asked<'_> {
    fn authorization(&self) -> Option<String> {
        let line = self
            .lines
            .iter()
            .find(|(name, _)| *name == "authorization")
            .map(|(_, value)| value.clone());
        line.or_else(|| self.key.as_ref().map(|key| format!("Bearer {key}")))
    }
}

impl SketchRequest {
    /// The header lines. A key with a scheme that is not `Bearer` is a key of its own, and stands alone.
    fn lines(&self) -> Vec<(&'static str, String)> {
        let mut lines = Vec::new();
        if let Some(key) = self.key {
            let whole = self.way % 4 == 3;
            if self.carriers[0] || whole {
                lines.push(("authorization", authorization(self.way, key)));
            }
            for (carries, name) in [(self.carriers[1], "x-api-key"), (self.carriers[2], "x-goog-api-key")] {
                if carries && !whole {
                    lines.push((name, format!("k{key}")));
                }
            }
        }
        lines.extend(self.other.map(|value| ("x-other", format!("v{value}"))));
        lines
    }

    fn key(&self) -> Option<String> {
        let whole = self.way % 4 == 3;
        let carried = whole || self.carriers.contains(&true);
        self.key.filter(|_| carried).map(|key| {
            if whole {
                authorization(self.way, key)
            } else {
                format!("k{key}")
            }
        })
    }

    fn decide(&self, table: &Table) -> String {
        let mut headers = HeaderMap::new();
        for (name, value) in self.lines() {
            headers.append(
                HeaderName::from_static(name),
                HeaderValue::from_str(&value).expect("a value"),
            );
        }
        let credential = Credential::from_headers(&headers).expect("one credential");
        assert_eq!(
            credential.as_ref().map(|found| found.hash),
            self.key().map(|key| KeyHash::of(key.as_bytes()))
        );
        let path = format!("/p{}", self.path);
        let model = self.model.map(|model| model.map(|model| format!("m{model}")));
        shown(
            &table.decide(&Request {
                credential: credential.as_ref(),
                method: "POST",
                host: "h",
                path: &path,
                query: None,
                headers: &headers,
                client_ip: IpAddr::V4(Ipv4Addr::LOCALHOST),
                entry_point: self.entry_point.map(|at| ENTRY_POINTS[at]),
                model: model
                    .as_ref()
                    .map_or(Model::Unread, |model| Model::Read(model.as_deref())),
            }),
        )
    }
}

/// A linear scan over all routers.
fn oracle(files: &BTreeMap<String, SketchFile>, refused: &[u8], request: &SketchRequest) -> String {
    let mut routers: BTreeMap<u8, &SketchRouter> = BTreeMap::new();
    for router in files.values().flatten() {
        routers.entry(router.name).or_insert(router);
    }
    let mut routers: Vec<_> = routers.into_values().collect();
    routers.sort_by_key(|router| (Reverse(router.priority), router.name));

    let lines = request.lines();
    let asked = Asked {
        lines: &lines,
        key: request.key(),
        path: format!("/p{}", request.path),
    };
    let keyed = asked.key.is_some();
    for router in &routers {
        let exist = |points: &Vec<usize>| points.iter().any(|at| *at < 2);
        let unreachable = router.entry_points.as_ref().is_some_and(|points| !exist(points));
        let here = match (&router.entry_points, request.entry_point) {
            (Some(points), Some(at)) => unreachable || points.contains(&at),
            _ => true,
        };
        let read = |body| router.rule.outcome(&asked, true, body);
        let [least, most] = match request.model {
            Some(model) => [read(Body::Read(model)); 2],
            None => [read(Body::Suits(false)), read(Body::Suits(true))],
        };
        if !here || !(least..=most).contains(&Some(keyed)) {
            continue;
        }
        if least != most {
            return "model?".into();
        }
        let works = files.contains_key(&format!("{}.yml", router.service)) && !unreachable;
        return format!("{} r{}", if works { "→" } else { "broken" }, router.name);
    }
    match &asked.key {
        None => "keyless".into(),
        Some(_)
            if routers
                .iter()
                .any(|router| router.rule.knows(&asked, true) == Some(true)) =>
        {
            "no router".into()
        }
        Some(key) if refused.iter().any(|other| *key == format!("k{other}")) => "file broken".into(),
        Some(_) => "unknown".into(),
    }
}

fn sketch() -> impl Strategy<Value = Sketch> {
    let leaf = prop_oneof![
        3 => (0..KEYS).prop_map(Sketch::Key),
        1 => (0..KEYS).prop_map(Sketch::KeySha256),
        2 => (0..4_u8, 0..KEYS).prop_map(|(way, key)| Sketch::Exactly(way, key)),
        2 => (0..KEYS, 0..KEYS).prop_map(|(one, other)| Sketch::List(one, other)),
        1 => (0..KEYS).prop_map(Sketch::From),
        1 => (0..KEYS).prop_map(Sketch::ApiKey),
        2 => (0..3_u8).prop_map(Sketch::Path),
        1 => (0..3_u8).prop_map(Sketch::Model),
        1 => (0..2_u8).prop_map(Sketch::Header),
    ];
    leaf.prop_recursive(4, 12, 2, |inner| {
        prop_oneof![
            inner.clone().prop_map(|inner| Sketch::Not(Box::new(inner))),
            (inner.clone(), inner.clone()).prop_map(|(left, right)| Sketch::And(Box::new(left), Box::new(right))),
            (inner.clone(), inner).prop_map(|(left, right)| Sketch::Or(Box::new(left), Box::new(right))),
        ]
    })
}

fn file() -> impl Strategy<Value = SketchFile> {
    let points = prop::option::weighted(0.3, prop::sample::subsequence(vec![0, 1, 2], 1..=2));
    let router = (0..8_u8, sketch(), 1..4_i64, points, 0..=FILES);
    let router = router.prop_map(|(name, rule, priority, entry_points, service)| SketchRouter {
        name,
        rule,
        priority,
        entry_points,
        service,
    });
    prop::collection::vec(router, 0..5).prop_map(|mut routers| {
        let mut seen = Vec::new();
        routers.retain(|router| !seen.contains(&router.name) && (seen.push(router.name), true).1);
        routers
    })
}

fn request() -> impl Strategy<Value = SketchRequest> {
    let key = prop::option::weighted(0.8, 0..=KEYS);
    let model = prop::option::of(prop::option::of(0..3_u8));
    let entry_point = prop::option::of(0..2_usize);
    (
        key,
        any::<[bool; 3]>(),
        0..4_u8,
        0..3_u8,
        prop::option::of(0..2_u8),
        model,
        entry_point,
    )
        .prop_map(|(key, carriers, way, path, other, model, entry_point)| SketchRequest {
            key,
            carriers,
            way,
            path,
            other,
            model,
            entry_point,
        })
}

fn mapping(name: &str, routers: &SketchFile) -> Arc<Mapping> {
    let mut file = File::default().service(&format!("s{}", name.trim_end_matches(".yml")));
    for router in routers {
        let points = router
            .entry_points
            .as_ref()
            .map(|points| points.iter().map(|at| ENTRY_POINTS[*at]).collect());
        let points: Option<Vec<&str>> = points;
        file = file.router_on(
            &format!("r{}", router.name),
            &router.rule.text(),
            &format!("s{}", router.service),
            router.priority,
            points.as_deref(),
            &[],
        );
    }
    file.mapping()
}

fn compiler() -> Compiler {
    Compiler::new(Some(vec!["web".into(), "admin".into()]))
}

proptest! {
    /// Files come, change and go; at each step the table is what a linear scan says, and what compiling the same files
    /// from nothing gives, in its decisions as in its problems.
    #[test]
    fn every_table_equals_a_linear_scan(
        changes in prop::collection::vec((0..FILES, prop::option::weighted(0.8, file())), 1..8),
        refused in prop::collection::vec(0..=KEYS, 0..3),
        requests in prop::collection::vec(request(), 1..12),
    ) {
        let mut files = BTreeMap::new();
        let mut grown = compiler();
        let hashes = || refused.iter().map(|key| KeyHash::of(format!("k{key}").as_bytes())).collect();
        grown.set_refused("bad.yml", hashes());
        for (at, change) in changes {
            let name = format!("{at}.yml");
            grown.set(&name, change.as_ref().map(|routers| mapping(&name, routers)));
            match change {
                Some(routers) => files.insert(name, routers),
                None => files.remove(&name),
            };
            let (table, problems) = grown.table();
            let mut fresh = compiler();
            for (name, routers) in files.iter().rev() {
                fresh.set(name, Some(mapping(name, routers)));
            }
            fresh.set_refused("bad.yml", hashes());
            let (fresh, fresh_problems) = fresh.table();
            prop_assert_eq!(problems, fresh_problems);
            prop_assert_eq!((table.keys(), table.routers()), (fresh.keys(), fresh.routers()));
            for request in &requests {
                let expected = oracle(&files, &refused, request);
                prop_assert_eq!(request.decide(&table), expected.clone(), "{:?}", request);
                prop_assert_eq!(request.decide(&fresh), expected);
            }
        }
    }
}
