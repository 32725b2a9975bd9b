//! What `taktuk` is told: its arguments, and what it reads from its stdin. Pure.
//!
//! The format is that of taktuk(1), release 3.7; what its manual leaves open was read in the program and tried.
//!
//! # What comes from elsewhere, and why it cannot be taken for something else
//! * *Commands* are put into single quotes of a shell as octal digits, all but letters, digits and a few signs: no
//!   separator, bracket or escape of taktuk's is ever left in them, so nothing depends on how it reads those. (It loses
//!   blanks of arguments, and cannot escape a newline.)
//! * *Hosts and users* end up in a line that taktuk gives to a shell, and hosts may be lists (`a[1-3],b/c`). What is not
//!   plainly a name or an address is refused: see [`check_host`].
//! * *Words of the connector* are quoted for that shell.

use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};

use phalanx_process::Signal;

use super::TaktukError;

/// One host, and what it is to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Member {
    /// Its address.
    pub(super) address: String,
    /// The user to be there, if not the one whom ssh chooses.
    pub(super) user: Option<String>,
    /// A line for `/bin/sh`, as [`in_shell`] and [`script`] make them.
    pub(super) line: String,
}

/// Where a member stands among those of one run of taktuk, counted from one: its "position on the command line". We
/// give its command the same number as "target", so that it can be sent a signal.
pub(super) type Position = u32;

