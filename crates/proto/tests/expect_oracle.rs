//! Expect under random chunking against a search of the whole text, for random expressions and random texts.

use std::ops::Range;

use phalanx_proto::expect::{Expect, Extent, MatchResult, Matcher, Pattern, Reason};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use regex_automata::nfa::thompson::pikevm::PikeVM;
use regex_automata::nfa::thompson::{self, WhichCaptures};
use regex_automata::{Anchored, Input, MatchKind, util::syntax};

/// What a match is compared by: the pattern, where it is, and its groups.
type Seen = (usize, Range<usize>, Vec<Option<Vec<u8>>>);

/// Bytes that patterns and texts have in common: letters, a space, line ends, half and whole characters that are not
/// ASCII.
fn text() -> impl Strategy<Value = Vec<u8>> {
    let piece = select(vec![
        &b"a"[..],
        b"b",
        b"c",
        b"ab",
        b"abc",
        b" ",
        b"\n",
        b"\r",
        b"\r\n",
        "é".as_bytes(),
        b"\xc3",
        b"\xff",
        b"\0",
    ]);
    vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

fn atom() -> impl Strategy<Value = String> {
    let atoms = [
        "a",
        "b",
        "c",
        "ab",
        "abc",
        "é",
        " ",
        r"\n",
        r"\r\n",
        ".",
        "[ab]",
        "[^a]",
        r"[^\n]",
        r"\xff",
        "(?u:[^a])",
        "(?u:.)",
        r"(?u:\w)",
        r"\w",
        r"\s",
        "(?s:.)",
        "^",
        "$",
        r"\A",
        r"\z",
        r"\b",
        r"\B",
        "(?-m:^)",
        "(?-m:$)",
        "(?-R:^)",
        "(?-R:$)",
        "",
    ];
    select(atoms.to_vec()).prop_map(str::to_owned)
}

fn pattern() -> impl Strategy<Value = String> {
    atom().prop_recursive(4, 16, 3, |inner| {
        prop_oneof![
            3 => vec(inner.clone(), 1..4).prop_map(|parts| parts.concat()),
            1 => vec(inner.clone(), 2..4).prop_map(|parts| format!("(?:{})", parts.join("|"))),
            1 => inner.clone().prop_map(|part| format!("({part})")),
            1 => (inner, select(vec!["*", "+", "?", "*?", "+?", "??", "{2}", "{1,3}"])).prop_map(|(part, times)| format!("(?:{part}){times}")),
        ]
    })
}

fn chunks<'a>(text: &'a [u8], cuts: &[usize]) -> Vec<&'a [u8]> {
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (text.len() + 1)).chain([0, text.len()]).collect();
    cuts.sort_unstable();
    cuts.windows(2).map(|pair| &text[pair[0]..pair[1]]).collect()
}

/// All that is found one after the other, up to the first empty match: that one would be found again for ever.
struct Run<'a> {
    expect: &'a Expect,
    matcher: Matcher,
    seen: Vec<Seen>,
    over: bool,
}

impl Run<'_> {
    fn take(&mut self, mut verdict: Option<MatchResult>) {
        while let Some(ended) = verdict {
            let Ok(found) = ended.inspect_err(|missed| assert_eq!(missed.reason, Reason::EndOfFile)) else {
                self.over = true;
                return;
            };
            assert!(found.is_whole());
            let position = found.position();
            let range = position.start as usize..position.end as usize;
            let groups = (0..found.group_count()).map(|group| found.group(group).map(<[u8]>::to_vec)).collect();
            self.seen.push((found.pattern(), range.clone(), groups));
            if range.is_empty() {
                self.over = true;
                return;
            }
            verdict = self.matcher.expect(self.expect);
        }
    }
}

fn run(expect: &Expect, chunks: &[&[u8]]) -> Vec<Seen> {
    let mut run = Run { expect, matcher: Matcher::default(), seen: Vec::new(), over: false };
    let verdict = run.matcher.expect(expect);
    run.take(verdict);
    for chunk in chunks {
        if run.over {
            return run.seen;
        }
        let verdict = run.matcher.feed(chunk);
        run.take(verdict);
    }
    if !run.over {
        let verdict = run.matcher.end_of_file();
        run.take(verdict);
        assert!(run.over);
    }
    run.seen
}

/// The pattern as other engines spell it, to whom the flag `R` also says that `.` does not match CR. (No pattern here has
/// an escaped dot.)
fn spelled_out(pattern: &str) -> String {
    pattern.replace('.', "(?-R:.)")
}

/// The `regex` crate over the whole text.
fn preferred(pattern: &str, text: &[u8]) -> Vec<Seen> {
    let regex = regex::bytes::RegexBuilder::new(&spelled_out(pattern))
        .multi_line(true)
        .crlf(true)
        .unicode(false)
        .build()
        .expect("the pattern was compiled before");
    let mut seen = Vec::new();
    let mut from = 0;
    while let Some(captures) = regex.captures_at(text, from) {
        let groups = captures.iter().map(|group| group.map(|group| group.as_bytes().to_vec())).collect();
        let range = captures.get(0).expect("group 0").range();
        seen.push((0, range.clone(), groups));
        if range.is_empty() {
            break;
        }
        from = range.end;
    }
    seen
}

