//! The scripts for the remote end, and how they get there.

use std::os::unix::ffi::OsStrExt as _;

use super::transfer::PutTransfer;

/// Their texts, readable; what travels is without comments and indentation.
const HOME: &str = include_str!("home.sh");
const INSTALL: &str = include_str!("install.sh");
const PUT: &str = include_str!("put.sh");
const GET: &str = include_str!("get.sh");

/// What a script is told about a put.
pub(crate) struct PutScript<'a> {
    pub(crate) token: &'a str,
    pub(crate) verify: bool,
    pub(crate) transfer: &'a PutTransfer,
}

impl PutScript<'_> {
    pub(crate) fn text(&self) -> Vec<u8> {
        let mut text = format!("{BEGINNING}token={}\ninto={}\n", self.token, u8::from(self.transfer.into)).into_bytes();
        text.extend_from_slice(format!("verify={}\n", u8::from(self.verify)).as_bytes());
        text.extend_from_slice(b"destination=");
        quote(self.transfer.destination.as_bytes(), &mut text);
        let names: Vec<_> = self.transfer.sources.iter().map(|source| source.name.as_bytes()).collect();
        append_words(&names, &mut text);
        append_install(&mut text);
        append_script(PUT, &mut text);
        end(&mut text);
        text
    }
}

/// What a script is told about a get.
pub(crate) struct GetScript<'a> {
    pub(crate) token: &'a str,
    pub(crate) verify: bool,
    /// What is asked for.
    pub(crate) sources: Vec<&'a [u8]>,
}

impl GetScript<'_> {
    pub(crate) fn text(&self) -> Vec<u8> {
        let mut text = format!("{BEGINNING}token={}\nverify={}", self.token, u8::from(self.verify)).into_bytes();
        append_words(&self.sources, &mut text);
        append_script(HOME, &mut text);
        append_script(GET, &mut text);
        end(&mut text);
        text
    }
}

/// What a script begins with.
pub(crate) const BEGINNING: &str = "{ : phalanx\n";

/// Ends a script. All of it is one compound command: one that arrives without its end is a mistake of grammar, of which not
/// a line is executed.
pub(crate) fn end(text: &mut Vec<u8>) {
    text.extend_from_slice(b"}\n");
}

/// Returns the command that reads a script of so many bytes from its stdin, and not a byte more, and runs it, if it has its
/// beginning and its end. No login shell that is known takes it for anything else.
pub(crate) fn command(script: &[u8]) -> String {
    let length = script.len();
    let whole = r#"case $s in ({?:?phalanx*}) printf %s "$s"; esac"#;
    format!("sh -c 'eval \"$(s=$(dd bs=1 count={length} 2>/dev/null); {whole})\"'")
}

pub(crate) fn append_words(words: &[&[u8]], text: &mut Vec<u8>) {
    text.extend_from_slice(b"\nset --");
    for word in words {
        text.push(b' ');
        quote(word, text);
    }
    text.push(b'\n');
}

/// In single quotes everything but the quote itself is literal, in every POSIX shell.
pub(crate) fn quote(word: &[u8], text: &mut Vec<u8>) {
    text.push(b'\'');
    for byte in word {
        match byte {
            b'\'' => text.extend_from_slice(b"'\\''"),
            byte => text.push(*byte),
        }
    }
    text.push(b'\'');
}

/// Appends what installs what has come.
pub(crate) fn append_install(text: &mut Vec<u8>) {
    append_script(HOME, text);
    append_script(INSTALL, text);
}

/// Appends a script, squeezed, for every byte of it is a system call at the far end.
pub(crate) fn append_script(script: &str, text: &mut Vec<u8>) {
    for line in script.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        text.extend_from_slice(line.as_bytes());
        text.push(b'\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_survive_a_shell() {
        let words: [&[u8]; 6] = [b"-rf", b"a b", b"it's", b"$(touch x)`y`", b"line\nbreak", b"\xff\\"];
        let mut script = b"printf '%s\\0' \"$@\"".to_vec();
        let mut text = Vec::new();
        append_words(&words, &mut text);
        text.append(&mut script);
        let said = std::process::Command::new("sh")
            .arg("-c")
            .arg(<std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(&text))
            .output()
            .unwrap()
            .stdout;
        let expected: Vec<u8> = words.iter().flat_map(|word| [word, &b"\0"[..]].concat()).collect();
        assert_eq!(said, expected);
    }
}
