//! Clients at the door.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use edge::{Timeouts, TlsSettings};
use rustls::ClientConfig;

use crate::pki::{Authority, chain, replace};
use crate::world::{Client, Origin, PATIENCE, World, client_config, mapping, settings, wait_for};
use crate::{HTTP_11, KEY};

#[test]
fn a_name_picks_its_certificate_and_servers_learn_that_it_was_https() {
    let folder = tempfile::tempdir().expect("a folder");
    let authority = Authority::new(folder.path(), "ca");
    let first = authority.issue(folder.path(), "first", &["first.example", "other.example"]);
    let second = authority.issue(folder.path(), "second", &["*.second.example"]);
    let origin = Origin::answering();
    let world = World::start(
        settings(&[first.clone(), second.clone()]),
        &mapping(&origin.url, "", ""),
    );
    let config = client_config(&authority.file, None, HTTP_11);
    for (host, files) in [
        ("first.example", &first),
        ("other.example", &first),
        ("a.second.example", &second),
    ] {
        let mut client = Client::connect(world.tls, host, &config).expect("its certificate");
        assert_eq!(client.shown(), chain(files)[0].to_vec(), "{host}");
        for _ in 0..2 {
            let answer = client.get(KEY).expect("an answer");
            assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("ok"), "{answer}");
            let head = origin.heads.recv_timeout(PATIENCE).expect("it came");
            assert!(head.to_lowercase().contains("x-forwarded-proto: https"), "{head}");
        }
    }
    let strange = Client::connect(world.tls, "nobody.example", &config);
    assert!(
        strange.is_err(),
        "the first certificate is shown, which is not for that name"
    );
    let end = world
        .metric("conclave_edge_tls_certificate_not_after_seconds")
        .expect("a gauge");
    assert!(end > 1.7e9, "{end}");
    assert_eq!(
        world.metric("conclave_edge_tls_handshakes_total{result=\"complete\"}"),
        Some(3.0)
    );
}

#[test]
fn both_versions_are_spoken_and_a_session_is_resumed() {
    let folder = tempfile::tempdir().expect("a folder");
    let authority = Authority::new(folder.path(), "ca");
    let files = authority.issue(folder.path(), "a", &["a.example"]);
    let origin = Origin::answering();
    let world = World::start(settings(&[files]), &mapping(&origin.url, "", ""));
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let config = only(&client_config(&authority.file, None, HTTP_11), version, &authority);
        let kinds: Vec<_> = (0..2)
            .map(|_| {
                let mut client = Client::connect(world.tls, "a.example", &config).expect("spoken");
                assert!(client.get(KEY).expect("an answer").contains("200 OK"));
                assert_eq!(client.stream.conn.protocol_version(), Some(version.version));
                client.stream.conn.handshake_kind().expect("over")
            })
            .collect();
        assert_eq!(kinds[1], rustls::HandshakeKind::Resumed, "{version:?}: {kinds:?}");
    }
}

fn only(
    config: &ClientConfig,
    version: &'static rustls::SupportedProtocolVersion,
    ca: &Authority,
) -> Arc<ClientConfig> {
    let mut roots = rustls::RootCertStore::empty();
    let files = edge::CertificateFiles {
        certificate: ca.file.clone(),
        key: ca.file.clone(),
    };
    roots.add(chain(&files).remove(0)).expect("valid");
    let builder = ClientConfig::builder_with_provider(config.crypto_provider().clone());
    let builder = builder.with_protocol_versions(&[version]).expect("a version");
    Arc::new(builder.with_root_certificates(roots).with_no_client_auth())
}

