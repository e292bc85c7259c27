//! The shape of `/stats`: `routheon-server`'s sections and fields, by name, type and order; `gpu` is ours.
//!
//! Pure: figures in, JSON types out. Sizes are bytes; `_gb` are GiB with two decimals; percents have one decimal, as
//! psutil rounds them.

use serde::Serialize;

#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct Stats {
    /// UTC, to the second, `Z` at its end.
    pub(super) timestamp: String,
    pub(super) system: SystemSection,
    pub(super) cpu: CpuSection,
    pub(super) memory: MemorySection,
    pub(super) swap: VolumeSection,
    pub(super) disk: VolumeSection,
    pub(super) network: NetworkSection,
    pub(super) processes: ProcessSection,
    pub(super) gpu: Vec<Gpu>,
}

impl Stats {
    /// Every section and field there can be, without figures: what a filter is checked against.
    pub(super) fn blank() -> serde_json::Value {
        let blank = Self {
            gpu: vec![Gpu::default()],
            ..Self::default()
        };
        serde_json::to_value(blank).expect("strings, numbers and lists always serialise")
    }
}

#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct SystemSection {
    pub(super) platform: String,
    pub(super) platform_release: String,
    pub(super) platform_version: String,
    pub(super) hostname: String,
    pub(super) architecture: String,
    pub(super) processor: String,
    pub(super) uptime_seconds: u64,
    /// `0d 1h 2m`
    pub(super) uptime_human: String,
}

#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct CpuSection {
    pub(super) usage_percent: f64,
    pub(super) load_average: LoadAverage,
    /// Logical ones, like the next: `routheon-server` asks psutil for the same number twice.
    pub(super) core_count: usize,
    pub(super) core_count_logical: usize,
}

#[derive(Debug, Clone, Copy, Default, Serialize)]
pub(super) struct LoadAverage {
    #[serde(rename = "1min")]
    pub(super) one: f64,
    #[serde(rename = "5min")]
    pub(super) five: f64,
    #[serde(rename = "15min")]
    pub(super) fifteen: f64,
}

#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct MemorySection {
    total: u64,
    available: u64,
    used: u64,
    free: u64,
    percent: f64,
    total_gb: f64,
    available_gb: f64,
    used_gb: f64,
    free_gb: f64,
}

impl MemorySection {
    /// Used is what is not available, as psutil 7 and procps count.
    pub(super) fn new(total: u64, available: u64, free: u64) -> Self {
        let used = total.saturating_sub(available);
        Self {
            total,
            available,
            used,
            free,
            percent: percent(used, total),
            total_gb: gib(total),
            available_gb: gib(available),
            used_gb: gib(used),
            free_gb: gib(free),
        }
    }
}

/// Swap and disk have the same fields.
#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct VolumeSection {
    total: u64,
    used: u64,
    free: u64,
    percent: f64,
    total_gb: f64,
    used_gb: f64,
    free_gb: f64,
}

impl VolumeSection {
    pub(super) fn swap(total: u64, free: u64) -> Self {
        let used = total.saturating_sub(free);
        Self::of(total, used, free, percent(used, total))
    }

    /// `free` is root's, `available` a user's: the percentage is of what a user could fill, as psutil has it.
    pub(super) fn disk(total: u64, free: u64, available: u64) -> Self {
        let used = total.saturating_sub(free);
        Self::of(total, used, available, percent(used, used.saturating_add(available)))
    }

    fn of(total: u64, used: u64, free: u64, percent: f64) -> Self {
        Self {
            total,
            used,
            free,
            percent,
            total_gb: gib(total),
            used_gb: gib(used),
            free_gb: gib(free),
        }
    }
}

/// Sums over all interfaces, the loopback included, since the start of the machine.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(super) struct NetworkSection {
    pub(super) bytes_sent: u64,
    pub(super) bytes_recv: u64,
    pub(super) packets_sent: u64,
    pub(super) packets_recv: u64,
    pub(super) errin: u64,
    pub(super) errout: u64,
    pub(super) dropin: u64,
    pub(super) dropout: u64,
}

#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct ProcessSection {
    pub(super) count: usize,
}

