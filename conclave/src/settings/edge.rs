//! The edge's settings.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use edge::{
    AccessLogTarget, Answers, Balancing, Bounds, CaptureConfig, Carrier, CrowdBounds, EdgeConfig, EntryPoint,
    HeadBounds, Timeouts, TlsSettings, TrustedProxies, VolatileLines,
};
use keymap::static_file::StaticFile;
use keymap::{Network, ServerUrl};

use super::journal::Keeping;
use super::{ConfigKind, seconds};
use crate::cli::{CarrierName, DoorArgs};
use crate::descriptors;

const LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::UNSPECIFIED), 8080);
const AGGREGATOR: &str = "http://127.0.0.1:9080";
const NONE: &str = "none";

/// Composes the edge's configuration. Flags win over Traefik's static file, that over the defaults.
pub(crate) fn compose(
    door: &DoorArgs,
    aggregator: Option<ServerUrl>,
    file: &StaticFile,
    keeping: Option<Keeping>,
) -> Result<EdgeConfig> {
    Ok(EdgeConfig {
        entry_points: entry_points(door.listen, file, false),
        tls: tls(door, file)?,
        aggregator,
        admin: admin(&door.admin)?,
        threads: door.threads.map_or_else(cores, usize::from),
        bounds: bounds(door),
        trusted_proxies: trusted_proxies(&door.trusted_proxies)?,
        balancing: balancing(door)?,
        answers: Answers {
            keepalive: door
                .sse_keepalive
                .map(|value| seconds("--sse-keepalive", value))
                .transpose()?,
            counts_tokens: door.count_tokens,
        },
        timeouts: Timeouts {
            head: seconds("--head-timeout", door.head_timeout)?,
            client: seconds("--client-timeout", door.client_timeout)?,
            connect: seconds("--connect-timeout", door.connect_timeout)?,
            read: door
                .read_timeout
                .map(|value| seconds("--read-timeout", value))
                .transpose()?,
            drain: door
                .drain_timeout
                .map(|value| seconds("--drain-timeout", value))
                .transpose()?,
        },
        access_log: access_log(door.access_log.as_deref(), file),
        carrier: match door.carrier {
            CarrierName::Forwarder => Carrier::Forwarder,
            CarrierName::PingoraProxy => Carrier::PingoraProxy,
        },
        state: super::state::folder(door.state.as_deref()),
        capture: keeping.map(|keeping| CaptureConfig {
            journal: keeping.journal,
            options: keeping.options,
            terms: keeping.terms,
            body_bytes_max: keeping.body_bytes_max,
        }),
        // Whoever starts both planes gives both the same.
        tracer: None,
    })
}

fn tls(door: &DoorArgs, file: &StaticFile) -> Result<TlsSettings> {
    let unused = StaticFile::default();
    // --listen stands for all the file's entry points.
    let file = if door.listen.is_some() { &unused } else { file };
    super::tls::compose(
        &door.tls,
        entry_points(door.listen, file, true),
        file,
        super::state::folder(door.state.as_deref()).as_ref(),
        !entry_points(door.listen, file, false).is_empty(),
    )
}

fn bounds(door: &DoorArgs) -> Bounds {
    Bounds {
        body_bytes_max: door.body_max_mib.saturating_mul(1 << 20),
        head: HeadBounds {
            bytes_max: door.head_max_kib.saturating_mul(1 << 10),
            line_bytes_max: door.head_line_max_kib.saturating_mul(1 << 10),
            fields_max: door.head_fields_max.into(),
        },
        crowd: CrowdBounds {
            connections_max: door.connections_max.unwrap_or_else(descriptors::connections_max),
            per_address_max: door.connections_per_address,
        },
        streams_per_key_max: door.streams_per_key,
        memory_bytes_max: door.memory_max_mib.map(|mib| mib.saturating_mul(1 << 20)),
    }
}

fn trusted_proxies(typed: &[String]) -> Result<TrustedProxies> {
    let network = |text: &String| {
        Network::parse(text)
            .with_context(|| format!("--trusted-proxies: {text:?} is no address and no network such as 10.0.0.0/8"))
    };
    typed
        .iter()
        .map(network)
        .collect::<Result<_>>()
        .map(TrustedProxies::new)
}

fn balancing(door: &DoorArgs) -> Result<Balancing> {
    Ok(Balancing {
        tells_server: door.server_header,
        volatile_lines: VolatileLines::new(0, &door.volatile_line)
            .context("--volatile-line is not a regular expression; write one as in Rust's regex crate")?,
    })
}

