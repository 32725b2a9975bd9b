//! Makes text from elsewhere safe to show: what a terminal would obey, and what would show text in another order than it
//! is, becomes visible. For everything that is ours to print and quotes others: messages, logs, dry runs, names.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Returns `text` with control characters and characters that change the direction of text as escapes: `\n`, `\t`,
/// `\u{1b}`. Ordinary text is borrowed.
///
/// A backslash stays as it is: this is for people to read, not for a program to read back.
///
/// ```
/// use phalanx_proto::visible::visible;
///
/// assert_eq!(visible("ls -l"), "ls -l");
/// assert_eq!(visible("rm x\u{1b}[2K\rls"), "rm x\\u{1b}[2K\\rls");
/// ```
#[must_use]
pub fn visible(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_hidden) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for char in text.chars() {
        if is_hidden(char) {
            write!(shown, "{}", char.escape_default()).expect("a String takes everything");
        } else {
            shown.push(char);
        }
    }
    Cow::Owned(shown)
}

/// Returns the lines of `text`, each made visible: for messages of several lines.
#[must_use]
pub fn visible_lines(text: &str) -> Cow<'_, str> {
    if !text.chars().any(|char| char != '\n' && is_hidden(char)) {
        return Cow::Borrowed(text);
    }
    let lines: Vec<_> = text.split('\n').map(visible).collect();
    Cow::Owned(lines.join("\n"))
}

/// Reports whether a terminal obeys a character or hides it: controls (Cc), line and paragraph separators, and the
/// explicit directional formatting characters of UAX #9, with which text can be shown in an order that it does not have.
fn is_hidden(char: char) -> bool {
    char.is_control()
        || matches!(char, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{61c}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_a_terminal_obeys_is_shown() {
        for (hostile, shown) in [
            ("\u{1b}]0;title\u{7}", "\\u{1b}]0;title\\u{7}"),
            ("a\u{202e}b", "a\\u{202e}b"),
            ("\u{9b}31m", "\\u{9b}31m"),
            ("tab\tline\n", "tab\\tline\\n"),
            ("é 漢 🙂", "é 漢 🙂"),
        ] {
            assert_eq!(visible(hostile), shown);
        }
        assert_eq!(visible_lines("one\r\ntwo"), "one\\r\ntwo");
    }

    proptest! {
        #[test]
        fn no_hidden_character_survives_and_a_second_pass_changes_nothing(text in any::<String>()) {
            let shown = visible(&text).into_owned();
            prop_assert!(!shown.chars().any(is_hidden));
            prop_assert_eq!(visible(&shown), shown.as_str());
        }
    }
}
