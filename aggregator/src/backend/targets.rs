//! `config.yaml` and mapping files → the backends to ask. Pure.
//!
//! Each URL of the mapping files once, however many of them name it, and not where the configuration names it; never a
//! file that is skipped, never ourselves. A mapped backend is called by its host and port, so that no two share a name.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::http::header::HeaderMap;
use keymap::{FileStatus, ServerUrl, UrlScheme};
use regex::RegexSet;

use super::price::Prices;
use super::spec::{BackendId, BackendKind, Origin, Spec};
use crate::config::ConfigError;
use crate::config_file::ConfigFile;

/// What a backend of `config.yaml` has that names none: those of the mapping files are its equals.
const MAPPED_PRIORITY: i32 = 1;

/// The file through which an edge or Traefik reaches the aggregator itself, as Routheon names it.
const OWN_MAPPING: &str = "routheon-server.yml";

/// Files whose name matches anywhere are not asked for models.
#[derive(Debug, Clone)]
pub struct SkipPatterns(RegexSet);

impl SkipPatterns {
    /// `--skip-mapping`, repeatable; `routheon-server.yml` is always among them, as in `routheon-server`.
    ///
    /// # Errors
    /// The first pattern that does not parse.
    pub fn new<P: AsRef<str>>(patterns: &[P]) -> Result<Self, ConfigError> {
        for pattern in patterns {
            let pattern = pattern.as_ref();
            regex::Regex::new(pattern).map_err(|error| ConfigError {
                option: "--skip-mapping",
                value: pattern.to_owned(),
                rule: format!(
                    "a pattern is a regular expression (RE2): {}",
                    last_line(&error.to_string())
                ),
                fix: "correct the pattern; look-around and back-references do not exist in RE2".to_owned(),
            })?;
        }
        let all = patterns.iter().map(AsRef::as_ref).chain([OWN_MAPPING]);
        RegexSet::new(all).map(Self).map_err(|error| ConfigError {
            option: "--skip-mapping",
            value: String::new(),
            rule: format!("the patterns compile together: {error}"),
            fix: "use fewer or shorter patterns".to_owned(),
        })
    }

    fn skips(&self, file_name: &str) -> bool {
        self.0.is_match(file_name)
    }
}

impl Default for SkipPatterns {
    fn default() -> Self {
        Self::new::<&str>(&[]).expect("the built-in pattern parses")
    }
}

/// The regex crate draws its error over several lines; the last one says what is wrong.
fn last_line(text: &str) -> &str {
    text.lines().last().unwrap_or(text).trim_start_matches("error: ")
}

/// A backend's address as text: what `/v1/models` is appended to, and the order in which lists are merged.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct BackendUrl(Arc<str>);

impl BackendUrl {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Host and port; what follows them, without its slashes.
    fn short_name(&self) -> String {
        let (scheme, rest) = self.0.split_once("://").unwrap_or(("http", &self.0));
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let has_port = authority.rsplit_once(':').is_some_and(|(_, port)| !port.ends_with(']'));
        let port = match (has_port, scheme) {
            (true, _) => "",
            (false, "https") => ":443",
            (false, _) => ":80",
        };
        format!("{authority}{port}{}", path.replace('/', "~"))
    }

    pub(crate) fn is_https(&self) -> bool {
        self.0.starts_with("https://")
    }
}

impl fmt::Display for BackendUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<&ServerUrl> for BackendUrl {
    fn from(url: &ServerUrl) -> Self {
        let (scheme, usual_port) = match url.scheme {
            // Of a mapping file, whose server the edge speaks HTTP/2 to. It is asked for its models, which no server that we
            // know refuses in HTTP/1.1.
            UrlScheme::Http | UrlScheme::H2c => ("http", 80),
            UrlScheme::Https => ("https", 443),
        };
        let host = if url.host.contains(':') {
            format!("[{}]", url.host)
        } else {
            url.host.to_string()
        };
        let port = if url.port == usual_port {
            String::new()
        } else {
            format!(":{}", url.port)
        };
        Self(format!("{scheme}://{host}{port}{}", url.path).into())
    }
}

