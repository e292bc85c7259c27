//! What the gateway's requests came to: how many, how long, how soon, how many tokens, by model and backend.
//!
//! The names are those of OpenTelemetry's conventions for generative AI, in Prometheus' form; what they do not cover is
//! called `conclave_aggregator_*`. Labels are bounded: operations, backends and models that the configuration or a
//! backend names, and of their combinations no more than [`SERIES_MAX`]; what is beyond is counted as [`OTHER`].

use std::collections::HashSet;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use prometheus::core::Collector;
use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, Opts, Registry, TextEncoder};

/// Some 20,000 lines of a page.
const SERIES_MAX: usize = 256;

const OTHER: &str = "_other";

/// 0.01 · 2ⁿ: the convention's up to 81.92, and on to what a long prompt takes on a machine of one's own.
const DURATION_BUCKETS: [f64; 18] = [
    0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92, 163.84, 327.68, 655.36,
    1310.72,
];

/// The convention's, and on to a long prompt's.
const FIRST_TOKEN_BUCKETS: [f64; 20] = [
    0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 30.0, 60.0, 120.0,
    300.0,
];

const PER_TOKEN_BUCKETS: [f64; 13] = [0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5];

/// 4ⁿ.
const TOKEN_BUCKETS: [f64; 14] = [
    1.0, 4.0, 16.0, 64.0, 256.0, 1024.0, 4096.0, 16384.0, 65536.0, 262144.0, 1048576.0, 4194304.0, 16777216.0,
    67108864.0,
];

/// What most families are told apart by.
const SERVED: [&str; 3] = ["gen_ai_operation_name", "gen_ai_request_model", "backend"];

pub(crate) struct Requests {
    registry: Registry,
    answered: IntCounterVec,
    fallbacks: IntCounterVec,
    duration: HistogramVec,
    first_token: HistogramVec,
    per_token: HistogramVec,
    tokens: HistogramVec,
    series: Mutex<HashSet<Series>>,
}

type Series = [String; 3];

/// Who was asked what.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Served<'a> {
    /// `chat`, `text_completion` or `embeddings`.
    pub(crate) operation: &'static str,
    /// As the backend calls it.
    pub(crate) model: &'a str,
    pub(crate) backend: &'a str,
}

/// How one attempt at one backend went.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Attempted {
    pub(crate) duration: Duration,
    pub(crate) first_token: Option<Duration>,
    pub(crate) input_tokens: Option<u64>,
    pub(crate) output_tokens: Option<u64>,
    /// In one word; `None` where it went well.
    pub(crate) error: Option<&'static str>,
}

impl Requests {
    pub(crate) fn new() -> Self {
        let registry = Registry::new();
        let with = |more: &'static str| [SERVED[0], SERVED[1], SERVED[2], more];
        Self {
            answered: registered(
                &registry,
                IntCounterVec::new(
                    Opts::new(
                        "conclave_aggregator_requests_total",
                        "Requests for a model's answer, by endpoint and status.",
                    ),
                    &["endpoint", "code"],
                ),
            ),
            fallbacks: registered(
                &registry,
                IntCounterVec::new(
                    Opts::new(
                        "conclave_aggregator_fallbacks_total",
                        "Requests that another model answered than the one that was asked for.",
                    ),
                    &["model", "served"],
                ),
            ),
            duration: histogram(
                &registry,
                "gen_ai_server_request_duration_seconds",
                "From asking a backend to its answer's end; error_type is empty where it went well.",
                (&with("error_type"), &DURATION_BUCKETS),
            ),
            first_token: histogram(
                &registry,
                "gen_ai_server_time_to_first_token_seconds",
                "From asking a backend to the first content of its stream.",
                (&SERVED, &FIRST_TOKEN_BUCKETS),
            ),
            per_token: histogram(
                &registry,
                "gen_ai_server_time_per_output_token_seconds",
                "Of a stream, from its first content to its end, by the tokens after the first.",
                (&SERVED, &PER_TOKEN_BUCKETS),
            ),
            tokens: histogram(
                &registry,
                "gen_ai_client_token_usage",
                "Tokens of a request (input) and of its answer (output), as the backend tells them.",
                (&with("gen_ai_token_type"), &TOKEN_BUCKETS),
            ),
            registry,
            series: Mutex::default(),
        }
    }

    /// A client was answered, whoever answered.
    pub(crate) fn answered(&self, endpoint: &'static str, status: u16) {
        let mut digits = [0; 3];
        let code = three_digits(status, &mut digits);
        self.answered.with_label_values(&[endpoint, code]).inc();
    }

    /// `model` was asked for, and `served` answered.
    pub(crate) fn fell_back(&self, model: &str, served: &str) {
        let [_, model, served] = self.bounded(["fallback", model, served]);
        self.fallbacks.with_label_values(&[&model, &served]).inc();
    }

