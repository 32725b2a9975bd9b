//! The scripts for the far end, and how they get there.

/// Their texts, readable; what travels is without comments and indentation.
const HOME: &str = include_str!("home.sh");
const LANDING: &str = include_str!("landing.sh");
const PUT: &str = include_str!("put.sh");
const GET: &str = include_str!("get.sh");

/// What a script is told about a put.
pub(crate) struct PutScript<'a> {
    pub(crate) token: &'a str,
    /// The destination is a directory that the sources go into, made if it is not there.
    pub(crate) into: bool,
    pub(crate) verify: bool,
    pub(crate) destination: &'a [u8],
    /// The name of each source.
    pub(crate) names: Vec<&'a [u8]>,
}

impl PutScript<'_> {
    pub(crate) fn text(&self) -> Vec<u8> {
        let mut text = format!("token={}\ninto={}\n", self.token, u8::from(self.into)).into_bytes();
        text.extend_from_slice(format!("verify={}\n", u8::from(self.verify)).as_bytes());
        text.extend_from_slice(b"destination=");
        quote(self.destination, &mut text);
        append_words(&self.names, &mut text);
        append_landing(&mut text);
        append_script(PUT, &mut text);
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
        let mut text = format!("token={}\nverify={}", self.token, u8::from(self.verify)).into_bytes();
        append_words(&self.sources, &mut text);
        append_script(HOME, &mut text);
        append_script(GET, &mut text);
        text
    }
}

/// The command that reads a script of so many bytes from its stdin, and not a byte more, and runs it. No login shell
/// that is known takes it for anything else.
pub(crate) fn command(script: &[u8]) -> String {
    format!("sh -c 'eval \"$(dd bs=1 count={} 2>/dev/null)\"'", script.len())
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

/// What puts into place what has come.
pub(crate) fn append_landing(text: &mut Vec<u8>) {
    append_script(HOME, text);
    append_script(LANDING, text);
}

/// Squeezed, for every byte of it is a system call at the far end.
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
