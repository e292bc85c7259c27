//! Asking servers how they are: one task for each server of a service, from when a table names the service until it
//! leaves it.
//!
//! What an answer means:
//!
//! | answer | meaning |
//! |---|---|
//! | the status that is expected | healthy |
//! | 503 "Loading model" | alive, and waited for or passed over |
//! | another status, refused, reset, no HTTP | down |
//! | none in time, while bytes came from the server to some exchange | busy: nothing changes |
//! | none in time, and nothing else came | passed over where there is another; the third time in a row it is down |
//!
//! llama-server answers on a few threads, all of which may wait for long generations: a slow answer is not death, and its
//! streams prove that it lives. Only where nothing at all came for three checks are those who wait for it told to go.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use keymap::HealthCheck;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::task::AbortHandle;

use super::{Registry, State};
use crate::balance::Member;
use crate::carrier::forward::Connections;
use crate::tls::Back;
use crate::upstream::Upstream;

/// Checks that nothing answers, and nothing else does, before a server is down.
const SILENT_MAX: u32 = 3;

/// What is read of an answer: a head, and of `/props` a chat template's worth of body.
const ANSWER_BYTES_MAX: usize = 1 << 20;

const REDIRECTS_MAX: usize = 5;

/// How often a server is asked for its slots: they change with its command line.
const SLOTS_EVERY: Duration = Duration::from_secs(60);

/// For reaching a server and for its slots.
const PATIENCE: Duration = Duration::from_secs(5);

/// Tasks that end with this.
#[derive(Debug, Default)]
pub(crate) struct Probing(Vec<AbortHandle>);

impl Drop for Probing {
    fn drop(&mut self) {
        self.0.iter().for_each(AbortHandle::abort);
    }
}

/// Begins to ask after each of these.
pub(crate) fn start(
    members: &[Arc<Member>],
    check: Option<&HealthCheck>,
    asks_slots: bool,
    registry: &Arc<Registry>,
) -> Probing {
    let Ok(runtime) = tokio::runtime::Handle::try_current() else {
        return Probing::default();
    };
    let mut tasks = Vec::new();
    for member in members.iter().filter(|member| member.weight > 0) {
        if let Some(check) = check {
            let prober = Prober::new(member, check.clone(), registry.clone());
            tasks.push(runtime.spawn(prober.run()).abort_handle());
        }
        if asks_slots {
            let (upstream, state) = (member.upstream.again(None, None), member.state.clone());
            tasks.push(
                runtime
                    .spawn(ask_slots(upstream, state, registry.back().clone()))
                    .abort_handle(),
            );
        }
    }
    Probing(tasks)
}

struct Prober {
    /// As the check reaches it: perhaps by another port.
    upstream: Upstream,
    connections: Connections,
    state: Arc<State>,
    check: HealthCheck,
    registry: Arc<Registry>,
    label: String,
    silent: u32,
}

/// What one check came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Finding {
    Healthy,
    Loading,
    Unhealthy,
    Silent,
}

impl Prober {
    fn new(member: &Arc<Member>, check: HealthCheck, registry: Arc<Registry>) -> Self {
        Self {
            upstream: member.upstream.again(check.scheme, check.port),
            connections: Connections::new(registry.back().clone(), check.timeout),
            state: member.state.clone(),
            label: member.upstream.label().to_owned(),
            silent: 0,
            registry,
            check,
        }
    }

    async fn run(mut self) {
        loop {
            let progress = self.state.progress();
            let finding = tokio::time::timeout(self.check.timeout, self.ask())
                .await
                .unwrap_or(Finding::Silent);
            let has_moved = self.state.progress() != progress;
            let is_well = self.note(finding, has_moved);
            let pause = if is_well {
                self.check.interval
            } else {
                self.check.unhealthy_interval
            };
            tokio::time::sleep(jittered(pause, self.state.progress())).await;
        }
    }

