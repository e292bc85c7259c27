use proptest::prelude::*;

use super::*;

fn trail(seed: &RandomState, scope: &[&[u8]], pieces: &[(&[u8], &[u8])]) -> Trail {
    let mut trail = Trail::new(seed, scope);
    for (label, text) in pieces {
        trail.piece(label, text);
    }
    trail
}

fn shared(a: &Trail, b: &Trail) -> usize {
    let pairs = a.points().iter().zip(b.points());
    pairs.take_while(|(a, b)| a.hash == b.hash).count()
}

#[test]
fn a_piece_is_cut_into_blocks_and_always_ends_in_a_point() {
    let seed = RandomState::new();
    let cases: [(usize, &[u64]); 7] = [
        (0, &[0]),
        (1, &[1]),
        (511, &[511]),
        (512, &[512]),
        (513, &[512, 513]),
        (1024, &[512, 1024]),
        (1100, &[512, 1024, 1100]),
    ];
    for (bytes, expected) in cases {
        let trail = trail(&seed, &[], &[(b"user", &vec![b'x'; bytes])]);
        let ends: Vec<_> = trail.points().iter().map(|point| point.bytes).collect();
        assert_eq!(ends, expected, "{bytes} bytes");
        assert_eq!(trail.bytes(), bytes as u64);
    }
}

#[test]
fn what_differs_in_anything_before_a_point_differs_at_it() {
    let seed = RandomState::new();
    let long = [b'x'; 600];
    let base = trail(&seed, &[b"router", b"model"], &[(b"user", b"ab"), (b"user", b"c")]);
    let cases: [(&str, Trail, usize); 9] = [
        (
            "itself",
            trail(&seed, &[b"router", b"model"], &[(b"user", b"ab"), (b"user", b"c")]),
            2,
        ),
        (
            "last text",
            trail(&seed, &[b"router", b"model"], &[(b"user", b"ab"), (b"user", b"d")]),
            1,
        ),
        (
            "last role",
            trail(&seed, &[b"router", b"model"], &[(b"user", b"ab"), (b"tool", b"c")]),
            1,
        ),
        (
            "first role",
            trail(&seed, &[b"router", b"model"], &[(b"tool", b"ab"), (b"user", b"c")]),
            0,
        ),
        (
            "cut elsewhere",
            trail(&seed, &[b"router", b"model"], &[(b"user", b"a"), (b"user", b"bc")]),
            0,
        ),
        (
            "label and text run together",
            trail(&seed, &[b"router", b"model"], &[(b"usera", b"b")]),
            0,
        ),
        ("model", trail(&seed, &[b"router", b"other"], &[(b"user", b"ab")]), 0),
        (
            "scope cut elsewhere",
            trail(&seed, &[b"routerm", b"odel"], &[(b"user", b"ab")]),
            0,
        ),
        (
            "a longer one",
            trail(&seed, &[b"router", b"model"], &[(b"user", b"ab"), (b"user", &long)]),
            1,
        ),
    ];
    for (what, other, expected) in cases {
        assert_eq!(shared(&base, &other), expected, "{what}");
    }
}

#[test]
fn another_seed_shares_nothing() {
    let pieces: &[(&[u8], &[u8])] = &[(b"user", b"hello")];
    let (a, b) = (
        trail(&RandomState::new(), &[], pieces),
        trail(&RandomState::new(), &[], pieces),
    );
    assert_eq!(shared(&a, &b), 0);
}

#[test]
fn a_session_is_its_callers_own_and_its_scopes() {
    let seed = RandomState::new();
    let hash = |scope: &[&[u8]], caller: &[u8], name: &[u8]| {
        let mut trail = Trail::new(&seed, scope);
        trail.session(caller, name);
        trail.session_hash()
    };
    let base = hash(&[b"m"], b"key-a", b"1");
    assert_eq!(base, hash(&[b"m"], b"key-a", b"1"));
    for other in [
        hash(&[b"m"], b"key-b", b"1"),
        hash(&[b"m"], b"key-a", b"2"),
        hash(&[b"n"], b"key-a", b"1"),
        hash(&[b"m"], b"key-a1", b""),
    ] {
        assert_ne!(base, other);
    }
}

#[test]
fn one_request_costs_no_more_than_the_bound() {
    let seed = RandomState::new();
    let mut long = Trail::new(&seed, &[]);
    long.piece(b"user", &vec![0; 5 << 20]);
    assert_eq!(
        (long.len(), long.bytes()),
        (POINTS_MAX, (POINTS_MAX * BLOCK_BYTES) as u64)
    );
    let mut many = Trail::new(&seed, &[]);
    (0..10_000).for_each(|_| many.piece(b"user", b"x"));
    assert_eq!(many.len(), POINTS_MAX);
}

#[test]
fn debug_shows_sizes_only() {
    let mut trail = Trail::new(&RandomState::new(), &[b"scope"]);
    trail.piece(b"user", b"secret prompt");
    trail.session(b"key", b"name");
    let shown = format!("{trail:?}");
    assert!(
        shown.starts_with("Trail { points: 1, bytes: 13, session: true"),
        "{shown}"
    );
}

proptest! {
    /// The oracle compares the text itself: whole pieces, then blocks of the first piece that differs.
    #[test]
    fn the_shared_points_are_those_before_the_first_difference(
        a in pieces(), b in pieces(), common in pieces(),
    ) {
        let seed = RandomState::new();
        let make = |own: &[Vec<u8>]| {
            let mut trail = Trail::new(&seed, &[]);
            common.iter().chain(own).for_each(|text| trail.piece(b"user", text));
            trail
        };
        let texts = |own: &[Vec<u8>]| points_of(&common.iter().chain(own).cloned().collect::<Vec<_>>());
        let (x, y) = (texts(&a), texts(&b));
        let expected = x.iter().zip(&y).take_while(|(x, y)| x == y).count();
        prop_assert_eq!(shared(&make(&a), &make(&b)), expected);
    }
}

fn pieces() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let text = (0..4_u8, prop_oneof![0..3_usize, 510..515_usize, 1022..1026_usize]);
    proptest::collection::vec(text.prop_map(|(byte, bytes)| vec![byte; bytes]), 0..4)
}

/// The whole text before a point: closed pieces, and an open one.
type Before = (Vec<Vec<u8>>, Option<Vec<u8>>);

fn points_of(pieces: &[Vec<u8>]) -> Vec<Before> {
    let mut points = Vec::new();
    for (at, piece) in pieces.iter().enumerate() {
        let mut end = BLOCK_BYTES;
        while end < piece.len() {
            points.push((pieces[..at].to_vec(), Some(piece[..end].to_vec())));
            end += BLOCK_BYTES;
        }
        points.push((pieces[..=at].to_vec(), None));
    }
    points
}
