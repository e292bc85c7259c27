//! Lists and single exchanges.

use super::*;

#[tokio::test]
async fn what_is_committed_comes_back_as_it_was() {
    let place = Place::new();
    let mut whole = exchange(7);
    whole.parent = Some(Uuid::from_u128(9));
    whole.plane = Plane::Council;
    whole.answered.refused = Some("rate_limit_exceeded".to_owned());
    whole.answered.error_code = Some("code".to_owned());
    whole.answered.fallback = Some("small".to_owned());
    whole.answered.is_request_cut = true;
    whole.answered.is_lossy = true;
    whole.answered.embeddings = Some(Embeddings {
        count: 2,
        dimensions: 768,
    });
    whole.tokens.cached = Some(0);
    whole.tokens.thinking = Some(3);
    whole.content.thinking = Some("Grüße, 世界 \u{0}".to_owned());
    whole.content.tool_calls = Some("[]".to_owned());
    whole.content.response = Some(Bytes::from_static(&[0xff, 0, 0xfe]));
    let bare = NewExchange {
        id: Uuid::from_u128(1),
        ..NewExchange::default()
    };
    let store = place.open();
    store
        .commit(Arc::new([whole.clone(), bare.clone()]), None)
        .await
        .unwrap();
    for stored in [whole, bare] {
        let Stored { row, content } = store.show(stored.id).await.unwrap().expect("it is there");
        assert_eq!(
            (row.id, row.parent, row.plane),
            (stored.id, stored.parent, stored.plane)
        );
        assert_eq!((row.started_at_us, row.asked), (stored.started_at_us, stored.asked));
        assert_eq!(row.answered, stored.answered);
        assert_eq!((row.tokens, row.timing), (stored.tokens, stored.timing));
        let prompt = None;
        assert_eq!(
            content,
            Content {
                prompt,
                ..stored.content
            }
        );
    }
    assert_eq!(store.show(Uuid::from_u128(77)).await.unwrap(), None);
}

#[tokio::test]
async fn each_filter_lets_through_what_it_says_and_pages_hold_everything_once() {
    let place = Place::new();
    let store = place.open();
    // In another order than they began in.
    store.commit(batch((0..60).rev()), None).await.unwrap();
    store.commit(batch(60..120), None).await.unwrap();
    let minute = |number: u32| Some(MIDNIGHT_US + i64::from(number) * MINUTE_US);
    let some = |text: &str| Some(text.to_owned());
    type Expected = fn(u32) -> bool;
    let cases: [(&str, Filter, Expected); 14] = [
        ("none", Filter::default(), |_| true),
        (
            "key",
            Filter {
                key: some("bob"),
                ..Filter::default()
            },
            |n| n % 2 == 1,
        ),
        (
            "model",
            Filter {
                model: some("heavy"),
                ..Filter::default()
            },
            |n| n % 3 == 2,
        ),
        (
            "backend",
            Filter {
                backend: some("gpu-0"),
                ..Filter::default()
            },
            |n| n % 3 == 0,
        ),
        (
            "complete",
            Filter {
                status: Some(Status::Complete),
                ..Filter::default()
            },
            |n| n % 4 == 0,
        ),
        (
            "gone",
            Filter {
                status: Some(Status::ClientGone),
                ..Filter::default()
            },
            |n| n % 4 == 1,
        ),
        (
            "unknown",
            Filter {
                key: some("nobody"),
                ..Filter::default()
            },
            |_| false,
        ),
        (
            "from and to",
            Filter {
                started_us: Span {
                    from: minute(30),
                    to: minute(40),
                },
                ..Filter::default()
            },
            |n| (30..40).contains(&n),
        ),
        (
            "tokens",
            Filter {
                tokens: Span {
                    from: Some(20),
                    to: Some(25),
                },
                ..Filter::default()
            },
            |n| (10..=15).contains(&n),
        ),
        (
            "duration",
            Filter {
                duration_us: Span {
                    from: Some(100_000),
                    to: None,
                },
                ..Filter::default()
            },
            |n| n >= 100,
        ),
        (
            "text",
            Filter {
                text: some("ANSWER 17"),
                ..Filter::default()
            },
            |n| n == 17,
        ),
        (
            "prompt",
            Filter {
                text: some("\"question 1\""),
                ..Filter::default()
            },
            |n| n == 1,
        ),
        (
            "text of a key",
            Filter {
                text: some("canary"),
                key: some("alice"),
                ..Filter::default()
            },
            |n| n % 2 == 0,
        ),
        (
            "all at once",
            Filter {
                key: some("bob"),
                model: some("tiny"),
                backend: some("gpu-0"),
                status: Some(Status::Interrupted),
                tokens: Span {
                    from: Some(1),
                    to: Some(100),
                },
                duration_us: Span {
                    from: Some(1),
                    to: Some(90_000),
                },
                started_us: Span {
                    from: minute(5),
                    to: minute(100),
                },
                text: some("answer"),
                parent: None,
            },
            |n| n % 2 == 1 && n % 3 == 0 && n % 4 == 3 && (5..=90).contains(&n),
        ),
    ];
    for (name, filter, lets_through) in cases {
        let expected: Vec<u32> = (0..120).rev().filter(|number| lets_through(*number)).collect();
        for limit in [1, 7, 1000] {
            assert_eq!(numbers(&store, &filter, limit).await, expected, "{name}, by {limit}");
        }
    }
}

