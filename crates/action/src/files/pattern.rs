//! Patterns for file names as shells have them: `*`, `?` and `[…]` within one name, over bytes. Pure.
//!
//! Crates for this want names to be UTF-8 and leave out those that are not, which would lose files silently.

/// Whether `text` holds something that makes it a pattern.
pub(super) fn is_pattern(text: &[u8]) -> bool {
    text.iter().any(|byte| b"*?[".contains(byte))
}

/// Whether `name` matches `pattern` as a whole. A leading dot must be written, as in shells.
pub(super) fn matches(pattern: &[u8], name: &[u8]) -> bool {
    if name.starts_with(b".") && !pattern.starts_with(b".") {
        return false;
    }
    matches_from(pattern, name)
}

/// On a mismatch, only the last star has to take one byte more: what earlier ones took can stay.
fn matches_from(pattern: &[u8], name: &[u8]) -> bool {
    let (mut at, mut read) = (0, 0);
    let mut star = None;
    while read < name.len() {
        match step(&pattern[at..], name[read]) {
            Step::Star => {
                at += 1;
                star = Some((at, read));
            }
            Step::One(length) => {
                at += length;
                read += 1;
            }
            Step::Mismatch => {
                let Some((after, taken)) = star else { return false };
                (at, read) = (after, taken + 1);
                star = Some((after, taken + 1));
            }
        }
    }
    pattern[at..].iter().all(|byte| *byte == b'*')
}

/// What the beginning of a pattern says to one byte.
enum Step {
    Star,
    /// It matches, with so many bytes of the pattern.
    One(usize),
    Mismatch,
}

fn step(pattern: &[u8], byte: u8) -> Step {
    match pattern {
        [] => Step::Mismatch,
        [b'*', ..] => Step::Star,
        [b'?', ..] => Step::One(1),
        [b'[', rest @ ..] if let Some((matched, length)) = bracket(rest, byte) => {
            if matched {
                Step::One(length + 1)
            } else {
                Step::Mismatch
            }
        }
        [literal, ..] if *literal == byte => Step::One(1),
        _ => Step::Mismatch,
    }
}

/// What follows a `[`: whether `byte` is in the set, and how long that is; `None` when it never ends and so is none.
fn bracket(pattern: &[u8], byte: u8) -> Option<(bool, usize)> {
    let negated = matches!(pattern.first(), Some(b'!' | b'^'));
    let mut at = usize::from(negated);
    let mut found = false;
    // A `]` that comes first is itself.
    let first = at;
    while at == first || *pattern.get(at)? != b']' {
        let low = *pattern.get(at)?;
        let range = pattern.get(at + 1) == Some(&b'-') && pattern.get(at + 2).is_some_and(|high| *high != b']');
        let high = if range { pattern[at + 2] } else { low };
        found |= (low..=high).contains(&byte);
        at += if range { 3 } else { 1 };
    }
    Some((found != negated, at + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_match_as_in_a_shell() {
        let yes: [(&[u8], &[u8]); 15] = [
            (b"*", b"a"),
            (b"*.txt", b"a b.txt"),
            (b"a*b*c", b"aXbYbc"),
            (b"?", b"\xff"),
            (b"*", b"\xff\xfe"),
            (b"[abc]x", b"bx"),
            (b"[a-c]", b"b"),
            (b"[!a-c]", b"d"),
            (b"[]]", b"]"),
            (b"[a-]", b"-"),
            (b"[", b"["),
            (b"[a", b"[a"),
            (b".*", b".x"),
            (b"a\nb*", b"a\nbc"),
            (b"**", b"x"),
        ];
        for (pattern, name) in yes {
            assert!(matches(pattern, name), "{} {}", pattern.escape_ascii(), name.escape_ascii());
        }
        let no: [(&[u8], &[u8]); 8] = [
            (b"*", b".hidden"),
            (b"*.txt", b"a.txt2"),
            (b"?", b"ab"),
            (b"[!a]", b"a"),
            (b"a*b", b"a"),
            (b"", b"a"),
            (b"[a-c]", b"d"),
            (b"?x", b".x"),
        ];
        for (pattern, name) in no {
            assert!(!matches(pattern, name), "{} {}", pattern.escape_ascii(), name.escape_ascii());
        }
    }

    #[test]
    fn many_stars_take_no_time() {
        let pattern = b"*a".repeat(30);
        assert!(!matches(&pattern, &[b'b'; 10_000]));
    }
}
