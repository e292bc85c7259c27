//! The small sections: `server`, `admin`, `metrics`, `response_storage`, `council`.

use std::net::IpAddr;
use std::path::PathBuf;

use document::{Field, Fields, Report, Schema, Support, Value, entries, shown_scalar};
use keymap::KeyHash;
use subtle::ConstantTimeEq as _;

use super::Lookup;

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
}

impl Default for ResponseStorage {
    fn default() -> Self {
        Self {
            enabled: true,
            compress: true,
            db_path: PathBuf::from("./data/responses.db"),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Council {
    /// Where templates of one's own lie.
    pub templates_dir: Option<PathBuf>,
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
    }
}

/// Only the folder of templates is read; what else stands there is another version's.
pub(super) fn council(field: Field<'_>, report: &mut Report<'_>) -> Council {
    let all = entries(field.node, "`council`", report).unwrap_or_default();
    let folder = all
        .into_iter()
        .find(|entry| entry.key.eq_ignore_ascii_case("templates_dir"));
    let folder = folder.filter(|entry| !matches!(entry.value.value, Value::Null));
    let text = folder.and_then(|entry| document::text(entry.value, "`templates_dir`", report));
    Council {
        templates_dir: text.map(|text| PathBuf::from(text.value())),
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