#[tokio::test]
async fn a_page_whose_budget_is_spent_is_short_and_the_next_goes_on_from_there() {
    let place = Place::new();
    // An hour between two of them, so that windows are empty too.
    let apart = |number: u32| NewExchange {
        started_at_us: MIDNIGHT_US + i64::from(number) * 60 * MINUTE_US,
        ..exchange(number)
    };
    let store = place.open();
    store.commit((0..40).map(apart).collect(), None).await.unwrap();
    let connection = schema::open_reader(place.path()).unwrap();
    for filter in [
        Filter::default(),
        Filter {
            key: Some("bob".to_owned()),
            ..Filter::default()
        },
        Filter {
            text: Some("canary".to_owned()),
            ..Filter::default()
        },
        Filter {
            tokens: Span {
                from: Some(1_000_000),
                to: None,
            },
            ..Filter::default()
        },
    ] {
        let all = PageRequest {
            limit: 1000,
            before: None,
        };
        let expected = list::find(&connection, &filter, all).unwrap().items;
        let slowly = list::Pace {
            budget: std::time::Duration::ZERO,
            first_part: 2,
        };
        let (mut found, mut pages, mut before) = (Vec::new(), 0, None);
        loop {
            let request = PageRequest { limit: 3, before };
            let page = list::find_at(&connection, &filter, request, slowly).unwrap();
            found.extend(page.items);
            pages += 1;
            match page.next {
                Some(next) => before = Some(next),
                None => break,
            }
        }
        assert_eq!(found, expected, "{filter:?}");
        assert!(pages > 6, "{pages} pages");
    }
}

#[tokio::test]
async fn many_may_ask_while_others_write_and_delete() {
    let place = Place::new();
    let store = place.open();
    let writing = {
        let store = store.clone();
        tokio::spawn(async move {
            for first in 0..40 {
                store
                    .commit(batch(first * 10..first * 10 + 10), mark(first as u8))
                    .await
                    .unwrap();
            }
        })
    };
    let deleting = {
        let store = store.clone();
        tokio::spawn(async move {
            for number in (0..400).step_by(50) {
                while !store.delete(exchange(number).id).await.unwrap() {
                    tokio::task::yield_now().await;
                }
            }
        })
    };
    let asking: Vec<_> = (0..12)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move {
                for _ in 0..10 {
                    let found = numbers(&store, &Filter::default(), 37).await;
                    assert!(found.is_sorted_by(|a, b| a > b), "{found:?}");
                    store.stats().await.unwrap();
                }
            })
        })
        .collect();
    for task in asking.into_iter().chain([writing, deleting]) {
        task.await.unwrap();
    }
    assert_eq!(numbers(&store, &Filter::default(), 1000).await.len(), 392);
}