/// One card. `null` is what this card does not tell.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(super) struct Gpu {
    /// `amd`, `intel` or `nvidia`
    pub(super) vendor: &'static str,
    pub(super) name: String,
    /// Its address on the PCI bus, which tells two equal cards apart.
    pub(super) bus: String,
    pub(super) usage_percent: Option<f64>,
    pub(super) memory_total: Option<u64>,
    pub(super) memory_used: Option<u64>,
    pub(super) memory_percent: Option<f64>,
    pub(super) memory_total_gb: Option<f64>,
    pub(super) memory_used_gb: Option<f64>,
    pub(super) temperature_celsius: Option<f64>,
    pub(super) power_watts: Option<f64>,
}

/// What a card tells, before the derived fields are added.
#[derive(Debug, Default)]
pub(super) struct GpuReadings {
    pub(super) usage_percent: Option<f64>,
    pub(super) memory_total: Option<u64>,
    pub(super) memory_used: Option<u64>,
    pub(super) temperature_celsius: Option<f64>,
    pub(super) power_watts: Option<f64>,
}

impl Gpu {
    pub(super) fn new(vendor: &'static str, name: String, bus: String, readings: &GpuReadings) -> Self {
        let GpuReadings {
            usage_percent,
            memory_total,
            memory_used,
            temperature_celsius,
            power_watts,
        } = *readings;
        Self {
            vendor,
            name,
            bus,
            usage_percent: usage_percent.map(one_decimal),
            memory_total,
            memory_used,
            memory_percent: memory_used.zip(memory_total).map(|(used, total)| percent(used, total)),
            memory_total_gb: memory_total.map(gib),
            memory_used_gb: memory_used.map(gib),
            temperature_celsius: temperature_celsius.map(one_decimal),
            power_watts: power_watts.map(two_decimals),
        }
    }
}

impl GpuReadings {
    pub(super) fn is_empty(&self) -> bool {
        matches!(
            self,
            Self {
                usage_percent: None,
                memory_total: None,
                memory_used: None,
                temperature_celsius: None,
                power_watts: None
            }
        )
    }
}

pub(super) fn uptime_human(seconds: u64) -> String {
    let minutes = seconds / 60;
    let hours = minutes / 60;
    format!("{}d {}h {}m", hours / 24, hours % 24, minutes % 60)
}

pub(super) fn one_decimal(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

pub(super) fn two_decimals(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

/// Of nothing, nothing is used.
fn percent(part: u64, whole: u64) -> f64 {
    if whole == 0 {
        0.0
    } else {
        one_decimal(part as f64 / whole as f64 * 100.0)
    }
}

fn gib(bytes: u64) -> f64 {
    two_decimals(bytes as f64 / f64::from(1 << 30))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const GIB: u64 = 1 << 30;

    #[test]
    fn memory_counts_as_used_what_is_not_available() {
        assert_eq!(
            serde_json::to_value(MemorySection::new(8 * GIB, 6 * GIB, GIB)).unwrap(),
            json!({"total": 8 * GIB, "available": 6 * GIB, "used": 2 * GIB, "free": GIB, "percent": 25.0,
                   "total_gb": 8.0, "available_gb": 6.0, "used_gb": 2.0, "free_gb": 1.0})
        );
    }

    #[test]
    fn a_disks_percentage_leaves_out_what_is_reserved_for_root() {
        let disk = serde_json::to_value(VolumeSection::disk(100 * GIB, 25 * GIB, 20 * GIB)).unwrap();
        assert_eq!((&disk["used"], &disk["free"]), (&json!(75 * GIB), &json!(20 * GIB)));
        assert_eq!(disk["percent"], json!(78.9));
    }

    #[test]
    fn a_machine_without_swap_uses_none_of_it() {
        let swap = serde_json::to_value(VolumeSection::swap(0, 0)).unwrap();
        assert_eq!(swap["percent"], json!(0.0));
        assert!(swap["percent"].is_f64() && swap["used_gb"].is_f64() && swap["total"].is_u64());
    }

    #[test]
    fn uptime_reads_in_days_hours_and_minutes() {
        for (seconds, human) in [
            (0, "0d 0h 0m"),
            (59, "0d 0h 0m"),
            (3725, "0d 1h 2m"),
            (86_399, "0d 23h 59m"),
            (90_061, "1d 1h 1m"),
        ] {
            assert_eq!(uptime_human(seconds), human);
        }
    }
}
