//! Sums: what is there, what was used; what deleting and repeating do to them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::*;

async fn held(store: &Store) -> Vec<(Status, u64, u64)> {
    let stats = store.stats().await.expect("stats");
    stats
        .held
        .iter()
        .map(|held| (held.status, held.exchanges, held.input_tokens))
        .collect()
}

async fn usage(store: &Store, by: UsageBy, change: impl FnOnce(&mut UsageRequest)) -> Vec<(String, u64, u64)> {
    let mut request = UsageRequest {
        by,
        from_day: None,
        to_day: None,
        of: None,
        limit: 2,
        after: None,
    };
    change(&mut request);
    let mut all = Vec::new();
    loop {
        let page = store.usage(request.clone()).await.expect("usage");
        assert!(page.items.len() <= request.limit);
        all.extend(
            page.items
                .into_iter()
                .map(|usage| (usage.group, usage.exchanges, usage.input_tokens)),
        );
        match page.next {
            Some(next) => request.after = Some(next),
            None => return all,
        }
    }
}

fn group(name: &str, exchanges: u64, input_tokens: u64) -> (String, u64, u64) {
    (name.to_owned(), exchanges, input_tokens)
}

#[tokio::test]
async fn an_exchange_that_comes_twice_is_stored_and_counted_once() {
    let place = Place::new();
    let store = place.open();
    let first = store.commit(batch(0..8), mark(1)).await.unwrap();
    assert_eq!((first.stored, first.known), (8, 0));
    let again = store.commit(batch(4..12), mark(2)).await.unwrap();
    assert_eq!((again.stored, again.known), (4, 4));
    assert_eq!(store.cursor("edge").unwrap(), Some([2; 16]));
    assert_eq!(store.cursor("aggregator").unwrap(), None);
    drop(store);
    // Also after a restart.
    let store = place.open();
    assert_eq!(store.cursor("edge").unwrap(), Some([2; 16]));
    assert_eq!(store.commit(batch(0..12), mark(3)).await.unwrap().stored, 0);
    assert_eq!(numbers(&store, &Filter::default(), 50).await.len(), 12);
    let [alice, bob] = [group("alice", 6, 30), group("bob", 6, 36)];
    assert_eq!(usage(&store, UsageBy::Key, |_| {}).await, [alice, bob]);
    let all = held(&store).await;
    assert_eq!(all.iter().map(|(_, exchanges, _)| exchanges).sum::<u64>(), 12);
    assert_eq!(all[1], (Status::ClientGone, 3, 1 + 5 + 9));
}

#[tokio::test]
async fn usage_is_by_key_model_backend_and_day_and_takes_days_and_names() {
    let place = Place::new();
    let store = place.open();
    // A minute each, so the second day begins with number 1440.
    store.commit(batch(1436..1442), None).await.unwrap();
    let day = MIDNIGHT_US / 86_400_000_000;
    let of_day = |later: i64, exchanges, tokens| group(&(day + later).to_string(), exchanges, tokens);
    let (first, second) = (of_day(0, 4, 1436 + 1437 + 1438 + 1439), of_day(1, 2, 1440 + 1441));
    assert_eq!(
        usage(&store, UsageBy::Day, |_| {}).await,
        [second.clone(), first.clone()]
    );
    assert_eq!(
        usage(&store, UsageBy::Day, |request| request.to_day = Some(day)).await,
        [first]
    );
    assert_eq!(
        usage(&store, UsageBy::Day, |request| request.from_day = Some(day + 1)).await,
        [second]
    );
    let models = [
        group("heavy", 2, 1436 + 1439),
        group("mistral", 2, 1438 + 1441),
        group("tiny", 2, 1437 + 1440),
    ];
    assert_eq!(usage(&store, UsageBy::Model, |_| {}).await, models);
    let days_of = async |by, name: &str| {
        let of = Some((by, name.to_owned()));
        usage(&store, UsageBy::Day, |request| request.of = of).await
    };
    let (first, second) = (of_day(0, 2, 1437 + 1439), of_day(1, 1, 1441));
    assert_eq!(days_of(UsageBy::Key, "bob").await, [second, first]);
    assert_eq!(
        days_of(UsageBy::Backend, "gpu-1").await,
        [of_day(1, 1, 1441), of_day(0, 1, 1438)]
    );
    assert_eq!(days_of(UsageBy::Model, "none").await, []);
}

