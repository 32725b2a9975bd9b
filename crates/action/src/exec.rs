//! A command that runs here, once for each host name (`phalanx run -R exec`).
//!
//! In the command, `%h` (or `%host`) is the host name and `%n` (or `%rank`) its rank from 0; `%%` is `%`. Any other
//! `%` is left alone, since it more likely belongs to `date` or `printf` than to us.

use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use phalanx_process::Spec;

/// Puts a host into a command.
pub(crate) fn substitute(command: &str, host: &str, rank: usize) -> String {
    let mut result = String::with_capacity(command.len() + host.len());
    let mut rest = command;
    while let Some(at) = rest.find('%') {
        result.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        rest = if let Some(rest) = rest.strip_prefix("host").or_else(|| rest.strip_prefix('h')) {
            result.push_str(host);
            rest
        } else if let Some(rest) = rest.strip_prefix("rank").or_else(|| rest.strip_prefix('n')) {
            result.push_str(&rank.to_string());
            rest
        } else {
            result.push('%');
            rest.strip_prefix('%').unwrap_or(rest)
        };
    }
    result.push_str(rest);
    result
}

/// Whether running the words of `command` without a shell cannot differ from running it with one.
///
/// That is so when no character means anything to a shell, and the program is named by its path and can be executed:
/// a name could be a builtin or a keyword, and a missing program gets its exit status 127 from the shell. Decided once
/// for a whole run, so the program must not depend on the host.
pub(crate) fn needs_no_shell(command: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b" _-./:,+@%^".contains(&byte);
    let mut words = command.split(' ').filter(|word| !word.is_empty());
    command.bytes().all(plain)
        && words.next().is_some_and(|program| {
            program.starts_with('/') && !program.contains('%') && is_executable(Path::new(program))
        })
}

/// A file we may execute, of a kind the kernel executes by itself: a shell runs other text files as scripts.
fn is_executable(path: &Path) -> bool {
    let mut start = [0; 4];
    let read = File::open(path).and_then(|mut file| file.read(&mut start));
    let known = read.is_ok() && (start == *b"\x7fELF" || start.starts_with(b"#!"));
    known && path.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 == 0o111)
}

/// The process that runs `command` here.
pub(crate) fn spec(command: &str, without_shell: bool) -> Spec {
    if without_shell {
        Spec::new(command.split(' ').filter(|word| !word.is_empty()))
    } else {
        // Without the dashes, a command that begins with one would be an option of the shell.
        let dashes = if command.trim_start().starts_with(['-', '+']) { &["--"][..] } else { &[] };
        Spec::new(["/bin/sh", "-c"].iter().chain(dashes).chain([&command]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_ranks_are_put_in_and_other_signs_left_alone() {
        let table = [
            ("ping %h", "ping n7"),
            ("%host-%rank %n", "n7-3 3"),
            ("date +%Y; printf 100%%", "date +%Y; printf 100%"),
            ("%", "%"),
            ("%%h", "%h"),
            ("a%", "a%"),
        ];
        for (command, expected) in table {
            assert_eq!(substitute(command, "n7", 3), expected, "{command}");
        }
    }

    #[test]
    fn the_shell_is_skipped_only_where_nobody_can_tell() {
        for command in ["/bin/true", "/bin/echo a  b-c", "/usr/bin/env"] {
            assert!(needs_no_shell(command), "{command}");
        }
        let needed = [
            "true",
            "echo a",
            "/bin/echo $HOME",
            "/bin/echo *",
            "/bin/echo 'a'",
            "/no/such/program",
            "/etc/passwd",
            "/bin/true; x",
            "",
            " ",
            "/bin",
            "X=1 /bin/true",
            "/bin/echo a\tb",
            "/bin/echo ~",
            "/bin/echo a#b",
            "/bin/%h",
            "/bin/echo {a,b}",
            "/bin/true\n",
        ];
        for command in needed {
            assert!(!needs_no_shell(command), "{command}");
        }
    }
}
