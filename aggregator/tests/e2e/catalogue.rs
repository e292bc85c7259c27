//! `/v1/models`: what is listed, when it changes, and what never slows it.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use aggregator::BackendKeys;
use keymap::{ApiKey, Watch, WatchOptions};
use serde_json::json;

use crate::backend::{Answer, Backend, one_model};
use crate::service::{Running, mapping_file, mapping_text, quick};

/// An address where nobody listens.
async fn nobody() -> SocketAddr {
    Backend::serving("gone").await.kill().await
}

#[tokio::test]
async fn two_servers_answer_as_one_and_the_first_request_already_sees_both() {
    let (one, two) = (
        Backend::serving("mistral-tiny").await,
        Backend::serving("TinyLlama_Chat").await,
    );
    let files = vec![
        mapping_file("a.yml", &[one.addr]),
        mapping_file("b.yml", &[two.addr, one.addr]),
    ];
    let service = Running::start(quick(), files).await;
    let entry = |id: &str| json!({"id": id, "meta": {"n_ctx": 4096}});
    let model = |id: &str| json!({"name": id, "model": id});
    assert_eq!(
        service.get("/v1/models").await,
        json!({
            "object": "list",
            "models": [model("TinyLlama_Chat"), model("mistral-tiny")],
            "data": [entry("TinyLlama_Chat"), entry("mistral-tiny")],
        })
    );
    let health = service.get("/health").await;
    assert_eq!(health["status"], "ok");
    assert_eq!(
        (&health["backends"]["known"], &health["backends"]["up"]),
        (&json!(2), &json!(2))
    );
    service.stop().await;
}

#[tokio::test]
async fn a_folder_without_backends_gives_an_empty_list_at_once() {
    let service = Running::start(quick(), Vec::new()).await;
    assert_eq!(
        service.get("/v1/models").await,
        json!({"object": "list", "models": [], "data": []})
    );
    service.stop().await;
}

#[tokio::test]
async fn what_is_no_answer_is_left_out_and_hurts_nobody() {
    let good = Backend::serving("good").await;
    for (index, bad) in [
        Answer::Status(503),
        Answer::Status(500),
        Answer::Status(204),
        Answer::Status(401),
        Answer::Redirect(format!("http://{}/v1/models", good.addr)),
        Answer::Json("{".to_owned()),
        Answer::Json("[]".to_owned()),
        Answer::Json(r#"{"error":"x"}"#.to_owned()),
        Answer::Bytes(5 * 1024 * 1024),
    ]
    .into_iter()
    .enumerate()
    {
        let bad = Backend::start(bad).await;
        let files = vec![mapping_file("a.yml", &[bad.addr, good.addr, nobody().await])];
        let service = Running::start(quick(), files).await;
        assert_eq!(service.models().await, ["good"], "case {index}");
        assert_eq!(bad.asked().len().min(1), 1, "case {index} was asked");
        service.stop().await;
    }
}

#[tokio::test]
async fn a_backend_that_dies_is_left_out_and_comes_back() {
    let (mortal, steady) = (Backend::serving("mortal").await, Backend::serving("steady").await);
    let service = Running::start(quick(), vec![mapping_file("a.yml", &[mortal.addr, steady.addr])]).await;
    assert_eq!(service.models().await, ["mortal", "steady"]);
    let addr = mortal.kill().await;
    service.models_become(&["steady"]).await;
    let reborn = Backend::on(addr, Answer::Json(one_model("reborn"))).await;
    service.models_become(&["reborn", "steady"]).await;
    reborn.set(Answer::Status(503));
    service.models_become(&["steady"]).await;
    service.stop().await;
}

#[tokio::test]
async fn reading_the_list_makes_it_fresh_long_before_the_heartbeat() {
    let mortal = Backend::serving("mortal").await;
    let mut config = quick();
    config.backends.heartbeat_interval = Duration::from_secs(3600);
    let service = Running::start(config, vec![mapping_file("a.yml", &[mortal.addr])]).await;
    assert_eq!(service.models().await, ["mortal"]);
    mortal.kill().await;
    service.models_become(&[]).await;
    service.stop().await;
}

#[tokio::test]
async fn a_mapping_change_is_followed_at_once() {
    let (old, new) = (Backend::serving("old").await, Backend::serving("new").await);
    let mut config = quick();
    config.backends.heartbeat_interval = Duration::from_secs(3600);
    let service = Running::start(config, vec![mapping_file("a.yml", &[old.addr])]).await;
    assert_eq!(service.models().await, ["old"]);
    service.replace_files(vec![
        mapping_file("a.yml", &[old.addr]),
        mapping_file("b.yml", &[new.addr]),
    ]);
    service.models_become(&["new", "old"]).await;
    service.replace_files(vec![mapping_file("b.yml", &[new.addr])]);
    service.models_become(&["new"]).await;
    service.replace_files(Vec::new());
    service.models_become(&[]).await;
    service.stop().await;
}

#[tokio::test]
async fn a_file_dropped_into_the_folder_is_listed_and_a_deleted_one_is_not() {
    let (one, two) = (Backend::serving("one").await, Backend::serving("two").await);
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("one.yml"), mapping_text(&[one.addr])).unwrap();
    std::fs::write(folder.path().join("routheon-server.yml"), mapping_text(&[two.addr])).unwrap();
    let options = WatchOptions {
        poll_interval: Duration::from_millis(100),
        entry_points: None,
    };
    let watch = Watch::start(folder.path(), options).unwrap();
    let mut config = quick();
    config.backends.heartbeat_interval = Duration::from_secs(3600);
    let service = Running::following(config, &watch).await;
    assert_eq!(service.models().await, ["one"]);
    std::fs::write(folder.path().join("two.yml"), mapping_text(&[two.addr])).unwrap();
    service.models_become(&["one", "two"]).await;
    std::fs::remove_file(folder.path().join("one.yml")).unwrap();
    service.models_become(&["two"]).await;
    drop(watch);
    assert_eq!(
        service.models().await,
        ["two"],
        "without a watch the files stay as they are"
    );
    service.stop().await;
}