    fn note(&mut self, finding: Finding, has_moved: bool) -> bool {
        let now_ms = self.registry.millis(Instant::now());
        self.silent = match finding {
            Finding::Silent if has_moved => 0,
            Finding::Silent => self.silent + 1,
            _ => 0,
        };
        match finding {
            Finding::Healthy | Finding::Loading => {
                if self.state.checked(true, now_ms) {
                    tracing::info!(server = self.label, "a server is healthy again");
                }
                if finding == Finding::Loading {
                    self.state.is_loading(now_ms);
                }
            }
            // Its streams go on: it has no thread to spare for us.
            Finding::Silent if has_moved => {}
            Finding::Silent if self.silent < SILENT_MAX => {
                if self.state.is_silent() {
                    tracing::warn!(server = self.label, "a server does not answer its health check");
                }
            }
            Finding::Silent | Finding::Unhealthy => {
                if self.state.checked(false, now_ms) {
                    let cause = match finding {
                        Finding::Silent => "it does not answer its health check",
                        _ => "its health check fails: it cannot be reached, or answers with another status",
                    };
                    tracing::warn!(server = self.label, cause, "a server is down");
                    self.registry.prefixes.forget(&self.state.cache);
                }
            }
        }
        finding == Finding::Healthy
    }

    async fn ask(&self) -> Finding {
        let mut path = self.check.path.to_string();
        for _ in 0..=REDIRECTS_MAX {
            let Ok(answer) = self.fetch(&path).await else {
                return Finding::Unhealthy;
            };
            match answer.redirect.filter(|_| self.check.follow_redirects) {
                Some(elsewhere) => path = elsewhere,
                None => return self.judge(answer.status, &answer.body),
            }
        }
        Finding::Unhealthy
    }

    fn judge(&self, status: u16, body: &[u8]) -> Finding {
        let expected = match self.check.status {
            Some(expected) => status == expected,
            None => (200..400).contains(&status),
        };
        if expected {
            Finding::Healthy
        } else if status == 503 && memchr::memmem::find(body, b"Loading model").is_some() {
            Finding::Loading
        } else {
            Finding::Unhealthy
        }
    }

    async fn fetch(&self, path: &str) -> io::Result<Answer> {
        let mut head = format!("{} {path} HTTP/1.1\r\n", self.check.method).into_bytes();
        let host = self.check.hostname.as_ref().unwrap_or(&self.upstream.host_header);
        line(&mut head, b"Host", host.as_bytes());
        for (name, value) in &self.check.headers {
            if *name != http::header::HOST {
                line(&mut head, name.as_str().as_bytes(), value.as_bytes());
            }
        }
        fetch(&self.connections, &self.upstream, head).await
    }
}

/// Asks for `/props` now and then; a server that has none has no slots to tell of.
async fn ask_slots(upstream: Upstream, state: Arc<State>, back: Arc<Back>) {
    let connections = Connections::new(back, PATIENCE);
    loop {
        let mut head = b"GET /props HTTP/1.1\r\n".to_vec();
        line(&mut head, b"Host", upstream.host_header.as_bytes());
        let answer = tokio::time::timeout(PATIENCE, fetch(&connections, &upstream, head)).await;
        let known = match answer {
            Ok(Ok(answer)) if answer.status == 200 => {
                state.set_slots(slots(&answer.body));
                true
            }
            Ok(Ok(answer)) => answer.status != 503,
            _ => false,
        };
        // One that is not up yet is asked again soon.
        let pause = if known { SLOTS_EVERY } else { PATIENCE };
        tokio::time::sleep(jittered(pause, state.progress())).await;
    }
}

fn slots(body: &[u8]) -> Option<u32> {
    #[derive(serde::Deserialize)]
    struct Props {
        total_slots: Option<u32>,
    }
    serde_json::from_slice::<Props>(body).ok()?.total_slots
}

struct Answer {
    status: u16,
    /// A path on the same server.
    redirect: Option<String>,
    body: Vec<u8>,
}

