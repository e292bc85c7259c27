//! Bodies that are read whole, within bounds: in bytes, and in how long they may stand still.

use std::future::poll_fn;
use std::pin::Pin;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use hyper::body::Body;

/// Why a body was not had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BodyError {
    TooLong,
    /// Nothing came for too long.
    Silent,
    Broken,
}

/// The next piece; `None` at the end.
pub(super) async fn piece<B>(body: &mut B, silence: Option<Duration>) -> Result<Option<Bytes>, BodyError>
where
    B: Body<Data = Bytes> + Unpin,
{
    loop {
        let next = poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx));
        let next = match silence {
            Some(silence) => tokio::time::timeout(silence, next)
                .await
                .map_err(|_| BodyError::Silent)?,
            None => next.await,
        };
        match next {
            None => return Ok(None),
            Some(Err(_)) => return Err(BodyError::Broken),
            Some(Ok(frame)) => match frame.into_data() {
                Ok(bytes) if !bytes.is_empty() => return Ok(Some(bytes)),
                // Trailers.
                _ => {}
            },
        }
    }
}

/// All of it.
pub(super) async fn whole<B>(body: &mut B, bytes_max: usize, silence: Option<Duration>) -> Result<Bytes, BodyError>
where
    B: Body<Data = Bytes> + Unpin,
{
    let expected = body.size_hint().lower();
    if expected > bytes_max as u64 {
        return Err(BodyError::TooLong);
    }
    let Some(first) = piece(body, silence).await? else {
        return Ok(Bytes::new());
    };
    if first.len() > bytes_max {
        return Err(BodyError::TooLong);
    }
    let Some(second) = piece(body, silence).await? else {
        // Most bodies come in one piece, which needs no copy.
        return Ok(first);
    };
    // What is announced is not yet here: memory grows with what comes.
    let mut all =
        BytesMut::with_capacity((first.len() + second.len()).max(usize::try_from(expected).unwrap_or(0).min(1 << 20)));
    all.extend_from_slice(&first);
    let mut next = Some(second);
    while let Some(bytes) = next {
        if all.len() + bytes.len() > bytes_max {
            return Err(BodyError::TooLong);
        }
        all.extend_from_slice(&bytes);
        next = piece(body, silence).await?;
    }
    Ok(all.freeze())
}