/// Whom not to ask.
#[derive(Debug, Clone)]
pub(crate) struct TargetRules {
    pub(crate) skip: SkipPatterns,
    /// Where we listen.
    pub(crate) own: SocketAddr,
}

impl TargetRules {
    pub(crate) fn targets(&self, files: &[Arc<FileStatus>], config: &ConfigFile) -> BTreeMap<BackendId, Arc<Spec>> {
        let configured: BTreeSet<&BackendUrl> = config.backends.iter().map(|spec| &spec.url).collect();
        let mapped = self.mapped(files).into_iter().filter(|url| !configured.contains(url));
        let mut names = config.backend_names();
        let mut targets: BTreeMap<BackendId, Arc<Spec>> = BTreeMap::new();
        for url in mapped {
            let spec = Arc::new(mapped_spec(url, &mut names));
            targets.insert(spec.id(), spec);
        }
        targets.extend(config.backends.iter().map(|spec| (spec.id(), Arc::clone(spec))));
        targets
    }

    /// The servers of the mapping files.
    fn mapped(&self, files: &[Arc<FileStatus>]) -> BTreeSet<BackendUrl> {
        files
            .iter()
            .filter(|file| !self.skip.skips(&file.name))
            .filter_map(|file| file.mapping.as_ref())
            .flat_map(|mapping| &mapping.services)
            .flat_map(|service| service.servers())
            .filter(|server| !self.is_own(&server.url))
            .map(|server| BackendUrl::from(&server.url))
            .collect()
    }

    /// Whether this is plainly our own listener; under other names [`super::Identity`] finds it out.
    fn is_own(&self, url: &ServerUrl) -> bool {
        if url.port != self.own.port() {
            return false;
        }
        let own = self.own.ip();
        match url.host.parse::<IpAddr>() {
            Ok(ip) => {
                ip == own
                    || (ip.is_loopback() || ip.is_unspecified())
                        && (own.is_unspecified() || own.is_loopback() && ip.is_unspecified())
            }
            Err(_) => url.host.eq_ignore_ascii_case("localhost") && (own.is_loopback() || own.is_unspecified()),
        }
    }
}

fn mapped_spec(url: BackendUrl, names: &mut BTreeSet<Arc<str>>) -> Spec {
    Spec {
        name: free_name(url.short_name(), names),
        kind: BackendKind::OpenAi,
        url,
        origin: Origin::Mapped,
        priority: MAPPED_PRIORITY,
        weight: 1,
        timeout: None,
        models: None,
        prices: Prices::default(),
        headers: HeaderMap::new(),
    }
}

