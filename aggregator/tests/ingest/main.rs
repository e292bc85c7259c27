//! Journals into rows: each exchange once, whatever dies, is damaged or is read again.

mod damage;
mod kill;
mod memory;
mod once;
mod over;
mod scene;
