//! Exchanges as they are kept, read back from the journal.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use capture::{
    Begun, End, Entry, ExchangeId, Kind, Ledger, LossPolicy, Mode, Options, Outcome, Plane, Recorder, ResponseHead,
    SyncPolicy, Terms, decode,
};
use journal::{Cursor, Reader, Step};

/// What a reader puts together of one exchange.
#[derive(Debug, Default, PartialEq, Eq)]
struct Assembled {
    kinds: Vec<Kind>,
    request: Vec<u8>,
    response: Vec<u8>,
    status: Option<u16>,
    outcome: Option<String>,
    bytes: (u64, u64),
    cut: (bool, bool),
    elapsed_us: Vec<u64>,
}

fn read(folder: &Path, id: ExchangeId) -> Assembled {
    let mut reader = Reader::open(folder, Cursor::BEGINNING);
    let mut assembled = Assembled::default();
    while let Step::Record(record) = reader.next_step().expect("a journal without gaps") {
        if record.exchange != id {
            continue;
        }
        assembled.kinds.push(record.kind);
        match decode(record.kind, record.payload).expect("ours") {
            Entry::Begun(begun) => assert_eq!(begun.path, "/v1/chat/completions"),
            Entry::RequestBytes(piece) => assembled.request.extend_from_slice(piece.bytes),
            Entry::ResponseHead(head) => assembled.status = Some(head.status),
            Entry::ResponseBytes(piece) => {
                assembled.elapsed_us.push(piece.elapsed_us);
                assembled.response.extend_from_slice(piece.bytes);
            }
            Entry::Ended(ended) => {
                assembled.outcome = Some(ended.outcome.name().to_owned());
                assembled.bytes = (ended.request_bytes, ended.response_bytes);
                assembled.cut = (ended.cut_request, ended.cut_response);
            }
        }
    }
    assembled
}

struct World {
    folder: tempfile::TempDir,
    ledger: Arc<Ledger>,
}

impl World {
    fn new(options: Options) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let ledger = Ledger::open(folder.path(), options).expect("a journal");
        Self { folder, ledger }
    }

    fn begin(&self, terms: Terms) -> Recorder {
        let begun = Begun::new(Plane::Edge, 1, "id", "POST", "/v1/chat/completions");
        Recorder::begin(&self.ledger, capture::new_id(), &begun, terms, Instant::now())
    }

    fn read(&self, id: ExchangeId) -> Assembled {
        read(self.folder.path(), id)
    }

    fn appends(&self) -> u64 {
        self.ledger.statistics().appends
    }
}

fn options() -> Options {
    Options {
        sync: SyncPolicy::Never,
        ..Options::default()
    }
}

/// Each append is a system call: then it is worth something to share one.
fn by_calls() -> Options {
    Options {
        tray: false,
        ..options()
    }
}

/// No journal takes anything beyond a few bytes.
fn full() -> Options {
    Options {
        folder_bytes_max: 1,
        ..options()
    }
}

const HEAD: ResponseHead<'static> = ResponseHead {
    elapsed_us: 0,
    status: 200,
    content_type: Some("application/json"),
    content_encoding: None,
    server: Some("http://127.0.0.1:8011"),
    attempts: 1,
    fallback_model: None,
};

fn complete(recorder: &mut Recorder) {
    recorder.end(&End {
        status: Some(200),
        ..End::of(Outcome::Complete)
    });
}

/// As the edge's forwarder does it.
fn small(world: &World) -> ExchangeId {
    let mut recorder = world.begin(Terms::default());
    recorder.request_bytes(b"{\"model\":");
    recorder.request_bytes(b"\"m\"}");
    recorder.hand_in().expect("kept");
    recorder.response_head(&HEAD);
    recorder.response_bytes(b"{}");
    complete(&mut recorder);
    recorder.hand_in().expect("kept");
    recorder.flush().expect("kept");
    recorder.id()
}

#[test]
fn a_small_exchange_is_one_append() {
    let world = World::new(by_calls());
    // The journal's own thread may come between its parts, but not each time.
    let once = (0..1000).map(|_| {
        let before = world.appends();
        (small(&world), world.appends() - before)
    });
    let (id, _) = once.into_iter().find(|(_, appends)| *appends == 1).expect("one append");
    let kept = world.read(id);
    let kinds = [
        Kind::Begun,
        Kind::RequestBytes,
        Kind::ResponseHead,
        Kind::ResponseBytes,
        Kind::Ended,
    ];
    assert_eq!(kept.kinds, kinds);
    assert_eq!(
        (&*kept.request, &*kept.response),
        (&b"{\"model\":\"m\"}"[..], &b"{}"[..])
    );
    assert_eq!(
        (kept.status, kept.outcome.as_deref(), kept.bytes),
        (Some(200), Some("complete"), (13, 2))
    );
}

