//! What goes wrong on a request's way, and what follows from it: another server, a refusal, or a cut.

use super::connection::Connection;
use super::inbound::{BodyError, WholeError};
use super::outgoing::SendError;
use super::reply::{Reply, ReplyError};
use crate::error::Refusal;
use crate::exchange::{Exchange, Failure};

/// Why an exchange did not come to its end.
pub(super) enum Trouble {
    /// There is nobody left to answer.
    ClientGone,
    Refused(Refusal),
    /// The answer had begun.
    Cut,
}

impl From<SendError> for Trouble {
    fn from(error: SendError) -> Self {
        match error {
            SendError::Upstream => Self::Refused(Refusal::UpstreamFailed),
            SendError::Body(error) => error.into(),
            SendError::Refused(refusal) => Self::Refused(refusal),
        }
    }
}

impl From<BodyError> for Trouble {
    fn from(error: BodyError) -> Self {
        match error {
            BodyError::ClientGone => Self::ClientGone,
            BodyError::Malformed => Self::Refused(Refusal::BadRequest),
            BodyError::TooSlow => Self::Refused(Refusal::BodyTimeout),
        }
    }
}

impl From<WholeError> for Trouble {
    fn from(error: WholeError) -> Self {
        match error {
            WholeError::Body(error) => error.into(),
            WholeError::TooLarge => Self::Refused(Refusal::BodyTooLarge),
        }
    }
}

impl From<ReplyError> for Trouble {
    fn from(error: ReplyError) -> Self {
        match error {
            ReplyError::ClientGone => Self::ClientGone,
            ReplyError::Nothing | ReplyError::Malformed | ReplyError::Lost => Self::Refused(Refusal::UpstreamFailed),
            ReplyError::Timeout => Self::Refused(Refusal::UpstreamTimeout),
        }
    }
}

impl ReplyError {
    /// Why another server may be asked instead. What is malformed would be no better from there.
    pub(super) fn failure(&self) -> Option<Failure> {
        match self {
            Self::Nothing => Some(Failure::Broke),
            Self::Timeout => Some(Failure::TooSlow),
            Self::Lost => Some(Failure::Lost),
            Self::ClientGone | Self::Malformed => None,
        }
    }
}

/// A server's refusal that is to be passed on; `None` where another server is asked instead.
pub(super) async fn passed_over(
    reply: Reply,
    connection: &mut Connection,
    exchange: &mut Exchange,
    can_move: bool,
) -> Option<Reply> {
    let reply = if reply.status == 503 {
        reply.with_small_body(connection).await
    } else {
        reply
    };
    let is_passed_over = exchange.judge(reply.status, reply.first.bytes(), can_move);
    (!is_passed_over).then_some(reply)
}
