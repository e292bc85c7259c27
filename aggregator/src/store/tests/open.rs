//! Files: who may read them, whose they are, and what is refused.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use super::*;

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("it is there").permissions().mode() & 0o777
}

fn refusal(config: &StoreConfig) -> String {
    let error = Store::open(config.clone()).expect_err("it is refused").to_string();
    assert!(error.contains("fix:"), "{error}");
    error
}

fn key(place: &Place, byte: &str) -> Option<BodyKey> {
    let path = place.folder().join("key");
    fs::write(&path, "0f".repeat(31) + byte).expect("a key file");
    Some(BodyKey::load(&path).expect("a key"))
}

#[tokio::test]
async fn files_and_folders_are_their_owners_alone() {
    let place = Place::new();
    let store = place.open();
    store.commit(batch(0..10), None).await.unwrap();
    let folder = place.path().parent().unwrap();
    assert_eq!(mode(folder), 0o700);
    let files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    assert_eq!(files.len(), 3, "{files:?}");
    for file in &files {
        assert_eq!(mode(file), 0o600, "{}", file.display());
    }
    drop(store);
    // One that was left readable is closed.
    fs::set_permissions(place.path(), fs::Permissions::from_mode(0o644)).unwrap();
    let _store = place.open();
    assert_eq!(mode(place.path()), 0o600);
}

#[test]
fn another_programs_file_and_what_is_no_database_are_left_alone() {
    let place = Place::new();
    fs::create_dir_all(place.path().parent().unwrap()).unwrap();
    let connection = rusqlite::Connection::open(place.path()).unwrap();
    connection.execute_batch("CREATE TABLE responses (id TEXT)").unwrap();
    drop(connection);
    assert!(refusal(&place.config).contains("another program's database"));
    fs::write(place.path(), "no database, but longer than the head of one".repeat(100)).unwrap();
    let before = fs::read(place.path()).unwrap();
    assert!(refusal(&place.config).contains("no SQLite database"));
    assert_eq!(fs::read(place.path()).unwrap(), before);
    let at_folder = StoreConfig::at(place.folder());
    refusal(&at_folder);
    let below_file = StoreConfig::at(place.path().join("deeper/responses.db"));
    refusal(&below_file);
}

#[tokio::test]
async fn a_newer_format_is_refused_and_the_own_one_is_opened_again() {
    let place = Place::new();
    place.open().commit(batch(0..3), None).await.unwrap();
    assert_eq!(numbers(&place.open(), &Filter::default(), 10).await.len(), 3);
    let connection = rusqlite::Connection::open(place.path()).unwrap();
    connection.pragma_update(None, "user_version", 99).unwrap();
    drop(connection);
    let error = refusal(&place.config);
    assert!(
        error.contains("format 99") && error.contains("newer version"),
        "{error}"
    );
}

#[tokio::test]
async fn a_file_of_the_first_format_is_brought_to_this_one_with_what_is_in_it() {
    let place = Place::new();
    fs::create_dir_all(place.path().parent().unwrap()).unwrap();
    let connection = rusqlite::Connection::open(place.path()).unwrap();
    connection.execute_batch(include_str!("../schema/1.sql")).unwrap();
    connection
        .execute_batch(
            "INSERT INTO exchange (seq, id, started_at_us, plane, key, service, backend, model, endpoint, flags, status,
                                   request_bytes, response_bytes)
             VALUES (256, x'00000000000000000000000000000007', 1, 0, 0, 0, 0, 0, '/v1/embeddings', 0, 0, 3, 4)",
        )
        .unwrap();
    connection.pragma_update(None, "application_id", 0x434e_434c).unwrap();
    connection.pragma_update(None, "user_version", 1).unwrap();
    drop(connection);
    let store = place.open();
    let old = store.show(Uuid::from_u128(7)).await.unwrap().expect("it is there");
    assert_eq!(
        (&*old.row.asked.endpoint, old.row.answered.embeddings),
        ("/v1/embeddings", None)
    );
    let embeddings = Some(Embeddings {
        count: 1,
        dimensions: 3,
    });
    let mut new = exchange(1);
    new.answered.embeddings = embeddings;
    store.commit(Arc::new([new.clone()]), None).await.unwrap();
    let new = store.show(new.id).await.unwrap().expect("it is there");
    assert_eq!(new.row.answered.embeddings, embeddings);
}

#[tokio::test]
async fn an_unfinished_first_start_is_finished_by_the_next() {
    let place = Place::new();
    fs::create_dir_all(place.path().parent().unwrap()).unwrap();
    fs::write(place.path(), "").unwrap();
    place.open().commit(batch(0..1), None).await.unwrap();
}

#[tokio::test]
async fn sealed_bodies_are_in_no_file_and_open_with_their_key_only() {
    let mut place = Place::new();
    place.config.encryption = key(&place, "aa");
    assert!(refusal(&place.config).contains("search index"));
    assert!(!place.path().exists());
    place.config.full_text_search = false;
    place.config.compress = false;
    let store = place.open();
    store.commit(batch(0..20), None).await.unwrap();
    for entry in fs::read_dir(place.path().parent().unwrap()).unwrap() {
        let path = entry.unwrap().path();
        let bytes = fs::read(&path).unwrap();
        assert!(
            !bytes.windows(6).any(|window| window == b"canary"),
            "{}",
            path.display()
        );
    }
    let stored = store.show(exchange(5).id).await.unwrap().unwrap();
    assert_eq!(stored.content.text, exchange(5).content.text);
    drop(store);
    let with_key = place.config.encryption.take();
    assert!(refusal(&place.config).contains("no key is given"));
    place.config.encryption = key(&place, "ab");
    assert!(refusal(&place.config).contains("another key"));
    place.config.encryption = with_key;
    assert_eq!(numbers(&place.open(), &Filter::default(), 50).await.len(), 20);
}

#[tokio::test]
async fn encryption_can_begin_later() {
    let mut place = Place::new();
    place.open().commit(batch(0..1), None).await.unwrap();
    place.config.encryption = key(&place, "aa");
    place.config.full_text_search = false;
    let store = place.open();
    store.commit(batch(1..2), None).await.unwrap();
    for number in 0..2 {
        let stored = store.show(exchange(number).id).await.unwrap().unwrap();
        assert_eq!(stored.content.response, exchange(number).content.response);
    }
}

#[tokio::test]
async fn a_damaged_body_is_an_error_and_its_row_is_still_listed() {
    let place = Place::new();
    place.open().commit(batch(0..2), None).await.unwrap();
    let connection = rusqlite::Connection::open(place.path()).unwrap();
    connection
        .execute(
            "UPDATE body SET response = x'01ffffff' WHERE seq = (SELECT min(seq) FROM body)",
            [],
        )
        .unwrap();
    drop(connection);
    let store = place.open();
    assert!(matches!(
        store.show(exchange(0).id).await,
        Err(StoreError::Damaged("response"))
    ));
    assert!(store.show(exchange(1).id).await.unwrap().is_some());
    assert_eq!(numbers(&store, &Filter::default(), 10).await, [1, 0]);
}
