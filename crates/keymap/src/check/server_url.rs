//! A server's address: `http://host:port` (or `https`, or `h2c`), with a path where `preservePath` asks for it.

use std::net::Ipv6Addr;
use std::sync::Arc;

use crate::mapping::{ServerUrl, UrlScheme};

/// Why a text is no server's address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UrlRefusal {
    /// Scheme, host and port at most: credentials stand in the rest.
    pub shown: String,
    pub rule: &'static str,
    pub fix: &'static str,
}

const FORM: &str = "Write `http://host:port` or `https://host:port`.";

pub(super) fn parse(url: &str) -> Result<ServerUrl, UrlRefusal> {
    let refuse = |shown: &str, rule, fix| {
        Err(UrlRefusal {
            shown: shown.to_owned(),
            rule,
            fix,
        })
    };
    if url.is_empty() {
        return refuse("an empty text", "A server needs a `url`.", FORM);
    }
    if url.contains(|c: char| c.is_whitespace() || c.is_control() || c == '\\') {
        return refuse(
            "",
            "A URL has no blanks, control characters or backslashes in it.",
            FORM,
        );
    }
    let Some((scheme, rest)) = url.split_once("://") else {
        return refuse("", "A URL begins with its scheme.", "Put `http://` before it.");
    };
    let scheme = match scheme {
        _ if scheme.eq_ignore_ascii_case("http") => UrlScheme::Http,
        _ if scheme.eq_ignore_ascii_case("https") => UrlScheme::Https,
        _ if scheme.eq_ignore_ascii_case("h2c") => UrlScheme::H2c,
        _ => return refuse("", "Servers are reached by http, https or h2c.", FORM),
    };
    let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    if authority.contains('@') {
        return refuse(
            "",
            "A server's URL holds no user and password.",
            "Remove what stands before the `@`.",
        );
    }
    if path.contains(['?', '#']) {
        return refuse(
            authority,
            "A server's URL ends with its path.",
            "Remove what begins with `?` or `#`.",
        );
    }
    let (host, port) = host_and_port(authority).map_err(|rule| UrlRefusal {
        shown: String::new(),
        rule,
        fix: FORM,
    })?;
    let port = match (port, scheme) {
        (Some(port), _) => port,
        (None, UrlScheme::Http | UrlScheme::H2c) => 80,
        (None, UrlScheme::Https) => 443,
    };
    Ok(ServerUrl {
        scheme,
        host: host.to_ascii_lowercase().into(),
        port,
        path: match path.trim_end_matches('/') {
            // The one empty text that all share.
            "" => Arc::default(),
            path => path.into(),
        },
    })
}

impl ServerUrl {
    /// Reads `http://host:port` or `https://host:port`.
    ///
    /// # Errors
    /// The rule broken and the fix, as sentences.
    pub fn parse(url: &str) -> Result<Self, String> {
        Self::check(url).map_err(|refusal| format!("{} {}", refusal.rule, refusal.fix))
    }

    /// As [`ServerUrl::parse`], for whoever reports rule and fix apart.
    ///
    /// # Errors
    /// The rule broken, the fix, and what may be shown of the text.
    pub fn check(url: &str) -> Result<Self, UrlRefusal> {
        parse(url)
    }
}

fn host_and_port(authority: &str) -> Result<(&str, Option<u16>), &'static str> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']').ok_or("An IPv6 address is closed by `]`.")?;
            host.parse::<Ipv6Addr>()
                .map_err(|_| "Between `[` and `]` stands an IPv6 address.")?;
            (
                host,
                if port.is_empty() {
                    None
                } else {
                    Some(port.strip_prefix(':').ok_or("After `]` comes `:` and a port.")?)
                },
            )
        }
        None => match authority.split_once(':') {
            Some((_, port)) if port.contains(':') => return Err("An IPv6 address stands between `[` and `]`."),
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        },
    };
    if host.is_empty() {
        return Err("A URL needs a host.");
    }
    if !authority.starts_with('[')
        && !host
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_'))
    {
        return Err("A host is letters, digits, dots, hyphens and underscores.");
    }
    let port = port.map(|port| {
        let digits = port.bytes().all(|b| b.is_ascii_digit());
        port.parse::<u16>()
            .ok()
            .filter(|port| digits && *port > 0)
            .ok_or("A port is a number from 1 to 65535.")
    });
    Ok((host, port.transpose()?))
}
