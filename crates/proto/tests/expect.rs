//! What is found, when, and what is said about it. The letters refer to the acceptance checks of the reference (E1 to
//! E15), the numbers to the items of `docs/execo.md`.

use phalanx_proto::expect::{
    Expect, Extent, Match, MatchResult, Matcher, NotFound, Pattern, Precedence, Reason, Session,
};

fn expect<const N: usize>(patterns: [Pattern; N]) -> Expect {
    Expect::new(patterns).expect("valid patterns")
}

fn regex(pattern: &str) -> Expect {
    expect([Pattern::regex(pattern)])
}

fn found(verdict: Option<MatchResult>) -> Match {
    verdict.expect("decided").expect("found")
}

fn missed(verdict: Option<MatchResult>) -> NotFound {
    verdict.expect("decided").expect_err("missed")
}

/// A stream that has received `text`.
fn stream(text: &str) -> Matcher {
    let mut matcher = Matcher::default();
    assert!(matcher.feed(text.as_bytes()).is_none());
    matcher
}

#[test]
fn e1_text_received_before_is_found_at_once() {
    let mut stream = stream("n1 login: ");
    let found = found(stream.expect(&expect(["login: ".into()])));
    assert_eq!((found.before(), found.matched(), found.position()), (&b"n1 "[..], &b"login: "[..], 3..10));
}

#[test]
fn e2_two_matches_in_one_chunk_are_found_one_after_the_other() {
    let mut stream = stream("one two ");
    let word = regex(r"(\w+) ");
    assert_eq!(found(stream.expect(&word)).group(1), Some(&b"one"[..]));
    assert_eq!(found(stream.expect(&word)).group(1), Some(&b"two"[..]));
    assert!(stream.expect(&word).is_none());
}

#[test]
fn e3_a_match_is_found_whatever_boundary_cuts_it() {
    let text = b"load: 17.25\r\nn1 login: ";
    let prompt = regex(r"^(?<host>\w+) login: ");
    for cut in 0..=text.len() {
        let mut stream = Matcher::default();
        assert!(stream.expect(&prompt).is_none());
        let verdict = stream.feed(&text[..cut]).or_else(|| stream.feed(&text[cut..]));
        assert_eq!(found(verdict).named("host"), Some(&b"n1"[..]), "cut at {cut}");
    }
}

#[test]
fn e3_an_expression_that_begins_with_a_text_is_found_whatever_boundary_cuts_it() {
    let text = b"log logi login login login: root; login: daemon;";
    let user = regex(r"login: (\w+);");
    for cut in 0..=text.len() {
        let mut stream = Matcher::default();
        assert!(stream.expect(&user).is_none());
        let verdict = stream.feed(&text[..cut]).or_else(|| stream.feed(&text[cut..]));
        assert_eq!(found(verdict).group(1), Some(&b"root"[..]), "cut at {cut}");
    }
}

#[test]
fn e4_anchors_match_at_lines_with_either_ending() {
    let mut stream = stream("a\r\nb\nc\r\n");
    for expected in ["a", "b", "c"] {
        let found = found(stream.expect(&regex(r"^(\w)$")));
        assert_eq!(found.group(1), Some(expected.as_bytes()));
    }
}

#[test]
fn e5_of_the_needles_decided_by_the_same_byte_the_first_in_the_list_wins() {
    let mut stream = stream("foo bar");
    assert_eq!(found(stream.expect(&expect(["r".into(), "bar".into()]))).pattern(), 0);
}

#[test]
fn e5_of_two_needles_the_one_that_is_decided_first_wins() {
    let mut stream = stream("foo bar");
    assert_eq!(found(stream.expect(&expect(["bar".into(), "foo".into()]))).pattern(), 1);
}

#[test]
fn e5_by_precedence_of_the_list_the_first_that_is_there_wins_as_in_execo() {
    let mut stream = stream("foo bar");
    let found = found(stream.expect(&expect(["bar".into(), "foo".into()]).precedence(Precedence::List)));
    assert_eq!((found.pattern(), found.before()), (0, &b"foo "[..]));
}

