//! `conclave up`: aggregator and edge in one process, reading one folder.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::process::ExitCode;

use anyhow::Result;
use edge::BoundEdge;
use keymap::static_file::StaticFile;
use keymap::{ServerUrl, UrlScheme};

use super::aggregator::AggregatorThread;
use super::edge::{announce, reload, stop};
use crate::cli::UpArgs;
use crate::otlp::Traces;
use crate::{folder, logging, service_manager, settings, signals};

pub(crate) fn run(args: UpArgs) -> Result<ExitCode> {
    logging::init(args.logging.log_level, args.logging.log_json);
    let sockets = service_manager::sockets()?;
    let signals = signals::listen()?;
    let poll = folder::poll_interval(&args.mapping)?;
    let keeping = settings::journal::compose(&args.journal)?;
    let traces = Traces::start(settings::traces::compose(&args.traces)?)?;
    let mut service = settings::aggregator::compose(&args.service, keeping.as_ref())?;
    service.tracer = traces.tracer();
    let watch = folder::watch(&folder::chosen(args.mapping.mappings), poll, None)?;

    let aggregator = AggregatorThread::start(service, &watch, None)?;
    let mut config = settings::edge::compose(
        &args.door,
        Some(url_of(aggregator.address)),
        &StaticFile::default(),
        keeping,
    )?;
    config.tracer = traces.tracer();
    let bound = BoundEdge::bind_on(config, watch.snapshot(), sockets)?;
    announce(&bound);
    aggregator.announce();
    let running = bound.start();
    let pulse = running.pulse();
    service_manager::start_watchdog(move |within| pulse.beats_within(within));
    service_manager::ready("Serving");
    signals.until_end(&mut || reload(&watch, &running));
    signals.end_at_once_on_stop()?;
    // The edge first: what it still carries may need the aggregator.
    let code = stop(running);
    aggregator.stop()?;
    traces.stop();
    Ok(code)
}

/// How the edge reaches a service of this process; one that listens everywhere is reached on loopback.
pub(crate) fn url_of(address: SocketAddr) -> ServerUrl {
    let host = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    ServerUrl {
        scheme: UrlScheme::Http,
        host: host.to_string().into(),
        port: address.port(),
        path: "".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_that_listens_everywhere_is_reached_on_loopback() {
        for (address, host) in [
            ("0.0.0.0:9080", "127.0.0.1"),
            ("[::]:9080", "::1"),
            ("10.0.0.1:9080", "10.0.0.1"),
        ] {
            assert_eq!(&*url_of(address.parse().expect("address")).host, host);
        }
    }
}