#[test]
fn certificates_are_renewed_under_load_and_a_bad_file_changes_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let authority = Authority::new(folder.path(), "ca");
    let files = authority.issue(folder.path(), "a", &["a.example"]);
    let origin = Origin::answering();
    let world = World::start(settings(std::slice::from_ref(&files)), &mapping(&origin.url, "", ""));
    let config = client_config(&authority.file, None, HTTP_11);
    let (stop, served) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        // However this ends, the load ends with it.
        let _end = SetAtEnd(&stop);
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                let mut client = Client::connect(world.tls, "a.example", &config).expect("let in");
                let answer = client.get(KEY).expect("an answer");
                assert!(answer.contains("200 OK"), "{answer}");
                served.fetch_add(1, Ordering::Relaxed);
            }
        });
        let mut old = Client::connect(world.tls, "a.example", &config).expect("let in");
        // With a session to resume, a client would be shown nothing new.
        let shown = || {
            let config = client_config(&authority.file, None, HTTP_11);
            let client = Client::connect(world.tls, "a.example", &config).expect("let in");
            client.shown()
        };
        for _ in 0..2 {
            let renewed = authority.issue(folder.path(), "a", &["a.example"]);
            let expected = chain(&renewed)[0].to_vec();
            wait_for("the renewed certificate", || shown() == expected);
        }
        assert!(old.get(KEY).expect("still served").contains("200 OK"));
        let good = shown();
        let failures = || world.metric("conclave_edge_tls_reload_failures_total").unwrap_or(0.0);
        let before = failures();
        replace(&files.certificate, "no certificate");
        wait_for("the fault", || failures() > before);
        assert_eq!(shown(), good, "the last good one");
        let enough = served.load(Ordering::Relaxed) + 4;
        wait_for("more requests", || served.load(Ordering::Relaxed) >= enough);
    });
    assert!(world.metric("conclave_edge_tls_reloads_total") >= Some(2.0));
    assert_eq!(
        world.metric("conclave_edge_tls_handshakes_total{result=\"failed\"}"),
        None
    );
}

struct SetAtEnd<'a>(&'a AtomicBool);

impl Drop for SetAtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn an_edge_does_not_start_on_files_it_cannot_use() {
    let folder = tempfile::tempdir().expect("a folder");
    let authority = Authority::new(folder.path(), "ca");
    let files = authority.issue(folder.path(), "a", &["a.example"]);
    let other = authority.issue(folder.path(), "b", &["a.example"]);
    let bind = |tls| {
        World::bind(tls, Timeouts::default(), "")
            .err()
            .expect("refused")
            .to_string()
    };
    let mixed = edge::CertificateFiles {
        key: other.key,
        ..files.clone()
    };
    assert!(bind(settings(&[mixed])).contains("b.key"));
    assert!(bind(settings(&[])).contains("--tls-cert"));
    let client_ca = Some(folder.path().join("missing.pem"));
    let unknown = TlsSettings {
        client_ca,
        ..settings(&[files])
    };
    assert!(bind(unknown).contains("missing.pem"));
}

#[test]
fn with_an_authority_for_clients_only_its_clients_come_in() {
    let folder = tempfile::tempdir().expect("a folder");
    let authority = Authority::new(folder.path(), "ca");
    let (ours, strange) = (
        Authority::new(folder.path(), "ours"),
        Authority::new(folder.path(), "strange"),
    );
    let files = authority.issue(folder.path(), "a", &["a.example"]);
    let origin = Origin::answering();
    let tls = TlsSettings {
        client_ca: Some(ours.file.clone()),
        ..settings(&[files])
    };
    let world = World::start(tls, &mapping(&origin.url, "", ""));
    let known = ours.issue(folder.path(), "known", &["client"]);
    let unknown = strange.issue(folder.path(), "unknown", &["client"]);
    for (identity, is_let_in) in [(Some(&known), true), (Some(&unknown), false), (None, false)] {
        let config = client_config(&authority.file, identity, HTTP_11);
        // TLS 1.3: a client learns with its first read that it was refused.
        let answer = Client::connect(world.tls, "a.example", &config).and_then(|mut client| client.get(KEY));
        assert_eq!(
            answer.is_ok_and(|answer| answer.contains("200 OK")),
            is_let_in,
            "{identity:?}"
        );
    }
    assert_eq!(origin.heads.try_iter().count(), 1, "nothing of the others came through");

    // Whom the authorities of now do not know does not come in with a session of before.
    let config = client_config(&authority.file, Some(&known), HTTP_11);
    let mut client = Client::connect(world.tls, "a.example", &config).expect("let in");
    client.get(KEY).expect("and given a ticket");
    replace(&ours.file, &std::fs::read_to_string(&strange.file).expect("readable"));
    wait_for("the other authority", || {
        world.metric("conclave_edge_tls_reloads_total") == Some(1.0)
    });
    let answer = Client::connect(world.tls, "a.example", &config).and_then(|mut client| client.get(KEY));
    assert!(answer.is_err(), "{answer:?}");
}

