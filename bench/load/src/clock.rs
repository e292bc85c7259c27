//! CLOCK_MONOTONIC in nanoseconds, which origin, load generator and orchestrator share, and an alarm on it that epoll
//! can wait for. mio's own time-out is in milliseconds: too coarse to send twenty thousand requests a second on time.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use rustix::time::{
    ClockId, Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, clock_gettime, timerfd_create,
    timerfd_settime,
};

pub(crate) const NANOS_PER_S: u64 = 1_000_000_000;

pub(crate) fn now_ns() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec.unsigned_abs() * NANOS_PER_S + now.tv_nsec.unsigned_abs()
}

pub(crate) fn seconds_to_ns(seconds: f64) -> u64 {
    (seconds * NANOS_PER_S as f64) as u64
}

/// Wakes the loop at a set time.
pub(crate) struct Alarm {
    timer: OwnedFd,
    at_ns: u64,
}

impl Alarm {
    pub(crate) fn new(registry: &Registry, token: Token) -> io::Result<Self> {
        let timer = timerfd_create(
            TimerfdClockId::Monotonic,
            TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC,
        )?;
        registry.register(&mut SourceFd(&timer.as_raw_fd()), token, Interest::READABLE)?;
        Ok(Self { timer, at_ns: 0 })
    }

    /// Wakes at this time; a time that has passed wakes at once. The expiry need not be read: setting clears it.
    pub(crate) fn set(&mut self, at_ns: u64) -> io::Result<()> {
        if at_ns == self.at_ns {
            return Ok(());
        }
        self.at_ns = at_ns;
        let at = Timespec {
            tv_sec: (at_ns / NANOS_PER_S).cast_signed(),
            // Zero as a whole would disarm it.
            tv_nsec: (at_ns % NANOS_PER_S).max(1).cast_signed(),
        };
        let once = Itimerspec {
            it_interval: Timespec { tv_sec: 0, tv_nsec: 0 },
            it_value: at,
        };
        timerfd_settime(&self.timer, TimerfdTimerFlags::ABSTIME, &once)?;
        Ok(())
    }
}
