//! The bound on memory is one on what the allocator hands out, not only on what the index says of itself.

use std::time::{Duration, Instant};

use affinity::{Capacity, Index};

#[test]
fn an_index_never_takes_more_than_it_may() {
    for (bytes_max, conversations) in [(1 << 20, 1_000_u32), (4 << 20, 12_000)] {
        let (now, age_max) = (Instant::now(), Duration::from_secs(3600));
        let mut said = 0;
        let mut kept = None;
        let taken = allocation_counter::measure(|| {
            let index = Index::new(Capacity { bytes_max, age_max }, now);
            let servers: Vec<_> = (0..80).map(|_| index.enrol()).collect();
            for conversation in 0..conversations {
                let mut trail = index.trail(&[b"model"]);
                trail.piece(b"system", &[b's'; 3000]);
                (0..12_u32).for_each(|turn| trail.piece(b"user", &[conversation, turn].map(u32::to_le_bytes).concat()));
                index.note(&trail, &servers[conversation as usize % servers.len()], now);
            }
            said = index.usage().bytes as i64;
            assert!(conversations < 12_000 || index.usage().evictions > 0);
            kept = Some(index);
        });
        let slack = 4096; // What is no memory of entries: the shards' array and the index itself.
        assert!(
            taken.bytes_current <= bytes_max as i64,
            "{} of {bytes_max}",
            taken.bytes_current
        );
        assert!(
            (taken.bytes_current - said).abs() <= slack,
            "said {said}, took {}",
            taken.bytes_current
        );
        drop(kept);
    }
}
