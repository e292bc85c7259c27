//! One module for each subcommand; each says what it starts, in which order, and how it ends.

pub(crate) mod aggregator;
pub(crate) mod check;
pub(crate) mod demo;
pub(crate) mod edge;
pub(crate) mod help;
pub(crate) mod key;
pub(crate) mod responses;
pub(crate) mod top;
pub(crate) mod up;
