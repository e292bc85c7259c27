//! Servers, as services choose among them: how they stand, how often they were chosen, what they have in hand.
//!
//! Read when it is scraped, from what balancing knows anyway. The labels are the operator's own words, and bounded.

use prometheus::core::Collector;
use prometheus::proto::MetricFamily;
use prometheus::{IntCounterVec, IntGaugeVec, Opts};

use crate::health::{Shown, Standing};

const PICKS: (&str, &str) = (
    "conclave_edge_server_picks_total",
    "Requests sent to a server, further attempts and copies too.",
);

const IN_FLIGHT: (&str, &str) = (
    "conclave_edge_server_requests_in_flight",
    "Requests that a server has in hand.",
);

const STATE: (&str, &str) = (
    "conclave_edge_server_state",
    "How a server stands: 1 for up, suspect (left out for a while), loading (its model) or down (by its healthCheck).",
);

const STATES: [&str; 4] = ["up", "suspect", "loading", "down"];

/// Both labels of all servers that have no line of their own.
const OTHER: &str = "_other";

pub(super) fn families(servers: &[Shown]) -> Result<Vec<MetricFamily>, prometheus::Error> {
    let picks = IntCounterVec::new(Opts::new(PICKS.0, PICKS.1), &["service", "server"])?;
    let in_flight = IntGaugeVec::new(Opts::new(IN_FLIGHT.0, IN_FLIGHT.1), &["service", "server"])?;
    let states = IntGaugeVec::new(Opts::new(STATE.0, STATE.1), &["service", "server", "state"])?;
    for server in servers {
        let (service, url) = match &server.name {
            Some((service, url)) => (&**service, &**url),
            None => (OTHER, OTHER),
        };
        picks.with_label_values(&[service, url]).inc_by(server.picks);
        in_flight
            .with_label_values(&[service, url])
            .set(super::as_i64(usize::try_from(server.in_flight).unwrap_or(usize::MAX)));
        if let Some(standing) = server.standing {
            for state in STATES {
                let is_it = i64::from(state == label(standing));
                states.with_label_values(&[service, url, state]).set(is_it);
            }
        }
    }
    Ok([picks.collect(), in_flight.collect(), states.collect()].concat())
}

/// One that is on trial is left out by all requests but one.
fn label(standing: Standing) -> &'static str {
    match standing {
        Standing::Up => "up",
        Standing::OnTrial | Standing::Suspect(_) => "suspect",
        Standing::Loading(_) => "loading",
        Standing::Down => "down",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_in_one_state_at_a_time() {
        let server = |url: &str, standing| Shown {
            name: Some(("farm".into(), url.into())),
            picks: 7,
            in_flight: 2,
            standing: Some(standing),
        };
        let others = Shown {
            name: None,
            picks: 3,
            in_flight: 0,
            standing: None,
        };
        let servers = [
            server("http://a:1", Standing::Up),
            server("http://b:1", Standing::Down),
            others,
        ];
        let families = families(&servers).expect("families");
        let text = prometheus::TextEncoder::new()
            .encode_to_string(&families)
            .expect("text");
        for line in [
            "conclave_edge_server_picks_total{server=\"http://a:1\",service=\"farm\"} 7",
            "conclave_edge_server_requests_in_flight{server=\"http://a:1\",service=\"farm\"} 2",
            "conclave_edge_server_state{server=\"http://a:1\",service=\"farm\",state=\"up\"} 1",
            "conclave_edge_server_state{server=\"http://a:1\",service=\"farm\",state=\"down\"} 0",
            "conclave_edge_server_state{server=\"http://b:1\",service=\"farm\",state=\"down\"} 1",
            "conclave_edge_server_picks_total{server=\"_other\",service=\"_other\"} 3",
        ] {
            assert!(text.contains(line), "{line} in {text}");
        }
        assert!(!text.contains("_other\",state"), "{text}");
    }
}
