//! Flipped bits: never a panic, never a wrong row, at most the record hit is lost, and each loss is located.

use aggregator::ingest::catch_up;
use aggregator::store::{NewExchange, Status};

use crate::memory::Memory;
use crate::scene::{Scene, WORDS, id_of, word, write};

const FLIPS: u32 = 10_000;
const EXCHANGES: usize = 5;

#[test]
fn ten_thousand_flipped_bits() {
    let scene = Scene::new();
    write(&scene.writer(), 0..EXCHANGES);
    let scene = scene.died();
    let right = read(&scene).0;
    let segments: Vec<_> = scene
        .segments()
        .into_iter()
        .map(|path| (std::fs::read(&path).unwrap(), path))
        .collect();
    let bits = segments.iter().map(|(bytes, _)| bytes.len() as u64 * 8).sum::<u64>();
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let (mut harmed, mut unharmed) = (0, 0);
    for _ in 0..FLIPS {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let mut at = (random >> 11) % bits;
        let (bytes, path) = segments
            .iter()
            .find(|(bytes, _)| {
                let inside = at < bytes.len() as u64 * 8;
                at -= if inside { 0 } else { bytes.len() as u64 * 8 };
                inside
            })
            .expect("within one of them");
        let mut hurt = bytes.clone();
        hurt[(at / 8) as usize] ^= 1 << (at % 8);
        std::fs::write(path, &hurt).unwrap();
        let (found, gaps) = read(&scene);
        std::fs::write(path, bytes).unwrap();
        let is_other =
            |number: &usize| found[*number] != right[*number] && !is_doubted(&found[*number], &right[*number]);
        let differing: Vec<usize> = (0..EXCHANGES).filter(is_other).collect();
        let where_it_was = format!("bit {at} of {}", path.display());
        match differing[..] {
            [] => unharmed += 1,
            [number] => {
                harmed += 1;
                assert!(gaps > 0, "{where_it_was}: a loss must be told");
                assert_not_wrong(found[number].as_ref(), number, &where_it_was);
            }
            _ => panic!("{where_it_was}: more than one exchange suffered: {differing:?}"),
        }
    }
    // Only the segments' heads stand there thrice.
    assert!(harmed > FLIPS / 2 && unharmed < FLIPS / 2, "{harmed} and {unharmed}");
}

fn read(scene: &Scene) -> (Vec<Option<Shown>>, u64) {
    let memory = Memory::new();
    let mut config = scene.config();
    config.keep_journal = true;
    // Ten thousand times the disk is not waited for.
    config.holding.segments_max = 100;
    config.pace.batch_rows_max = 100;
    let gaps = catch_up(&config, &memory).expect("nothing fails").gaps;
    let rows = (0..EXCHANGES).map(|number| memory.row(id_of(number).0).map(Shown::of));
    (rows.collect(), gaps)
}

/// What may not be wrong.
#[derive(Clone, PartialEq, Debug)]
struct Shown {
    /// All that is not below.
    row: String,
    status: Status,
    is_lossy: bool,
    text: String,
    request: Vec<u8>,
    response: Vec<u8>,
    key: Option<String>,
    model: Option<String>,
    started_at_us: i64,
}

impl Shown {
    fn of(row: NewExchange) -> Self {
        let body = |body: &Option<bytes::Bytes>| body.as_ref().map(|body| body.to_vec()).unwrap_or_default();
        // Times are as they were written, and durations of what was lost are not known.
        Self {
            row: format!("{:?} {:?} {:?}", row.asked, row.answered.http_status, row.tokens),
            status: row.answered.status,
            is_lossy: row.answered.is_lossy,
            request: body(&row.content.request),
            response: body(&row.content.response),
            text: row.content.text.unwrap_or_default(),
            key: row.asked.key,
            model: row.asked.model,
            started_at_us: row.started_at_us,
        }
    }
}

/// Where nobody knows whose record was lost, what has no end is marked as well: its end may be what it was.
fn is_doubted(found: &Option<Shown>, right: &Option<Shown>) -> bool {
    match (found, right) {
        (Some(found), Some(right)) => {
            let but_marked = Shown {
                is_lossy: true,
                ..right.clone()
            };
            right.status == Status::Interrupted && *found == but_marked
        }
        _ => false,
    }
}

/// It is marked, and what there is of it is right.
fn assert_not_wrong(found: Option<&Shown>, number: usize, where_it_was: &str) {
    let found =
        found.unwrap_or_else(|| panic!("{where_it_was}: the exchange is lost, though only one of its records was"));
    assert!(found.is_lossy, "{where_it_was}: {found:?}");
    assert!(
        found.key.as_deref().is_none_or(|key| key == "alice"),
        "{where_it_was}: {found:?}"
    );
    assert!(
        found.model.as_ref().is_none_or(|model| *model == format!("m{number}")),
        "{where_it_was}: {found:?}"
    );
    // Words may be missing; none is mutilated, out of order or another's.
    let mut rest = found.text.as_str();
    for index in 0..WORDS {
        rest = rest.strip_prefix(&*word(number, index)).unwrap_or(rest);
    }
    assert_eq!(rest, "", "{where_it_was}: {:?}", found.text);
    let began = 1_700_000_000_000_000 + number as i64;
    let by_id = 0x0198_0000_0000 * 1_000;
    assert!(
        [began, by_id].contains(&found.started_at_us),
        "{where_it_was}: {found:?}"
    );
}
