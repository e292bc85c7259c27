//! What is shown, made of two looks at both planes. Pure.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::exposition::Page;

/// So many seconds of tokens a second, at one look a second: wider than most terminals.
const HISTORY: usize = 240;

/// Of the reasons for refusals and failures, the most frequent.
const TROUBLES_MAX: usize = 6;

/// One look at both planes; `Err` says why a plane is away.
#[derive(Debug, Clone, Default)]
pub(super) struct Look {
    pub(super) edge: Seen,
    pub(super) aggregator: Seen,
    /// Models by backend, where the admin token was good for it.
    pub(super) models: BTreeMap<String, Vec<String>>,
    /// Since the look before.
    pub(super) since: Option<Duration>,
}

/// A plane, as far as it can be seen.
#[derive(Debug, Clone, Default)]
pub(super) enum Seen {
    /// Nobody wants it looked at.
    #[default]
    Ignored,
    Away(String),
    There(Page),
}

impl Seen {
    fn page(&self) -> Option<&Page> {
        match self {
            Self::There(page) => Some(page),
            _ => None,
        }
    }
}

#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Scene {
    /// `None`: it is there. Or why it is not.
    pub(super) edge: Option<String>,
    pub(super) aggregator: Option<String>,
    pub(super) totals: Totals,
    pub(super) servers: Vec<Server>,
    pub(super) keys: Vec<Key>,
    pub(super) troubles: Vec<Trouble>,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Totals {
    pub(super) in_flight: f64,
    pub(super) connections: f64,
    pub(super) requests_per_s: f64,
    pub(super) tokens_per_s: f64,
    pub(super) first_token: Option<Duration>,
    pub(super) keys: f64,
    pub(super) bad_files: f64,
}

/// A server as the edge knows it, or a backend as the aggregator does.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Server {
    pub(super) plane: &'static str,
    pub(super) name: String,
    pub(super) state: &'static str,
    pub(super) in_flight: f64,
    pub(super) requests_per_s: f64,
    /// `None`: not counted there.
    pub(super) tokens_per_s: Option<f64>,
    pub(super) first_token: Option<Duration>,
    pub(super) models: String,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Key {
    pub(super) name: String,
    pub(super) in_flight: f64,
    pub(super) requests: f64,
    pub(super) requests_per_s: f64,
    /// In and out; `None` where nobody counts them.
    pub(super) tokens: Option<f64>,
    pub(super) tokens_per_s: f64,
    pub(super) first_token: Option<Duration>,
    /// Used, and allowed, of its budget of tokens.
    pub(super) budget: Option<(f64, f64)>,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Trouble {
    pub(super) what: String,
    pub(super) total: f64,
    pub(super) per_s: f64,
}

/// Tokens a second, look by look, the latest last.
#[derive(Debug, Clone, Default)]
pub(super) struct History(VecDeque<u64>);

impl History {
    pub(super) fn push(&mut self, scene: &Scene) {
        if self.0.len() == HISTORY {
            self.0.pop_front();
        }
        // What does not fit is 0: a rate is never negative.
        self.0.push_back(scene.totals.tokens_per_s.round() as u64);
    }

    /// The last so many.
    pub(super) fn last(&self, count: usize) -> Vec<u64> {
        let skipped = self.0.len().saturating_sub(count);
        self.0.iter().skip(skipped).copied().collect()
    }
}

/// Two looks, to tell what came between them.
struct Between<'a> {
    before: Option<&'a Page>,
    now: &'a Page,
    seconds: f64,
}

impl Between<'_> {
    /// What a counter grew by, a second. One that is smaller than before began anew.
    fn rate(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let (Some(before), Some(now)) = (self.before, self.now.sum_where(name, labels)) else {
            return 0.0;
        };
        let grown = now - before.sum_where(name, labels).unwrap_or(0.0);
        if grown < 0.0 { 0.0 } else { grown / self.seconds }
    }

    /// The mean of what a histogram took in; of all it ever did where that was nothing.
    fn mean(&self, name: &str, labels: &[(&str, &str)]) -> Option<Duration> {
        let of = |page: &Page, part: &str| page.sum_where(&format!("{name}_{part}"), labels).unwrap_or(0.0);
        let (sum, count) = (of(self.now, "sum"), of(self.now, "count"));
        let (mut more, mut times) = (sum, count);
        if let Some(before) = self.before {
            (more, times) = (sum - of(before, "sum"), count - of(before, "count"));
        }
        if times < 1.0 {
            (more, times) = (sum, count);
        }
        (times >= 1.0 && more >= 0.0).then(|| Duration::from_secs_f64(more / times))
    }
}

pub(super) fn scene(before: &Look, now: &Look) -> Scene {
    let seconds = now.since.map_or(1.0, |since| since.as_secs_f64().max(0.001));
    let mut scene = Scene {
        edge: away(&now.edge),
        aggregator: away(&now.aggregator),
        ..Scene::default()
    };
    if let Some(page) = now.edge.page() {
        let between = Between {
            before: before.edge.page(),
            now: page,
            seconds,
        };
        edge(&between, &mut scene);
    }
    if let Some(page) = now.aggregator.page() {
        let between = Between {
            before: before.aggregator.page(),
            now: page,
            seconds,
        };
        aggregator(&between, &now.models, &mut scene);
    }
    let frequent = |a: &Trouble, b: &Trouble| b.per_s.total_cmp(&a.per_s).then(b.total.total_cmp(&a.total));
    scene.troubles.sort_by(frequent);
    scene.troubles.truncate(TROUBLES_MAX);
    scene
}

fn away(seen: &Seen) -> Option<String> {
    match seen {
        Seen::There(_) => None,
        Seen::Ignored => Some("not looked at".to_owned()),
        Seen::Away(cause) => Some(cause.clone()),
    }
}