#[test]
fn e6_a_miss_says_what_was_expected_why_it_ended_and_what_came_instead() {
    let mut stream = stream("Connection refused\r\n");
    assert!(stream.expect(&expect(["login: ".into(), Pattern::regex("[$#] ")])).is_none());
    let missed = missed(stream.timeout());
    assert_eq!(
        missed.to_string(),
        "expected \"login: \" or /[$#] /, but the time was over after \"Connection refused\\r\\n\""
    );
}

#[test]
fn e7_the_end_of_the_stream_ends_the_expectation_at_once_and_those_after_it() {
    let mut stream = stream("bye");
    let prompt = regex("login: ");
    assert!(stream.expect(&prompt).is_none());
    assert_eq!(missed(stream.end_of_file()).reason, Reason::EndOfFile);
    assert_eq!(missed(stream.expect(&prompt)).reason, Reason::EndOfFile);
    assert_eq!(found(stream.expect(&expect(["by".into()]))).position(), 0..2);
}

#[test]
fn e8_a_poll_answers_at_once_and_loses_nothing() {
    let mut stream = stream("login");
    let prompt = expect(["login: ".into()]);
    assert_eq!(stream.poll(&prompt).expect_err("not yet").unconsumed, 5);
    assert!(stream.feed(b": ").is_none());
    assert_eq!(stream.poll(&prompt).expect("now").position(), 0..7);
}

#[test]
fn e13_consecutive_expectations_advance_and_count_from_the_beginning_of_the_stream() {
    let mut stream = Matcher::default();
    let word = regex(r"\w+;");
    let mut positions = Vec::new();
    let mut verdict = stream.expect(&word);
    for chunk in ["a", "b;cd", ";", "e;f;"] {
        verdict = verdict.or_else(|| stream.feed(chunk.as_bytes()));
        while let Some(Ok(found)) = verdict.take() {
            positions.push(found.position());
            verdict = stream.expect(&word);
        }
    }
    assert_eq!(positions, [0..3, 3..6, 6..8, 8..10]);
}

#[test]
fn e15_what_was_received_before_can_be_skipped() {
    let mut stream = stream("login: ");
    stream.skip_received();
    let prompt = expect(["login: ".into()]);
    assert!(stream.expect(&prompt).is_none());
    assert_eq!(found(stream.feed(b"login: ")).position(), 7..14);
}

#[test]
fn a_number_is_not_found_by_halves() {
    let mut stream = stream("took 1");
    let number = regex(r"took (\d+)");
    assert!(stream.expect(&number).is_none());
    assert!(stream.is_pending());
    assert!(stream.feed(b"23").is_none());
    assert_eq!(found(stream.feed(b" ms")).group(1), Some(&b"123"[..]));
}

#[test]
fn silence_settles_what_further_bytes_might_have_changed() {
    let mut stream = stream("n1 login:");
    assert!(stream.expect(&regex(r"^n1 login: *$")).is_none());
    assert!(stream.is_pending());
    assert_eq!(found(stream.handle_idle()).matched(), b"n1 login:");
    assert!(stream.handle_idle().is_none(), "nothing is expected any more");
}

#[test]
fn silence_decides_nothing_where_nothing_matches() {
    let mut stream = stream("n1 log");
    assert!(stream.expect(&regex("login: ")).is_none());
    assert!(!stream.is_pending());
    assert!(stream.handle_idle().is_none());
    assert_eq!(found(stream.feed(b"in: ")).position(), 3..10);
}

#[test]
fn a_prompt_at_the_end_of_what_was_sent_needs_no_silence() {
    for pattern in [r"[$#] ", r"^\w+@\w+:.*?\$ ", r"(?i)password: ", r"\w+ login: ", r"\bPassword: "] {
        let mut stream = stream("\r\nroot@n1:~$ n1 login: Password: ");
        assert!(stream.expect(&regex(pattern)).is_some_and(|verdict| verdict.is_ok()), "{pattern}");
    }
}