#[tokio::test]
async fn a_backend_that_never_answers_delays_the_first_answer_only_and_by_the_time_out_only() {
    let (mute, good) = (Backend::start(Answer::Never).await, Backend::serving("good").await);
    let mut config = quick();
    config.backends.mapping_timeout = Duration::from_millis(300);
    let service = Running::start(config, vec![mapping_file("a.yml", &[mute.addr, good.addr])]).await;
    let started = Instant::now();
    assert_eq!(service.models().await, ["good"]);
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    // From here on it is polled, and times out, again and again: nobody notices.
    mute.asked_times(2).await;
    for _ in 0..50 {
        let started = Instant::now();
        assert_eq!(service.models().await, ["good"]);
        assert!(
            started.elapsed() < Duration::from_millis(250),
            "{:?}",
            started.elapsed()
        );
    }
    service.stop().await;
}

#[tokio::test]
async fn a_server_too_busy_to_answer_keeps_its_place_for_a_few_polls_and_no_longer() {
    let busy = Backend::serving("busy").await;
    let mut config = quick();
    config.backends.mapping_timeout = Duration::from_millis(100);
    let service = Running::start(config, vec![mapping_file("a.yml", &[busy.addr])]).await;
    assert_eq!(service.models().await, ["busy"]);
    busy.set(Answer::Never);
    let asked = busy.asked().len();
    busy.asked_times(asked + 3).await;
    assert_eq!(service.models().await, ["busy"]);
    service.models_become(&[]).await;
    busy.set(Answer::Json(one_model("busy")));
    service.models_become(&["busy"]).await;
    service.stop().await;
}

