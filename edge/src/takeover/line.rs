//! The connection between two edges: messages with a length before them, and open sockets beside them.
//!
//! Owns the bounds on what a peer may send, and who may be a peer: a process of the same user.

use std::io::{self, IoSlice, IoSliceMut, Write as _};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
};

use super::message::Message;

/// The kernel passes 253 at a time; nobody has so many entry points.
pub(super) const SOCKETS_MAX: usize = 64;

/// The limits of some hundred thousand keys.
const MESSAGE_BYTES_MAX: usize = 64 << 20;

/// Both sides answer at once; only a start takes its time, and says so.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

pub(super) struct Line(UnixStream);

impl Line {
    /// # Errors
    /// Where the stream cannot be told how long to wait.
    pub(super) fn over(stream: UnixStream) -> io::Result<Self> {
        stream.set_nonblocking(false)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Self(stream))
    }

    /// For what takes as long as it takes, within reason.
    pub(super) fn be_patient(&self, patience: Option<Duration>) -> io::Result<()> {
        self.0.set_read_timeout(patience)
    }

    /// The peer's user, where it is not ours. The folder is closed to others already; this is told by the kernel.
    pub(super) fn stranger(&self) -> io::Result<Option<u32>> {
        let theirs = rustix::net::sockopt::socket_peercred(&self.0)?.uid;
        let is_ours = theirs == rustix::process::geteuid();
        Ok((!is_ours).then(|| theirs.as_raw()))
    }

    pub(super) fn say(&mut self, message: &Message) -> io::Result<()> {
        self.say_with(message, &[])
    }

    pub(super) fn say_with(&mut self, message: &Message, sockets: &[BorrowedFd<'_>]) -> io::Result<()> {
        let mut bytes = vec![0; 4];
        serde_json::to_writer(&mut bytes, message)?;
        let length = bytes.len() - 4;
        if length > MESSAGE_BYTES_MAX || sockets.len() > SOCKETS_MAX {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "more than a message holds"));
        }
        bytes[..4].copy_from_slice(&(length as u32).to_le_bytes());
        let sent = if sockets.is_empty() {
            0
        } else {
            self.send_sockets(&bytes, sockets)?
        };
        self.0.write_all(&bytes[sent..])
    }

    /// They travel with the message's first bytes.
    fn send_sockets(&self, bytes: &[u8], sockets: &[BorrowedFd<'_>]) -> io::Result<usize> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(SOCKETS_MAX))];
        let mut beside = SendAncillaryBuffer::new(&mut space);
        if !beside.push(SendAncillaryMessage::ScmRights(sockets)) {
            return Err(io::Error::other("no room for the sockets"));
        }
        let sent = rustix::net::sendmsg(self.0.as_fd(), &[IoSlice::new(bytes)], &mut beside, SendFlags::NOSIGNAL)?;
        Ok(sent)
    }

    pub(super) fn hear(&mut self) -> io::Result<Message> {
        Ok(self.hear_with()?.0)
    }

    /// A message and the sockets that came beside it.
    pub(super) fn hear_with(&mut self) -> io::Result<(Message, Vec<OwnedFd>)> {
        let mut sockets = Vec::new();
        let mut length = [0; 4];
        let _first = self.fill(&mut length[..1], &mut sockets)?;
        // What has begun comes whole, or the peer is gone: a wait that ended here would lose the place.
        let until = Instant::now() + PATIENCE;
        let whole = |into: &mut [u8], sockets: &mut Vec<OwnedFd>| self.fill_until(into, sockets, until);
        whole(&mut length[1..], &mut sockets)?;
        let length = u32::from_le_bytes(length) as usize;
        if length > MESSAGE_BYTES_MAX {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "a message longer than any of ours",
            ));
        }
        let mut bytes = vec![0; length];
        whole(&mut bytes, &mut sockets)?;
        Ok((serde_json::from_slice(&bytes)?, sockets))
    }

    fn fill_until(&self, mut into: &mut [u8], sockets: &mut Vec<OwnedFd>, until: Instant) -> io::Result<()> {
        while !into.is_empty() {
            match self.fill(into, sockets) {
                Ok(filled) => into = &mut into[filled..],
                Err(error) if error.kind() == io::ErrorKind::WouldBlock && Instant::now() < until => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// What is there now of what is wanted, at least a byte.
    fn fill(&self, into: &mut [u8], sockets: &mut Vec<OwnedFd>) -> io::Result<usize> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(SOCKETS_MAX))];
        let mut beside = RecvAncillaryBuffer::new(&mut space);
        let received = rustix::io::retry_on_intr(|| {
            let mut pieces = [IoSliceMut::new(into)];
            rustix::net::recvmsg(self.0.as_fd(), &mut pieces, &mut beside, RecvFlags::CMSG_CLOEXEC)
        })?;
        for message in beside.drain() {
            if let RecvAncillaryMessage::ScmRights(came) = message {
                sockets.extend(came);
            }
        }
        if received.bytes == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if sockets.len() > SOCKETS_MAX {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "more sockets than any edge has",
            ));
        }
        Ok(received.bytes)
    }
}

pub(super) fn unexpected(message: &Message) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("`{}` makes no sense now", message.name()),
    )
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
    use std::os::fd::AsFd as _;

    use super::*;

    fn pair() -> (Line, Line) {
        let (one, other) = UnixStream::pair().expect("a pair");
        (Line::over(one).expect("a line"), Line::over(other).expect("a line"))
    }

    #[test]
    fn what_is_said_is_heard_and_open_files_come_with_it() {
        let (mut one, mut other) = pair();
        assert_eq!(one.stranger().expect("known"), None);
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(b"through the wall").expect("written");
        one.say_with(&Message::Ready, &[file.as_fd(), file.as_fd()])
            .expect("said");
        one.say(&Message::Noted).expect("said");
        let (message, sockets) = other.hear_with().expect("heard");
        assert!(matches!(message, Message::Ready) && sockets.len() == 2);
        let mut theirs = std::fs::File::from(sockets.into_iter().next().expect("two"));
        let mut text = String::new();
        theirs.seek(SeekFrom::Start(0)).expect("a place");
        theirs.read_to_string(&mut text).expect("read");
        assert_eq!(text, "through the wall");
        assert!(matches!(other.hear().expect("heard"), Message::Noted));
        drop(one);
        assert_eq!(other.hear().expect_err("gone").kind(), io::ErrorKind::UnexpectedEof);
    }

    #[test]
    fn what_no_edge_says_is_an_error_and_costs_no_memory() {
        for bytes in [
            &u32::MAX.to_le_bytes()[..],
            b"\x02\x00\x00\x00{}",
            b"\x07\x00\x00\x00nothing",
        ] {
            let (one, mut other) = pair();
            (&one.0).write_all(bytes).expect("written");
            assert_eq!(other.hear().expect_err("nonsense").kind(), io::ErrorKind::InvalidData);
        }
    }
}
