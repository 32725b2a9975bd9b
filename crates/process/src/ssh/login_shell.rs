//! Writes words and scripts so that every login shell hands them on unchanged: sh, bash, zsh, fish, csh and tcsh.
//!
//! sshd gives a command to the login shell of the user, which may be any of these. What they agree on is little:
//!
//! * Within single quotes, csh takes a newline for an unmatched quote and `!` for a reference to its history, even when
//!   it is not interactive; fish takes `\\` for one backslash.
//! * Outside of quotes, a backslash takes the meaning from the byte that follows, newline excepted: for sh that is a
//!   continuation, for csh a blank.
//!
//! So a word is in single quotes, but for quotes, backslashes and exclamation marks, which stand outside with a backslash
//! of their own; and a word with a newline travels encoded, to be decoded by a POSIX sh that the login shell becomes.

use std::fmt::Write as _;

/// What the sh that a script is sent to does first. It has no byte that a login shell could take for its own within
/// single quotes.
const DECODE: &str = r#"eval "$(printf %b "$1")""#;

/// Returns the command line that calls a program with these arguments, whatever the login shell.
#[must_use]
pub fn command_line<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    let words: Vec<&str> = words.into_iter().collect();
    if words.iter().any(|word| word.contains('\n')) {
        return format!("exec {}", sh(&posix_line(&words), &[]));
    }
    words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ")
}

/// Returns the command line that replaces the login shell by a POSIX sh, which runs `script` with these positional
/// parameters.
#[must_use]
pub fn script_line(script: &str, parameters: &[&str]) -> String {
    format!("exec {}", sh(script, parameters))
}

fn sh(script: &str, parameters: &[&str]) -> String {
    let script = format!("set -- {}\n{script}", posix_line(parameters));
    format!("sh -c '{DECODE}' phalanx '{}'", encoded(&script))
}

/// Encodes a text as `printf %b` decodes it, so that what is left means the same within single quotes to every shell.
/// A trailing newline is lost to the command substitution around it, which no script misses.
fn encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len() + text.len() / 4);
    for byte in text.bytes() {
        match byte {
            b'\'' | b'\\' | b'!' | 0..=0x1f | 0x7f.. => {
                // Writing to a string does not fail.
                let _ = write!(encoded, "\\0{byte:03o}");
            }
            byte => encoded.push(char::from(byte)),
        }
    }
    encoded
}

fn quoted(word: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-./,:@%+".contains(&byte);
    if !word.is_empty() && word.bytes().all(plain) {
        return word.to_owned();
    }
    let mut quoted = String::from("'");
    for char in word.chars() {
        match char {
            '\'' | '\\' | '!' => quoted.extend(["'\\", char.encode_utf8(&mut [0; 4]), "'"]),
            char => quoted.push(char),
        }
    }
    quoted.push('\'');
    quoted
}

/// In single quotes everything but the quote itself is literal, in every POSIX shell.
fn posix_line(words: &[&str]) -> String {
    words.iter().map(|word| format!("'{}'", word.replace('\'', r"'\''"))).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    /// What a word may be made of, and a shell may take for something of its own.
    const WORDS: [&str; 14] = [
        "",
        "plain",
        "it's",
        "a\\b\\\\c",
        "\\\n",
        "!echo !$ !!",
        "$HOME `id` $(id) \"q\"",
        "a\nb\n",
        "~ * ? [a] {a,b} ^x # %1 &|;<>()",
        "\ttab\r",
        "\u{1}\u{7f}",
        "gr\u{fc}n \u{1f642}",
        "-n",
        "\\0101 \\c \\x41 %s",
    ];

    fn shells() -> Vec<&'static str> {
        let all = ["sh", "dash", "bash", "busybox", "zsh", "fish", "tcsh", "mksh", "ksh"];
        let is_there = |shell: &&str| Command::new(shell).args(["-c", "true"]).output().is_ok();
        let (there, missing): (Vec<_>, Vec<_>) = all.into_iter().partition(is_there);
        if !missing.is_empty() {
            assert!(std::env::var_os("CI").is_none(), "CI installs all shells, and these are missing: {missing:?}");
            eprintln!("skipped for want of these shells: {}", missing.join(", "));
        }
        there
    }

    /// What the words become when the login shell is told `line`, as sshd would tell it.
    fn ran(shell: &str, line: &str) -> (Vec<u8>, String) {
        let mut command = Command::new(shell);
        command.args(if shell == "busybox" { &["sh", "-c"][..] } else { &["-c"] }).arg(line);
        // Latin-1 and the like would have tcsh change what is not ASCII.
        let output = command.env("LC_ALL", "C.UTF-8").env("HOME", "/nonexistent").output().expect("it is there");
        (output.stdout, String::from_utf8_lossy(&output.stderr).into_owned())
    }

    #[test]
    fn words_reach_the_program_unchanged_whatever_the_login_shell() {
        for shell in shells() {
            for with_newlines in [false, true] {
                let words: Vec<_> = WORDS.into_iter().filter(|word| with_newlines || !word.contains('\n')).collect();
                let line = command_line(["printf", "<%s>"].into_iter().chain(words.iter().copied()));
                let expected: String = words.iter().map(|word| format!("<{word}>")).collect();
                let (stdout, stderr) = ran(shell, &line);
                assert_eq!(String::from_utf8_lossy(&stdout), expected, "{shell}: {line}: {stderr}");
                assert_eq!(stderr, "", "{shell}");
            }
        }
    }

    #[test]
    fn a_script_runs_in_sh_with_its_parameters_whatever_the_login_shell() {
        let script = "for word; do\n\tprintf '<%s>' \"$word\" # it's a comment!\ndone\nexit 7";
        let expected: String = WORDS.iter().map(|word| format!("<{word}>")).collect();
        for shell in shells() {
            let line = script_line(script, &WORDS);
            assert!(!line.contains('\n') && !line.contains('!'), "{line}");
            let (stdout, stderr) = ran(shell, &line);
            assert_eq!(
                (String::from_utf8_lossy(&stdout).as_ref(), stderr.as_str()),
                (expected.as_str(), ""),
                "{shell}"
            );
        }
    }

    #[test]
    fn words_that_need_no_quotes_have_none() {
        assert_eq!(command_line(["uname", "-a", "/tmp/x_1.y"]), "uname -a /tmp/x_1.y");
        assert_eq!(command_line(["echo", "a  b", "it's"]), r"echo 'a  b' 'it'\''s'");
    }

    proptest::proptest! {
        /// A POSIX shell's view: any text is one word, and comes back as it was.
        #[test]
        fn what_is_quoted_is_the_word_again(word in "[^\0\n]{0,20}") {
            let words = shlex::split(&command_line([word.as_str()]));
            proptest::prop_assert_eq!(words, Some(vec![word]));
        }
    }
}