fn edge(between: &Between<'_>, scene: &mut Scene) {
    let page = between.now;
    let sum = |name: &str| page.sum(name).unwrap_or(0.0);
    for (name, in_flight) in page.by("conclave_edge_requests_in_flight", "router") {
        let key = key(between, name, in_flight);
        if key != Key::default() && (key.name != "_other" || key.requests > 0.0) {
            scene.keys.push(key);
        }
    }
    for (service, url) in page.pairs("conclave_edge_server_requests_in_flight", ("service", "server")) {
        scene.servers.push(edge_server(between, &service, &url));
    }
    scene.totals.in_flight += sum("conclave_edge_requests_in_flight");
    scene.totals.connections += sum("conclave_edge_connections");
    scene.totals.requests_per_s += between.rate("conclave_edge_requests_total", &[]);
    scene.totals.tokens_per_s += between.rate("conclave_edge_tokens_total", &[("direction", "output")]);
    scene.totals.first_token = between.mean("conclave_edge_time_to_first_token_seconds", &[]);
    scene.totals.keys = sum("conclave_mapping_keys");
    scene.totals.bad_files = sum("conclave_mapping_files") - page_loaded(page);
    troubles(between, ("conclave_edge_refusals_total", "reason", "refused"), scene);
    troubles(
        between,
        ("conclave_edge_upstream_failures_total", "kind", "server"),
        scene,
    );
}

fn page_loaded(page: &Page) -> f64 {
    let loaded = page.sum_where("conclave_mapping_files", &[("state", "loaded")]);
    loaded.unwrap_or(0.0)
}

fn key(between: &Between<'_>, name: String, in_flight: f64) -> Key {
    let page = between.now;
    let of = [("router", name.as_str())];
    let used = page.sum_where("conclave_edge_budget_used_tokens", &of);
    let limit = page.sum_where("conclave_edge_budget_limit_tokens", &of);
    Key {
        in_flight,
        requests: page
            .sum_where("conclave_edge_request_duration_seconds_count", &of)
            .unwrap_or(0.0),
        requests_per_s: between.rate("conclave_edge_request_duration_seconds_count", &of),
        tokens: page.sum_where("conclave_edge_tokens_total", &of),
        tokens_per_s: between.rate("conclave_edge_tokens_total", &[of[0], ("direction", "output")]),
        first_token: between.mean("conclave_edge_time_to_first_token_seconds", &of),
        budget: used.zip(limit),
        name,
    }
}

fn edge_server(between: &Between<'_>, service: &str, url: &str) -> Server {
    let of = [("service", service), ("server", url)];
    let is = |state: &&str| {
        let labels = [of[0], of[1], ("state", *state)];
        between.now.sum_where("conclave_edge_server_state", &labels) == Some(1.0)
    };
    let state = ["up", "suspect", "loading", "down"].into_iter().find(is);
    Server {
        plane: "edge",
        name: format!("{service} {url}"),
        state: state.unwrap_or("-"),
        in_flight: between
            .now
            .sum_where("conclave_edge_server_requests_in_flight", &of)
            .unwrap_or(0.0),
        requests_per_s: between.rate("conclave_edge_server_picks_total", &of),
        ..Server::default()
    }
}

fn aggregator(between: &Between<'_>, models: &BTreeMap<String, Vec<String>>, scene: &mut Scene) {
    let page = between.now;
    for (name, up) in page.by("conclave_backend_up", "backend") {
        let of = [("backend", name.as_str())];
        let value = |family: &str| page.sum_where(family, &of).unwrap_or(0.0);
        let output = [of[0], ("gen_ai_token_type", "output")];
        scene.servers.push(Server {
            plane: "aggregator",
            state: match (up > 0.0, value("conclave_backend_suspended") > 0.0) {
                (_, true) => "suspended",
                (true, _) => "up",
                (false, _) => "down",
            },
            in_flight: value("conclave_backend_active_requests"),
            requests_per_s: between.rate("conclave_backend_answered_total", &of),
            tokens_per_s: Some(between.rate("gen_ai_client_token_usage_sum", &output)),
            first_token: between.mean("gen_ai_server_time_to_first_token_seconds", &of),
            models: models.get(&name).map(|names| names.join(", ")).unwrap_or_default(),
            name,
        });
    }
    // What comes through the edge is in its figures already; what only the aggregator sees is not.
    if scene.edge.is_some() {
        scene.totals.in_flight += page.sum("conclave_backend_active_requests").unwrap_or(0.0);
        scene.totals.requests_per_s += between.rate("conclave_aggregator_requests_total", &[]);
        scene.totals.first_token = between.mean("gen_ai_server_time_to_first_token_seconds", &[]);
    }
    let told = between.rate("gen_ai_client_token_usage_sum", &[("gen_ai_token_type", "output")]);
    scene.totals.tokens_per_s = scene.totals.tokens_per_s.max(told);
    for (error, total) in page.by("gen_ai_server_request_duration_seconds_count", "error_type") {
        if !error.is_empty() && total > 0.0 {
            let per_s = between.rate(
                "gen_ai_server_request_duration_seconds_count",
                &[("error_type", &error)],
            );
            let what = format!("backend: {error}");
            scene.troubles.push(Trouble { what, total, per_s });
        }
    }
}

fn troubles(between: &Between<'_>, (family, label, kind): (&str, &str, &str), scene: &mut Scene) {
    for (reason, total) in between.now.by(family, label) {
        if total > 0.0 {
            let per_s = between.rate(family, &[(label, &reason)]);
            let what = format!("{kind}: {reason}");
            scene.troubles.push(Trouble { what, total, per_s });
        }
    }
}
