//! Why one backend did not answer a request, and what is told once all have failed to.

use dialect::splice::SpliceError;
use dialect::{BadRequest, Failure, FailureKind, Unsupported};

use super::refusal::Refusal;

/// One attempt that came to nothing; another backend may do better.
#[derive(Debug)]
pub(super) enum Setback {
    /// What is asked cannot be said in this backend's dialect, or cannot be read well enough to say it there.
    Inexpressible { failure: Failure, field: Option<String> },
    /// The backend knows no such model, or no such path.
    NotThere { failure: Failure },
    /// It could not be reached, broke off, or refused for a reason that is not the client's.
    Failed {
        failure: Failure,
        retry_after_s: Option<u64>,
    },
}

impl Setback {
    pub(super) fn failed(kind: FailureKind, message: &str) -> Self {
        Self::Failed {
            failure: Failure::new(kind, message),
            retry_after_s: None,
        }
    }

    pub(super) fn malformed(error: &SpliceError) -> Self {
        Self::Inexpressible {
            failure: Failure::new(FailureKind::InvalidRequest, error.to_string()),
            field: None,
        }
    }

    pub(super) fn bad_request(bad: &BadRequest) -> Self {
        Self::Inexpressible {
            failure: Failure::from(bad),
            field: bad.problems.first().map(|problem| problem.field.clone()),
        }
    }

    pub(super) fn unsupported(refusal: &Unsupported) -> Self {
        Self::Inexpressible {
            failure: Failure::from(refusal),
            field: Some(refusal.field.clone()),
        }
    }

    /// Whether it says that the backend is ill, and others had better keep away from it.
    pub(super) fn is_illness(&self) -> bool {
        let ill = [FailureKind::Api, FailureKind::Timeout, FailureKind::Overloaded];
        matches!(self, Self::Failed { failure, .. } if ill.contains(&failure.kind))
    }

    /// For the log.
    pub(super) fn kind(&self) -> FailureKind {
        match self {
            Self::Inexpressible { failure, .. } | Self::NotThere { failure } | Self::Failed { failure, .. } => {
                failure.kind
            }
        }
    }
}

/// All setbacks of one request. A backend's failure says more than another's lack of a feature, and the last failure
/// more than those before it; of refusals the first is told, because the best backend comes first.
#[derive(Debug, Default)]
pub(super) struct Setbacks {
    failed: Option<(Failure, Option<u64>)>,
    not_there: Option<Failure>,
    inexpressible: Option<(Failure, Option<String>)>,
}

impl Setbacks {
    pub(super) fn add(&mut self, setback: Setback) {
        match setback {
            Setback::Failed { failure, retry_after_s } => self.failed = Some((failure, retry_after_s)),
            Setback::NotThere { failure } => self.not_there = Some(failure),
            Setback::Inexpressible { failure, field } => {
                self.inexpressible.get_or_insert((failure, field));
            }
        }
    }

    pub(super) fn into_refusal(self) -> Refusal {
        if let Some((failure, retry_after_s)) = self.failed {
            return Refusal::new(failure).spent(retry_after_s);
        }
        if let Some((failure, field)) = self.inexpressible {
            return Refusal::new(failure).at(field);
        }
        match self.not_there {
            Some(failure) => Refusal::new(failure).coded("model_not_found").spent(None),
            None => Refusal::from(crate::choice::ChoiceError::Unavailable),
        }
    }
}
