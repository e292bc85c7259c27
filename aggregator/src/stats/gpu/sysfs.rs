//! `/sys/class/drm`: what the amdgpu, i915 and xe drivers tell of their cards.
//!
//! ```text
//! card0/device/vendor                   0x1002 (AMD), 0x8086 (Intel)
//! card0/device/uevent                   PCI_SLOT_NAME=0000:03:00.0, PCI_ID=1002:744C
//! card0/device/product_name             amdgpu, where the board knows it
//! card0/device/gpu_busy_percent         amdgpu
//! card0/device/mem_info_vram_{total,used}   amdgpu, bytes
//! card0/lmem_{total,avail}_bytes        i915, bytes
//! card0/device/hwmon/hwmon*/temp*_input     thousandths of a degree; the first that is there
//! card0/device/hwmon/hwmon*/power1_{average,input}   millionths of a watt
//! ```
//!
//! A card that tells nothing at all (a server's management console, a virtual screen) is not listed.

use std::fs;
use std::path::{Path, PathBuf};

use super::GPUS_MAX;
use crate::stats::shape::{Gpu, GpuReadings};

pub(in crate::stats) fn read(drm_folder: &Path) -> Vec<Gpu> {
    let mut cards: Vec<(u32, PathBuf)> = entries(drm_folder)
        .filter_map(|card| Some((number(&card)?, card)))
        .collect();
    cards.sort();
    cards
        .iter()
        .filter_map(|(_, card)| read_card(card))
        .take(GPUS_MAX)
        .collect()
}

/// `card1` is a card; `card1-HDMI-A-1` is one of its connectors.
fn number(card: &Path) -> Option<u32> {
    card.file_name()?.to_str()?.strip_prefix("card")?.parse().ok()
}

fn read_card(card: &Path) -> Option<Gpu> {
    let device = card.join("device");
    let vendor = match text(&device.join("vendor"))?.as_str() {
        "0x1002" => "amd",
        "0x8086" => "intel",
        _ => return None,
    };
    let readings = readings(card, &device);
    if readings.is_empty() {
        return None;
    }
    let uevent = text(&device.join("uevent")).unwrap_or_default();
    let name = text(&device.join("product_name"))
        .or_else(|| Some(format!("{vendor} {}", field(&uevent, "PCI_ID")?.to_lowercase())))
        .unwrap_or_else(|| vendor.to_owned());
    Some(Gpu::new(
        vendor,
        name,
        field(&uevent, "PCI_SLOT_NAME").unwrap_or_default().to_owned(),
        &readings,
    ))
}

fn readings(card: &Path, device: &Path) -> GpuReadings {
    let local_total = integer(&card.join("lmem_total_bytes"));
    let local_free = integer(&card.join("lmem_avail_bytes"));
    let local_used = local_total
        .zip(local_free)
        .map(|(total, free)| total.saturating_sub(free));
    let sensor = |names: &[&str]| {
        let folders: Vec<PathBuf> = entries(&device.join("hwmon")).collect();
        folders
            .iter()
            .flat_map(|folder| names.iter().map(move |name| folder.join(name)))
            .find_map(|file| integer(&file))
    };
    GpuReadings {
        usage_percent: integer(&device.join("gpu_busy_percent")).map(|percent| percent as f64),
        memory_total: integer(&device.join("mem_info_vram_total")).or(local_total),
        memory_used: integer(&device.join("mem_info_vram_used")).or(local_used),
        temperature_celsius: sensor(&["temp1_input", "temp2_input"]).map(|thousandths| thousandths as f64 / 1e3),
        power_watts: sensor(&["power1_average", "power1_input"]).map(|millionths| millionths as f64 / 1e6),
    }
}

fn entries(folder: &Path) -> impl Iterator<Item = PathBuf> {
    fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
}

/// Files here hold a line; a sensor that is asleep answers with an error, which is no reading.
fn text(file: &Path) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

fn integer(file: &Path) -> Option<u64> {
    text(file)?.parse().ok()
}

fn field<'a>(uevent: &'a str, name: &str) -> Option<&'a str> {
    uevent
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix('='))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn write(root: &Path, files: &[(&str, &str)]) {
        for (path, text) in files {
            let path = root.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
    }

    #[test]
    fn amd_and_intel_cards_are_read_in_order_and_what_tells_nothing_is_left_out() {
        let root = tempfile::tempdir().unwrap();
        write(
            root.path(),
            &[
                ("card10/device/vendor", "0x8086\n"),
                (
                    "card10/device/uevent",
                    "DRIVER=i915\nPCI_ID=8086:56A0\nPCI_SLOT_NAME=0000:0a:00.0\n",
                ),
                ("card10/lmem_total_bytes", "17179869184\n"),
                ("card10/lmem_avail_bytes", "12884901888\n"),
                ("card10/device/hwmon/hwmon3/temp2_input", "41000\n"),
                ("card2/device/vendor", "0x1002\n"),
                (
                    "card2/device/uevent",
                    "DRIVER=amdgpu\nPCI_ID=1002:744C\nPCI_SLOT_NAME=0000:03:00.0\n",
                ),
                ("card2/device/product_name", "Radeon RX 7900 XTX\n"),
                ("card2/device/gpu_busy_percent", "37\n"),
                ("card2/device/mem_info_vram_total", "25753026560\n"),
                ("card2/device/mem_info_vram_used", "6438256640\n"),
                ("card2/device/hwmon/hwmon1/temp1_input", "54250\n"),
                ("card2/device/hwmon/hwmon1/power1_average", "123456789\n"),
                ("card2-DP-1/device/vendor", "0x1002\n"),
                ("card3/device/vendor", "0x1a03\n"),
                ("card3/device/gpu_busy_percent", "1\n"),
                ("card4/device/vendor", "0x8086\n"),
                ("card5/device/vendor", "0x10de\n"),
                ("version", "drm 1.1.0\n"),
            ],
        );
        assert_eq!(
            serde_json::to_value(read(root.path())).unwrap(),
            json!([
                {"vendor": "amd", "name": "Radeon RX 7900 XTX", "bus": "0000:03:00.0", "usage_percent": 37.0,
                 "memory_total": 25_753_026_560_u64, "memory_used": 6_438_256_640_u64, "memory_percent": 25.0,
                 "memory_total_gb": 23.98, "memory_used_gb": 6.0, "temperature_celsius": 54.3, "power_watts": 123.46},
                {"vendor": "intel", "name": "intel 8086:56a0", "bus": "0000:0a:00.0", "usage_percent": null,
                 "memory_total": 17_179_869_184_u64, "memory_used": 4_294_967_296_u64, "memory_percent": 25.0,
                 "memory_total_gb": 16.0, "memory_used_gb": 4.0, "temperature_celsius": 41.0, "power_watts": null},
            ])
        );
    }

    #[test]
    fn a_machine_without_cards_has_an_empty_list() {
        assert_eq!(read(Path::new("/nonexistent/drm")), []);
    }
}
