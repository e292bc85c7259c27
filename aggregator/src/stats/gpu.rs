//! Graphics cards, without any vendor's library.
//!
//! `sysfs` reads what the kernel shows of AMD's and Intel's cards; NVIDIA's driver shows nothing there, so
//! `nvidia_smi` asks the tool that comes with it. No card is an empty list.

pub(super) mod nvidia_smi;
pub(super) mod sysfs;

/// More cards than any machine has; a bound for what is read and listed.
const GPUS_MAX: usize = 64;
