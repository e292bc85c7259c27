//! What each endpoint answers. A handler is a function from a request to a [`Reply`]: it validates, counts tokens and
//! prepares, but waits for nothing and writes nothing.

mod body;
mod chat;
mod completion;
mod embeddings;
mod fixed;
mod info;
mod messages;
mod prompt;
mod tokens;

use crate::answer::Answer;
use crate::generation::Job;
use crate::http::Request;
use crate::route::{self, Endpoint};
use crate::scheduler::Wish;
use crate::state::State;
use crate::text::{self, Token};
use crate::wire::ApiError;

pub(crate) enum Reply {
    Json(Vec<u8>),
    /// Prometheus' text format.
    Metrics(String),
    Generate(Box<Job>),
}

pub(crate) fn handle(state: &State, request: &Request) -> Result<Reply, ApiError> {
    let endpoint = route::endpoint(&request.method, request.path()).ok_or_else(ApiError::not_found)?;
    match endpoint {
        Endpoint::Health => Ok(Reply::Json(br#"{"status":"ok"}"#.to_vec())),
        Endpoint::Models => Ok(info::models(state)),
        Endpoint::Props => Ok(info::props(state)),
        Endpoint::Slots => info::slots(state, request),
        Endpoint::Metrics => Ok(info::metrics(state)),
        Endpoint::LoraAdapters => Ok(Reply::Json(b"[]".to_vec())),
        Endpoint::Chat => generate(state, request, chat::chat),
        Endpoint::Completion => generate(state, request, completion::native),
        Endpoint::CompletionOpenAi => generate(state, request, completion::openai),
        Endpoint::Messages => generate(state, request, messages::messages),
        Endpoint::CountTokens => messages::count_tokens(&body::parse(&request.body)?),
        Endpoint::Embeddings => embeddings::native(state, &request.body),
        Endpoint::EmbeddingsOpenAi => embeddings::openai(state, &request.body),
        Endpoint::Tokenize => tokens::tokenize(state, &body::parse(&request.body)?),
        Endpoint::Detokenize => tokens::detokenize(state, &body::parse(&request.body)?),
        Endpoint::ApplyTemplate => chat::apply_template(&body::parse(&request.body)?),
    }
}

type Prepare = fn(&State, &serde_json::Value) -> Result<Job, ApiError>;

fn generate(state: &State, request: &Request, prepare: Prepare) -> Result<Reply, ApiError> {
    if let Some(fixed) = state.fixed_answer() {
        return Ok(Reply::Json(fixed));
    }
    let body = body::parse(&request.body)?;
    if let Some(bytes) = body::count(&body, "answer_bytes")? {
        return Ok(Reply::Json(fixed::answer(&state.settings.model, bytes)));
    }
    let mut job = prepare(state, &body)?;
    job.outlives_client = request.header("x-conversation-id").is_some();
    Ok(Reply::Generate(Box::new(job)))
}

pub(crate) use fixed::answer as fixed_answer;

/// The bounds and wishes that all generating endpoints share.
struct Limits {
    /// As the request has it; -1 is no bound.
    asked_max: i64,
    tokens_max: usize,
    ignore_eos: bool,
    stream: bool,
    pin: Option<usize>,
    seed: u64,
    stops: Vec<String>,
}

impl Limits {
    /// Reads them and refuses a prompt that leaves no room for a token.
    fn read(state: &State, body: &serde_json::Value, prompt: &[Token], maxima: &[&str]) -> Result<Self, ApiError> {
        let context = state.settings.context_tokens;
        if prompt.len() >= context {
            return Err(ApiError::context_exceeded(prompt.len(), context));
        }
        let room = context - prompt.len();
        let mut asked_max = -1;
        for name in maxima {
            if let Some(max) = body::integer(body, name)? {
                asked_max = max;
                break;
            }
        }
        Ok(Self {
            asked_max,
            tokens_max: usize::try_from(asked_max).unwrap_or(room).clamp(1, room),
            ignore_eos: body::flag(body, "ignore_eos")?,
            stream: body::flag(body, "stream")?,
            pin: body::integer(body, "id_slot")?.and_then(|slot| usize::try_from(slot).ok()),
            seed: text::seed(prompt) ^ body::integer(body, "seed")?.unwrap_or(-1) as u64,
            stops: body::strings(body, &["stop", "stop_sequences"]),
        })
    }

    fn wish(&self, prompt: Vec<Token>) -> Wish {
        Wish {
            prompt,
            pin: self.pin,
            tokens_max: self.tokens_max,
            stream: self.stream,
        }
    }

    /// Sentences of a length that depends on the prompt, unless the server or the request fixes it.
    fn sentences(&self, state: &State) -> Answer {
        let natural = match (self.ignore_eos, state.settings.answer_tokens) {
            (true, _) => usize::MAX,
            (false, Some(tokens)) => tokens,
            (false, None) => 24 + text::Random(self.seed).below(72) as usize,
        };
        Answer::sentences(state.introduction.clone(), self.seed, natural, self.tokens_max).stopped_at(&self.stops)
    }
}