/// All spans of the text tried, in the order of their ends.
fn shortest(pattern: &str, text: &[u8]) -> Vec<Range<usize>> {
    let config = thompson::Config::new().utf8(false).which_captures(WhichCaptures::Implicit);
    let machine = PikeVM::builder()
        .configure(PikeVM::config().match_kind(MatchKind::All))
        .thompson(config)
        .syntax(syntax::Config::new().multi_line(true).crlf(true).unicode(false).utf8(false))
        .build(&spelled_out(pattern))
        .expect("the pattern was compiled before");
    let mut cache = machine.create_cache();
    let mut matches = |span: &Range<usize>| {
        let input = Input::new(text).span(span.clone()).anchored(Anchored::Yes);
        machine.find(&mut cache, input).is_some_and(|found| found.end() == span.end)
    };
    let mut first_end =
        |from: usize| (from..=text.len()).find_map(|end| (from..=end).map(|start| start..end).find(&mut matches));
    let mut seen: Vec<Range<usize>> = Vec::new();
    while !seen.last().is_some_and(Range::is_empty)
        && let Some(span) = first_end(seen.last().map_or(0, |last| last.end))
    {
        seen.push(span);
    }
    seen
}

fn compile(patterns: &[String]) -> Option<Expect> {
    Expect::new(patterns.iter().map(Pattern::regex)).ok()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_match_across_any_chunk_boundary_equals_the_one_in_the_whole_text(
        pattern in pattern(), text in text(), cuts in vec(any::<usize>(), 0..12),
    ) {
        let Some(expect) = compile(std::slice::from_ref(&pattern)) else { return Ok(()) };
        let oracle = preferred(&pattern, &text);
        prop_assert_eq!(&run(&expect, &chunks(&text, &cuts)), &oracle, "{} in {:?}", pattern, text.escape_ascii().to_string());
        let bytes: Vec<&[u8]> = text.chunks(1).collect();
        prop_assert_eq!(&run(&expect, &bytes), &oracle, "{} in {:?} byte by byte", pattern, text.escape_ascii().to_string());
    }

    #[test]
    fn the_shortest_match_is_the_first_end_of_any_match(
        pattern in pattern(), text in text(), cuts in vec(any::<usize>(), 0..12),
    ) {
        let Some(expect) = compile(std::slice::from_ref(&pattern)) else { return Ok(()) };
        let expect = expect.extent(Extent::Shortest);
        let oracle = shortest(&pattern, &text);
        let found: Vec<_> = run(&expect, &chunks(&text, &cuts)).into_iter().map(|(_, range, _)| range).collect();
        prop_assert_eq!(found, oracle, "{} in {:?}", pattern, text.escape_ascii().to_string());
    }

    #[test]
    fn which_of_several_needles_is_found_does_not_depend_on_the_chunks(
        patterns in vec(pattern(), 2..4), text in text(), cuts in vec(any::<usize>(), 0..12), shortest in any::<bool>(),
    ) {
        let Some(expect) = compile(&patterns) else { return Ok(()) };
        let expect = expect.extent(if shortest { Extent::Shortest } else { Extent::Preferred });
        let bytes: Vec<&[u8]> = text.chunks(1).collect();
        let byte_by_byte = run(&expect, &bytes);
        let context = format!("{patterns:?} in {:?}", text.escape_ascii().to_string());
        prop_assert_eq!(&run(&expect, &chunks(&text, &cuts)), &byte_by_byte, "{}", context);
        prop_assert_eq!(&run(&expect, &[&text]), &byte_by_byte, "{} in one chunk", context);
    }

    #[test]
    fn texts_are_found_where_a_search_of_the_whole_text_finds_them(
        pattern in "[ab]{1,4}", text in "[ab]{0,60}", cuts in vec(any::<usize>(), 0..12),
    ) {
        let expect = Expect::one(pattern.as_str()).expect("a text");
        let oracle: Vec<Range<usize>> = text.match_indices(&pattern).map(|(start, found)| start..start + found.len()).collect();
        let found: Vec<_> = run(&expect, &chunks(text.as_bytes(), &cuts)).into_iter().map(|(_, range, _)| range).collect();
        prop_assert_eq!(found, oracle);
    }

    #[test]
    fn arbitrary_patterns_and_bytes_never_panic(pattern in ".{0,20}", text in vec(any::<u8>(), 0..200), window in 0usize..50) {
        let Ok(expect) = Expect::new([Pattern::regex(pattern), Pattern::Bytes(20), "ab".into()]) else { return Ok(()) };
        let mut matcher = Matcher::with_window(window);
        let _ = matcher.expect(&expect);
        for chunk in text.chunks(7) {
            if matcher.feed(chunk).is_some() {
                let _ = matcher.expect(&expect);
            }
            let _ = matcher.is_pending();
        }
        let _ = matcher.handle_idle();
        let _ = matcher.timeout();
        let _ = matcher.end_of_file();
    }
}
