use super::*;

use proptest::prelude::*;

/// 20 % of the attempts failed; of 100 answers 30 were 500s, 10 were 404s; half took 80 ms, the slowest 400 ms.
struct Scene;

impl Measured for Scene {
    fn network_error_ratio(&self) -> f64 {
        0.2
    }

    fn response_code_ratio(&self, counted: CodeRange, among: CodeRange) -> f64 {
        let count = |range: CodeRange| -> f64 {
            let answers = [(200, 60.0), (404, 10.0), (500, 30.0)];
            let within = answers.iter().filter(|(status, _)| range.contains(*status));
            within.map(|(_, count)| count).sum()
        };
        match count(among) {
            0.0 => 0.0,
            all => count(counted) / all,
        }
    }

    fn latency_at_quantile_ms(&self, quantile: f64) -> f64 {
        if quantile <= 50.0 { 80.0 } else { 400.0 }
    }
}

#[test]
fn conditions_are_evaluated_as_traefik_does() {
    for (text, expected) in [
        ("NetworkErrorRatio() > 0.10", true),
        ("NetworkErrorRatio() > 0.30", false),
        ("NetworkErrorRatio()>=0.2", true),
        ("NetworkErrorRatio() == 0.2", true),
        ("NetworkErrorRatio() != 0.2", false),
        ("NetworkErrorRatio() <= 0.2", true),
        ("NetworkErrorRatio() < 0.2", false),
        ("ResponseCodeRatio(500, 600, 0, 600) > 0.25", true),
        ("ResponseCodeRatio(500, 600, 400, 600) == 0.75", true),
        ("ResponseCodeRatio(500, 600, 300, 304) > 0", false),
        ("ResponseCodeRatio(400, 500, 0, 600) > 0.25", false),
        ("LatencyAtQuantileMS(50.0) > 100", false),
        ("LatencyAtQuantileMS(99) > 100", true),
        ("!NetworkErrorRatio() > 0.30", true),
        ("!!(NetworkErrorRatio() > 0.30)", false),
        ("!(NetworkErrorRatio() > 0.30) && LatencyAtQuantileMS(99) > 100", true),
        // `&&` binds tighter than `||`.
        (
            "NetworkErrorRatio() > 0.1 || NetworkErrorRatio() > 0.1 && NetworkErrorRatio() > 9",
            true,
        ),
        (
            "(NetworkErrorRatio() > 0.1 || NetworkErrorRatio() > 0.1) && NetworkErrorRatio() > 9",
            false,
        ),
        ("\n ( ( NetworkErrorRatio ( ) > 0.1 ) )\t", true),
    ] {
        let condition = Condition::parse(text).unwrap_or_else(|error| panic!("{text}: {error:?}"));
        assert_eq!(condition.holds(&Scene), expected, "{text}");
    }
}

#[test]
fn mistakes_are_found_where_they_stand() {
    for (text, offset, rule) in [
        ("", 0, "begins with a function"),
        ("0.5 < NetworkErrorRatio()", 0, "begins with a function"),
        ("networkErrorRatio() > 1", 0, "no function of this name"),
        ("NetworkErrorRatio > 1", 18, "followed by parentheses"),
        ("NetworkErrorRatio(1) > 1", 0, "takes no argument"),
        ("NetworkErrorRatio()", 19, "compared with a number"),
        (
            "NetworkErrorRatio() > NetworkErrorRatio()",
            22,
            "number must stand here",
        ),
        ("NetworkErrorRatio() > 1.2.3", 22, "at most one dot"),
        ("NetworkErrorRatio() > 1 NetworkErrorRatio() > 1", 24, "joined by"),
        ("NetworkErrorRatio() = 1", 20, "made of functions"),
        (
            "NetworkErrorRatio() > 1 & NetworkErrorRatio() > 1",
            24,
            "made of functions",
        ),
        ("(NetworkErrorRatio() > 1", 24, "is closed"),
        ("LatencyAtQuantileMS(101) > 1", 0, "from 0 to 100"),
        ("LatencyAtQuantileMS() > 1", 0, "one argument"),
        ("ResponseCodeRatio(500, 600, 0) > 1", 0, "four arguments"),
        ("ResponseCodeRatio(600, 500, 0, 600) > 1", 0, "first is below its last"),
        ("ResponseCodeRatio(1, 2, 3, 4, 5, 6, 7) > 1", 33, "so many"),
        ("NetworkErrorRatio() > 1 ü", 24, "made of functions"),
    ] {
        let error = Condition::parse(text).expect_err(text);
        assert_eq!(error.offset, offset, "{text}: {error:?}");
        assert!(error.rule.contains(rule) && !error.fix.is_empty(), "{text}: {error:?}");
    }
}

#[test]
fn text_and_nesting_are_bounded() {
    let nested = |depth: usize| format!("{}NetworkErrorRatio() > 0.1", "!".repeat(depth));
    assert!(Condition::parse(&nested(30)).is_ok());
    for text in [nested(40), "(".repeat(4000), " ".repeat(5000)] {
        let error = Condition::parse(&text).expect_err("over a bound");
        assert!(
            error.rule.contains("at most") || error.rule.contains("begins"),
            "{error:?}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_parsed_without_a_panic(text in "([A-Za-z]{1,8}|[0-9.]{1,4}|[-()!<>=&|, ü]|NetworkErrorRatio\\(\\)){0,40}") {
        match Condition::parse(&text) {
            Ok(condition) => { condition.holds(&Scene); }
            Err(error) => prop_assert!(error.offset <= text.len()),
        }
    }
}
