//! The host's statistics: measured in the background, kept serialised, handed out from memory.
//!
//! ```text
//!   host (sysinfo, /proc, statvfs) ─┐
//!   gpu/sysfs (amdgpu, i915, xe)   ─┼─▶ shape ──▶ filter ──▶ StatsBoard ──▶ GET /stats
//!   gpu/nvidia_smi (own task)      ─┘   every 2 s
//! ```
//!
//! The host is measured all the time: a sample costs about a millisecond, and whoever looks finds it fresh at once.
//! NVIDIA's tool costs a hundred times that and may wake a sleeping card, so it runs often only while somebody looks.

mod board;
mod filter;
mod gpu;
mod host;
mod sampler;
mod shape;

pub use filter::{LoadedFilter, StatsFilter};

pub(crate) use board::StatsBoard;
pub(crate) use sampler::spawn;

use std::path::PathBuf;
use std::time::Duration;

#[derive(Debug, Clone)]
pub struct StatsConfig {
    /// `--stats-config-file`; `None` shows everything.
    pub filter: Option<StatsFilter>,
    pub sample_interval: Duration,
    /// NVIDIA's own tool; a bare name is looked for in `PATH`, `None` does without.
    pub nvidia_smi: Option<PathBuf>,
    /// Where the kernel shows its graphics cards.
    pub drm_folder: PathBuf,
}

impl Default for StatsConfig {
    fn default() -> Self {
        Self {
            filter: None,
            sample_interval: Duration::from_secs(2),
            nvidia_smi: Some(PathBuf::from("nvidia-smi")),
            drm_folder: PathBuf::from("/sys/class/drm"),
        }
    }
}
