//! Read buffers that a waiting stream does not hold.
//!
//! Ten thousand streams wait for their next token at any moment; a buffer each would be most of their memory. A buffer
//! is taken from the thread when bytes are there, and given back before the task waits again.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, ReadBuf};

/// One read takes what the kernel has, up to this. Less means more system calls for a large answer; with more, what was
/// read has left the processor's nearest cache before it is sent.
const BUFFER_BYTES: usize = 32 * 1024;

/// Buffers a thread keeps. More than one are out only while clients are slow to take what was read for them.
const KEPT_MAX: usize = 4;

thread_local! {
    static BUFFERS: RefCell<Vec<Box<[u8]>>> = const { RefCell::new(Vec::new()) };
}

/// What one read brought. The buffer goes back to its thread when this is dropped.
pub(super) struct Filled {
    buffer: Box<[u8]>,
    bytes: usize,
}

impl Filled {
    pub(super) fn bytes(&self) -> &[u8] {
        &self.buffer[..self.bytes]
    }
}

impl Drop for Filled {
    fn drop(&mut self) {
        let buffer = std::mem::take(&mut self.buffer);
        BUFFERS.with_borrow_mut(|kept| {
            if kept.len() < KEPT_MAX {
                kept.push(buffer);
            }
        });
    }
}

/// Reads once. Empty at the end of the stream.
pub(super) fn poll_read<R: AsyncRead + Unpin>(reader: &mut R, cx: &mut Context<'_>) -> Poll<io::Result<Filled>> {
    let mut filled = Filled {
        buffer: take(),
        bytes: 0,
    };
    let mut target = ReadBuf::new(&mut filled.buffer);
    ready!(Pin::new(reader).poll_read(cx, &mut target))?;
    filled.bytes = target.filled().len();
    Poll::Ready(Ok(filled))
}

fn take() -> Box<[u8]> {
    let kept = BUFFERS.with_borrow_mut(Vec::pop);
    kept.unwrap_or_else(|| vec![0; BUFFER_BYTES].into_boxed_slice())
}
