//! A mapping's words for a load balancer → the terms of a pool.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use keymap::{LoadBalancer, SameSite, Server, UrlScheme};

use super::member::{Slots, Terms};
use super::sticky::{self, Cookie};
use super::strategy::Strategy;
use crate::health::Rules;
use crate::upstream::Times;

pub(super) fn terms(service: &Arc<str>, balancer: &LoadBalancer) -> Terms {
    let strategy = match balancer.strategy {
        keymap::Strategy::Wrr => Strategy::Wrr,
        keymap::Strategy::P2c => Strategy::P2c,
        keymap::Strategy::LeastTime => Strategy::LeastTime,
        keymap::Strategy::Hrw => Strategy::Hrw,
        keymap::Strategy::Prefix => Strategy::Prefix(affinity::Policy::default()),
    };
    Terms {
        rules: balancer.passive().map_or_else(Rules::default, rules),
        sticky: balancer.sticky().map(|it| cookie(service, it)),
        passes_host: balancer.pass_host_header,
        is_checked: balancer.health_check().is_some(),
        slots: balancer
            .more
            .as_ref()
            .and_then(|more| more.max_in_flight)
            .map(|most| slots(service, most)),
        ..Terms::new(strategy)
    }
}

fn slots(service: &Arc<str>, most: u64) -> Arc<Slots> {
    Arc::new(Slots {
        service: service.clone(),
        most,
        gate: OnceLock::new(),
    })
}

/// Traefik's words: so many failures of any kind within the window, and the server is out for as long as the window.
fn rules(passive: &keymap::PassiveHealth) -> Rules {
    let window = passive.failure_window.max(Duration::from_millis(1));
    Rules {
        errors_max: passive.max_failed_attempts.max(1),
        failures_max: passive.max_failed_attempts.max(1),
        window,
        out_min: window,
        out_max: window.max(Rules::default().out_max),
    }
}

pub(super) fn cookie(service: &str, cookie: &keymap::Cookie) -> Cookie {
    let same_site = cookie.same_site.map(|it| match it {
        SameSite::None => "none",
        SameSite::Lax => "lax",
        SameSite::Strict => "strict",
    });
    Cookie {
        name: cookie
            .name
            .as_deref()
            .map_or_else(|| sticky::default_name(service), Into::into),
        secure: cookie.secure,
        http_only: cookie.http_only,
        same_site: same_site.map(Into::into),
        max_age: cookie.max_age_seconds.unwrap_or(0),
        path: Some((&*cookie.path).into()),
        domain: cookie.domain.as_deref().map(Into::into),
    }
}

pub(super) fn times(balancer: &LoadBalancer) -> Times {
    let timeouts = balancer.transport().map(|it| it.timeouts).unwrap_or_default();
    Times {
        dial: timeouts.dial,
        response_header: timeouts.response_header,
        idle: timeouts.idle_conn,
    }
}

/// What tells one server of a service from another, and names it in cookies.
pub(super) fn url_text(server: &Server) -> String {
    let url = &server.url;
    let scheme = match url.scheme {
        UrlScheme::Http => "http",
        UrlScheme::Https => "https",
        UrlScheme::H2c => "h2c",
    };
    format!("{scheme}://{}:{}{}", url.host, url.port, url.path)
}
