//! What is told while it runs, one JSON object a line: the orchestrator samples the proxy when it reads one.

use std::io::Write;

use serde_json::{Value, json};

use crate::clock::now_ns;

/// Everything is open and under way: memory may be read.
pub(crate) const OPEN: &str = "open";
/// What counts begins now.
pub(crate) const WINDOW: &str = "window";
/// What counts has ended.
pub(crate) const END: &str = "end";
/// The last line.
pub(crate) const SUMMARY: &str = "summary";

pub(crate) fn tell(event: &str, mut more: Value) {
    if let Some(fields) = more.as_object_mut() {
        fields.insert("event".to_owned(), json!(event));
        fields.insert("at_ns".to_owned(), json!(now_ns()));
    }
    let mut out = std::io::stdout().lock();
    // The orchestrator may have gone; then there is nobody to tell that either.
    let _ = writeln!(out, "{more}").and_then(|()| out.flush());
}

/// What is to be told when.
pub(crate) struct Schedule {
    steps: Vec<(u64, &'static str)>,
    told: usize,
}

impl Schedule {
    /// Steps in the order of their times.
    pub(crate) fn new(steps: Vec<(u64, &'static str)>) -> Self {
        Self { steps, told: 0 }
    }

    pub(crate) fn tell_due(&mut self, now: u64) {
        while let Some((at_ns, event)) = self.steps.get(self.told)
            && *at_ns <= now
        {
            self.told += 1;
            tell(event, json!({}));
        }
    }

    /// When the next is due; `None` once all have been told.
    pub(crate) fn next_ns(&self) -> Option<u64> {
        self.steps.get(self.told).map(|(at_ns, _)| *at_ns)
    }
}