#[tokio::test]
async fn what_was_made_for_another_exchange_is_work_of_a_model_and_no_further_request_of_the_key() {
    let place = Place::new();
    let store = place.open();
    let mut made = batch(10..12).to_vec();
    made[1].parent = Some(made[0].id);
    made[1].asked.key = made[0].asked.key.clone();
    store.commit(made.into(), None).await.unwrap();
    assert_eq!(usage(&store, UsageBy::Key, |_| {}).await, [group("alice", 1, 10)]);
    let days = usage(&store, UsageBy::Day, |_| {}).await;
    assert_eq!(days.iter().map(|(_, exchanges, _)| exchanges).sum::<u64>(), 1);
    let models = usage(&store, UsageBy::Model, |_| {}).await;
    assert_eq!(models, [group("heavy", 1, 11), group("mistral", 1, 10)]);
}

#[tokio::test]
async fn what_nobody_counted_is_no_zero() {
    let place = Place::new();
    let store = place.open();
    let mut untold = exchange(1);
    untold.tokens = Tokens::default();
    untold.timing.first_token_us = None;
    store.commit(Arc::new([untold, exchange(3)]), None).await.unwrap();
    let request = UsageRequest {
        by: UsageBy::Key,
        from_day: None,
        to_day: None,
        of: None,
        limit: 10,
        after: None,
    };
    let page = store.usage(request).await.unwrap();
    let bob = &page.items[0];
    assert_eq!((bob.exchanges, bob.counted, bob.first_tokens), (2, 1, 1));
    assert_eq!((bob.input_tokens, bob.first_token_us), (3, 1000));
    let tokens = Span {
        from: Some(0),
        to: None,
    };
    assert_eq!(
        numbers(
            &store,
            &Filter {
                tokens,
                ..Filter::default()
            },
            10
        )
        .await,
        [3]
    );
}

#[tokio::test]
async fn names_that_a_client_makes_up_are_bounded() {
    let place = Place::new();
    place.open().commit(batch(0..1), None).await.unwrap();
    let connection = rusqlite::Connection::open(place.path()).unwrap();
    let numbers = "WITH RECURSIVE number (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < 100000)";
    let words = format!("{numbers} INSERT OR IGNORE INTO word (id, text) SELECT n, 'made up ' || n FROM number");
    connection.execute(&words, []).unwrap();
    let made_up = NewExchange {
        answered: Answered {
            model: Some("one more".to_owned()),
            ..Answered::default()
        },
        ..exchange(1)
    };
    place.open().commit(Arc::new([made_up]), None).await.unwrap();
    let rows = format!(
        "{numbers} INSERT OR IGNORE INTO usage SELECT 2, n, (SELECT min(day) FROM usage), 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
             0, 0 FROM number WHERE n BETWEEN 1000 AND 11000"
    );
    connection.execute(&rows, []).unwrap();
    let store = place.open();
    let known = NewExchange {
        answered: Answered {
            model: Some("made up 999".to_owned()),
            ..Answered::default()
        },
        ..exchange(2)
    };
    store.commit(Arc::new([known]), None).await.unwrap();
    let shown = |number| store.show(exchange(number).id);
    assert_eq!(
        shown(1).await.unwrap().unwrap().row.answered.model.as_deref(),
        Some("(others)")
    );
    // The row has its model; the day's sums are full.
    assert_eq!(
        shown(2).await.unwrap().unwrap().row.answered.model.as_deref(),
        Some("made up 999")
    );
    let by_model = usage(&store, UsageBy::Model, |request| request.limit = 20_000).await;
    let counted = |name: &str| {
        by_model
            .iter()
            .find(|(model, ..)| model == name)
            .map(|(_, exchanges, _)| *exchanges)
    };
    assert_eq!((counted("(others)"), counted("made up 999")), (Some(2), None));
}

#[tokio::test]
async fn deleting_takes_responses_and_leaves_usage() {
    let place = Place::new();
    let store = place.open();
    store.commit(batch(0..900), None).await.unwrap();
    let before = usage(&store, UsageBy::Key, |_| {}).await;
    assert!(store.delete(exchange(0).id).await.unwrap());
    assert!(!store.delete(exchange(0).id).await.unwrap());
    let of_bob = Filter {
        key: Some("bob".to_owned()),
        ..Filter::default()
    };
    assert_eq!(store.delete_matching(of_bob.clone()).await.unwrap(), 450);
    assert!(numbers(&store, &of_bob, 100).await.is_empty());
    assert_eq!(numbers(&store, &Filter::default(), 100).await.len(), 449);
    assert_eq!(usage(&store, UsageBy::Key, |_| {}).await, before);
    // No word of theirs is found any more, and nothing of them is counted.
    let text = Filter {
        text: Some("\"answer 7\"".to_owned()),
        ..Filter::default()
    };
    assert!(numbers(&store, &text, 100).await.is_empty());
    assert_eq!(store.delete_matching(Filter::default()).await.unwrap(), 449);
    let stats = store.stats().await.unwrap();
    assert_eq!((stats.held, stats.oldest_us, stats.newest_us), (Vec::new(), None, None));
    drop(store);
    let connection = rusqlite::Connection::open(place.path()).unwrap();
    let zero = "SELECT count(*) FROM held WHERE exchanges <> 0 OR raw_bytes <> 0 OR stored_bytes <> 0
                OR input_tokens <> 0 OR output_tokens <> 0";
    assert_eq!(connection.query_row(zero, [], |row| row.get::<_, i64>(0)).unwrap(), 0);
}

