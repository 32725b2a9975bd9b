//! A Rust file taken apart into code and comments, by the lexical rules of the Rust reference ("Comments", "Tokens").
//!
//! Both views keep every line break, so that a place in a view is the same line of the file. Knows only what is needed
//! to tell code from comment from literal: no syntax tree, because a rule that counts words does not need one.

use std::path::{Path, PathBuf};

/// A file, and its two views.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) path: PathBuf,
    pub(super) text: String,
    /// The text with comments and the insides of literals blanked.
    pub(super) code: String,
    /// The text with everything else blanked.
    pub(super) comments: String,
}

impl Source {
    pub(super) fn new(path: PathBuf, text: String) -> Source {
        let mut splitter = Splitter { rest: &text, code: String::new(), comments: String::new() };
        while splitter.step() {}
        let Splitter { code, comments, .. } = splitter;
        Source { path, text, code, comments }
    }

    /// The crate directory this file belongs to, as `core` in `crates/core/src/lib.rs`.
    pub(super) fn crate_name(&self) -> Option<&str> {
        let mut parts = self.path.iter().map(|part| part.to_str().unwrap_or_default());
        (parts.next() == Some("crates")).then(|| parts.next()).flatten()
    }

    /// Part of what is shipped: below a crate's `src`, and not a module of tests in a file of its own.
    pub(super) fn is_production(&self) -> bool {
        let in_src = self.path.iter().nth(2).is_some_and(|part| part == "src");
        let tests = self.path.iter().any(|part| part == "tests" || part == "tests.rs");
        self.crate_name().is_some() && in_src && !tests
    }

    /// The code without what stands under `#[cfg(test)]`.
    pub(super) fn production_code(&self) -> String {
        let mut code = self.code.clone();
        while let Some(begin) = code.find("#[cfg(test)]") {
            let end = begin + end_of_item(&code[begin..]);
            let blank: String =
                code[begin..end].chars().map(|letter| if letter == '\n' { '\n' } else { ' ' }).collect();
            code.replace_range(begin..end, &blank);
        }
        code
    }
}

/// Where the item at the start of `code` ends: behind its closing brace, or at a semicolon outside of all braces.
fn end_of_item(code: &str) -> usize {
    let mut depth = 0_usize;
    for (at, letter) in code.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' if depth <= 1 => return at + 1,
            '}' => depth -= 1,
            ';' if depth == 0 => return at + 1,
            _ => {}
        }
    }
    code.len()
}

/// The line, counted from one, of a byte position.
pub(super) fn line_of(text: &str, position: usize) -> usize {
    text[..position].matches('\n').count() + 1
}

/// The positions at which `word` stands alone: not as a part of a longer identifier.
pub(super) fn words<'a>(code: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    let part = |letter: char| letter.is_alphanumeric() || letter == '_';
    code.match_indices(word)
        .map(|(at, _)| at)
        .filter(move |at| !code[..*at].ends_with(part) && !code[at + word.len()..].starts_with(part))
}

/// True for a path whose every component has a stem other than `stems`.
pub(super) fn has_stem(path: &Path, stems: &[&str]) -> bool {
    path.iter().any(|part| {
        let stem = Path::new(part).file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        stems.contains(&stem)
    })
}

struct Splitter<'a> {
    rest: &'a str,
    code: String,
    comments: String,
}

impl Splitter<'_> {
    /// Moves one comment, literal or letter to its view. False at the end.
    fn step(&mut self) -> bool {
        let rest = self.rest;
        let Some(first) = rest.chars().next() else {
            return false;
        };
        if rest.starts_with("//") {
            self.take_comment(rest.find('\n').unwrap_or(rest.len()));
        } else if rest.starts_with("/*") {
            self.take_comment(block_comment(rest));
        } else if let Some(length) = raw_string(rest).filter(|_| !self.inside_identifier()) {
            self.take_literal(length);
        } else if first == '"' {
            self.take_literal(quoted(rest, '"'));
        } else if let Some(length) = character(rest) {
            self.take_literal(length);
        } else {
            self.code.push(first);
            self.comments.push(blank(first));
            self.rest = &rest[first.len_utf8()..];
        }
        true
    }

    fn inside_identifier(&self) -> bool {
        self.code.ends_with(|letter: char| letter.is_alphanumeric() || letter == '_')
    }

    fn take_comment(&mut self, length: usize) {
        let (taken, rest) = self.rest.split_at(length);
        self.code.extend(taken.chars().map(blank));
        self.comments.push_str(taken);
        self.rest = rest;
    }

    fn take_literal(&mut self, length: usize) {
        let (taken, rest) = self.rest.split_at(length);
        self.code.extend(taken.chars().map(blank));
        self.comments.extend(taken.chars().map(blank));
        self.rest = rest;
    }
}