#[test]
fn through_a_tray_nothing_waits_for_others() {
    let world = World::new(options());
    let (before, mut recorder) = (world.appends(), world.begin(Terms::default()));
    recorder.request_bytes(b"{}");
    assert_eq!(recorder.hand_in(), Ok(false), "nothing is left to be flushed");
    assert_eq!(world.read(recorder.id()).request, b"{}");
    recorder.response_bytes(b"ok");
    complete(&mut recorder);
    assert_eq!(recorder.hand_in(), Ok(false));
    let kept = world.read(recorder.id());
    assert_eq!(
        (&*kept.response, kept.outcome.as_deref()),
        (&b"ok"[..], Some("complete"))
    );
    assert_eq!(world.appends() - before, 2);
}

#[test]
fn several_that_wait_share_an_append_and_each_is_there_once_it_flushed() {
    let world = World::new(by_calls());
    let shared = (0..1000).any(|_| {
        let before = world.appends();
        let mut recorders: Vec<_> = (0..10).map(|_| world.begin(Terms::default())).collect();
        for recorder in &mut recorders {
            recorder.response_bytes(b"token");
            assert!(recorder.hand_in().expect("kept"), "there is something to flush");
        }
        recorders[7].flush().expect("kept");
        for recorder in &recorders {
            assert_eq!(world.read(recorder.id()).response, b"token");
        }
        world.appends() - before == 1
    });
    assert!(shared, "ten exchanges in one append");
}

#[test]
fn what_was_handed_in_and_lost_takes_the_rest_of_its_exchange_with_it() {
    let world = World::new(full());
    let mut recorder = world.begin(Terms::default());
    let id = recorder.id();
    recorder.request_bytes(b"{}");
    recorder.hand_in().expect("it waits");
    recorder.response_head(&HEAD);
    recorder.response_bytes(b"abc");
    recorder.flush().expect("dropped, and on it goes");
    recorder.response_bytes(b"def");
    complete(&mut recorder);
    drop(recorder);
    assert_eq!(world.read(id), Assembled::default());
    let statistics = world.ledger.statistics();
    // Begun, request, head, three bytes; then three more and the end, which were not tried.
    assert_eq!((statistics.records, statistics.dropped), (0, 6));
    assert!(statistics.errors >= 1);
}

#[test]
fn what_must_be_kept_is_not_left_to_others() {
    for (terms, is_full) in [
        (LossPolicy::Refuse, true),
        (LossPolicy::Refuse, false),
        (LossPolicy::Drop, true),
    ] {
        let world = World::new(Options {
            tray: false,
            ..if is_full { full() } else { options() }
        });
        let mut recorder = world.begin(Terms {
            loss: terms,
            ..Terms::default()
        });
        let told = recorder.hand_in();
        match (terms, is_full) {
            (LossPolicy::Refuse, true) => assert!(told.is_err()),
            (LossPolicy::Refuse, false) => assert_eq!(world.read(recorder.id()).kinds, [Kind::Begun]),
            (LossPolicy::Drop, _) => assert_eq!(told, Ok(true)),
        }
    }
}

#[test]
fn what_was_flushed_is_there_whatever_comes_after() {
    let world = World::new(options());
    let mut recorder = world.begin(Terms::default());
    let id = recorder.id();
    recorder.flush().expect("kept");
    recorder.response_head(&HEAD);
    for token in ["a", "b", "c"] {
        recorder.response_bytes(token.as_bytes());
        recorder.flush().expect("kept");
        std::thread::sleep(Duration::from_millis(1));
    }
    // As after a kill: the recorder never gets to say anything.
    std::mem::forget(recorder);
    let kept = world.read(id);
    assert_eq!((&*kept.response, kept.outcome), (&b"abc"[..], None));
    assert!(kept.elapsed_us.is_sorted_by(|a, b| a < b), "{:?}", kept.elapsed_us);
}

#[test]
fn one_that_is_given_up_ends_as_interrupted_and_one_that_never_began_leaves_nothing() {
    let world = World::new(options());
    let mut begun = world.begin(Terms::default());
    begun.flush().expect("kept");
    let (begun_id, unbegun) = (begun.id(), world.begin(Terms::default()));
    let unbegun_id = unbegun.id();
    drop((begun, unbegun));
    assert_eq!(world.read(begun_id).outcome.as_deref(), Some("interrupted"));
    assert_eq!(world.read(unbegun_id), Assembled::default());
}