#[tokio::test]
async fn what_was_deleted_does_not_come_back_with_its_journal() {
    let place = Place::new();
    let store = place.open();
    store.commit(batch(0..10), mark(1)).await.unwrap();
    store.delete(exchange(3).id).await.unwrap();
    drop(store);
    let store = place.open();
    let again = store.commit(batch(0..12), mark(1)).await.unwrap();
    assert_eq!((again.stored, again.known), (2, 10));
    assert_eq!(store.show(exchange(3).id).await.unwrap(), None);
    let counted = usage(&store, UsageBy::Key, |_| {}).await;
    assert_eq!(counted.iter().map(|(_, exchanges, _)| exchanges).sum::<u64>(), 12);
    drop(store);
    // A month later nothing can bring it again, and its id is forgotten.
    let connection = rusqlite::Connection::open(place.path()).unwrap();
    connection
        .execute("UPDATE gone SET at_us = at_us - 31 * 86400000000", [])
        .unwrap();
    let store = place.open();
    let left = || {
        connection
            .query_row("SELECT count(*) FROM gone", [], |row| row.get::<_, i64>(0))
            .unwrap()
    };
    until(async || left() == 0).await;
    drop(store);
}

#[tokio::test]
async fn what_is_deleted_is_overwritten() {
    let mut place = Place::new();
    place.config.compress = false;
    place.config.full_text_search = false;
    let store = place.open();
    store.commit(batch(0..50), None).await.unwrap();
    store.delete_matching(Filter::default()).await.unwrap();
    drop(store);
    let bytes = std::fs::read(place.path()).unwrap();
    assert!(!bytes.windows(6).any(|window| window == b"canary"));
}

fn now_us() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    i64::try_from(now.as_micros()).unwrap()
}

/// Housekeeping runs by itself; a test waits for what it does.
async fn until(mut is_so: impl AsyncFnMut() -> bool) {
    let done = async {
        while !is_so().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), done)
        .await
        .expect("it happens");
}

#[tokio::test]
async fn what_is_too_old_goes() {
    let mut place = Place::new();
    let aged = |number: u32| NewExchange {
        started_at_us: now_us() - i64::from(number) * 60 * MINUTE_US,
        ..exchange(number)
    };
    let store = place.open();
    store.commit((0..600).map(aged).collect(), None).await.unwrap();
    drop(store);
    place.config.retention.age_max = Some(Duration::from_secs(10 * 3600 + 1800));
    let store = place.open();
    until(async || numbers(&store, &Filter::default(), 1000).await.len() <= 11).await;
    assert_eq!(
        numbers(&store, &Filter::default(), 1000).await,
        (0..11).collect::<Vec<_>>()
    );
    assert_eq!(usage(&store, UsageBy::Key, |request| request.limit = 5).await.len(), 2);
}

#[tokio::test]
async fn what_is_too_much_goes_the_oldest_first_and_the_disk_gets_it_back() {
    let mut place = Place::new();
    place.config.compress = false;
    let large = |number: u32| {
        let mut large = exchange(number);
        large.content.response = Some(Bytes::from(vec![b'x'; 20_000]));
        large
    };
    let store = place.open();
    store.commit((0..1000).map(large).collect(), None).await.unwrap();
    let before = store.stats().await.unwrap().file_bytes;
    assert!(before > 20_000_000);
    drop(store);
    place.config.retention.bytes_max = Some(8 << 20);
    let store = place.open();
    until(async || store.stats().await.unwrap().file_bytes < 10 << 20).await;
    let left = numbers(&store, &Filter::default(), 1000).await;
    assert!((200..=400).contains(&left.len()), "{}", left.len());
    let newest: Vec<u32> = (0..1000).rev().take(left.len()).collect();
    assert_eq!(left, newest);
    drop(store);
    assert!(std::fs::metadata(place.path()).unwrap().len() < 10 << 20);
}
