//! Who is next at a service whose slots are all taken: by weighted fairness among keys, not by who came first.
//!
//! Owns the order and the bounds. [`queue`] is pure and has the order; [`gate`] lets requests wait in it.

pub(crate) mod gate;
pub(crate) mod queue;