fn blank(letter: char) -> char {
    if letter == '\n' { '\n' } else { ' ' }
}

/// Block comments nest.
fn block_comment(text: &str) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while at < text.len() {
        if text[at..].starts_with("/*") {
            depth += 1;
            at += 2;
        } else if text[at..].starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += text[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    text.len()
}

/// The length of `r"…"`, `r#"…"#`, `br"…"` or `cr"…"` at the start of `text`.
fn raw_string(text: &str) -> Option<usize> {
    let prefix = ["r", "br", "cr"]
        .into_iter()
        .find(|prefix| text.strip_prefix(prefix).is_some_and(|rest| rest.trim_start_matches('#').starts_with('"')))?;
    let hashes = text[prefix.len()..].bytes().take_while(|byte| *byte == b'#').count();
    let begin = prefix.len() + hashes + 1;
    let end = format!("\"{}", "#".repeat(hashes));
    Some(text[begin..].find(&end).map_or(text.len(), |at| begin + at + end.len()))
}

/// The length of a literal with escapes between two `quote`s.
fn quoted(text: &str, quote: char) -> usize {
    let mut letters = text.char_indices().skip(1);
    while let Some((at, letter)) = letters.next() {
        if letter == '\\' {
            letters.next();
        } else if letter == quote {
            return at + 1;
        }
    }
    text.len()
}

/// The length of a character literal; `None` for a lifetime, which has no closing quote.
fn character(text: &str) -> Option<usize> {
    let inside = text.strip_prefix('\'')?;
    let mut letters = inside.chars();
    match letters.next()? {
        '\\' => Some(quoted(text, '\'')),
        letter => letters.next().filter(|next| *next == '\'').map(|_| 2 + letter.len_utf8()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str) -> Source {
        Source::new(PathBuf::from("crates/core/src/lib.rs"), text.to_owned())
    }

    /// Every view keeps the length; its words are what is compared.
    fn split(view: &str, text: &str) -> String {
        assert_eq!(view.chars().count(), text.chars().count(), "{text}");
        view.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn code_comments_and_literals_are_told_apart() {
        for (text, code, comments) in [
            ("a // b\nc", "a c", "// b"),
            ("a /* b /* c */ d */ e", "a e", "/* b /* c */ d */"),
            (r#"f("// no", b"\"x")"#, "f( , b )", ""),
            (r##"f(r#"a"b // "#) // c"##, "f( )", "// c"),
            ("('a', 'b, '\\'', '\"') x", "( , 'b, , ) x", ""),
            ("bar\"x\" \"\\\\\" y", "bar y", ""),
            ("\"open // to the end", "", ""),
        ] {
            let source = source(text);
            assert_eq!(split(&source.code, text), code, "code of {text}");
            assert_eq!(split(&source.comments, text), comments, "comments of {text}");
        }
    }

    #[test]
    fn what_is_under_cfg_test_is_no_production_code() {
        let source = source(
            "fn a() {}\n#[cfg(test)]\nmod tests { fn b() { c(); } }\nfn d() {}\n#[cfg(test)]\nuse x;\nfn e() {}",
        );
        let code = source.production_code();
        assert!(["a", "d", "e"].iter().all(|name| words(&code, name).count() == 1), "{code}");
        assert!(["b", "c", "x"].iter().all(|name| words(&code, name).count() == 0), "{code}");
        assert_eq!(line_of(&code, code.find("fn d").expect("kept")), 4);
    }

    #[test]
    fn a_word_is_not_a_part_of_a_longer_one() {
        assert_eq!(words("unsafe unsafe_code not_unsafe (unsafe)", "unsafe").collect::<Vec<_>>(), [0, 31]);
    }
}
