//! Clients that choose HTTP/2.

use std::sync::Mutex;
use std::sync::mpsc::channel;

use bytes::Bytes;
use h2::client::SendRequest;
use http::{Request, Response};
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::pki::Authority;
use crate::world::{Origin, PATIENCE, World, client_config, mapping, settings};

async fn connect(world: &World, authority: &Authority) -> SendRequest<Bytes> {
    let connector = TlsConnector::from(client_config(&authority.file, None, b"h2"));
    let name = ServerName::try_from("a.example").expect("a name");
    let socket = TcpStream::connect(world.tls).await.expect("accepted");
    let stream = connector.connect(name, socket).await.expect("let in");
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let (sender, connection) = h2::client::handshake(stream).await.expect("HTTP/2");
    tokio::spawn(connection);
    sender
}

async fn get(sender: &SendRequest<Bytes>, path: &str) -> Response<h2::RecvStream> {
    let request = Request::get(format!("https://a.example{path}")).header("x-api-key", "sk");
    let mut sender = sender.clone().ready().await.expect("room");
    let (answer, _) = sender
        .send_request(request.body(()).expect("a request"), true)
        .expect("sent");
    answer.await.expect("an answer")
}

/// Whether tests are done in time, on a runtime of their own.
fn run<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let test = async { tokio::time::timeout(PATIENCE, test).await.expect("in time") };
    runtime.expect("a runtime").block_on(test)
}

/// What a request over HTTP/2 is answered.
pub(crate) fn status(world: &World, authority: &Authority) -> String {
    run(async {
        let sender = connect(world, authority).await;
        get(&sender, "/v1/x").await.status().as_str().to_owned()
    })
}

fn stage(origin: &Origin) -> (World, Authority, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    let authority = Authority::new(folder.path(), "ca");
    let files = authority.issue(folder.path(), "a", &["a.example"]);
    let world = World::start(settings(&[files]), &mapping(&origin.url, "", ""));
    (world, authority, folder)
}

#[test]
fn requests_share_a_connection_and_each_token_is_there_at_once() {
    let (go_on, wait) = channel::<()>();
    let wait = Mutex::new(wait);
    let origin = Origin::plain(move |head, stream| {
        if head.contains("/v1/quick") {
            return crate::world::ok(head, stream);
        }
        stream
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
            .expect("written");
        for token in ["one", "two"] {
            write!(stream, "3\r\n{token}\r\n").expect("written");
            wait.lock().expect("no panic").recv().expect("the client goes on");
        }
        stream.write_all(b"0\r\n\r\n").is_ok()
    });
    let (mut world, authority, _folder) = stage(&origin);
    run(async {
        let sender = connect(&world, &authority).await;
        let mut stream = get(&sender, "/v1/x").await.into_body();
        assert_eq!(&*stream.data().await.expect("more").expect("data"), b"one");
        let quick = get(&sender, "/v1/quick").await;
        assert_eq!(quick.status(), 200, "beside the stream");
        go_on.send(()).expect("the origin waits");
        assert_eq!(&*stream.data().await.expect("more").expect("data"), b"two");
        // A stop lets the stream end.
        let edge = world.edge.take().expect("running");
        let stopped = std::thread::spawn(move || edge.stop());
        go_on.send(()).expect("the origin waits");
        while let Some(data) = stream.data().await {
            data.expect("no reset");
        }
        assert_eq!(
            tokio::task::spawn_blocking(move || stopped.join())
                .await
                .expect("no panic")
                .expect("no panic"),
            0
        );
    });
    let heads: Vec<_> = origin.heads.try_iter().collect();
    assert_eq!(heads.len(), 2);
    for head in heads {
        let head = head.to_lowercase();
        assert!(
            head.contains("x-forwarded-proto: https") && head.contains("host: a.example\r\n"),
            "{head}"
        );
        assert!(head.contains("x-forwarded-for: 127.0.0.1"), "{head}");
    }
}

#[test]
fn a_stream_that_is_reset_takes_its_generation_with_it() {
    let origin = Origin::plain(|_, stream| {
        stream
            .write_all(
                b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n",
            )
            .expect("written");
        let mut rest = [0; 64];
        while matches!(stream.read(&mut rest), Ok(read) if read > 0) {}
        false
    });
    let (world, authority, _folder) = stage(&origin);
    run(async {
        let sender = connect(&world, &authority).await;
        let mut stream = get(&sender, "/v1/x").await.into_body();
        assert_eq!(&*stream.data().await.expect("more").expect("data"), b"one");
        drop(stream);
        // The connection lives on: it is the stream's end that counts.
        let ended = tokio::task::spawn_blocking(move || origin.ends.recv_timeout(PATIENCE));
        ended.await.expect("no panic").expect("the generation ends");
        drop(sender);
    });
}