#[test]
fn long_bodies_come_back_byte_for_byte_and_beyond_their_bound_are_cut() {
    let body: Vec<u8> = (0..1_000_000u32).map(|n| (n % 251) as u8).collect();
    for (bound, piece_bytes) in [
        (u64::MAX, 1_000_000),
        (u64::MAX, 7_777),
        (100_000, 1_000_000),
        (100_000, 999),
        (0, 10),
    ] {
        let world = World::new(options());
        let mut recorder = world.begin(Terms {
            body_bytes_max: bound,
            ..Terms::default()
        });
        let id = recorder.id();
        for piece in body.chunks(piece_bytes) {
            recorder.request_bytes(piece);
            recorder.response_bytes(piece);
        }
        complete(&mut recorder);
        recorder.flush().expect("kept");
        let kept = world.read(id);
        let expected = &body[..usize::try_from(bound).unwrap_or(usize::MAX).min(body.len())];
        assert!(
            kept.request == expected && kept.response == expected,
            "{bound} by {piece_bytes}"
        );
        let is_cut = expected.len() < body.len();
        assert_eq!((kept.bytes, kept.cut), ((1_000_000, 1_000_000), (is_cut, is_cut)));
    }
}

#[test]
fn a_body_that_is_sent_twice_is_kept_once() {
    let world = World::new(options());
    let mut recorder = world.begin(Terms::default());
    let id = recorder.id();
    recorder.request_bytes(b"abc");
    recorder.request_restarts();
    for piece in [&b"ab"[..], b"cd", b"e"] {
        recorder.request_bytes(piece);
    }
    complete(&mut recorder);
    recorder.flush().expect("kept");
    let kept = world.read(id);
    assert_eq!((&*kept.request, kept.bytes.0, kept.cut.0), (&b"abcde"[..], 5, false));
}

#[test]
fn metadata_has_no_body_and_all_counts() {
    let world = World::new(options());
    let mut recorder = world.begin(Terms {
        mode: Mode::Metadata,
        ..Terms::default()
    });
    let id = recorder.id();
    recorder.request_bytes(b"secret");
    recorder.response_head(&HEAD);
    recorder.response_bytes(b"secrets");
    complete(&mut recorder);
    recorder.flush().expect("kept");
    let kept = world.read(id);
    assert_eq!(kept.kinds, [Kind::Begun, Kind::ResponseHead, Kind::Ended]);
    assert_eq!((kept.bytes, kept.cut), ((6, 7), (false, false)));
}

#[test]
fn where_the_beginning_is_lost_nothing_is_kept_and_all_is_counted() {
    let world = World::new(full());
    let mut recorder = world.begin(Terms::default());
    let id = recorder.id();
    recorder.flush().expect("dropped, and on it goes");
    recorder.response_head(&HEAD);
    recorder.response_bytes(b"abc");
    recorder.flush().expect("nothing is told");
    complete(&mut recorder);
    drop(recorder);
    assert_eq!(world.read(id), Assembled::default());
    let statistics = world.ledger.statistics();
    assert_eq!((statistics.records, statistics.dropped, statistics.errors), (0, 4, 1));
}

#[test]
fn the_rest_of_a_long_body_is_not_kept_where_its_beginning_was_lost() {
    // The first piece of a body that comes whole does not fit; its rest would.
    let world = World::new(Options {
        folder_bytes_max: 200_000,
        ..options()
    });
    let mut recorder = world.begin(Terms::default());
    let id = recorder.id();
    recorder.request_bytes(&vec![b'x'; 350_000]);
    recorder.flush().expect("dropped, and on it goes");
    complete(&mut recorder);
    drop(recorder);
    assert_eq!(world.read(id), Assembled::default());
}

#[test]
fn what_must_be_kept_is_refused_and_can_be_tried_again() {
    let world = World::new(full());
    let mut recorder = world.begin(Terms {
        loss: LossPolicy::Refuse,
        ..Terms::default()
    });
    for _ in 0..3 {
        let error = recorder.flush().expect_err("nothing fits");
        assert!(error.to_string().contains("bound"), "{error}");
    }
    recorder.abandon();
    recorder.flush().expect("nothing is left to keep");
}

#[test]
fn a_second_writer_is_told_who_is_in_its_way() {
    let world = World::new(options());
    let error = Ledger::open(world.folder.path(), options()).expect_err("locked");
    assert!(error.to_string().contains("another process holds"), "{error}");
}
