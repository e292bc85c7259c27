//! What passes is kept: whole, before it is passed on, and never with a key.

use std::io::Write;
use std::path::Path;
use std::sync::Mutex;
use std::sync::mpsc::channel;
use std::time::Duration;

use capture::{Entry, Kind, LossPolicy, Mode, Options, Outcome, Terms as KeepingTerms};
use edge::CaptureConfig;
use journal::{Cursor, Reader, Step};

use crate::harness::origin::{Origin, until_closed};
use crate::harness::world::{Terms, World, mapping, wait_for};

const BODY: &str = r#"{"model":"m","prompt":"canary prompt"}"#;
const STREAM_HEAD: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";

/// An exchange as a reader puts it together.
#[derive(Debug, Default, Clone)]
struct Kept {
    kinds: Vec<Kind>,
    router: String,
    path: String,
    user_agent: Option<String>,
    request_id: String,
    request: String,
    response: String,
    status: Option<u16>,
    outcome: Option<String>,
    code: Option<String>,
    counted: (u64, u64),
}

fn kept_in(journal: &Path) -> Vec<Kept> {
    let mut reader = Reader::open(journal.join("edge"), Cursor::BEGINNING);
    let mut all: Vec<(capture::ExchangeId, Kept)> = Vec::new();
    while let Step::Record(record) = reader.next_step().expect("a journal without gaps") {
        let at = all.iter().position(|(id, _)| *id == record.exchange);
        let at = at.unwrap_or_else(|| {
            all.push((record.exchange, Kept::default()));
            all.len() - 1
        });
        all[at]
            .1
            .take(record.kind, capture::decode(record.kind, record.payload).expect("ours"));
    }
    all.into_iter().map(|(_, kept)| kept).collect()
}

impl Kept {
    fn take(&mut self, kind: Kind, entry: Entry<'_>) {
        self.kinds.push(kind);
        match entry {
            Entry::Begun(begun) => {
                self.router = begun.router.unwrap_or_default().to_owned();
                self.path = begun.path.to_owned();
                self.request_id = begun.request_id.to_owned();
                self.user_agent = begun.headers.get(capture::Header::UserAgent).map(str::to_owned);
            }
            Entry::RequestBytes(piece) => self.request += &String::from_utf8_lossy(piece.bytes),
            Entry::ResponseHead(head) => self.status = Some(head.status),
            Entry::ResponseBytes(piece) => self.response += &String::from_utf8_lossy(piece.bytes),
            Entry::Ended(ended) => {
                self.status = ended.status;
                self.outcome = Some(ended.outcome.name().to_owned());
                if let Outcome::Refused(code) = ended.outcome {
                    self.code = Some(code.to_owned());
                }
                self.counted = (ended.request_bytes, ended.response_bytes);
            }
        }
    }
}

struct Scene {
    world: World,
    journal: tempfile::TempDir,
}

impl Scene {
    fn of(terms: Option<KeepingTerms>, options: Options, files: &[(&str, &str)]) -> Self {
        let journal = tempfile::tempdir().expect("a folder");
        let capture = CaptureConfig {
            journal: journal.path().to_owned(),
            options,
            terms,
            body_bytes_max: capture::BODY_BYTES_MAX,
        };
        let terms = Terms {
            capture: Some(capture),
            // Only what hangs is cut by it.
            timeouts: edge::Timeouts {
                drain: Some(Duration::from_millis(100)),
                ..edge::Timeouts::default()
            },
            ..Terms::default()
        };
        Self {
            world: World::on(terms, files),
            journal,
        }
    }

    fn before(origin: &Origin) -> Self {
        let file = mapping("alice", "Key(`sk-canary`)", std::slice::from_ref(&origin.url));
        Self::of(Some(KeepingTerms::default()), Options::default(), &[("a.yml", &file)])
    }

    fn kept(&self) -> Vec<Kept> {
        kept_in(self.journal.path())
    }

