//! What sysinfo does not count, or only at a cost: dropped packets, and the number of processes.
//!
//! On Linux both come from `/proc`, as psutil reads them; elsewhere from sysinfo, without the drops.

use crate::stats::shape::NetworkSection;

#[cfg(target_os = "linux")]
pub(super) fn network() -> NetworkSection {
    std::fs::read_to_string("/proc/net/dev")
        .map(|table| sum_interfaces(&table))
        .unwrap_or_default()
}

/// Listing `/proc` costs a fraction of what refreshing sysinfo's process table does.
#[cfg(target_os = "linux")]
pub(super) fn processes() -> usize {
    let is_pid = |name: std::ffi::OsString| name.as_encoded_bytes().iter().all(u8::is_ascii_digit);
    std::fs::read_dir("/proc").map_or(0, |entries| {
        entries.flatten().filter(|entry| is_pid(entry.file_name())).count()
    })
}

#[cfg(not(target_os = "linux"))]
pub(super) fn network() -> NetworkSection {
    let networks = sysinfo::Networks::new_with_refreshed_list();
    networks
        .iter()
        .flat_map(|networks| networks.list().values())
        .fold(NetworkSection::default(), |sum, interface| NetworkSection {
            bytes_sent: sum.bytes_sent + interface.total_transmitted(),
            bytes_recv: sum.bytes_recv + interface.total_received(),
            packets_sent: sum.packets_sent + interface.total_packets_transmitted(),
            packets_recv: sum.packets_recv + interface.total_packets_received(),
            errin: sum.errin + interface.total_errors_on_received(),
            errout: sum.errout + interface.total_errors_on_transmitted(),
            ..sum
        })
}

#[cfg(not(target_os = "linux"))]
pub(super) fn processes() -> usize {
    let only_pids = sysinfo::RefreshKind::nothing().with_processes(sysinfo::ProcessRefreshKind::nothing());
    sysinfo::System::new_with_specifics(only_pids).map_or(0, |system| system.processes().len())
}

/// Each line: `name: bytes packets errs drop fifo frame compressed multicast`, received, then eight sent.
#[cfg(any(target_os = "linux", test))]
fn sum_interfaces(table: &str) -> NetworkSection {
    let mut sum = NetworkSection::default();
    // A name may hold a colon (an alias); the figures follow the last one.
    for figures in table.lines().filter_map(|line| Some(line.rsplit_once(':')?.1)) {
        let figures: Vec<u64> = figures
            .split_whitespace()
            .map_while(|figure| figure.parse().ok())
            .collect();
        if let [
            bytes_in,
            packets_in,
            errors_in,
            drops_in,
            _,
            _,
            _,
            _,
            bytes_out,
            packets_out,
            errors_out,
            drops_out,
            ..,
        ] = figures[..]
        {
            sum.bytes_recv += bytes_in;
            sum.packets_recv += packets_in;
            sum.errin += errors_in;
            sum.dropin += drops_in;
            sum.bytes_sent += bytes_out;
            sum.packets_sent += packets_out;
            sum.errout += errors_out;
            sum.dropout += drops_out;
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interfaces_are_summed_and_odd_lines_passed_over() {
        let table = "Inter-|   Receive |  Transmit\n face |bytes packets errs drop\n\
            lo:    1 2 3 4 0 0 0 0 5 6 7 8 0 0 0 0\n\
            eth0:1: 10 20 30 40 0 0 0 9 50 60 70 80 0 0 0 0\n\
            cut: 1 2 3\n\nbad: a b c d e f g h i j k l\n";
        assert_eq!(
            sum_interfaces(table),
            NetworkSection {
                bytes_recv: 11,
                packets_recv: 22,
                errin: 33,
                dropin: 44,
                bytes_sent: 55,
                packets_sent: 66,
                errout: 77,
                dropout: 88,
            }
        );
    }
}
