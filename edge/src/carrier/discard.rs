//! Bodies that nobody wants: how much of one is read for the sake of its connection, in both carriers.

use std::time::Duration;

/// Of a body that nobody wants, so much is read so that the connection stays usable: any prompt but a book.
pub(super) const SMALL_BYTES_MAX: u64 = 1 << 20;

/// After a last answer so much more is read: the kernel's buffers on both sides, and a client's slow wits. Closing at
/// once, with bytes unread, would reset the connection and could take the answer from a client that is still sending.
pub(super) const LINGER_BYTES_MAX: u64 = 64 << 20;

/// How long a client may take over a body that nobody wants.
pub(super) const TIME_MAX: Duration = Duration::from_secs(1);
