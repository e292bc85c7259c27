//! Looks at both planes: what is asked, and how long it may take.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use reqwest::Url;
use reqwest::header::{AUTHORIZATION, HeaderValue};
use serde_json::Value;

use super::exposition::Page;
use super::scene::{Look, Seen};
use crate::cli::TopArgs;
use crate::settings;

const NONE: &str = "none";

/// A plane on this machine or the next answers in milliseconds; one that does not is away.
const TIMEOUT: Duration = Duration::from_secs(2);

/// A page of 20,000 lines is 2 MiB.
const PAGE_BYTES_MAX: usize = 16 << 20;

/// Models named beside a backend.
const MODELS_MAX: usize = 3;

pub(super) struct Looker {
    http: reqwest::Client,
    edge: Option<Url>,
    aggregator: Option<Url>,
    token: Option<HeaderValue>,
    before: Option<Instant>,
}

impl Looker {
    pub(super) fn new(args: &TopArgs) -> Result<Self> {
        let edge = address("--edge-admin", &args.edge_admin)?;
        let aggregator = address("--aggregator", &args.aggregator)?;
        Ok(Self {
            http: crate::http::client(edge.iter().chain(&aggregator))
                .timeout(TIMEOUT)
                .build()?,
            edge,
            aggregator,
            token: settings::secret::admin_authorization(args.token_file.as_deref())?,
            before: None,
        })
    }

    /// Both planes at once.
    pub(super) async fn look(&mut self) -> Look {
        let (edge, aggregator, models) = tokio::join!(
            self.page(self.edge.as_ref()),
            self.page(self.aggregator.as_ref()),
            self.models()
        );
        let now = Instant::now();
        let before = self.before.replace(now);
        Look {
            edge,
            aggregator,
            models,
            since: before.map(|before| now.saturating_duration_since(before)),
        }
    }

    async fn page(&self, base: Option<&Url>) -> Seen {
        let Some(base) = base else { return Seen::Ignored };
        match self.get(base, "metrics", None).await {
            Ok(text) => Seen::There(Page::parse(&text)),
            Err(cause) => Seen::Away(cause),
        }
    }

    /// Those that are loaded; nothing where the token is not there, or not good.
    async fn models(&self) -> BTreeMap<String, Vec<String>> {
        let (Some(base), Some(token)) = (&self.aggregator, &self.token) else {
            return BTreeMap::new();
        };
        let text = self.get(base, "admin/backends?limit=1000", Some(token)).await;
        let list: Value = serde_json::from_str(&text.unwrap_or_default()).unwrap_or_default();
        let entries = list["data"].as_array().map(Vec::as_slice).unwrap_or_default();
        let named = entries
            .iter()
            .filter_map(|entry| Some((entry["name"].as_str()?.to_owned(), loaded(entry))));
        named.collect()
    }

    async fn get(&self, base: &Url, path: &str, token: Option<&HeaderValue>) -> Result<String, String> {
        let url = format!("{}/{path}", base.as_str().trim_end_matches('/'));
        let mut request = self.http.get(url);
        if let Some(token) = token {
            request = request.header(AUTHORIZATION, token);
        }
        let mut response = request.send().await.map_err(cause)?;
        if !response.status().is_success() {
            return Err(format!("answered {}", response.status()));
        }
        let mut body = Vec::new();
        while let Some(piece) = response.chunk().await.map_err(cause)? {
            if body.len() + piece.len() > PAGE_BYTES_MAX {
                return Err("answered with more than 16 MiB".to_owned());
            }
            body.extend_from_slice(&piece);
        }
        Ok(String::from_utf8_lossy(&body).into_owned())
    }
}

/// In a few words: there is one line for it.
fn cause(error: reqwest::Error) -> String {
    if error.is_timeout() {
        "does not answer".to_owned()
    } else if error.is_connect() {
        "cannot be reached".to_owned()
    } else {
        "broke off".to_owned()
    }
}

fn loaded(entry: &Value) -> Vec<String> {
    let models = entry["models"].as_array().map(Vec::as_slice).unwrap_or_default();
    let is_loaded = |model: &&Value| model["loaded"].as_bool() == Some(true);
    let names = models.iter().filter(is_loaded).filter_map(|model| model["id"].as_str());
    let plain = |name: &str| {
        let shown = |character: char| if character.is_control() { '\u{fffd}' } else { character };
        name.chars().map(shown).collect()
    };
    names.take(MODELS_MAX).map(plain).collect()
}

fn address(flag: &str, text: &str) -> Result<Option<Url>> {
    if text == NONE {
        return Ok(None);
    }
    let url = Url::parse(text).ok();
    url.filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
        .map(Some)
        .with_context(|| format!("{flag}: {text} is no address; write it as http://127.0.0.1:9080, or `none`"))
}
