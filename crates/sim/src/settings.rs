//! What a simulator is told before it starts. Owns the defaults and their reasons; holds no run-time state.

use std::fmt;
use std::net::TcpListener;
use std::time::Duration;

use crate::server::Sim;

#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub model: String,
    pub aliases: Vec<String>,
    pub slots: usize,
    /// Tokens a single slot holds, prompt and answer together; what `/props` calls `n_ctx`.
    pub context_tokens: usize,
    pub api_key: Option<ApiKey>,
    pub pace: Pace,
    pub loading: Duration,
    /// The length of an embedding, where the server was started with `--embeddings`.
    pub embedding_dimensions: Option<usize>,
    pub keep_alive: KeepAlive,
    /// How often the real server looks whether a client that does not stream is still there.
    pub unstreamed_poll: Duration,
    /// A fixed natural length of every answer; without it the length depends on the prompt.
    pub answer_tokens: Option<usize>,
    /// Answers every generation request with one JSON body of this size, at once and unread.
    pub answer_bytes: Option<usize>,
    /// A request body above this is refused with 413. The real server has no bound; a test process wants one.
    pub body_bytes_max: usize,
}

/// How fast the imagined hardware is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    /// `None` is instantly.
    pub prefill_tokens_per_s: Option<f64>,
    pub token_interval: Duration,
    /// Tokens that are evaluated in one go: a client that leaves during prefill frees its slot only after one.
    pub batch_tokens: usize,
}

impl Pace {
    pub(crate) fn prefill(&self, tokens: usize) -> Duration {
        match self.prefill_tokens_per_s {
            Some(rate) => Duration::from_secs_f64(tokens as f64 / rate),
            None => Duration::ZERO,
        }
    }
}

/// When the server itself ends an idle or well-used connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KeepAlive {
    pub idle: Duration,
    pub requests_max: usize,
}

/// A secret that never prints itself.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct ApiKey(pub String);

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKey(…)")
    }
}

/// Everything a simulator can be told; every setting has a default that suits a fast test.
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until it is started"]
pub struct Builder {
    settings: Settings,
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            settings: Settings {
                model: "sim".to_owned(),
                aliases: Vec::new(),
                slots: 4,
                context_tokens: 4096,
                api_key: None,
                pace: Pace {
                    prefill_tokens_per_s: None,
                    token_interval: Duration::ZERO,
                    batch_tokens: 2048,
                },
                loading: Duration::ZERO,
                embedding_dimensions: None,
                keep_alive: KeepAlive {
                    idle: Duration::from_secs(5),
                    requests_max: 100,
                },
                unstreamed_poll: Duration::from_secs(1),
                answer_tokens: None,
                answer_bytes: None,
                body_bytes_max: 64 << 20,
            },
        }
    }
}

impl Builder {
    /// The model's id in `/v1/models` and in every answer, whatever name a request brings.
    pub fn model(mut self, id: impl Into<String>) -> Self {
        self.settings.model = id.into();
        self
    }

    /// A further name of the model in `/v1/models`; repeatable.
    pub fn alias(mut self, id: impl Into<String>) -> Self {
        self.settings.aliases.push(id.into());
        self
    }

    /// How many generations run at once (default 4, at least 1); more requests wait without end.
    pub fn slots(mut self, slots: usize) -> Self {
        self.settings.slots = slots.max(1);
        self
    }

    /// Tokens that one slot holds, prompt and answer together (default 4,096).
    pub fn context_tokens(mut self, tokens: usize) -> Self {
        self.settings.context_tokens = tokens.max(1);
        self
    }

    /// Asks every request except health for this key.
    pub fn api_key(mut self, key: impl Into<String>) -> Self {
        self.settings.api_key = Some(ApiKey(key.into()));
        self
    }

    /// Prompt tokens evaluated a second (default: all at once). Zero and less mean the default.
    pub fn prefill_rate(mut self, tokens_per_s: f64) -> Self {
        self.settings.pace.prefill_tokens_per_s = positive(tokens_per_s);
        self
    }

    /// Tokens generated a second in each slot (default: all at once). Zero and less mean the default.
    pub fn decode_rate(self, tokens_per_s: f64) -> Self {
        self.token_interval(positive(tokens_per_s).map_or(Duration::ZERO, |rate| Duration::from_secs_f64(1.0 / rate)))
    }

    /// The time between two tokens of an answer: [`Builder::decode_rate`] put the other way.
    pub fn token_interval(mut self, interval: Duration) -> Self {
        self.settings.pace.token_interval = interval;
        self
    }

    /// Prompt tokens evaluated in one go (default 2,048): the grain of progress reports and of cancelling a prefill.
    pub fn batch_tokens(mut self, tokens: usize) -> Self {
        self.settings.pace.batch_tokens = tokens.max(1);
        self
    }

    /// Answers "Loading model" this long after the start.
    pub fn loading(mut self, time: Duration) -> Self {
        self.settings.loading = time;
        self
    }

    /// Serves embeddings of this length; without it they get the real server's 501.
    pub fn embeddings(mut self, dimensions: usize) -> Self {
        self.settings.embedding_dimensions = Some(dimensions.max(1));
        self
    }

    /// Closes a connection after this idle time, or after this many requests (default 5 s and 100, as the real one).
    pub fn keep_alive(mut self, idle: Duration, requests_max: usize) -> Self {
        self.settings.keep_alive = KeepAlive {
            idle,
            requests_max: requests_max.max(1),
        };
        self
    }

    /// How often it is checked whether the client of an unstreamed answer is still there (default 1 s; zero: at once).
    pub fn unstreamed_poll(mut self, every: Duration) -> Self {
        self.settings.unstreamed_poll = every;
        self
    }

    /// Gives every answer this natural length, unless `max_tokens` or the context ends it earlier.
    pub fn answer_tokens(mut self, tokens: usize) -> Self {
        self.settings.answer_tokens = Some(tokens.max(1));
        self
    }

    /// Answers every generation request at once with one JSON body of exactly this size (not below the size of its
    /// frame, some 400 bytes), without reading the request's JSON, streaming or occupying a slot: for benchmarks of
    /// what is in front. A request's own `answer_bytes` field does the same for that request.
    pub fn answer_bytes(mut self, bytes: usize) -> Self {
        self.settings.answer_bytes = Some(bytes);
        self
    }

    /// Refuses request bodies above this size with 413 (default 64 MiB).
    pub fn body_bytes_max(mut self, bytes: usize) -> Self {
        self.settings.body_bytes_max = bytes;
        self
    }

    /// Binds `address` ("127.0.0.1:0" takes a free port) and serves it until shut down or dropped.
    pub async fn start(self, address: &str) -> std::io::Result<Sim> {
        Sim::bind(self.settings, address).await
    }

    /// Serves a listener that the caller has bound. Needs a running tokio runtime.
    pub fn serve(self, listener: TcpListener) -> std::io::Result<Sim> {
        listener.set_nonblocking(true)?;
        Sim::serve(self.settings, tokio::net::TcpListener::from_std(listener)?)
    }
}

fn positive(rate: f64) -> Option<f64> {
    (rate.is_finite() && rate > 0.0).then_some(rate)
}
