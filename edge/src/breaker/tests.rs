use keymap::breaker::Condition;

use super::*;

fn terms(expression: &str) -> CircuitBreaker {
    CircuitBreaker {
        expression: Condition::parse(expression).expect("an expression"),
        check_period: Duration::from_millis(100),
        fallback_duration: Duration::from_secs(10),
        recovery_duration: Duration::from_secs(10),
        response_status: 503,
    }
}

#[test]
fn it_opens_when_its_condition_holds_and_recovers_slowly() {
    let begin = Instant::now();
    let at = |ms: u64| begin + Duration::from_millis(ms);
    for (expression, ended, took_ms, opens) in [
        ("NetworkErrorRatio() > 0.5", Ended::NoAnswer, 1, true),
        ("NetworkErrorRatio() > 0.5", Ended::Answered(500), 1, false),
        (
            "ResponseCodeRatio(500, 600, 0, 600) > 0.25",
            Ended::Answered(503),
            1,
            true,
        ),
        (
            "ResponseCodeRatio(500, 600, 0, 600) > 0.25",
            Ended::Answered(404),
            1,
            false,
        ),
        ("LatencyAtQuantileMS(50.0) > 100", Ended::Answered(200), 500, true),
        ("LatencyAtQuantileMS(50.0) > 100", Ended::Answered(200), 50, false),
    ] {
        let terms = terms(expression);
        let mut inner = Inner::new(begin);
        let took = Duration::from_millis(took_ms);
        inner.record(&terms, ended, took, at(50));
        assert!(
            inner.admits(&terms, at(60)),
            "{expression}: it is looked at every 100 ms"
        );
        inner.record(&terms, ended, took, at(150));
        assert_eq!(!inner.admits(&terms, at(151)), opens, "{expression} {ended:?}");
        if !opens {
            continue;
        }
        assert!(!inner.admits(&terms, at(10_149)), "{expression}: for ten seconds");
        let passed = (0..1_000)
            .filter(|step| inner.admits(&terms, at(10_150 + step * 10)))
            .count();
        assert!(
            (450..=550).contains(&passed),
            "{expression}: none to all is half of them: {passed}"
        );
        assert!(inner.admits(&terms, at(20_200)));
        assert_eq!(inner.state, State::Closed);
    }
}

#[test]
fn one_that_recovers_opens_again_where_nothing_has_changed() {
    let (begin, terms) = (Instant::now(), terms("NetworkErrorRatio() > 0.5"));
    let at = |ms: u64| begin + Duration::from_millis(ms);
    let mut inner = Inner::new(begin);
    inner.record(&terms, Ended::NoAnswer, Duration::ZERO, at(150));
    assert!((0..50).any(|step| inner.admits(&terms, at(10_200 + step * 20))));
    assert!(matches!(inner.state, State::Recovering { .. }));
    inner.record(&terms, Ended::NoAnswer, Duration::ZERO, at(11_500));
    assert!(matches!(inner.state, State::Open { .. }));
}

#[test]
fn what_is_older_than_ten_seconds_is_forgotten() {
    let (begin, terms) = (Instant::now(), terms("NetworkErrorRatio() > 0.5"));
    let at = |ms: u64| begin + Duration::from_millis(ms);
    let mut inner = Inner::new(begin);
    (0..3).for_each(|step| inner.record(&terms, Ended::NoAnswer, Duration::ZERO, at(step)));
    (0..3).for_each(|step| inner.record(&terms, Ended::Answered(200), Duration::ZERO, at(11_000 + step * 200)));
    assert_eq!(inner.state, State::Closed);
}
