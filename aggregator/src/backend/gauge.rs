//! How busy a backend is, where it says so: llama.cpp's `/slots`, or its `/metrics` and `/props`; vLLM's `/metrics`.
//! Pure: what to ask next, and how answers read.
//!
//! A server that does not know an address is not asked for it again until it has been down: which of them it has is a
//! matter of its flags.

use serde::Deserialize;

/// Where a backend's load is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Gauge {
    /// Not known yet: the model list tells whose server it is.
    #[default]
    Untried,
    LlamaSlots,
    LlamaMetrics,
    VllmMetrics,
    /// It tells nobody.
    None,
}

/// A backend's load as it told it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Load {
    /// How many requests it works on at once.
    pub(crate) slots: Option<u32>,
    /// How many it works on or has waiting.
    pub(crate) busy: u32,
}

impl Gauge {
    /// For a server whose models belong to this owner.
    pub(super) fn of(owner: Option<&str>) -> Self {
        match owner {
            Some("llamacpp") => Self::LlamaSlots,
            Some("vllm") => Self::VllmMetrics,
            _ => Self::None,
        }
    }

    pub(super) fn path(self) -> Option<&'static str> {
        match self {
            Self::LlamaSlots => Some("/slots"),
            Self::LlamaMetrics | Self::VllmMetrics => Some("/metrics"),
            Self::Untried | Self::None => None,
        }
    }

    /// What is asked the next time where this one is refused.
    pub(super) fn next(self) -> Self {
        match self {
            Self::LlamaSlots => Self::LlamaMetrics,
            _ => Self::None,
        }
    }

    pub(super) fn read(self, body: &[u8]) -> Option<Load> {
        match self {
            Self::LlamaSlots => slots(body),
            Self::LlamaMetrics => metrics(body, &["llamacpp:requests_processing", "llamacpp:requests_deferred"]),
            Self::VllmMetrics => metrics(body, &["vllm:num_requests_running", "vllm:num_requests_waiting"]),
            Self::Untried | Self::None => None,
        }
    }
}

/// Only what is counted is kept: a busy slot's entry has its prompt in it.
fn slots(body: &[u8]) -> Option<Load> {
    #[derive(Deserialize)]
    struct Slot {
        is_processing: bool,
    }
    let slots: Vec<Slot> = serde_json::from_slice(body).ok()?;
    let count = |count: usize| u32::try_from(count).ok();
    Some(Load {
        slots: count(slots.len()).filter(|slots| *slots > 0),
        busy: count(slots.iter().filter(|slot| slot.is_processing).count())?,
    })
}

/// The sum of these metrics over all their labels; `None` where none of them is there.
fn metrics(body: &[u8], names: &[&str]) -> Option<Load> {
    let text = std::str::from_utf8(body).ok()?;
    let samples: Vec<f64> = text.lines().filter_map(|line| sample(line, names)).collect();
    if samples.is_empty() {
        return None;
    }
    let busy = samples.iter().sum::<f64>().clamp(0.0, f64::from(u32::MAX));
    Some(Load {
        slots: None,
        // Within the bounds of the type, and a count.
        busy: busy as u32,
    })
}

/// The value of a line `name{labels} value`, where it is one of these.
fn sample(line: &str, names: &[&str]) -> Option<f64> {
    let rest = names.iter().find_map(|name| line.strip_prefix(name))?;
    let value = match rest.strip_prefix('{') {
        Some(labelled) => labelled.rsplit_once('}')?.1,
        None => rest.strip_prefix(' ')?,
    };
    value
        .split_whitespace()
        .next()?
        .parse::<f64>()
        .ok()
        .filter(|value| value.is_finite())
}

/// `total_slots` of llama.cpp's `/props`.
pub(super) fn total_slots(body: &[u8]) -> Option<u32> {
    #[derive(Deserialize)]
    struct Props {
        total_slots: u32,
    }
    serde_json::from_slice::<Props>(body)
        .ok()
        .map(|props| props.total_slots)
        .filter(|slots| *slots > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_counted_and_nothing_else_of_them_is_read() {
        let body = br#"[{"id":0,"n_ctx":8,"is_processing":true,"prompt":"secret"},{"id":1,"is_processing":false}]"#;
        assert_eq!(
            Gauge::LlamaSlots.read(body),
            Some(Load {
                slots: Some(2),
                busy: 1
            })
        );
        for bad in ["", "{}", "[{}]", r#"{"error":{"code":501}}"#] {
            assert_eq!(Gauge::LlamaSlots.read(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn metrics_are_summed_over_their_labels() {
        for (gauge, body, busy) in [
            (
                Gauge::LlamaMetrics,
                "# TYPE x gauge\nllamacpp:requests_processing 3\nllamacpp:requests_deferred 2\nother 9\n",
                Some(5),
            ),
            (
                Gauge::VllmMetrics,
                "vllm:num_requests_running{engine=\"0\",m=\"a}b\"} 1.0\nvllm:num_requests_running{engine=\"1\"} 2.0 17\n\
                 vllm:num_requests_waiting{} 4e0\nvllm:num_requests_running_total 100\n",
                Some(7),
            ),
            (Gauge::VllmMetrics, "vllm:num_requests_running NaN\n", None),
            (Gauge::LlamaMetrics, "<html>", None),
        ] {
            assert_eq!(gauge.read(body.as_bytes()).map(|load| load.busy), busy, "{body}");
        }
    }

    #[test]
    fn who_refuses_is_asked_elsewhere_and_then_no_more() {
        let mut asked = Vec::new();
        let mut gauge = Gauge::of(Some("llamacpp"));
        while let Some(path) = gauge.path() {
            asked.push(path);
            gauge = gauge.next();
        }
        assert_eq!(asked, ["/slots", "/metrics"]);
        assert_eq!(Gauge::of(Some("openai")).path(), None);
        assert_eq!(total_slots(br#"{"total_slots":4}"#), Some(4));
    }
}