    /// The one exchange there is, once it is over.
    fn only(&self) -> Kept {
        wait_for("an exchange to be over", || {
            self.kept().first().is_some_and(|kept| kept.outcome.is_some())
        });
        let all = self.kept();
        assert_eq!(all.len(), 1, "one exchange: {all:?}");
        all.into_iter().next().unwrap_or_default()
    }
}

fn post(body: &str) -> String {
    format!(
        "POST /v1/chat/completions?token=sk-query HTTP/1.1\r\nHost: edge\r\nAuthorization: Bearer sk-canary\r\nCookie: \
         a=sk-cookie\r\nUser-Agent: tester/1\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn chunk(text: &str) -> Vec<u8> {
    format!("{:x}\r\n{text}\r\n", text.len()).into_bytes()
}

#[test]
fn a_small_exchange_is_kept_whole_and_without_its_key() {
    let origin = Origin::answering(r#"{"text":"an answer"}"#);
    let scene = Scene::before(&origin);
    let answer = scene.world.send(&post(BODY));
    assert_eq!(answer.status, 200);
    let kept = scene.only();
    assert_eq!(
        (&*kept.router, &*kept.path, kept.user_agent.as_deref()),
        ("alice", "/v1/chat/completions", Some("tester/1"))
    );
    assert_eq!((&*kept.request, &*kept.response), (BODY, r#"{"text":"an answer"}"#));
    assert_eq!((kept.status, kept.outcome.as_deref()), (Some(200), Some("complete")));
    assert_eq!(answer.header("x-request-id"), Some(&*kept.request_id));
    for entry in std::fs::read_dir(scene.journal.path().join("edge"))
        .expect("a folder")
        .flatten()
    {
        let bytes = std::fs::read(entry.path()).expect("readable");
        let text = String::from_utf8_lossy(&bytes);
        for secret in ["sk-canary", "sk-cookie", "sk-query"] {
            assert!(!text.contains(secret), "{secret} is in the journal");
        }
    }
}

#[test]
fn a_small_exchange_costs_two_appends() {
    let origin = Origin::answering("ok");
    let scene = Scene::before(&origin);
    let kept = |name: &str| {
        let metrics = scene.world.admin_get("/metrics").text();
        value_of(&metrics, &format!("conclave_edge_capture_{name}_total"))
    };
    // Through a tray nothing waits for others: the request is one, the answer another. pingora-proxy sends heads before it
    // has bodies.
    let is_forwarder = crate::CARRIER == edge::Carrier::Forwarder;
    let most = if is_forwarder { 2 } else { 4 };
    for exchange in 1..=20 {
        let before = kept("appends");
        scene.world.send(&post(BODY));
        wait_for("an exchange to be kept", || kept("records") == 5 * exchange);
        assert_eq!(kept("dropped"), 0);
        let appends = kept("appends") - before;
        assert!(appends <= most, "{appends} appends");
    }
}

fn value_of(metrics: &str, name: &str) -> u64 {
    let line = metrics
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.and_then(|value| value.trim().parse().ok())
        .unwrap_or_else(|| panic!("no {name} in {metrics}"))
}

#[test]
fn each_token_is_kept_before_the_client_has_it() {
    let (go_on, wait) = channel::<()>();
    let wait = Mutex::new(wait);
    let origin = Origin::scripted(move |_, stream| {
        stream.write_all(STREAM_HEAD).expect("written");
        for token in ["one", "two", "three"] {
            stream.write_all(&chunk(token)).expect("written");
            wait.lock().expect("no panic").recv().expect("the client goes on");
        }
        stream.write_all(b"0\r\n\r\n").is_ok()
    });
    let scene = Scene::before(&origin);
    let mut connection = scene.world.connect();
    connection.write(post(BODY).as_bytes());
    for (token, so_far) in [("one", "one"), ("two", "onetwo"), ("three", "onetwothree")] {
        connection.read_until(token);
        assert_eq!(scene.kept()[0].response, so_far, "at {token}");
        go_on.send(()).expect("the origin waits");
    }
    connection.read_until("0\r\n\r\n");
    assert_eq!(scene.only().outcome.as_deref(), Some("complete"));
}

#[test]
fn a_chunked_request_is_kept_without_its_chunks() {
    let origin = Origin::answering("ok");
    let scene = Scene::before(&origin);
    let request = "POST /v1/completions HTTP/1.1\r\nHost: edge\r\nx-api-key: sk-canary\r\nTransfer-Encoding: chunked\r\n\r\n\
                   3\r\nabc\r\n4;x=y\r\ndefg\r\n0\r\n\r\n";
    assert_eq!(scene.world.send(request).status, 200);
    let kept = scene.only();
    assert_eq!((&*kept.request, kept.counted), ("abcdefg", (7, 2)));
}

#[test]
fn a_body_that_decides_the_route_is_kept_too() {
    let origin = Origin::answering("ok");
    let file = mapping(
        "alice",
        "Key(`sk-canary`) && Model(`m`)",
        std::slice::from_ref(&origin.url),
    );
    let scene = Scene::of(Some(KeepingTerms::default()), Options::default(), &[("a.yml", &file)]);
    assert_eq!(scene.world.send(&post(BODY)).status, 200);
    let kept = scene.only();
    assert_eq!((&*kept.request, kept.counted), (BODY, (BODY.len() as u64, 2)));
    assert_eq!(origin.only().body, BODY.as_bytes());
}

#[test]
fn an_exchange_that_breaks_off_says_how() {
    let origin = Origin::scripted(|seen, stream| {
        if seen.line().contains("dead") {
            return false;
        }
        stream.write_all(STREAM_HEAD).expect("written");
        stream.write_all(&chunk("one")).expect("written");
        if seen.line().contains("hang") {
            until_closed(stream);
        }
        false
    });
    for (path, outcome, code, status, response) in [
        ("/cut", "upstream_failed", None, 200, "one"),
        ("/hang", "client_gone", None, 200, "one"),
        ("/dead", "refused", Some("upstream_failed"), 502, ""),
    ] {
        let scene = Scene::before(&origin);
        let mut connection = scene.world.connect();
        connection.write(post(BODY).replace("/v1/chat/completions", path).as_bytes());
        connection.read_until(if path == "/dead" { "502" } else { "one" });
        // Only one of two leaves: were the client to go while the server's cut is on its way, either could be seen first.
        while path == "/cut" && !connection.is_closed() {}
        connection.close();
        let kept = scene.only();
        assert_eq!(
            (kept.outcome.as_deref(), kept.code.as_deref()),
            (Some(outcome), code),
            "{path}"
        );
        assert_eq!((kept.status, &*kept.response), (Some(status), response), "{path}");
        assert_eq!(kept.request, BODY, "{path}");
    }
}

#[test]
fn what_a_stop_cuts_is_interrupted() {
    let origin = Origin::scripted(|_, stream| {
        stream.write_all(STREAM_HEAD).expect("written");
        stream.write_all(&chunk("one")).expect("written");
        until_closed(stream);
        false
    });
    let mut scene = Scene::before(&origin);
    let mut connection = scene.world.connect();
    connection.write(post(BODY).as_bytes());
    connection.read_until("one");
    assert_eq!(scene.world.stop(), 1, "connections cut");
    let kept = scene.only();
    assert_eq!((kept.outcome.as_deref(), &*kept.response), (Some("interrupted"), "one"));
}

#[test]
fn what_has_no_route_is_not_kept_and_metadata_has_no_bodies() {
    let origin = Origin::answering("ok");
    let file = mapping("alice", "Key(`sk-canary`)", std::slice::from_ref(&origin.url));
    let terms = KeepingTerms {
        mode: Mode::Metadata,
        ..KeepingTerms::default()
    };
    let scene = Scene::of(Some(terms), Options::default(), &[("a.yml", &file)]);
    assert_eq!(
        scene.world.send(&post(BODY).replace("sk-canary", "sk-nobody")).status,
        401
    );
    assert_eq!(scene.world.send(&post(BODY)).status, 200);
    let kept = scene.only();
    assert_eq!((&*kept.request, &*kept.response, kept.status), ("", "", Some(200)));
    assert_eq!(kept.counted, (BODY.len() as u64, 2));
    let off = Scene::of(None, Options::default(), &[("a.yml", &file)]);
    assert_eq!(off.world.send(&post(BODY)).status, 200);
    assert!(off.kept().is_empty());
}

#[test]
fn a_full_journal_drops_or_refuses_as_it_was_told() {
    for (loss, status) in [(LossPolicy::Drop, 200), (LossPolicy::Refuse, 503)] {
        let origin = Origin::answering("ok");
        let file = mapping("alice", "Key(`sk-canary`)", std::slice::from_ref(&origin.url));
        let options = Options {
            loss,
            folder_bytes_max: 1,
            ..Options::default()
        };
        let terms = KeepingTerms {
            loss,
            ..KeepingTerms::default()
        };
        let scene = Scene::of(Some(terms), options, &[("a.yml", &file)]);
        let answer = scene.world.send(&post(BODY));
        assert_eq!(answer.status, status, "{loss:?}");
        if loss == LossPolicy::Refuse {
            assert_eq!(
                (answer.code().as_str(), origin.seen().len()),
                ("journal_unavailable", 0)
            );
        }
        assert!(scene.kept().is_empty());
        let metrics = scene.world.admin_get("/metrics").text();
        assert!(
            value_of(&metrics, "conclave_edge_capture_errors_total") > 0,
            "{metrics}"
        );
    }
}

#[test]
fn an_upgraded_connection_is_kept_as_metadata() {
    let origin = Origin::scripted(|_, stream| {
        stream
            .write_all(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
            .expect("written");
        let mut buffer = [0; 4];
        std::io::Read::read_exact(stream, &mut buffer).expect("the client's bytes");
        stream.write_all(b"pong").expect("written");
        false
    });
    let scene = Scene::before(&origin);
    let mut connection = scene.world.connect();
    connection.write(
        b"GET /v1/realtime HTTP/1.1\r\nHost: edge\r\nx-api-key: sk-canary\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
          Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n",
    );
    connection.read_until("101");
    connection.write(b"ping");
    connection.read_until("pong");
    connection.close();
    let kept = scene.only();
    assert_eq!((kept.status, &*kept.request, &*kept.response), (Some(101), "", ""));
    assert_eq!(kept.counted, (4, 4));
}

#[test]
fn a_routers_middleware_wins_over_the_default() {
    let origin = Origin::answering("ok");
    let router = |name: &str, capture: &str| {
        mapping(name, &format!("Key(`sk-{name}`)"), std::slice::from_ref(&origin.url))
            .replace(
                &format!("service: {name}\n"),
                &format!("service: {name}\n      middlewares: [{name}]\n"),
            )
            .replace(
                "http:\n",
                &format!("http:\n  middlewares:\n    {name}: {{ capture: {capture} }}\n"),
            )
    };
    let files = [
        ("all", "{ mode: full }", Some("{}")),
        ("little", "{ mode: metadata }", Some("")),
        ("none", "{ mode: off }", None),
        ("short", "{ mode: full, bodyBytesMax: 1 }", Some("{")),
    ];
    let texts = files.map(|(name, capture, _)| (format!("{name}.yml"), router(name, capture)));
    let texts: Vec<(&str, &str)> = texts.iter().map(|(name, text)| (&**name, &**text)).collect();
    for default in [Some(KeepingTerms::default()), None] {
        let scene = Scene::of(default, Options::default(), &texts);
        for (name, _, request) in files {
            let before = scene.kept().len();
            let asked = post("{}").replace("sk-canary", &format!("sk-{name}"));
            assert_eq!(scene.world.send(&asked).status, 200, "{name}");
            let kept = scene.kept();
            let kept = kept.get(before);
            assert_eq!(kept.map(|kept| &*kept.request), request, "{name}, {default:?}");
            if let Some(kept) = kept {
                assert_eq!(kept.router, name);
            }
        }
    }
}