#[test]
fn an_assertion_about_the_next_byte_waits_for_it_only_if_it_matters() {
    let mut stream = stream("ab");
    assert!(
        stream.expect(&regex(r"ab\b|b\B")).is_none(),
        "a letter would make it the second, all else the first alternative"
    );
    assert_eq!(found(stream.feed(b"c")).position(), 1..2);
}

#[test]
fn a_timeout_first_settles_what_is_pending() {
    let mut stream = stream("17");
    assert!(stream.expect(&expect([Pattern::regex(r"\d+"), Pattern::Timeout])).is_none());
    let found = found(stream.timeout());
    assert_eq!((found.pattern(), found.matched()), (0, &b"17"[..]));
}

#[test]
fn an_expected_timeout_consumes_nothing() {
    let mut stream = stream("log");
    assert!(stream.expect(&expect(["login".into(), Pattern::Timeout])).is_none());
    let timeout = found(stream.timeout());
    assert_eq!((timeout.pattern(), timeout.before(), timeout.matched()), (1, &b"log"[..], &b""[..]));
    assert!(stream.expect(&expect(["login".into()])).is_none());
    assert_eq!(found(stream.feed(b"in")).position(), 0..5);
}

#[test]
fn an_expected_end_has_everything_before_it() {
    let mut stream = stream("the whole output\n");
    let end = expect([Pattern::EndOfFile]);
    assert!(stream.expect(&end).is_none());
    let ended = found(stream.end_of_file());
    assert_eq!((ended.before(), ended.position()), (&b"the whole output\n"[..], 17..17));
    assert_eq!(found(stream.expect(&end)).before(), b"");
}

#[test]
fn at_the_end_the_list_decides_between_the_end_and_a_match_that_was_pending() {
    for (patterns, winner) in [
        ([Pattern::regex("a+"), Pattern::EndOfFile], &b"aa"[..]),
        ([Pattern::EndOfFile, Pattern::regex("a+")], &b""[..]),
    ] {
        let mut stream = stream("aa");
        assert!(stream.expect(&expect(patterns)).is_none());
        let found = found(stream.end_of_file());
        assert_eq!((found.pattern(), found.matched()), (0, winner));
    }
}

#[test]
fn so_many_bytes_are_found_when_they_are_there() {
    let mut stream = stream("abc");
    let four = expect([Pattern::Bytes(4)]);
    assert!(stream.expect(&four).is_none());
    assert_eq!(found(stream.feed(b"def")).matched(), b"abcd");
    assert!(stream.expect(&four).is_none());
    assert_eq!(missed(stream.end_of_file()).tail, b"ef");
}

#[test]
fn groups_are_found_by_number_and_by_name() {
    let mut stream = stream("load average: 0.12, 3.40\n");
    let load = found(stream.expect(&regex(r"(?<one>\d+\.\d+), (?<five>\d+\.\d+)(?<missing>x)?$")));
    assert_eq!(load.named("one"), Some(&b"0.12"[..]));
    assert_eq!(load.group(2), Some(&b"3.40"[..]));
    assert_eq!((load.named("missing"), load.named("unknown"), load.group(9)), (None, None, None));
    assert_eq!((load.group_count(), load.group(0)), (4, Some(&b"0.12, 3.40"[..])));
}

#[test]
fn the_shortest_match_never_waits() {
    let mut stream = stream("aaa");
    let shortest = regex("a+").extent(Extent::Shortest);
    assert_eq!(found(stream.expect(&shortest)).position(), 0..1);
}