#[tokio::test]
async fn pages_stay_where_they_are_while_others_write() {
    let place = Place::new();
    let store = place.open();
    store.commit(batch(0..30), None).await.unwrap();
    let request = PageRequest {
        limit: 10,
        before: None,
    };
    let first = store.list(Filter::default(), request).await.unwrap();
    store.commit(batch(30..50), None).await.unwrap();
    store.delete(exchange(15).id).await.unwrap();
    let request = PageRequest {
        limit: 100,
        before: first.next,
    };
    let second = store.list(Filter::default(), request).await.unwrap();
    let seen: Vec<u32> = first.items.iter().chain(&second.items).map(number).collect();
    assert_eq!(seen, (0..30).rev().filter(|number| *number != 15).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_thousand_that_began_at_once_are_all_there() {
    let place = Place::new();
    let store = place.open();
    let at_once = |number| NewExchange {
        started_at_us: MIDNIGHT_US,
        ..exchange(number)
    };
    store.commit((0..1000).map(at_once).collect(), None).await.unwrap();
    let mut found = numbers(&store, &Filter::default(), 100).await;
    found.sort_unstable();
    assert_eq!(found, (0..1000).collect::<Vec<_>>());
}

#[tokio::test]
async fn absurd_times_and_figures_are_stored() {
    let place = Place::new();
    let store = place.open();
    for (number, started_at_us) in [(1, i64::MIN), (2, i64::MAX), (3, 0), (4, -1)] {
        let mut absurd = NewExchange {
            started_at_us,
            ..exchange(number)
        };
        absurd.tokens.input = Some(u64::MAX);
        absurd.tokens.output = Some(u64::MAX);
        absurd.timing.duration_us = Some(u64::MAX);
        absurd.timing.tokens_per_second = Some(f64::NAN);
        absurd.asked.model = Some("ü".repeat(100_000));
        absurd.answered.model = Some("ü".repeat(100_000));
        assert_eq!(store.commit(Arc::new([absurd]), None).await.unwrap().stored, 1);
    }
    assert_eq!(numbers(&store, &Filter::default(), 2).await.len(), 4);
    let long = Filter {
        model: Some("ü".repeat(100_000)),
        ..Filter::default()
    };
    let page = store
        .list(
            long,
            PageRequest {
                limit: 10,
                before: None,
            },
        )
        .await
        .unwrap();
    assert_eq!(page.items[0].answered.model.as_deref(), Some(&*"ü".repeat(256)));
    assert_eq!(page.items.len(), 4);
}

#[tokio::test]
async fn with_search_off_words_are_refused() {
    let mut place = Place::new();
    place.open().commit(batch(0..3), None).await.unwrap();
    place.config.full_text_search = false;
    let store = place.open();
    let filter = Filter {
        text: Some("answer".to_owned()),
        ..Filter::default()
    };
    let request = PageRequest {
        limit: 10,
        before: None,
    };
    assert!(matches!(
        store.list(filter.clone(), request).await,
        Err(StoreError::SearchOff)
    ));
    assert!(matches!(
        store.delete_matching(filter.clone()).await,
        Err(StoreError::SearchOff)
    ));
    assert_eq!(numbers(&store, &Filter::default(), 10).await.len(), 3);
    drop(store);
    // On again, it finds what comes from then on.
    place.config.full_text_search = true;
    let store = place.open();
    store.commit(batch(3..4), None).await.unwrap();
    assert_eq!(numbers(&store, &filter, 10).await, [3]);
}
