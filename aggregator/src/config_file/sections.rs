//! The small sections: `server`, `admin`, `metrics`, `response_storage`, `council`.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use document::{Field, Fields, Report, Schema, Support, shown_scalar};
use keymap::KeyHash;
use subtle::ConstantTimeEq as _;

use super::Lookup;
use crate::store::Retention;

const SERVER: Schema = &[
    ("host", Support::Read),
    ("port", Support::Read),
    ("auth", Support::Read),
];
const ENABLED: Schema = &[("enabled", Support::Read)];
const ADMIN: Schema = &[("auth", Support::Read)];
const ADMIN_AUTH: Schema = &[("type", Support::Read), ("token", Support::Read)];
const STORAGE: Schema = &[
    ("enabled", Support::Read),
    ("compress", Support::Read),
    ("db_path", Support::Read),
    ("encryption_key_file", Support::Read),
    ("full_text_search", Support::Read),
    ("retention", Support::Read),
];
const RETENTION: Schema = &[("days", Support::Read), ("max_mib", Support::Read)];

const COUNCIL: Schema = &[
    ("templates_dir", Support::Read),
    ("default_model", Support::Read),
    ("tokens_max", Support::Read),
    ("listed", Support::Read),
];

/// Where the admin token comes from unless the file names another place.
const ADMIN_TOKEN: &str = "ADMIN_TOKEN";

/// Where to listen; what was typed as a flag wins.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ServerSection {
    pub host: Option<String>,
    pub port: Option<u16>,
    /// Where the file does not say: nobody needs a key on loopback, everybody elsewhere.
    pub auth: Option<InferenceAuth>,
}

/// Who may use the inference endpoints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InferenceAuth {
    /// Whoever reaches the address.
    None,
    /// Whoever has a key of the mapping files.
    Keys,
}

/// Who may use the admin endpoints.
#[derive(Clone, PartialEq, Eq)]
pub enum AdminAuth {
    /// `type: none`
    Open,
    /// Whoever brings the token whose SHA-256 this is.
    Bearer(KeyHash),
    /// A token is demanded and none is configured.
    Closed,
}

impl AdminAuth {
    pub(super) fn from_environment(lookup: Lookup<'_>) -> Self {
        Self::from_token(lookup(ADMIN_TOKEN).as_deref())
    }

    fn from_token(token: Option<&str>) -> Self {
        match token.map(str::trim).filter(|token| !token.is_empty()) {
            Some(token) => Self::Bearer(KeyHash::of(token.as_bytes())),
            None => Self::Closed,
        }
    }

    /// Whether this is the token. Digests are compared, in constant time: nothing of the token's can be measured.
    pub fn accepts(&self, token: &[u8]) -> bool {
        match self {
            Self::Open => true,
            Self::Bearer(expected) => KeyHash::of(token).as_bytes().ct_eq(expected.as_bytes()).into(),
            Self::Closed => false,
        }
    }
}

/// Not even the digest: a weak token could be searched for from it.
impl std::fmt::Debug for AdminAuth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Open => "Open",
            Self::Bearer(_) => "Bearer(redacted)",
            Self::Closed => "Closed",
        })
    }
}

/// Where responses are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResponseStorage {
    pub enabled: bool,
    pub compress: bool,
    pub db_path: PathBuf,
    /// Bodies are encrypted with the key in this file.
    pub encryption_key_file: Option<PathBuf>,
    /// Where the file does not say: on, unless bodies are encrypted.
    pub full_text_search: Option<bool>,
    pub retention: Retention,
}

impl Default for ResponseStorage {
    fn default() -> Self {
        Self {
            enabled: true,
            compress: true,
            db_path: PathBuf::from("./data/responses.db"),
            encryption_key_file: None,
            full_text_search: None,
            retention: Retention::default(),
        }
    }
}

/// Councils: `docs/COUNCIL.md`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Council {
    /// Where templates of one's own lie.
    pub templates_dir: Option<PathBuf>,
    /// Whom members are where neither a request nor a template names a model.
    pub default_model: Option<Arc<str>>,
    /// What all models of one council may write at most: members × rounds × tokens, and the synthesizers'.
    pub tokens_max: u64,
    /// Whether lists of models name councils. Without a `config.yaml` they do not: there the lists are those of
    /// `routheon-server`.
    pub is_listed: bool,
}

impl Council {
    const TEMPLATES: &str = "council_templates";

    pub fn templates_dir(&self) -> &Path {
        self.templates_dir.as_deref().unwrap_or(Path::new(Self::TEMPLATES))
    }
}

impl Default for Council {
    fn default() -> Self {
        Self {
            templates_dir: None,
            default_model: None,
            tokens_max: 100_000,
            is_listed: false,
        }
    }
}

pub(super) fn server(field: Field<'_>, report: &mut Report<'_>) -> ServerSection {
    let position = field.position;
    let Some(mut fields) = Fields::of(field.node, SERVER, "`server`", report) else {
        return ServerSection::default();
    };
    let host = fields.take("host").and_then(|field| words(field, report));
    let port = fields.take("port").and_then(|field| field.integer(1, 65_535, report));
    let auth = fields.take("auth").and_then(|field| inference_auth(field, report));
    let everywhere = host.as_deref().is_some_and(|host| !is_loopback(host));
    if everywhere && auth == Some(InferenceAuth::None) {
        let rule = "Whoever reaches this address may use every model: no key is asked for.";
        let fix = "Write `auth: keys` below `server`, or a `host` of 127.0.0.1 behind the edge.";
        report.warning(position, "", rule, fix);
    }
    ServerSection {
        host,
        port: port.and_then(|port| u16::try_from(port).ok()),
        auth,
    }
}

fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

fn inference_auth(field: Field<'_>, report: &mut Report<'_>) -> Option<InferenceAuth> {
    choice(
        field,
        &[("none", InferenceAuth::None), ("keys", InferenceAuth::Keys)],
        report,
    )
}

pub(super) fn admin(field: Field<'_>, lookup: Lookup<'_>, report: &mut Report<'_>) -> AdminAuth {
    let default = AdminAuth::from_environment(lookup);
    let auth = Fields::of(field.node, ADMIN, "`admin`", report).and_then(|mut fields| fields.take("auth"));
    let Some(auth) = auth else { return default };
    let Some(mut fields) = Fields::of(auth.node, ADMIN_AUTH, "`admin.auth`", report) else {
        return AdminAuth::Closed;
    };
    let kind = fields
        .take("type")
        .map(|field| choice(field, &[("bearer", true), ("none", false)], report));
    let token = fields.take("token").and_then(|field| field.text(report));
    match (kind, token) {
        (Some(Some(false)), _) => AdminAuth::Open,
        (_, Some(token)) => AdminAuth::from_token(Some(token.value())),
        (_, None) => default,
    }
}

pub(super) fn metrics_enabled(field: Field<'_>, report: &mut Report<'_>) -> bool {
    let fields = Fields::of(field.node, ENABLED, "`metrics`", report);
    fields
        .and_then(|mut fields| fields.take("enabled"))
        .and_then(|field| field.boolean(report))
        .unwrap_or(true)
}

pub(super) fn response_storage(field: Field<'_>, report: &mut Report<'_>) -> ResponseStorage {
    let default = ResponseStorage::default();
    let Some(mut fields) = Fields::of(field.node, STORAGE, "`response_storage`", report) else {
        return default;
    };
    ResponseStorage {
        enabled: fields
            .take("enabled")
            .and_then(|field| field.boolean(report))
            .unwrap_or(default.enabled),
        compress: fields
            .take("compress")
            .and_then(|field| field.boolean(report))
            .unwrap_or(default.compress),
        db_path: fields
            .take("db_path")
            .and_then(|field| words(field, report))
            .map_or(default.db_path, PathBuf::from),
        encryption_key_file: fields
            .take("encryption_key_file")
            .and_then(|field| words(field, report))
            .map(PathBuf::from),
        full_text_search: fields.take("full_text_search").and_then(|field| field.boolean(report)),
        retention: fields
            .take("retention")
            .map_or(default.retention, |field| retention(field, report)),
    }
}

fn retention(field: Field<'_>, report: &mut Report<'_>) -> Retention {
    const DAY_S: u64 = 86_400;
    let Some(mut fields) = Fields::of(field.node, RETENTION, "`retention`", report) else {
        return Retention::default();
    };
    let mut number = |name, max| {
        let number = fields.take(name).and_then(|field| field.integer(1, max, report));
        number.and_then(|number| u64::try_from(number).ok())
    };
    Retention {
        age_max: number("days", 36_500).map(|days| Duration::from_secs(days * DAY_S)),
        bytes_max: number("max_mib", 1 << 30).map(|mib| mib << 20),
    }
}

pub(super) fn council(field: Field<'_>, report: &mut Report<'_>) -> Council {
    let default = Council {
        is_listed: true,
        ..Council::default()
    };
    let Some(mut fields) = Fields::of(field.node, COUNCIL, "`council`", report) else {
        return default;
    };
    let folder = fields.take("templates_dir").and_then(|field| words(field, report));
    let model = fields.take("default_model").and_then(|field| words(field, report));
    let tokens = fields
        .take("tokens_max")
        .and_then(|field| field.integer(1, 100_000_000, report));
    let listed = fields.take("listed").and_then(|field| field.boolean(report));
    Council {
        templates_dir: folder.map(PathBuf::from),
        default_model: model.map(Arc::from),
        tokens_max: tokens
            .and_then(|tokens| u64::try_from(tokens).ok())
            .unwrap_or(default.tokens_max),
        is_listed: listed.unwrap_or(true),
    }
}

/// A text that is not empty.
fn words(field: Field<'_>, report: &mut Report<'_>) -> Option<String> {
    let name = field.name;
    let text = field.text(report)?;
    if text.value().trim().is_empty() {
        let fix = "Write it, or remove the line.";
        report.error(
            text.node.position,
            "an empty text",
            format!("`{name}` must not be empty."),
            fix,
        );
        return None;
    }
    Some(text.value().to_owned())
}

/// One of a few words.
fn choice<T: Copy>(field: Field<'_>, words: &[(&str, T)], report: &mut Report<'_>) -> Option<T> {
    let name = field.name;
    let text = field.text(report)?;
    let found = words.iter().find(|(word, _)| word.eq_ignore_ascii_case(text.value()));
    if found.is_none() {
        let all: Vec<String> = words.iter().map(|(word, _)| format!("`{word}`")).collect();
        let rule = format!("`{name}` takes {}.", all.join(" or "));
        report.error(
            text.node.position,
            shown_scalar(text.value()),
            rule,
            "Write one of these words.",
        );
    }
    found.map(|(_, value)| *value)
}