/// `head`: without its last line.
async fn fetch(connections: &Connections, upstream: &Upstream, mut head: Vec<u8>) -> io::Result<Answer> {
    let address = upstream.address().await?;
    let mut connection = connections.open(upstream, address).await?;
    head.extend_from_slice(b"User-Agent: conclave\r\nAccept: */*\r\nConnection: close\r\n\r\n");
    connection.write_all(&head).await?;
    connection.flush().await?;
    let mut bytes = Vec::new();
    let mut limited = connection.take(ANSWER_BYTES_MAX as u64);
    loop {
        let read = limited.read_buf(&mut bytes).await;
        let is_over = !matches!(read, Ok(read) if read > 0);
        if let Some(answer) = parse(&bytes, is_over)? {
            return Ok(answer);
        }
        if is_over {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

/// `None`: more must come.
fn parse(bytes: &[u8], is_over: bool) -> io::Result<Option<Answer>> {
    let bad = || io::Error::from(io::ErrorKind::InvalidData);
    let mut headers = [httparse::EMPTY_HEADER; 100];
    let mut response = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(head_bytes) = response.parse(bytes).map_err(|_| bad())? else {
        return Ok(None);
    };
    let status = response.code.ok_or_else(bad)?;
    let header = |name: &str| {
        let found = response.headers.iter().find(|it| it.name.eq_ignore_ascii_case(name))?;
        std::str::from_utf8(found.value).ok().map(str::trim)
    };
    let length = header("content-length").and_then(|value| value.parse::<usize>().ok());
    let body = &bytes[head_bytes..];
    if !is_over && length.is_none_or(|length| body.len() < length) {
        return Ok(None);
    }
    let is_redirect = (300..400).contains(&status);
    let on_this_server = |to: &&str| to.starts_with('/') && !to.starts_with("//") && !to.contains(char::is_whitespace);
    Ok(Some(Answer {
        status,
        redirect: header("location")
            .filter(|_| is_redirect)
            .filter(on_this_server)
            .map(str::to_owned),
        body: body.to_vec(),
    }))
}

fn line(head: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    head.extend_from_slice(name);
    head.extend_from_slice(b": ");
    head.extend_from_slice(value);
    head.extend_from_slice(b"\r\n");
}

/// A tenth more or less, so that a thousand checks that began together do not stay together.
fn jittered(pause: Duration, salt: u64) -> Duration {
    let nanos = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |since| u64::from(since.subsec_nanos()));
    let thousandth = (nanos ^ salt.wrapping_mul(0x9e37_79b9_7f4a_7c15)) % 200;
    pause.mul_f64(0.9 + thousandth as f64 / 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read_whether_announced_or_ended_by_closing() {
        let whole = |bytes: &[u8], is_over| parse(bytes, is_over).expect("HTTP").map(|it| (it.status, it.body));
        let announced = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
        assert_eq!(whole(announced, false), Some((200, b"ok".to_vec())));
        assert_eq!(whole(&announced[..20], false), None);
        let closed = b"HTTP/1.1 503 no\r\n\r\nLoading";
        assert_eq!(whole(closed, false), None);
        assert_eq!(whole(closed, true), Some((503, b"Loading".to_vec())));
        assert!(parse(b"SSH-2.0\r\n\r\n", true).is_err());
    }

    #[test]
    fn redirects_are_followed_on_the_same_server_only() {
        for (location, expected) in [("/ready", Some("/ready")), ("//evil/x", None), ("http://evil/", None)] {
            let bytes = format!("HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n");
            let answer = parse(bytes.as_bytes(), false).expect("HTTP").expect("whole");
            assert_eq!(answer.redirect.as_deref(), expected, "{location}");
        }
    }

    #[test]
    fn slots_are_read_from_props() {
        assert_eq!(slots(br#"{"total_slots":4,"chat_template":"x"}"#), Some(4));
        assert_eq!(slots(b"<html>"), None);
    }

    #[test]
    fn pauses_stay_near_what_was_asked() {
        for salt in 0..100 {
            let pause = jittered(Duration::from_secs(10), salt);
            assert!((9.0..=11.0).contains(&pause.as_secs_f64()), "{pause:?}");
        }
    }
}