/// The name, or the first of `name-2`, `name-3`, … that nobody has.
fn free_name(name: String, names: &mut BTreeSet<Arc<str>>) -> Arc<str> {
    let numbered = (2_u32..).map(|number| format!("{name}-{number}"));
    let mut all = std::iter::once(name.clone()).chain(numbered);
    let free: Arc<str> = all.find(|name| !names.contains(&**name)).unwrap_or(name).into();
    names.insert(Arc::clone(&free));
    free
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use keymap::FileState;
    use std::path::Path;

    pub(crate) fn url(port: u16) -> BackendUrl {
        BackendUrl(format!("http://10.0.0.1:{port}").into())
    }

    /// A mapping file with one service, checked by keymap.
    fn file(name: &str, urls: &[&str]) -> Arc<FileStatus> {
        let servers: String = urls.iter().map(|url| format!("          - url: \"{url}\"\n")).collect();
        let text = format!("http:\n  services:\n    s:\n      loadBalancer:\n        servers:\n{servers}");
        let (mapping, problems) = keymap::check(Path::new(name), &text);
        assert!(mapping.is_some(), "{problems:#?}");
        Arc::new(FileStatus {
            name: name.into(),
            state: FileState::Loaded,
            mapping: mapping.map(Arc::new),
            problems,
        })
    }

    fn rules(patterns: &[&str], own: &str) -> TargetRules {
        TargetRules {
            skip: SkipPatterns::new(patterns).unwrap(),
            own: own.parse().unwrap(),
        }
    }

    pub(crate) fn spec(port: u16) -> Arc<Spec> {
        Arc::new(mapped_spec(url(port), &mut BTreeSet::new()))
    }

    pub(crate) fn id(port: u16) -> BackendId {
        BackendId::mapped(url(port))
    }

    fn config(text: &str) -> ConfigFile {
        let (file, problems) = ConfigFile::check(Path::new("config.yaml"), text, &|_| None);
        file.unwrap_or_else(|| panic!("{problems:#?}"))
    }

    fn urls(targets: &BTreeMap<BackendId, Arc<Spec>>) -> Vec<&str> {
        targets.values().map(|spec| spec.url.as_str()).collect()
    }

    #[test]
    fn names_are_unique_and_a_configured_address_is_not_asked_twice() {
        let files = [file(
            "a.yml",
            &[
                "http://h:8011",
                "http://h/x/y",
                "https://h",
                "http://[::1]",
                "http://other:1",
            ],
        )];
        let text = "backends:\n- {name: 'h:8011', type: ollama, url: 'http://o:2'}\n\
                    - {name: mine, type: openai, url: 'http://other:1/v1'}\n";
        let targets = rules(&[], "127.0.0.1:9080").targets(&files, &config(text));
        let names: Vec<&str> = targets.values().map(|spec| &*spec.name).collect();
        assert_eq!(names, ["[::1]:80", "h:80~x~y", "h:8011-2", "h:443", "h:8011", "mine"]);
    }

    #[test]
    fn each_url_is_asked_once_in_sorted_order_and_skipped_files_never() {
        let files = [
            file(
                "b.yml",
                &["http://10.0.0.2:8012/", "http://10.0.0.1:80/base/", "https://10.0.0.3"],
            ),
            file("a.yml", &["http://10.0.0.2:8012", "http://[::1]:8011"]),
            file("routheon-server.yml", &["http://elsewhere:9080"]),
            file("old-routheon-server_yml.yaml", &["http://skipped-too:1"]),
            file("draft.yml", &["http://10.0.0.9:1"]),
            Arc::new(FileStatus {
                name: "broken.yml".into(),
                state: FileState::Refused,
                mapping: None,
                problems: Vec::new(),
            }),
        ];
        let targets = rules(&["^draft"], "127.0.0.1:9080").targets(&files, &config(""));
        let expected = [
            "http://10.0.0.1/base",
            "http://10.0.0.2:8012",
            "http://[::1]:8011",
            "https://10.0.0.3",
        ];
        assert_eq!(urls(&targets), expected);
    }

    #[test]
    fn we_are_never_our_own_backend() {
        for (own, host, ours) in [
            ("127.0.0.1:9080", "127.0.0.1", true),
            ("127.0.0.1:9080", "LocalHost", true),
            ("127.0.0.1:9080", "0.0.0.0", true),
            ("127.0.0.1:9080", "127.0.0.2", false),
            ("127.0.0.1:9080", "10.0.0.1", false),
            ("0.0.0.0:9080", "127.0.0.1", true),
            ("[::]:9080", "[::1]", true),
            ("10.0.0.1:9080", "10.0.0.1", true),
            ("10.0.0.1:9080", "127.0.0.1", false),
            ("10.0.0.1:9080", "localhost", false),
        ] {
            let files = [file(
                "a.yml",
                &[&format!("http://{host}:9080"), &format!("http://{host}:9081")],
            )];
            let targets = rules(&[], own).targets(&files, &config(""));
            assert_eq!(targets.len(), if ours { 1 } else { 2 }, "{own} {host}: {targets:?}");
        }
    }

    #[test]
    fn a_pattern_that_does_not_parse_is_reported_with_its_text() {
        let error = SkipPatterns::new(&["fine", "(?=x)"]).unwrap_err();
        assert_eq!((error.option, error.value.as_str()), ("--skip-mapping", "(?=x)"));
        assert!(error.rule.contains("look-around"), "{error}");
    }
}
