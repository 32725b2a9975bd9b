//! Patterns for file names as shells have them: `*`, `?` and `[…]` within one name, over bytes. Pure.
//!
//! Crates for this want names to be UTF-8 and leave out those that are not, which would lose files silently.

/// Whether `text` holds something that makes it a pattern.
pub(super) fn is_pattern(text: &[u8]) -> bool {
    text.iter().any(|byte| b"*?[".contains(byte))
}

/// Whether a shell on some host may say that `name` matches `pattern`. Shells differ in what a backslash in it means.
pub(super) fn may_match(pattern: &[u8], name: &[u8]) -> bool {
    if !pattern.contains(&b'\\') {
        return is_pattern(pattern) && matches(pattern, name);
    }
    let mut unescaped = Vec::with_capacity(pattern.len());
    let mut bytes = pattern.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            // A bracket around it has the same meaning.
            b'\\' => bytes.next().into_iter().for_each(|byte| match byte {
                b'*' | b'?' | b'[' => unescaped.extend_from_slice(&[b'[', *byte, b']']),
                byte => unescaped.push(*byte),
            }),
            byte => unescaped.push(*byte),
        }
    }
    is_pattern(pattern) && (matches(pattern, name) || matches(&unescaped, name))
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
        if let Some((matched, length)) = class(&pattern[at..], byte) {
            found |= matched;
            at += length;
            continue;
        }
        let low = *pattern.get(at)?;
        let range = pattern.get(at + 1) == Some(&b'-') && pattern.get(at + 2).is_some_and(|high| *high != b']');
        let high = if range { pattern[at + 2] } else { low };
        found |= (low..=high).contains(&byte);
        at += if range { 3 } else { 1 };
    }
    Some((found != negated, at + 1))
}

/// A class as in `[[:digit:]]`: whether `byte` is in it, and how long that is.
fn class(pattern: &[u8], byte: u8) -> Option<(bool, usize)> {
    let rest = pattern.strip_prefix(b"[:")?;
    let end = rest.windows(2).position(|two| two == b":]")?;
    let matched = match &rest[..end] {
        b"alnum" => byte.is_ascii_alphanumeric(),
        b"alpha" => byte.is_ascii_alphabetic(),
        b"blank" => byte == b' ' || byte == b'\t',
        b"cntrl" => byte.is_ascii_control(),
        b"digit" => byte.is_ascii_digit(),
        b"graph" => byte.is_ascii_graphic(),
        b"lower" => byte.is_ascii_lowercase(),
        b"print" => byte.is_ascii_graphic() || byte == b' ',
        b"punct" => byte.is_ascii_punctuation(),
        b"space" => byte.is_ascii_whitespace() || byte == 0x0b,
        b"upper" => byte.is_ascii_uppercase(),
        b"xdigit" => byte.is_ascii_hexdigit(),
        _ => return None,
    };
    Some((matched, end + 4))
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
