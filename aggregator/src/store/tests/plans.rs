//! SQLite's own word on how each query is answered: through an index, without sorting, never row by row.

use rusqlite::params_from_iter;
use rusqlite::types::Value;

use super::super::filter::Query;
use super::*;

fn plan(connection: &rusqlite::Connection, sql: &str, values: Vec<Value>) -> String {
    let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).expect(sql);
    let steps = statement
        .query_map(params_from_iter(values), |row| row.get::<_, String>(3))
        .expect(sql);
    steps.map(Result::unwrap).collect::<Vec<_>>().join(" / ")
}

#[tokio::test]
async fn every_filter_walks_an_index_in_the_lists_order() {
    let place = Place::new();
    let store = place.open();
    store.commit(batch(0..12), None).await.unwrap();
    let connection = rusqlite::Connection::open(place.path()).unwrap();
    type Set = fn(&mut Filter);
    let parts: [Set; 7] = [
        |filter| filter.key = Some("alice".to_owned()),
        |filter| filter.model = Some("tiny".to_owned()),
        |filter| filter.backend = Some("gpu-0".to_owned()),
        |filter| filter.status = Some(Status::ClientGone),
        |filter| filter.parent = Some(Uuid::nil()),
        |filter| filter.text = Some("answer".to_owned()),
        |filter| {
            filter.tokens = Span {
                from: Some(1),
                to: Some(2),
            };
            filter.duration_us = Span {
                from: Some(1),
                to: Some(2),
            };
        },
    ];
    for chosen in 0..1 << parts.len() {
        let mut filter = Filter::default();
        for (index, set) in parts.iter().enumerate() {
            if chosen & (1 << index) != 0 {
                set(&mut filter);
            }
        }
        let query: Query = filter.compile(&connection).unwrap().expect("every name is known");
        let span = [0, i64::MAX, 10].map(Value::Integer);
        let values = query.values().iter().cloned().chain(span).collect();
        if let Some(sql) = query.border_sql() {
            let values = query
                .lead_value()
                .cloned()
                .into_iter()
                .chain([0, i64::MAX, 10].map(Value::Integer));
            let plan = plan(&connection, &sql, values.collect());
            assert!(
                plan.contains(" INDEX exchange_by_") && !plan.contains("TEMP B-TREE"),
                "{filter:?}: {plan}"
            );
        }
        let plan = plan(&connection, &query.sql(), values);
        assert!(!plan.contains("TEMP B-TREE"), "{filter:?}: {plan}");
        let indexed = [
            "COVERING INDEX exchange_by_",
            "SEARCH exchange USING INDEX exchange_by_parent",
            "VIRTUAL TABLE INDEX",
        ];
        assert!(indexed.iter().any(|how| plan.contains(how)), "{filter:?}: {plan}");
        assert!(!plan.contains("SCAN exchange"), "{filter:?}: {plan}");
    }
}

#[tokio::test]
async fn every_other_query_searches_too() {
    let place = Place::new();
    place.open().commit(batch(0..12), None).await.unwrap();
    let connection = rusqlite::Connection::open(place.path()).unwrap();
    for sql in [
        "SELECT 1 FROM exchange WHERE id = x'00'",
        "SELECT seq FROM exchange WHERE id = x'00'",
        "SELECT 1 FROM exchange WHERE seq = 1",
        "SELECT min(seq) FROM exchange",
        "SELECT max(seq) FROM exchange",
        "SELECT seq FROM exchange WHERE seq < 5 ORDER BY seq LIMIT 10",
        "SELECT 1 FROM gone WHERE id = x'00'",
        "SELECT id FROM gone WHERE at_us < 5 ORDER BY at_us LIMIT 200",
        "SELECT id FROM word WHERE text = 'a'",
        "SELECT sum(exchanges) FROM usage NOT INDEXED WHERE kind = 1 AND day >= 1 AND day <= 9 GROUP BY name",
        "SELECT count(*) FROM usage WHERE kind = 2 AND day = 1",
        "SELECT cursor FROM journal WHERE name = 'edge'",
        "SELECT request FROM body WHERE seq = 1",
    ] {
        let plan = plan(&connection, sql, Vec::new());
        assert!(plan.contains("SEARCH") && !plan.contains("SCAN"), "{sql}: {plan}");
    }
}
