//! An edge of one thread, and a client and a server that do as they are told.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::time::Duration;

use edge::{AccessLogTarget, BoundEdge, Carrier, EdgeConfig, RunningEdge};
use keymap::{Watch, WatchOptions};

/// Generous: it is only waited for when something is broken.
const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) struct World {
    address: SocketAddr,
    edge: Option<RunningEdge>,
    folder: tempfile::TempDir,
    _watch: Watch,
}

impl World {
    /// An edge whose key `sk` leads to this server.
    pub(crate) fn start(carrier: Carrier, with_access_log: bool, server: SocketAddr) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mappings = folder.path().join("mappings");
        std::fs::create_dir(&mappings).expect("made");
        let mapping = format!(
            "http:\n  routers:\n    a: {{ rule: Key(`sk`), service: a }}\n  services:\n    a: {{ loadBalancer: \
             {{ servers: [{{ url: \"http://{server}\" }}] }} }}\n"
        );
        std::fs::write(mappings.join("a.yml"), mapping).expect("written");
        let options = WatchOptions {
            poll_interval: Duration::from_secs(60),
            entry_points: None,
        };
        let watch = Watch::start(&mappings, options).expect("a watch");
        let config = EdgeConfig {
            // What one exchange costs is then the same every time.
            threads: 1,
            access_log: with_access_log.then(|| AccessLogTarget::File(log_in(folder.path()))),
            carrier,
            ..EdgeConfig::at(SocketAddr::from(([127, 0, 0, 1], 0)))
        };
        let bound = BoundEdge::bind(config, watch.snapshot()).expect("free ports");
        Self {
            address: bound.addresses()[0],
            edge: Some(bound.start()),
            folder,
            _watch: watch,
        }
    }

    pub(crate) fn connect(&self) -> Client {
        let stream = TcpStream::connect(self.address).expect("the edge accepts");
        stream.set_read_timeout(Some(PATIENCE)).expect("a time-out");
        stream.set_nodelay(true).expect("no delay");
        Client {
            stream,
            seen: Vec::new(),
        }
    }

    /// Where the edge's log is, if it writes one.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(log_in(self.folder.path())).unwrap_or_default()
    }
}

/// Its thread has ended when the next test begins.
impl Drop for World {
    fn drop(&mut self) {
        if let Some(edge) = self.edge.take() {
            edge.stop();
        }
    }
}

fn log_in(folder: &Path) -> std::path::PathBuf {
    folder.join("access.log")
}

pub(crate) struct Client {
    stream: TcpStream,
    seen: Vec<u8>,
}

impl Client {
    pub(crate) fn write(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("the edge reads");
    }

    /// Reads up to and including the text; what came behind it stays for the next call.
    pub(crate) fn read_past(&mut self, text: &[u8]) {
        read_past(&mut self.stream, &mut self.seen, text).expect("the text, before the end");
    }
}

/// A server that hands each connection to `serve`, on a thread of its own.
pub(crate) fn server(serve: impl Fn(&mut TcpStream) + Send + Sync + Clone + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let serve = serve.clone();
            stream.set_nodelay(true).expect("no delay");
            std::thread::spawn(move || serve(&mut stream));
        }
    });
    address
}

/// `None` where the other side is done first.
pub(crate) fn read_past(stream: &mut TcpStream, seen: &mut Vec<u8>, text: &[u8]) -> Option<()> {
    loop {
        if let Some(at) = seen.windows(text.len()).position(|window| window == text) {
            seen.drain(..at + text.len());
            return Some(());
        }
        let mut buffer = [0; 4096];
        let read = stream.read(&mut buffer).ok().filter(|&read| read > 0)?;
        seen.extend_from_slice(&buffer[..read]);
    }
}