    pub(crate) fn attempted(&self, served: Served<'_>, attempted: &Attempted) {
        let [operation, model, backend] = self.bounded([served.operation, served.model, served.backend]);
        let labels = [&*operation, &*model, &*backend];
        let with = |more: &'static str| [labels[0], labels[1], labels[2], more];
        let error = attempted.error.unwrap_or_default();
        let duration = attempted.duration.as_secs_f64();
        self.duration.with_label_values(&with(error)).observe(duration);
        for (kind, tokens) in [("input", attempted.input_tokens), ("output", attempted.output_tokens)] {
            if let Some(tokens) = tokens {
                self.tokens.with_label_values(&with(kind)).observe(tokens as f64);
            }
        }
        let Some(first) = attempted.first_token else { return };
        self.first_token.with_label_values(&labels).observe(first.as_secs_f64());
        let further = attempted.output_tokens.unwrap_or(0).saturating_sub(1);
        if further > 0 && attempted.error.is_none() {
            let spent = attempted.duration.saturating_sub(first).as_secs_f64();
            self.per_token
                .with_label_values(&labels)
                .observe(spent / further as f64);
        }
    }

    pub(crate) fn text(&self) -> String {
        // What can fail is a family without a name.
        TextEncoder::new()
            .encode_to_string(&self.registry.gather())
            .unwrap_or_default()
    }

    /// The same labels, unless there are too many others already.
    fn bounded(&self, labels: [&str; 3]) -> Series {
        let labels = labels.map(str::to_owned);
        let mut series = self.series.lock().unwrap_or_else(PoisonError::into_inner);
        if series.contains(&labels) {
            return labels;
        }
        if series.len() < SERIES_MAX {
            series.insert(labels.clone());
            return labels;
        }
        let [first, ..] = labels;
        [first, OTHER.to_owned(), OTHER.to_owned()]
    }
}

impl Default for Requests {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Requests {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Requests").finish_non_exhaustive()
    }
}

fn histogram(
    registry: &Registry,
    name: &str,
    help: &str,
    (labels, buckets): (&[&str], &'static [f64]),
) -> HistogramVec {
    let options = HistogramOpts::new(name, help).buckets(buckets.to_vec());
    registered(registry, HistogramVec::new(options, labels))
}

/// Names, labels and buckets are constants of this file; a test builds them all.
fn registered<C: Collector + Clone + 'static>(registry: &Registry, family: Result<C, prometheus::Error>) -> C {
    let family = family.expect("a family made of constants");
    registry.register(Box::new(family.clone())).expect("a name of its own");
    family
}

/// A status, without an allocation.
fn three_digits(status: u16, digits: &mut [u8; 3]) -> &str {
    let digit = |of: u16| b'0' + u8::try_from(of % 10).unwrap_or(0);
    *digits = [digit(status / 100), digit(status / 10), digit(status)];
    std::str::from_utf8(digits).unwrap_or("000")
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERVED: Served<'static> = Served {
        operation: "chat",
        model: "m",
        backend: "b",
    };

    #[test]
    fn a_stream_is_told_by_model_and_backend() {
        let requests = Requests::new();
        requests.answered("/v1/chat/completions", 200);
        requests.fell_back("big", "small");
        let went_well = Attempted {
            duration: Duration::from_secs(3),
            first_token: Some(Duration::from_secs(1)),
            input_tokens: Some(7),
            output_tokens: Some(11),
            error: None,
        };
        requests.attempted(SERVED, &went_well);
        let failed = Attempted {
            error: Some("timeout"),
            ..Attempted::default()
        };
        requests.attempted(SERVED, &failed);
        let text = requests.text();
        let labels = "backend=\"b\",gen_ai_operation_name=\"chat\",gen_ai_request_model=\"m\"";
        let typed = |kind: &str| format!("{labels},gen_ai_token_type=\"{kind}\"");
        let erred = |kind: &str| {
            format!(
                "backend=\"b\",error_type=\"{kind}\"{}",
                &labels["backend=\"b\"".len()..]
            )
        };
        for line in [
            "conclave_aggregator_requests_total{code=\"200\",endpoint=\"/v1/chat/completions\"} 1".to_owned(),
            "conclave_aggregator_fallbacks_total{model=\"big\",served=\"small\"} 1".to_owned(),
            format!("gen_ai_server_request_duration_seconds_sum{{{}}} 3", erred("")),
            format!("gen_ai_server_request_duration_seconds_count{{{}}} 1", erred("timeout")),
            format!("gen_ai_server_time_to_first_token_seconds_count{{{labels}}} 1"),
            format!("gen_ai_server_time_per_output_token_seconds_sum{{{labels}}} 0.2"),
            format!("gen_ai_client_token_usage_sum{{{}}} 7", typed("input")),
            format!("gen_ai_client_token_usage_sum{{{}}} 11", typed("output")),
        ] {
            assert!(text.contains(&line), "{line} in {text}");
        }
    }

    #[test]
    fn labels_are_bounded_however_many_models_there_are() {
        let requests = Requests::new();
        for number in 0..SERIES_MAX + 10 {
            let model = format!("m{number}");
            let served = Served {
                model: &model,
                ..SERVED
            };
            requests.attempted(served, &Attempted::default());
        }
        let text = requests.text();
        assert_eq!(
            text.matches("request_duration_seconds_count{").count(),
            SERIES_MAX + 1,
            "{text}"
        );
        assert!(text.contains("gen_ai_request_model=\"_other\"} 10"), "{text}");
    }
}
