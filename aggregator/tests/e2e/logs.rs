//! The log: one line for each change of a backend, and never a key.

use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aggregator::BackendKeys;
use keymap::ApiKey;

use crate::backend::{Answer, Backend, one_model};
use crate::service::{Running, mapping_file, quick};

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Log {
    fn count(&self, sentence: &str, backend: &Backend) -> usize {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        let url = format!("backend=http://{}", backend.addr);
        text.lines()
            .filter(|line| line.contains(sentence) && line.contains(&url))
            .count()
    }
}

/// The subscriber is this thread's: the runtime has no other.
#[tokio::test(flavor = "current_thread")]
async fn a_change_is_logged_once_and_no_key_ever() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    let _logging = tracing::subscriber::set_default(subscriber);

    let backend = Backend::start(Answer::Guarded {
        key: "sk-canary",
        json: one_model("m"),
    })
    .await;
    let mut config = quick();
    config.backends.mapping_timeout = Duration::from_secs(5);
    config.backends.keys = BackendKeys::common("--backend-key-file", &ApiKey::new("sk-canary")).unwrap();
    tracing::debug!(?config, "configured");
    let service = Running::start(config, vec![mapping_file("a.yml", &[backend.addr])]).await;
    service.models_become(&["m"]).await;
    backend.set(Answer::Status(500));
    service.models_become(&[]).await;
    backend.asked_times(backend.asked().len() + 3).await;
    backend.set(Answer::Json(one_model("m")));
    service.models_become(&["m"]).await;
    backend.asked_times(backend.asked().len() + 3).await;
    service.stop().await;

    assert_eq!(log.count("a backend is up", &backend), 2);
    assert_eq!(log.count("a backend is down", &backend), 1);
    assert!(!String::from_utf8_lossy(&log.0.lock().unwrap()).contains("canary"));
}