#[test]
fn needles_are_binary_safe() {
    let mut stream = Matcher::default();
    let all: Vec<u8> = (0..=255).collect();
    assert!(stream.expect(&expect([Pattern::text([0xff, 0x00]), Pattern::regex(r"(?-u:\xfe\xff)(\x00)")])).is_none());
    assert!(stream.feed(&all).is_none());
    let found = found(stream.feed(&[0]));
    assert_eq!((found.pattern(), found.before()), (0, &all[..255]));
}

#[test]
fn a_dot_is_any_byte_but_lf_and_a_negated_class_any_byte() {
    for byte in 0..=255_u8 {
        let text = [b"ver ", &[byte][..], b"1"].concat();
        let matches = |pattern: &str| {
            let mut stream = Matcher::default();
            assert!(stream.feed(&text).is_none());
            stream.poll(&regex(pattern)).is_ok()
        };
        assert_eq!(matches("^ver .1"), byte != b'\n', "{byte}");
        assert!(matches("(?s)^ver .1"), "{byte}");
        assert_eq!(matches("^ver [^x]1"), byte != b'x', "{byte}");
        assert_eq!(matches(r"^ver \w1"), byte.is_ascii_alphanumeric() || byte == b'_', "{byte}");
        assert_eq!(matches(r"^ver \S1"), !byte.is_ascii_whitespace() && byte != 0x0b, "{byte}");
        assert!(matches(&format!(r"^ver \x{byte:02x}1")), "{byte}");
    }
}

/// What a console says, with either ending, is found by the same expressions.
#[test]
fn lines_are_found_whatever_they_end_with() {
    for (ending, to_the_end) in [("\n", "load average: 0.01\n"), ("\r\n", "load average: 0.01\r\n")] {
        let text = format!("12:00 up{ending}load average: 0.01{ending}# ");
        let found = |pattern: &str| found(stream(&text).expect(&regex(pattern)));
        assert_eq!(found(r"load average.*\n").matched_text(), to_the_end);
        assert_eq!(found("load average.*$").matched_text(), "load average: 0.01");
        assert_eq!(found("^load.*1$").matched_text(), "load average: 0.01");
    }
}

#[test]
fn text_beyond_ascii_matches_its_bytes_and_in_a_class_needs_a_flag() {
    let found = found(stream("naïïve: é!").expect(&regex(r"ï+ve.*?(?u:[éè])!")));
    assert_eq!(found.matched_text(), "ïïve: é!");
    let error = Expect::one(Pattern::regex("[éè]")).expect_err("not of bytes").to_string();
    assert!(error.contains("Unicode not allowed here") && error.contains("write (?u)"), "{error}");
}

#[test]
fn a_word_is_a_word_of_ascii() {
    let mut stream = stream("naïve ");
    assert_eq!(found(stream.expect(&regex(r"\bve\b"))).position(), 4..6);
}

#[test]
fn a_bad_pattern_is_an_error_that_shows_where() {
    let error = Expect::one(Pattern::regex("log(in")).expect_err("malformed").to_string();
    assert!(error.starts_with("cannot expect /log(in/: ") && error.contains("unclosed group"), "{error}");
    let error = Expect::one(Pattern::regex(r"(?u)\w{5000}")).expect_err("too large").to_string();
    assert!(error.contains("exceeded limit"), "{error}");
}

#[test]
fn before_reaches_back_as_far_as_the_window_and_says_what_is_missing() {
    let text = "x".repeat(100_000) + "needle";
    for size in [1, 100, 4096, 100_006] {
        let mut stream = Matcher::with_window(20);
        let pattern = expect(["needle".into()]);
        assert!(stream.expect(&pattern).is_none());
        let found = found(text.as_bytes().chunks(size).find_map(|chunk| stream.feed(chunk)));
        assert_eq!(
            (found.before().len(), found.truncated_by(), found.position()),
            (14, 99_986, 100_000..100_006),
            "chunks of {size}"
        );
        assert!(found.is_whole());
    }
}

