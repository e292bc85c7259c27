//! Measures the host: what psutil and Python's `platform` tell `routheon-server`, from the same sources.
//!
//! A figure that cannot be read is 0 or empty; the shape never changes. One deliberate difference: `processor` names
//! the CPU's model, where Python finds an empty string on most Linux systems.

mod counters;

use std::time::SystemTime;

use rustix::system::Uname;
use sysinfo::System;

use super::shape::{
    CpuSection, Gpu, LoadAverage, MemorySection, ProcessSection, Stats, SystemSection, VolumeSection, one_decimal,
    two_decimals, uptime_human,
};

/// Remembers the last CPU times, so that each sample tells of the time since the one before.
pub(super) struct Host {
    /// `None` where this platform is unknown to sysinfo.
    system: Option<System>,
}

impl Host {
    /// Takes the CPU times that the first sample is compared with.
    pub(super) fn new() -> Self {
        let mut system = System::new().ok();
        if let Some(system) = &mut system {
            system.refresh_cpu_usage();
        }
        Self { system }
    }

    pub(super) fn measure(&mut self, gpu: Vec<Gpu>) -> Stats {
        if let Some(system) = &mut self.system {
            system.refresh_cpu_usage();
            system.refresh_memory();
        }
        let (memory, swap) = self.memory();
        Stats {
            timestamp: humantime::format_rfc3339_seconds(SystemTime::now()).to_string(),
            system: self.system_section(),
            cpu: self.cpu(),
            memory,
            swap,
            disk: disk("/"),
            network: counters::network(),
            processes: ProcessSection {
                count: counters::processes(),
            },
            gpu,
        }
    }

    fn system_section(&self) -> SystemSection {
        let uname = rustix::system::uname();
        let uptime_seconds = System::uptime().unwrap_or_default();
        SystemSection {
            platform: text(uname.sysname()),
            platform_release: text(uname.release()),
            platform_version: text(uname.version()),
            hostname: hostname(&uname),
            architecture: text(uname.machine()),
            processor: self.processor(),
            uptime_seconds,
            uptime_human: uptime_human(uptime_seconds),
        }
    }

    fn processor(&self) -> String {
        let first = self.system.as_ref().and_then(|system| system.cpus().first());
        first.map(|cpu| cpu.brand().trim().to_owned()).unwrap_or_default()
    }

    fn cpu(&self) -> CpuSection {
        let load = System::load_average().unwrap_or_default();
        let cores = self.system.as_ref().map_or(0, |system| system.cpus().len());
        let usage = self.system.as_ref().map_or(0.0, System::global_cpu_usage);
        CpuSection {
            usage_percent: one_decimal(f64::from(usage).clamp(0.0, 100.0)),
            load_average: LoadAverage {
                one: two_decimals(load.one),
                five: two_decimals(load.five),
                fifteen: two_decimals(load.fifteen),
            },
            core_count: cores,
            core_count_logical: cores,
        }
    }

    fn memory(&self) -> (MemorySection, VolumeSection) {
        let Some(system) = &self.system else {
            return (MemorySection::new(0, 0, 0), VolumeSection::swap(0, 0));
        };
        let (total, free) = (system.total_memory(), system.free_memory());
        let available = match system.available_memory() {
            // In an LXC container the host's figure can exceed the container's total; psutil then falls back to free.
            available if available > total => free,
            available => available,
        };
        (
            MemorySection::new(total, available, free),
            VolumeSection::swap(system.total_swap(), system.free_swap()),
        )
    }
}

/// The file system at `path`. `statvfs` alone tells what is reserved for root; sysinfo's disks do not.
fn disk(path: &str) -> VolumeSection {
    rustix::fs::statvfs(path).map_or_else(
        |_| VolumeSection::disk(0, 0, 0),
        |fs| {
            let bytes = |blocks: u64| blocks.saturating_mul(fs.f_frsize);
            VolumeSection::disk(bytes(fs.f_blocks), bytes(fs.f_bfree), bytes(fs.f_bavail))
        },
    )
}

fn hostname(uname: &Uname) -> String {
    text(uname.nodename())
}

fn text(name: &std::ffi::CStr) -> String {
    name.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_of_this_machine_is_plausible() {
        let stats = serde_json::to_value(Host::new().measure(Vec::new())).unwrap();
        assert!(stats["memory"]["total"].as_u64().unwrap() >= stats["memory"]["used"].as_u64().unwrap());
        assert!(stats["disk"]["total"].as_u64().unwrap() > 0);
        assert!(stats["cpu"]["core_count"].as_u64().unwrap() > 0);
        assert!(stats["processes"]["count"].as_u64().unwrap() > 0);
        assert!(!stats["system"]["platform_release"].as_str().unwrap().is_empty());
    }
}
