//! The admin API's client: the token in a header and nowhere else, no redirect, no proxy.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use reqwest::header::{AUTHORIZATION, HeaderMap};
use reqwest::{Method, Response, StatusCode, Url};
use serde_json::Value;

use crate::settings;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long an answer may be silent; deleting a million exchanges says nothing until it is done.
const READ_TIMEOUT: Duration = Duration::from_secs(600);
/// A refusal is a sentence.
const REFUSAL_BYTES_MAX: usize = 64 * 1024;

pub(super) struct AdminClient {
    http: reqwest::Client,
    base: Url,
}

impl AdminClient {
    pub(super) fn new(url: &str, token_file: Option<&Path>) -> Result<Self> {
        let base = Url::parse(url)
            .ok()
            .filter(|base| matches!(base.scheme(), "http" | "https") && base.has_host());
        let base = base.with_context(|| format!("--url: {url} is no address; write it as http://127.0.0.1:9080"))?;
        let mut headers = HeaderMap::new();
        headers.extend(settings::secret::admin_authorization(token_file)?.map(|value| (AUTHORIZATION, value)));
        let http = crate::http::client([&base])
            .default_headers(headers)
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(READ_TIMEOUT)
            .build()?;
        Ok(Self { http, base })
    }

    /// # Errors
    /// Where it cannot be reached, or with its own sentence where it refuses.
    pub(super) async fn send(
        &self,
        method: Method,
        path: &[&str],
        parameters: &[(&'static str, String)],
    ) -> Result<Response> {
        let request = self.http.request(method, self.address(path, parameters)?);
        let response = request.send().await.map_err(reqwest::Error::without_url);
        let response = response.with_context(|| {
            let base = &self.base;
            format!("the aggregator at {base} does not answer; --url says where it is")
        })?;
        match response.status().is_success() {
            true => Ok(response),
            false => refuse(response).await,
        }
    }

    pub(super) async fn json(
        &self,
        method: Method,
        path: &[&str],
        parameters: &[(&'static str, String)],
    ) -> Result<Value> {
        let response = self.send(method, path, parameters).await?;
        let body = response.bytes().await.map_err(reqwest::Error::without_url);
        serde_json::from_slice(&body?).context("the answer is no JSON")
    }

    fn address(&self, path: &[&str], parameters: &[(&'static str, String)]) -> Result<Url> {
        let mut url = self.base.clone();
        match url.path_segments_mut() {
            Ok(mut segments) => segments.pop_if_empty().extend(path),
            Err(()) => bail!("--url cannot have paths below it"),
        };
        if !parameters.is_empty() {
            url.query_pairs_mut().extend_pairs(parameters);
        }
        Ok(url)
    }
}

async fn refuse<T>(mut response: Response) -> Result<T> {
    let status = response.status();
    let mut body = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await
        && body.len() < REFUSAL_BYTES_MAX
    {
        body.extend_from_slice(&chunk);
    }
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    // Whoever types a command wants to know where the token comes from.
    let hint = match status {
        StatusCode::UNAUTHORIZED => " It is read from ADMIN_TOKEN, or from the file that --token-file names.",
        _ => "",
    };
    match body.pointer("/error/message").and_then(Value::as_str) {
        Some(message) => bail!("{}{hint}", super::table::printable(message)),
        None => bail!("the answer was {status}; is this Conclave's aggregator?"),
    }
}