/// The streams of taktuk, and how a line of each is written for [`super::said`] to read: Perl, evaluated by taktuk for
/// every line.
const TEMPLATES: [(&str, &str); 7] = [
    ("output", r#""o".(length($eol)?"n":"-")." $position $line\n""#),
    ("error", r#""e".(length($eol)?"n":"-")." $position $line\n""#),
    ("status", r#""x $position $line\n""#),
    ("state", STATE),
    ("connector", r#""c $peer_position $line\n""#),
    // These are disabled: answers to commands that we use for nothing else, and messages nobody sends.
    ("info", ""),
    ("message", ""),
];

/// The stream of states, which every TakTuk writes to before it starts its command. So it is also where each is taught to
/// end that command when it ends itself, because it has lost its connection to us; left alone, taktuk lets it run on.
/// (This knows the inside of taktuk 3.7, where `general::root` is ours; in another, the `eval` fails and nothing happens.)
const STATE: &str = concat!(
    r#"(($main::phalanx++ or eval q{END { if (not $general::root) { kill -15, $_->{pid} "#,
    r#"for grep { exists $_->{pid} } communicator::get_connections(q(local_commands)) } } 1}), "#,
    r#""s $line $position ".(length($peer_position)?$peer_position:"-")." $peers_given\n")[1]"#
);

/// The arguments: the program, the user's own options, then ours, so that these hold. Nothing in them is particular to a
/// host or a command, so their length is bounded and nobody finds a secret there.
///
/// Without numbering (`-n`) every host starts its command as soon as it is reached; with it, all would wait for the last.
pub(super) fn arguments(program: &OsStr, options: &[OsString], connector: &[OsString]) -> Vec<OsString> {
    let mut words = vec![program.to_owned()];
    words.extend_from_slice(options);
    words.extend(["-n".into(), "-c".into(), shell_words(connector)]);
    for (stream, template) in TEMPLATES {
        let value = if template.is_empty() { stream.to_owned() } else { format!("{stream}={template}") };
        words.extend(["-o".into(), value.into()]);
    }
    words.extend(["-F".into(), "-".into()]);
    words
}

/// Words as one line of a shell.
fn shell_words(words: &[OsString]) -> OsString {
    let mut line = Vec::new();
    for word in words {
        if !line.is_empty() {
            line.push(b' ');
        }
        // Without an error: no word of an argv has a NUL byte.
        let quoted = shlex::bytes::try_quote(word.as_bytes());
        line.extend_from_slice(&quoted.unwrap_or(word.as_bytes().into()));
    }
    OsString::from_vec(line)
}

/// The beginning of what taktuk reads: the hosts and what they run, in the order of their positions. A login holds for
/// all hosts that follow, so those without one must come first.
pub(super) fn deployment<'a>(members: impl IntoIterator<Item = &'a Member>) -> Vec<u8> {
    let mut text = String::new();
    let mut login = None;
    for (position, member) in (1..).zip(members) {
        let user = member.user.as_deref();
        debug_assert!(login.is_none() || user.is_some(), "a login cannot be taken back");
        if user != login {
            login = user;
            push(&mut text, format_args!("-l {}\n", user.unwrap_or_default()));
        }
        let (Member { address, line, .. }, target): (_, Position) = (member, position);
        push(&mut text, format_args!("-m {address} -[ exec target {target} [ {line} ] -]\n"));
    }
    // Options end with the first word that is none, and only then the connecting begins.
    text.push_str("version\n");
    text.into_bytes()
}

/// Sends a signal to the groups of these members' commands, or of all. (taktuk takes a set as intervals with slashes.)
pub(super) fn signal(signal: Signal, positions: Option<&[Position]>) -> Vec<u8> {
    let number = signal.number();
    let Some(positions) = positions else { return format!("broadcast kill {number}\n").into_bytes() };
    let mut sorted = positions.to_vec();
    sorted.sort_unstable();
    sorted.dedup();
    let intervals = sorted.chunk_by(|one, next| one + 1 == *next).map(|run| match run {
        [only] => only.to_string(),
        run => format!("{}-{}", run[0], run[run.len() - 1]),
    });
    format!("broadcast kill target {} {number}\n", intervals.collect::<Vec<_>>().join("/")).into_bytes()
}

/// Gives up the connections that are still being made. What is broadcast waits until there are none.
pub(super) const CANCEL: &[u8] = b"network cancel\n";

/// Ends it all.
pub(super) const QUIT: &[u8] = b"quit\n";

/// Sends a file to the stdin of all commands, and then its end. The path must be one of letters, digits and slashes.
pub(super) fn input_file(path: &str) -> Vec<u8> {
    debug_assert!(path.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'/'), "it would have to be quoted");
    format!("broadcast input file [ {path} ]\nbroadcast input close\n").into_bytes()
}

/// A line for `/bin/sh` that lets the user's shell interpret `command`, as sshd does, with nothing on its stdin.
pub(super) fn in_shell(command: &str) -> Result<String, TaktukError> {
    Ok(format!("exec \"${{SHELL:-/bin/sh}}\" -c {} </dev/null", encoded(command.as_bytes())?))
}

/// A line for `/bin/sh` that runs a script. Its stdin is what is [sent](input_file), or else what another command says.
pub(super) fn script(text: &[u8], stdin: Option<&str>) -> Result<String, TaktukError> {
    let script = encoded(text)?;
    Ok(match stdin {
        None => format!("exec sh -c {script}"),
        Some(command) => format!("{command} | sh -c {script}"),
    })
}

/// The words of a shell that stand for these bytes, in an alphabet that nothing else gives a meaning.
fn encoded(bytes: &[u8]) -> Result<String, TaktukError> {
    if bytes.contains(&0) {
        return Err(TaktukError::Nul);
    }
    let mut text = String::with_capacity(bytes.len() * 2 + 16);
    text.push_str("\"$(printf '");
    for byte in bytes {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'_' | b'=' | b':' | b'+' | b'^' => {
                text.push(char::from(*byte));
            }
            byte => push(&mut text, format_args!("\\{byte:03o}")),
        }
    }
    // Newlines at the end, which the shell would take away, mean nothing at the end of a command.
    text.push_str("')\"");
    if text.len() > LONGEST_LINE { Err(TaktukError::TooLong { bytes: bytes.len() }) } else { Ok(text) }
}

/// Linux takes no single argument of 128 KiB or more; the words around it need some room.
const LONGEST_LINE: usize = 127 * 1024;

/// Whether an address is one that neither taktuk nor a shell takes for anything else.
pub(super) fn check_host(address: &str) -> Result<(), TaktukError> {
    if is_plain(address, ".-_:%") { Ok(()) } else { Err(TaktukError::Host { host: address.to_owned() }) }
}

/// As [`check_host`], for the name of a user.
pub(super) fn check_user(user: &str) -> Result<(), TaktukError> {
    if is_plain(user, ".-_@+") { Ok(()) } else { Err(TaktukError::User { user: user.to_owned() }) }
}

fn is_plain(name: &str, signs: &str) -> bool {
    !name.is_empty() && !name.starts_with('-') && name.chars().all(|c| c.is_ascii_alphanumeric() || signs.contains(c))
}

fn push(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    text.write_fmt(arguments).expect("a string takes everything");
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn member(address: &str, user: Option<&str>) -> Member {
        Member { address: address.to_owned(), user: user.map(str::to_owned), line: "true".to_owned() }
    }

    /// Items 118 and 193 to 198.
    #[test]
    fn hosts_with_a_user_come_after_their_login() {
        let members = [member("a", None), member("b", Some("u")), member("::1", Some("u")), member("c", Some("v"))];
        let text = String::from_utf8(deployment(&members)).unwrap();
        let expected = "-m a -[ exec target 1 [ true ] -]\n-l u\n-m b -[ exec target 2 [ true ] -]\n\
                        -m ::1 -[ exec target 3 [ true ] -]\n-l v\n-m c -[ exec target 4 [ true ] -]\nversion\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn the_arguments_have_nothing_of_hosts_and_commands() {
        let words = arguments("taktuk".as_ref(), &["-s".into()], &["ssh".into(), "-o".into(), "A b".into()]);
        assert_eq!(words[..5], ["taktuk", "-s", "-n", "-c", "ssh -o 'A b'"].map(OsString::from));
        assert_eq!(words[words.len() - 2..], ["-F", "-"].map(OsString::from));
    }

    #[test]
    fn signals_are_sent_to_sets_or_to_all() {
        let said = |positions| String::from_utf8(signal(Signal::TERM, positions)).unwrap();
        assert_eq!(said(None), "broadcast kill 15\n");
        assert_eq!(said(Some(&[5, 1, 2, 3, 3, 9])), "broadcast kill target 1-3/5/9 15\n");
    }

    #[test]
    fn names_with_a_meaning_for_taktuk_or_a_shell_are_refused() {
        for host in ["node1", "a.b-c_d", "10.0.0.1", "fe80::1%eth0"] {
            assert_eq!(check_host(host), Ok(()), "{host}");
        }
        let hostile = ["", "-l", "a b", "a;b", "$(x)", "a'b", "n[1-3]", "a,b", "a/b", "a\nb", "hôte", "a!b", "a@b"];
        for host in hostile {
            assert!(check_host(host).is_err(), "{host:?}");
        }
        assert!(check_user("a@b.c").is_ok() && check_user("a b").is_err() && check_user("-x").is_err());
    }

    #[test]
    fn what_no_command_can_be_is_refused() {
        assert_eq!(in_shell("a\0b"), Err(TaktukError::Nul));
        assert!(matches!(in_shell(&" ".repeat(40_000)), Err(TaktukError::TooLong { bytes: 40_000 })));
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

        /// A real shell makes of the words what was meant; and no sign that taktuk knows is left inside.
        #[test]
        fn a_shell_reads_what_was_written(command in "[ -~\n\t\u{e9}]{0,40}") {
            let words = encoded(command.as_bytes()).unwrap();
            let inner = words.strip_prefix("\"$(printf '").and_then(|rest| rest.strip_suffix("')\"")).unwrap();
            prop_assert!(inner.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"\\/._=:+^".contains(&byte)));
            let said = std::process::Command::new("/bin/sh")
                .arg("-c").arg(format!("printf %s {words}"))
                .output().unwrap().stdout;
            prop_assert_eq!(String::from_utf8(said).unwrap(), command.trim_end_matches('\n'));
        }
    }
}
