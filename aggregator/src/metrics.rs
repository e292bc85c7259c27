//! The page `/metrics`, in Prometheus' text format. Owns its syntax; what is counted is its rooms' own.

mod backends;
mod capture;
mod requests;
mod spans;
mod specimen;

pub(crate) use requests::{Attempted, Requests, Served};
pub use specimen::metrics_specimen;

use std::fmt::{self, Write as _};
use std::sync::Arc;

use ::capture::Ledger;

use crate::fleet::FleetView;
use crate::ingest::IngestMetrics;

/// The rooms that count, as far as they are there.
#[derive(Debug, Clone, Default)]
pub(crate) struct Metrics {
    pub(crate) requests: Arc<Requests>,
    pub(crate) tracer: Option<traces::Tracer>,
    pub(crate) ingest: Option<IngestMetrics>,
    /// The aggregator's own journal.
    pub(crate) ledger: Option<Arc<Ledger>>,
}

impl Metrics {
    pub(crate) fn page(&self, fleet: &FleetView) -> String {
        let mut page = Exposition::default();
        backends::expose(fleet, &mut page);
        page.append(&self.requests.text());
        if let Some(ledger) = &self.ledger {
            capture::expose(&ledger.statistics(), &mut page);
        }
        if let Some(tracer) = &self.tracer {
            spans::expose(tracer.counts(), &mut page);
        }
        if let Some(ingest) = &self.ingest {
            ingest.expose(&mut page);
        }
        page.into_page()
    }
}

/// What a family counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Counter,
    Gauge,
}

/// A page that is being written: families one after the other, each with its samples.
#[derive(Default)]
pub(crate) struct Exposition {
    page: String,
    family: String,
}

impl Exposition {
    /// Begins a family; the samples that follow are its.
    pub(crate) fn family(&mut self, name: &str, kind: Kind, help: &str) {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
        };
        self.put(format_args!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
        name.clone_into(&mut self.family);
    }

    pub(crate) fn sample(&mut self, labels: &[(&str, &str)], value: u64) {
        let family = std::mem::take(&mut self.family);
        self.put(format_args!("{family}"));
        for (index, (name, value)) in labels.iter().enumerate() {
            let before = if index == 0 { '{' } else { ',' };
            let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            self.put(format_args!("{before}{name}=\"{value}\""));
        }
        let after = if labels.is_empty() { "" } else { "}" };
        self.put(format_args!("{after} {value}\n"));
        self.family = family;
    }

    /// Whole families, as they are.
    pub(crate) fn append(&mut self, families: &str) {
        self.page.push_str(families);
    }

    pub(crate) fn into_page(self) -> String {
        self.page
    }

    fn put(&mut self, text: fmt::Arguments<'_>) {
        // A string takes whatever is written.
        let _infallible = self.page.write_fmt(text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_what_prometheus_reads() {
        let mut page = Exposition::default();
        page.family("a_total", Kind::Counter, "How many.");
        page.sample(&[], 7);
        page.sample(&[("x", "a\"b\\c\nd"), ("y", "z")], 8);
        let expected =
            "# HELP a_total How many.\n# TYPE a_total counter\na_total 7\na_total{x=\"a\\\"b\\\\c\\nd\",y=\"z\"} 8\n";
        assert_eq!(page.into_page(), expected);
    }
}