#[test]
fn a_match_that_is_longer_than_the_window_is_found_but_not_whole() {
    let text = format!("<{}>", "x".repeat(50_000));
    for size in [1, 100, 4096, 50_002] {
        let mut stream = Matcher::with_window(20);
        assert!(stream.expect(&regex("<(x*)>")).is_none());
        let found = found(text.as_bytes().chunks(size).find_map(|chunk| stream.feed(chunk)));
        assert_eq!((found.matched(), found.is_whole()), (&b"xxxxxxxxxxxxxxxxxxx>"[..], false), "chunks of {size}");
        assert_eq!((found.position(), found.truncated_by(), found.group(1)), (49_982..50_002, 49_982, None));
    }
}

#[test]
fn a_match_looks_no_further_ahead_than_the_window() {
    for size in [1, 7, 4096] {
        let mut stream = Matcher::with_window(100);
        assert!(stream.expect(&regex("(?s)a(?:.*z)?")).is_none());
        let text = "a".to_owned() + &"b".repeat(1_000);
        let found = found(text.as_bytes().chunks(size).find_map(|chunk| stream.feed(chunk)));
        assert_eq!(found.position(), 0..1, "chunks of {size}");
    }
}

#[test]
fn polling_again_goes_on_where_the_last_one_stopped() {
    let mut stream = Matcher::with_window(1 << 20);
    let pattern = regex("x.*needle");
    for _ in 0..10_000 {
        assert!(stream.feed(&[b'x'; 100]).is_none());
        assert!(stream.poll(&pattern).is_err());
    }
    assert!(stream.feed(b"needle").is_none());
    assert_eq!(stream.poll(&pattern).expect("found").position().end, 1_000_006);
}

#[test]
fn an_expression_that_can_no_longer_match_is_decided_by_the_end_only() {
    let mut stream = stream("late");
    assert!(stream.expect(&regex(r"\Aearly")).is_none());
    assert!(stream.feed(b"early").is_none());
    assert_eq!(missed(stream.end_of_file()).reason, Reason::EndOfFile);
}

#[test]
fn an_expression_whose_states_overflow_the_cache_is_still_exact() {
    // Every position of the last 20 may or may not have been an `a`: 2^20 states.
    let pattern = "(?s-u:a.{20}z)";
    let mut text: Vec<u8> =
        (0..200_000_u32).map(|n| if n.wrapping_mul(2_654_435_761) & 0x1000 == 0 { b'a' } else { b'b' }).collect();
    text[100_000] = b'a';
    text[100_021] = b'z';
    let oracle = regex::bytes::Regex::new(pattern).expect("valid").find(&text).expect("there").range();
    let mut stream = Matcher::default();
    assert!(stream.expect(&regex(pattern)).is_none());
    let found = found(text.chunks(1000).find_map(|chunk| stream.feed(chunk)));
    assert_eq!(found.position(), oracle.start as u64..oracle.end as u64);
}

#[test]
fn text_views_replace_what_is_not_text() {
    let mut stream = Matcher::default();
    assert!(stream.feed(b"caf\xc3\xa9 \xff host: n1;").is_none());
    let found = found(stream.expect(&regex(r"(?<label>host): (\w+);")));
    assert_eq!((found.before_text(), found.matched_text()), ("caf\u{e9} \u{fffd} ".into(), "host: n1;".into()));
    assert_eq!((found.named_text("label"), found.group_text(2)), (Some("host".into()), Some("n1".into())));
}

#[test]
fn e10_a_stream_can_be_driven_from_any_thread() {
    fn sendable<T: Send>(_: &T) {}
    fn shareable<T: Send + Sync>(_: &T) {}
    let mut stream = Matcher::default();
    let prompt = regex("login: ");
    shareable(&prompt);
    sendable(&Session::default());
    let found = std::thread::spawn(move || stream.expect(&prompt).or_else(|| stream.feed(b"login: ")))
        .join()
        .expect("no panic");
    assert!(found.is_some_and(|verdict| verdict.is_ok()));
}