#[tokio::test]
async fn the_common_key_goes_only_to_those_who_ask_for_it() {
    let guarded = Backend::start(Answer::Guarded {
        key: "sk-backends",
        json: one_model("guarded"),
    })
    .await;
    let open = Backend::serving("open").await;
    let mut config = quick();
    config.backends.keys = BackendKeys::common("--backend-key-file", &ApiKey::new("sk-backends")).unwrap();
    let service = Running::start(config, vec![mapping_file("a.yml", &[guarded.addr, open.addr])]).await;
    assert_eq!(service.models().await, ["guarded", "open"]);
    guarded.asked_times(4).await;
    let keyed = |backend: &Backend| -> Vec<bool> {
        backend
            .asked()
            .iter()
            .map(|headers| headers.contains_key("authorization"))
            .collect()
    };
    assert_eq!(
        keyed(&guarded)[..4],
        [false, true, true, true],
        "asked once without, then always with"
    );
    assert!(keyed(&open).iter().all(|keyed| !keyed));
    service.stop().await;
}

#[tokio::test]
async fn a_key_of_its_own_goes_to_one_backend_from_the_start_and_a_redirect_never_gets_it() {
    let thief = Backend::serving("thief").await;
    let own = Backend::start(Answer::Guarded {
        key: "sk-own",
        json: one_model("own"),
    })
    .await;
    let other = Backend::start(Answer::Redirect(format!("http://{}/v1/models", thief.addr))).await;
    let text = format!("http://{}/ sk-own\nhttp://{} sk-other\n", own.addr, other.addr);
    let mut config = quick();
    config.backends.keys = BackendKeys::parse("keys".as_ref(), &text).unwrap();
    let service = Running::start(config, vec![mapping_file("a.yml", &[own.addr, other.addr])]).await;
    assert_eq!(service.models().await, ["own"]);
    assert_eq!(own.asked()[0]["authorization"], "Bearer sk-own");
    assert_eq!(other.asked()[0]["authorization"], "Bearer sk-other");
    assert_eq!(thief.asked().len(), 0);
    service.stop().await;
}

#[tokio::test]
async fn a_wrong_key_is_tried_once_a_poll_and_the_backend_left_out() {
    let guarded = Backend::start(Answer::Guarded {
        key: "sk-right",
        json: one_model("guarded"),
    })
    .await;
    let mut config = quick();
    config.backends.keys = BackendKeys::common("--backend-key-file", &ApiKey::new("sk-wrong")).unwrap();
    let service = Running::start(config, vec![mapping_file("a.yml", &[guarded.addr])]).await;
    assert_eq!(service.models().await, [""; 0]);
    assert_eq!(guarded.asked().len(), 2);
    service.stop().await;
}

#[tokio::test]
async fn our_own_list_never_comes_back_to_us() {
    // Two files lead to us: one plainly, one under a name that only the poll itself can find out.
    let good = Backend::serving("good").await;
    let service = Running::start(quick(), vec![mapping_file("a.yml", &[good.addr])]).await;
    assert_eq!(service.models().await, ["good"]);
    let relay = relay_to(service.addr).await;
    service.replace_files(vec![
        mapping_file("a.yml", &[good.addr, service.addr]),
        mapping_file("b.yml", &[relay]),
    ]);
    while service.get("/health").await["backends"]["known"] != 2 {
        tokio::task::yield_now().await;
    }
    good.kill().await;
    service.models_become(&[]).await;
    service.stop().await;
}

/// A plain TCP relay: what a proxy in between looks like.
async fn relay_to(target: SocketAddr) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut from, _)) = listener.accept().await {
            let mut to = tokio::net::TcpStream::connect(target).await.unwrap();
            tokio::spawn(async move { tokio::io::copy_bidirectional(&mut from, &mut to).await });
        }
    });
    addr
}

#[tokio::test]
async fn hundreds_of_files_that_name_one_server_cost_one_poll() {
    let shared = Backend::serving("shared").await;
    let mut config = quick();
    config.backends.heartbeat_interval = Duration::from_secs(3600);
    let files = (0..500)
        .map(|index| mapping_file(&format!("{index}.yml"), &[shared.addr]))
        .collect();
    let service = Running::start(config, files).await;
    assert_eq!(service.models().await, ["shared"]);
    assert_eq!(shared.asked().len(), 1);
    service.stop().await;
}