/// The names routers may be bound to; `None` where entry points are not told apart.
pub(crate) fn entry_point_names(config: &EdgeConfig) -> Option<Vec<String>> {
    let redirecting = config.tls.redirects.iter();
    config
        .entry_points
        .iter()
        .chain(&config.tls.entry_points)
        .map(|entry| entry.name.as_deref().map(str::to_owned))
        // Routers may name one that redirects; nothing is asked of them there.
        .chain(
            redirecting
                .filter_map(|point| point.entry.name.as_deref())
                .map(|name| Some(name.to_owned())),
        )
        .collect()
}

/// A URL, or `none`.
pub(crate) fn aggregator(typed: Option<&str>) -> Result<Option<ServerUrl>> {
    match typed.unwrap_or(AGGREGATOR) {
        NONE => Ok(None),
        url => ServerUrl::parse(url)
            .map(Some)
            .map_err(anyhow::Error::msg)
            .with_context(|| format!("--aggregator: {url}")),
    }
}

/// Reads Traefik's static file and says what of it has no effect here.
pub(crate) fn static_file(path: Option<&Path>) -> Result<StaticFile> {
    let Some(path) = path else {
        return Ok(StaticFile::default());
    };
    if super::config_kind(path) == ConfigKind::Aggregators {
        bail!(
            "--config {}: this is the aggregator's file, and the edge reads Traefik's static file; give it to `conclave \
             aggregator` or to `conclave up`",
            path.display()
        );
    }
    let (file, problems) = super::static_file(path)?;
    let Some(file) = file else {
        bail!(
            "{}",
            problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
        );
    };
    for problem in problems {
        tracing::warn!("{problem}");
    }
    Ok(file)
}

/// Those with TLS, or those without.
fn entry_points(listen: Option<SocketAddr>, file: &StaticFile, tls: bool) -> Vec<EntryPoint> {
    if listen.is_none() && !file.entry_points.is_empty() {
        return file
            .entry_points
            .iter()
            .filter(|entry| entry.tls == tls && entry.redirect.is_none())
            .map(|entry| EntryPoint {
                name: Some(entry.name.clone()),
                listen: entry.address,
            })
            .collect();
    }
    if tls {
        return Vec::new();
    }
    vec![EntryPoint {
        name: None,
        listen: listen.unwrap_or(LISTEN),
    }]
}

fn admin(typed: &str) -> Result<Option<SocketAddr>> {
    if typed == NONE {
        return Ok(None);
    }
    typed
        .parse()
        .map(Some)
        .with_context(|| format!("--admin: {typed:?} is neither ADDRESS:PORT nor `none`"))
}

/// What was typed, else the static file's. `none` as elsewhere, and `off`, are no log: also where the static file names
/// one. A file of such a name is `./none`.
fn access_log(typed: Option<&Path>, file: &StaticFile) -> Option<AccessLogTarget> {
    if typed.is_some_and(|path| [NONE, "off"].iter().any(|none| path == Path::new(none))) {
        return None;
    }
    match typed.map(Path::to_owned).or_else(|| file.access_log.clone())? {
        path if path == Path::new("-") => Some(AccessLogTarget::Stdout),
        path => Some(AccessLogTarget::File(path)),
    }
}

/// The mapping folder: what was typed, else the static file's, else the usual places.
pub(crate) fn mappings(typed: Option<PathBuf>, file: &StaticFile) -> PathBuf {
    crate::folder::chosen(typed.or_else(|| file.mappings.clone()))
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trusted_proxies_are_networks() {
        let typed = |texts: &[&str]| trusted_proxies(&texts.iter().map(ToString::to_string).collect::<Vec<_>>());
        assert!(typed(&["10.0.0.0/8", "::1"]).is_ok());
        let error = typed(&["10.0.0.0/8", "gateway"]).expect_err("no network").to_string();
        assert!(
            error.contains("--trusted-proxies") && error.contains("gateway"),
            "{error}"
        );
    }

    #[test]
    fn an_access_log_is_a_file_standard_output_or_none() {
        let named = |path: &str| Some(AccessLogTarget::File(path.into()));
        let file = StaticFile {
            access_log: Some("static.log".into()),
            ..StaticFile::default()
        };
        for (typed, expected) in [
            (Some("-"), Some(AccessLogTarget::Stdout)),
            (Some("a.log"), named("a.log")),
            (Some("none"), None),
            (Some("off"), None),
            (Some("./none"), named("./none")),
            (None, named("static.log")),
        ] {
            assert_eq!(access_log(typed.map(Path::new), &file), expected, "{typed:?}");
        }
        assert_eq!(access_log(None, &StaticFile::default()), None);
    }

    #[test]
    fn the_aggregator_is_a_url_or_none() {
        assert!(aggregator(Some("none")).expect("none").is_none());
        assert_eq!(aggregator(None).expect("default").map(|url| url.port), Some(9080));
        assert!(aggregator(Some("localhost")).is_err());
    }
}
