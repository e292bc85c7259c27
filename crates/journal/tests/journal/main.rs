//! The journal as a whole, over real files. `scenario` and `faulty` are what the others speak with.

mod damage;
mod faults;
mod faulty;
mod follow;
mod format;
mod handed_in;
mod kill;
mod model;
mod scenario;
mod tray;
