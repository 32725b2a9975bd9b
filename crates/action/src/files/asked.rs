//! What was asked of a host, and what of it has come: nothing else is taken, and nothing may be missing. Pure.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;

use super::{Fault, pattern};

/// The words that were asked for.
pub(super) struct Asked<'a> {
    words: &'a [OsString],
    came: Vec<bool>,
}

impl<'a> Asked<'a> {
    pub(super) fn new(words: &'a [OsString]) -> Self {
        Self { words, came: vec![false; words.len()] }
    }

    /// Reads an announcement: the index of a word, and how many things there are for it.
    pub(super) fn announced(&mut self, number: &str, items: &str) -> Result<(usize, usize), Fault> {
        let index = number.parse::<usize>().ok().and_then(|number| number.checked_sub(1));
        let index = index.filter(|index| *index < self.words.len());
        let items = items.parse::<usize>().ok().filter(|items| *items > 0);
        let (Some(index), Some(items)) = (index, items) else {
            return Err(Fault::Remote(format!("announced `archive {number} {items:?}`, which was not asked for")));
        };
        self.came[index] = true;
        Ok((index, items))
    }

    /// Refuses a name that the word at `index` does not stand for.
    pub(super) fn check_name(&self, index: usize, name: &OsStr) -> Result<(), Fault> {
        let word = &self.words[index];
        if stands_for(word.as_bytes(), name.as_bytes()) {
            return Ok(());
        }
        let (name, word) = (name.display(), word.display());
        Err(Fault::Local(format!("refused what the host sent: `{name}` is not what was asked for, which was `{word}`")))
    }

    /// Refuses an end before something has come for every word.
    pub(super) fn check_all_came(&self, number: &str) -> Result<(), Fault> {
        if let Some(index) = self.came.iter().position(|came| !came) {
            return Err(Fault::Remote(format!("`{}` did not come", self.words[index].display())));
        }
        if number.parse() == Ok(self.words.len()) {
            return Ok(());
        }
        Err(Fault::Remote(format!(
            "the far end knew {number} of the {} things that it was asked for",
            self.words.len()
        )))
    }
}

/// Whether something that a host finds for `word` may be called `name`.
fn stands_for(word: &[u8], name: &[u8]) -> bool {
    let end = word.iter().rposition(|byte| *byte != b'/').map_or(0, |last| last + 1);
    let base = word[..end].rsplit(|byte| *byte == b'/').next().unwrap_or_default();
    // A home, whose name only the host knows.
    let is_home = base.starts_with(b"~") && base.len() == end;
    base == name || is_home || pattern::may_match(base, name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_word_stands_for_is_taken() {
        let yes = [
            ("a", "a"),
            ("/x/y/a", "a"),
            ("a//", "a"),
            ("*.log", "b.log"),
            ("/v/[ab]*/", "b1"),
            ("[[:digit:]]x", "7x"),
            ("[[:alpha:]_]*", "_y"),
            (r"a\*b", "a*b"),
            (r"\101", r"\101"),
            ("[a]*.txt", "[a]*.txt"),
            ("~", "root"),
            ("~joe/", "joe"),
            (".b*", ".bashrc"),
        ];
        for (word, name) in yes {
            assert!(stands_for(word.as_bytes(), name.as_bytes()), "{word} {name}");
        }
        let no = [
            ("a", "b"),
            ("/x/a", "x"),
            ("*", ".bashrc"),
            ("*.log", "b.txt"),
            ("[[:digit:]]x", "ax"),
            (r"\101", "A"),
            ("~/a", "b"),
            ("a", ".ssh"),
            ("x/~y", "root"),
        ];
        for (word, name) in no {
            assert!(!stands_for(word.as_bytes(), name.as_bytes()), "{word} {name}");
        }
    }

    #[test]
    fn every_word_must_have_brought_something() {
        let words = ["a".into(), "b*".into()];
        let mut asked = Asked::new(&words);
        assert_eq!(asked.announced("1", "1"), Ok((0, 1)));
        for (number, items) in
            [("0", "1"), ("3", "1"), ("1", "0"), ("-1", "1"), ("18446744073709551616", "1"), ("x", "y")]
        {
            assert!(asked.announced(number, items).is_err(), "{number} {items}");
        }
        assert_eq!(asked.check_all_came("2"), Err(Fault::Remote("`b*` did not come".to_owned())));
        assert_eq!(asked.announced("2", "7"), Ok((1, 7)));
        assert_eq!(asked.check_all_came("2"), Ok(()));
        assert!(asked.check_all_came("1").is_err());
    }
}