#[test]
fn http_without_tls_is_told_so() {
    let folder = tempfile::tempdir().expect("a folder");
    let authority = Authority::new(folder.path(), "ca");
    let files = authority.issue(folder.path(), "a", &["a.example"]);
    let world = World::start(settings(&[files]), "");
    let mut stream = TcpStream::connect(world.tls).expect("accepted");
    stream.set_read_timeout(Some(PATIENCE)).expect("a time-out");
    stream
        .write_all(b"GET /v1/models HTTP/1.1\r\nHost: edge\r\nx-api-key: sk\r\n\r\n")
        .expect("sent");
    stream.shutdown(std::net::Shutdown::Write).expect("open");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer and an end");
    assert!(
        answer.starts_with("HTTP/1.1 400") && answer.contains("tls_required"),
        "{answer}"
    );
    assert_eq!(
        world.metric("conclave_edge_tls_handshakes_total{result=\"plain_http\"}"),
        Some(1.0)
    );
}

#[test]
fn who_does_not_finish_the_handshake_is_let_go_at_the_deadline() {
    let folder = tempfile::tempdir().expect("a folder");
    let authority = Authority::new(folder.path(), "ca");
    let files = authority.issue(folder.path(), "a", &["a.example"]);
    let timeouts = Timeouts {
        head: Duration::from_millis(300),
        ..Timeouts::default()
    };
    let world = World::with(settings(&[files]), timeouts, "");
    // Nothing; a record's begin; a begin that goes on and on.
    for (begin, drip) in [
        (&b""[..], false),
        (b"\x16\x03\x01\x02\x00\x01", false),
        (b"\x16\x03\x01\x02\x00\x01", true),
    ] {
        let begun = Instant::now();
        let mut stream = TcpStream::connect(world.tls).expect("accepted");
        stream
            .set_read_timeout(Some(Duration::from_millis(20)))
            .expect("a time-out");
        stream.write_all(begin).expect("sent");
        let mut buffer = [0; 64];
        loop {
            match stream.read(&mut buffer) {
                Err(error)
                    if matches!(
                        error.kind(),
                        std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut
                    ) =>
                {
                    assert!(begun.elapsed() < PATIENCE, "it is not let go");
                    if drip {
                        let _ = stream.write_all(b"\0");
                    }
                }
                Ok(read) if read > 0 => {}
                _ => break,
            }
        }
        assert!(begun.elapsed() >= Duration::from_millis(250), "it had its time");
    }
    assert_eq!(
        world.metric("conclave_edge_tls_handshakes_total{result=\"too_slow\"}"),
        Some(3.0)
    );
}

#[test]
fn browsers_are_told_to_come_with_tls_only_over_tls_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let authority = Authority::new(folder.path(), "ca");
    let files = authority.issue(folder.path(), "a", &["a.example"]);
    let origin = Origin::plain(|_, stream| {
        let answer = b"HTTP/1.1 200 OK\r\nStrict-Transport-Security: max-age=1\r\nContent-Length: 0\r\n\r\n";
        stream.write_all(answer).is_ok()
    });
    let tls = TlsSettings {
        hsts_max_age: Some(Duration::from_secs(3600)),
        ..settings(&[files])
    };
    let world = World::start(tls, &mapping(&origin.url, "", ""));
    let config = client_config(&authority.file, None, HTTP_11);
    for key in [KEY, "x-api-key: unknown\r\n"] {
        let mut client = Client::connect(world.tls, "a.example", &config).expect("let in");
        let answer = client.get(key).expect("an answer").to_lowercase();
        let lines: Vec<_> = answer.lines().filter(|line| line.starts_with("strict-")).collect();
        assert_eq!(lines, ["strict-transport-security: max-age=3600"], "{answer}");
    }
    let mut stream = TcpStream::connect(world.plain).expect("accepted");
    stream
        .write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        .expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    assert!(
        answer.starts_with("HTTP/1.1 401") && !answer.to_lowercase().contains("strict-"),
        "{answer}"
    );
}
