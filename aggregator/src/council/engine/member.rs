//! One request to one model, heard to its end within its time.

use std::sync::Arc;
use std::time::Duration;

use dialect::chat::{Finish, Usage};
use dialect::{ChatRequest, Event, Failure, FailureKind};

use crate::gateway::Inquirer;

/// A server that minds no bound of tokens is not listened to for ever.
const TEXT_BYTES_MAX: usize = 1 << 20;

/// What a model said, whole.
pub(super) struct Spoken {
    pub(super) text: String,
    pub(super) is_cut: bool,
    pub(super) usage: Usage,
    pub(super) model: Arc<str>,
    pub(super) backend: Option<Arc<str>>,
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum Lost {
    Late(Duration),
    Failed(Failure),
    /// It ended well, and held nothing.
    Silent,
    /// The others could not make a quorum any more.
    Excused,
}

impl Lost {
    /// As the end of a sentence that begins with a name.
    pub(super) fn reason(&self) -> String {
        match self {
            Self::Late(limit) => format!("did not answer within {} s", limit.as_secs_f64()),
            Self::Failed(failure) => format!("failed ({})", failure.message.trim_end_matches('.')),
            Self::Silent => "answered with nothing".to_owned(),
            Self::Excused => "was not waited for".to_owned(),
        }
    }

    pub(super) fn kind(&self) -> Option<FailureKind> {
        match self {
            Self::Late(_) => Some(FailureKind::Timeout),
            Self::Failed(failure) => Some(failure.kind),
            Self::Silent => Some(FailureKind::Api),
            Self::Excused => None,
        }
    }
}

/// Asks and listens; each piece of the text is told as it comes, thinking aside.
pub(super) async fn heard(
    inquirer: &Inquirer,
    request: &ChatRequest,
    part: &str,
    deadline: Duration,
    mut piece: impl FnMut(&str, &Arc<str>),
) -> Result<Spoken, Lost> {
    let listening = async {
        let mut hearing = inquirer.ask(request, part).await.map_err(Lost::Failed)?;
        let mut text = String::new();
        let mut usage = Usage::default();
        let mut finish = Finish::Stop;
        while let Some(event) = hearing.next().await {
            match event {
                Event::Text(more) => {
                    piece(&more, &hearing.model);
                    text.push_str(&more);
                }
                Event::Usage(told) => usage.update(&told),
                Event::Finish { finish: told, .. } => finish = told,
                Event::Error(failure) => return Err(Lost::Failed(failure)),
                _ => {}
            }
            if text.len() > TEXT_BYTES_MAX {
                finish = Finish::Length;
                break;
            }
        }
        match finish {
            Finish::Error => {
                return Err(Lost::Failed(Failure::new(
                    FailureKind::Api,
                    "the model broke off with an error",
                )));
            }
            Finish::ContentFilter => {
                return Err(Lost::Failed(Failure::new(
                    FailureKind::Api,
                    "the provider's filter stopped the answer",
                )));
            }
            Finish::Stop | Finish::Length | Finish::ToolCalls => {}
        }
        if text.trim().is_empty() {
            return Err(Lost::Silent);
        }
        if usage.cost.is_none() {
            usage.cost = inquirer.cost(&hearing.model, hearing.backend.as_deref(), &usage);
        }
        let is_cut = finish == Finish::Length;
        Ok(Spoken {
            text,
            is_cut,
            usage,
            model: hearing.model.clone(),
            backend: hearing.backend.clone(),
        })
    };
    tokio::time::timeout(deadline, listening)
        .await
        .unwrap_or(Err(Lost::Late(deadline)))
}
