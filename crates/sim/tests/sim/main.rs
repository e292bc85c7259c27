//! The simulator over real sockets, scenario by scenario. Time is tokio's paused clock wherever time is what matters,
//! so the expected times are exact and nothing sleeps.

mod cache;
mod cancel;
mod client;
mod faults;
mod gate;
mod lifecycle;
mod shapes;
mod stream;
mod tools;
