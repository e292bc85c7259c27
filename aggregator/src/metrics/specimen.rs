//! A page on which every family has a sample: what docs/METRICS.md is made of. It counts nothing that happened.

use std::time::Duration;

use ::capture::Statistics;

use super::{Attempted, Exposition, Requests, Served, backends, capture, spans};
use crate::ingest::IngestMetrics;

/// In Prometheus' text format, as `/metrics` gives it.
pub fn metrics_specimen() -> String {
    let mut page = Exposition::default();
    backends::expose_specimen(&mut page);
    page.append(&requests().text());
    capture::expose(&Statistics::default(), &mut page);
    spans::expose(traces::Counts::default(), &mut page);
    IngestMetrics::default().expose(&mut page);
    page.into_page()
}

fn requests() -> Requests {
    let requests = Requests::new();
    requests.answered("", 200);
    requests.fell_back("", "");
    let served = Served {
        operation: "",
        model: "",
        backend: "",
    };
    let attempted = Attempted {
        duration: Duration::from_secs(2),
        first_token: Some(Duration::from_secs(1)),
        input_tokens: Some(1),
        output_tokens: Some(2),
        error: None,
    };
    requests.attempted(served, &attempted);
    requests
}
