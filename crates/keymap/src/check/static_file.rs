//! Traefik's static file: its entry points, its folder of mapping files, its access log and who issues certificates. The
//! rest is named in a warning, so that an operator who moves over knows what does not come along.

mod secure;

use std::net::{Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use custody::Terms;
use document::Named;
use document::Problem;
use document::{Field, Fields, Schema, Support, named};
use document::{Node, Value};
use document::{Report, shown_name, shown_scalar};
use secure::Secure;

pub use secure::{StaticAcme, StaticRedirect};

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StaticFile {
    pub entry_points: Vec<StaticEntryPoint>,
    /// `providers.file.directory`
    pub mappings: Option<PathBuf>,
    /// `accessLog.filePath`; `-` where the log goes to standard output.
    pub access_log: Option<PathBuf>,
    /// The `certificatesResolver` that entry points name.
    pub acme: Option<StaticAcme>,
    /// The names of each certificate that it is asked for.
    pub certificates: Vec<Vec<String>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StaticEntryPoint {
    pub name: Arc<str>,
    pub address: SocketAddr,
    /// `http.tls`: it is served with TLS, with the certificates that flags name.
    pub tls: bool,
    /// It serves nothing but the way to TLS.
    pub redirect: Option<StaticRedirect>,
}

const NOT_READ: Support =
    Support::Ignored("only entryPoints, providers.file, accessLog and certificatesResolvers are read.");
const OWN_SETTINGS: Support = Support::Ignored("the edge's own settings apply.");

const TOP: Schema = &[
    ("entryPoints", Support::Read),
    ("providers", Support::Read),
    ("accessLog", Support::Read),
    ("global", NOT_READ),
    ("serversTransport", NOT_READ),
    ("tcpServersTransport", NOT_READ),
    ("api", NOT_READ),
    ("metrics", NOT_READ),
    ("ping", NOT_READ),
    ("log", NOT_READ),
    ("tracing", NOT_READ),
    ("hostResolver", NOT_READ),
    ("certificatesResolvers", Support::Read),
    ("experimental", NOT_READ),
    ("core", NOT_READ),
    ("spiffe", NOT_READ),
    ("ocsp", NOT_READ),
];

const ENTRY_POINT: Schema = &[
    ("address", Support::Read),
    ("transport", OWN_SETTINGS),
    ("forwardedHeaders", OWN_SETTINGS),
    ("proxyProtocol", OWN_SETTINGS),
    ("http", Support::Read),
    ("http2", OWN_SETTINGS),
    ("http3", OWN_SETTINGS),
    ("udp", OWN_SETTINGS),
    ("asDefault", OWN_SETTINGS),
    ("allowACMEByPass", OWN_SETTINGS),
    ("observability", OWN_SETTINGS),
    ("reusePort", OWN_SETTINGS),
];

const PROVIDERS: Schema = &[
    ("file", Support::Read),
    ("providersThrottleDuration", NOT_READ),
    ("docker", NOT_READ),
    ("swarm", NOT_READ),
    ("kubernetesIngress", NOT_READ),
    ("kubernetesIngressNGINX", NOT_READ),
    ("kubernetesCRD", NOT_READ),
    ("kubernetesGateway", NOT_READ),
    ("knative", NOT_READ),
    ("rest", NOT_READ),
    ("consulCatalog", NOT_READ),
    ("nomad", NOT_READ),
    ("ecs", NOT_READ),
    ("consul", NOT_READ),
    ("etcd", NOT_READ),
    ("zooKeeper", NOT_READ),
    ("redis", NOT_READ),
    ("http", NOT_READ),
    ("plugin", NOT_READ),
];

const FILE: Schema = &[
    ("directory", Support::Read),
    (
        "filename",
        Support::Refused("Give the `directory` that the file lies in."),
    ),
    ("watch", Support::Read),
    ("debugLogGeneratedTemplate", NOT_READ),
];

const ACCESS_LOG: Schema = &[
    ("filePath", Support::Read),
    ("format", Support::Read),
    ("filters", Support::Ignored("every request is logged.")),
    (
        "fields",
        Support::Ignored("the fields are fixed, and no header is among them."),
    ),
    (
        "bufferingSize",
        Support::Ignored("lines are written as soon as the disk takes them."),
    ),
    ("addInternals", Support::Ignored("the admin address is not logged.")),
    ("genericCLF", Support::Ignored("lines are JSON.")),
    ("dualOutput", Support::Ignored("lines go to one place.")),
    ("otlp", Support::Ignored("lines go to a file or to standard output.")),
];

/// Nobody's is a hundredth of it.
const FILE_BYTES_MAX: u64 = 4 << 20;

/// Reads and checks the file. It is there where no problem is an error.
///
/// # Errors
/// Where it cannot be read.
pub fn read(path: &Path) -> std::io::Result<(Option<StaticFile>, Vec<Problem>)> {
    let text = custody::read(path, &Terms::configuration(FILE_BYTES_MAX))?.text()?;
    let mut report = Report::new(path, &text);
    let file = match document::parse(&text) {
        Ok(root) => static_file(root, &mut report).unwrap_or_default(),
        Err(fault) => {
            report.error(fault.position, fault.value, fault.rule, fault.fix);
            StaticFile::default()
        }
    };
    let (passed, problems) = report.finish();
    Ok((passed.then_some(file), problems))
}

fn static_file(root: Node<'_>, report: &mut Report<'_>) -> Option<StaticFile> {
    let mut top = Fields::of(root, TOP, "a static file", report)?;
    let entry_points = top
        .take("entryPoints")
        .map(|field| named(field.node, "entryPoint", report));
    let entry_points = entry_points.unwrap_or_default().into_iter();
    let found = entry_points
        .filter_map(|named| entry_point(named, report))
        .collect::<Vec<_>>();
    let (mut entry_points, mut secures): (Vec<_>, Vec<_>) = found.into_iter().unzip();
    let redirections = secures.iter_mut().map(|secure| secure.redirect.take()).collect();
    secure::resolve(&mut entry_points, redirections, report);
    let (acme, certificates) = secure::acme(top.take("certificatesResolvers"), &mut secures, report);
    Some(StaticFile {
        entry_points,
        acme,
        certificates,
        mappings: top.take("providers").and_then(|field| mappings(field, report)),
        access_log: top.take("accessLog").and_then(|field| access_log(field, report)),
    })
}

fn entry_point(named: Named<'_>, report: &mut Report<'_>) -> Option<(StaticEntryPoint, Secure)> {
    let owner = format!("entry point `{}`", shown_name(&named.name));
    let mut fields = Fields::of(named.node, ENTRY_POINT, &owner, report)?;
    let Some(field) = fields.take("address") else {
        report.error(
            named.position,
            shown_name(&named.name),
            "An entry point needs an address.",
            "Add `address: \":8080\"`.",
        );
        return None;
    };
    let text = field.text(report)?;
    let address = address(text.value());
    if address.is_none() {
        let fix = "Write `:8080` or `127.0.0.1:8080`; only TCP is served.";
        report.error(
            text.node.position,
            shown_scalar(text.value()),
            "An address is an optional IP address and a port.",
            fix,
        );
    }
    let secure = fields.take("http").map(|field| secure::http(field, report));
    let secure = secure.unwrap_or_default();
    let entry_point = StaticEntryPoint {
        name: named.name,
        address: address?,
        tls: secure.tls,
        redirect: None,
    };
    Some((entry_point, secure))
}

/// `:8080`, `127.0.0.1:8080`, `[::1]:8080`, with or without `/tcp`. No host means every address, IPv6 included.
fn address(text: &str) -> Option<SocketAddr> {
    let text = text.strip_suffix("/tcp").unwrap_or(text);
    match text.strip_prefix(':') {
        Some(port) => Some(SocketAddr::from((Ipv6Addr::UNSPECIFIED, port.parse().ok()?))),
        None => text.replace("localhost:", "127.0.0.1:").parse().ok(),
    }
}

fn mappings(field: Field<'_>, report: &mut Report<'_>) -> Option<PathBuf> {
    let mut providers = Fields::of(field.node, PROVIDERS, "`providers`", report)?;
    let mut file = Fields::of(providers.take("file")?.node, FILE, "`providers.file`", report)?;
    if let Some(watch) = file.take("watch") {
        let position = watch.node.position;
        if watch.boolean(report) == Some(false) {
            let fix = "Remove it, or stop the edge while files change.";
            report.warning(position, "false", "The folder is watched all the same.", fix);
        }
    }
    path(file.take("directory")?, report)
}

fn access_log(field: Field<'_>, report: &mut Report<'_>) -> Option<PathBuf> {
    let mut fields = Fields::of(field.node, ACCESS_LOG, "`accessLog`", report)?;
    if let Some(format) = fields.take("format") {
        let position = format.node.position;
        let is_json = matches!(&format.node.value, Value::Scalar(text) if &**text == "json");
        if !is_json {
            report.warning(
                position,
                "",
                "The access log is JSON, whatever the format asked for.",
                "Write `format: json`.",
            );
        }
    }
    Some(
        fields
            .take("filePath")
            .and_then(|field| path(field, report))
            .unwrap_or_else(|| PathBuf::from("-")),
    )
}

fn path(field: Field<'_>, report: &mut Report<'_>) -> Option<PathBuf> {
    let text = field.text(report)?;
    Some(text.value()).filter(|path| !path.is_empty()).map(PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn read_text(text: &str) -> (Option<StaticFile>, Vec<Problem>) {
        let file = tempfile::NamedTempFile::new().expect("a temporary file");
        std::fs::write(file.path(), text).expect("written");
        read(file.path()).expect("readable")
    }

    #[test]
    fn routheons_file_is_read_whole() {
        let (file, problems) = read_text(
            "entryPoints:\n  llama-servers:\n    address: \":8080\"\nproviders:\n  file:\n    directory: /etc/traefik/mappings/\n    watch: true\naccessLog:\n  filePath: /var/log/access.json\n  format: json\n",
        );
        let file = file.expect("no error");
        assert_eq!(file.entry_points.len(), 1);
        assert_eq!(&*file.entry_points[0].name, "llama-servers");
        assert_eq!(file.entry_points[0].address.to_string(), "[::]:8080");
        assert_eq!(file.mappings.as_deref(), Some(Path::new("/etc/traefik/mappings/")));
        assert_eq!(file.access_log.as_deref(), Some(Path::new("/var/log/access.json")));
        assert!(problems.is_empty(), "{problems:?}");
        let (file, problems) = read_text("providers: {file: {directory: m, watch: false}}\n");
        assert!(
            file.is_some() && problems.len() == 1,
            "it is watched all the same: {problems:?}"
        );
    }

    #[test]
    fn mistakes_are_located_and_what_has_no_effect_is_named() {
        let (file, problems) =
            read_text("entryPoints:\n  web:\n    address: \"host:99999\"\napi:\n  dashboard: true\nentrypint: {}\n");
        assert!(file.is_none());
        let lines: Vec<_> = problems.iter().map(|problem| problem.position.line).collect();
        assert_eq!(lines, [3, 4, 6], "{problems:?}");
    }

    #[test]
    fn entry_points_may_ask_for_tls() {
        for (http, tls, warnings) in [
            ("{tls: {}}", true, 0),
            ("{tls: {options: x}}", true, 1),
            ("{middlewares: [m]}", false, 1),
        ] {
            let (file, problems) = read_text(&format!(
                "entryPoints:\n  web:\n    address: \":1\"\n    http: {http}\n"
            ));
            let file = file.unwrap_or_else(|| panic!("{http}: {problems:?}"));
            assert_eq!(
                (file.entry_points[0].tls, problems.len()),
                (tls, warnings),
                "{http}: {problems:?}"
            );
        }
    }

    #[test]
    fn addresses_are_traefiks() {
        for (text, expected) in [
            (":80", Some("[::]:80")),
            ("127.0.0.1:81/tcp", Some("127.0.0.1:81")),
            ("localhost:82", Some("127.0.0.1:82")),
            ("[::1]:83", Some("[::1]:83")),
            (":84/udp", None),
            ("85", None),
        ] {
            assert_eq!(
                address(text).map(|address| address.to_string()).as_deref(),
                expected,
                "{text}"
            );
        }
    }
}
