//! What `taktuk` says, line by line, as our templates (in `language`) write it. Pure.
//!
//! ```text
//!  on 12 text…        a piece of stdout of the command at position 12, with the end of its line
//!  o- 12 text…        without: the line goes on in the next piece, or ends there
//!  en 12 text…  e-    the same of stderr
//!  x 12 768           the command at 12 has ended, with this status of wait(2)
//!  s 3 0 12 …         state 3 was reported by the TakTuk at position 0 (ours), about its peer at 12
//!  c 12 text…         the connector to 12 said something on its stderr
//! ```
//!
//! The text comes last and is what is left of the line, so it may be anything but a newline, and taktuk ends each line
//! with one. What is none of these is told as [`Said::Other`]: nobody knows what a login script may print.

use memchr::memchr;

use super::language::Position;

/// One line of taktuk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said<'a> {
    /// A command said something.
    Output {
        /// Whose.
        position: Position,
        /// On stderr, not on stdout.
        stderr: bool,
        /// What, without the end of the line.
        text: &'a [u8],
        /// Whether the line ended there.
        newline: bool,
    },
    /// A command has ended.
    Status {
        /// Whose.
        position: Position,
        /// As wait(2) has it.
        raw: i32,
    },
    /// Something has changed.
    State {
        /// What.
        state: State,
        /// The TakTuk that says so; zero is ours.
        position: Position,
        /// The one it says it of, if that is another.
        peer: Option<Position>,
        /// With a lost connection: those who were to be reached through it.
        given: Vec<Position>,
    },
    /// The program that connects complained.
    Connector {
        /// Of the connection to whom.
        peer: Position,
        /// What it said.
        text: &'a [u8],
    },
    /// Something else.
    Other(&'a [u8]),
}

/// The changes that matter, by their codes in taktuk(1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// All connections that this TakTuk was to make are made, or have failed.
    Ready,
    /// A TakTuk has ended.
    Terminated,
    /// A connection could not be made.
    ConnectionFailed,
    /// A connection is made.
    ConnectionInitialized,
    /// A connection is gone.
    ConnectionLost,
    /// A command runs.
    CommandStarted,
    /// A command could not be started.
    CommandFailed,
    /// A command has ended.
    CommandTerminated,
    /// Something else.
    Other(u32),
}

impl From<u32> for State {
    fn from(code: u32) -> Self {
        match code {
            0 => Self::Ready,
            2 => Self::Terminated,
            3 => Self::ConnectionFailed,
            4 => Self::ConnectionInitialized,
            5 => Self::ConnectionLost,
            6 => Self::CommandStarted,
            7 => Self::CommandFailed,
            8 => Self::CommandTerminated,
            code => Self::Other(code),
        }
    }
}

impl<'a> Said<'a> {
    /// Understands one line, given without its newline.
    #[must_use]
    pub fn parse(line: &'a [u8]) -> Self {
        Self::understand(line).unwrap_or(Self::Other(line))
    }

    fn understand(line: &'a [u8]) -> Option<Self> {
        let (kind, rest) = word(line)?;
        let (first, rest) = word(rest)?;
        Some(match kind {
            [stream @ (b'o' | b'e'), end @ (b'n' | b'-')] => {
                Self::Output { position: number(first)?, stderr: *stream == b'e', text: rest, newline: *end == b'n' }
            }
            b"x" => Self::Status { position: number(first)?, raw: number(rest)? },
            b"c" => Self::Connector { peer: number(first)?, text: rest },
            b"s" => {
                let (position, rest) = word(rest)?;
                let (peer, given) = word(rest)?;
                let peer = if peer == b"-" { None } else { Some(number(peer)?) };
                let state = State::from(number::<u32>(first)?);
                Self::State { state, position: number(position)?, peer, given: peers(given)? }
            }
            _ => return None,
        })
    }
}

/// The bytes up to the first blank, and what follows it. A last word needs none.
fn word(text: &[u8]) -> Option<(&[u8], &[u8])> {
    if text.is_empty() {
        return None;
    }
    Some(memchr(b' ', text).map_or((text, &[][..]), |at| (&text[..at], &text[at + 1..])))
}

fn number<N: std::str::FromStr>(text: &[u8]) -> Option<N> {
    // Not "+3", which Rust takes and taktuk never writes.
    if !text.first()?.is_ascii_digit() {
        return None;
    }
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// `host:position host:position …`; a host may have colons in it.
fn peers(text: &[u8]) -> Option<Vec<Position>> {
    let words = text.split(|byte| *byte == b' ').filter(|word| !word.is_empty());
    words.map(|word| number(word.rsplit(|byte| *byte == b':').next()?)).collect()
}

/// Cuts what comes from taktuk into lines.
#[derive(Debug, Default)]
pub struct Splitter {
    partial: Vec<u8>,
}

impl Splitter {
    /// Takes a chunk, and gives every line that it completes.
    pub fn push(&mut self, mut chunk: &[u8], mut heard: impl FnMut(Said<'_>)) {
        while let Some(at) = memchr(b'\n', chunk) {
            let (line, rest) = (&chunk[..at], &chunk[at + 1..]);
            if self.partial.is_empty() {
                heard(Said::parse(line));
            } else {
                self.partial.extend_from_slice(line);
                heard(Said::parse(&self.partial));
                self.partial.clear();
            }
            chunk = rest;
        }
        self.partial.extend_from_slice(chunk);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn all(text: &[u8], chunk: usize) -> Vec<String> {
        let (mut splitter, mut said) = (Splitter::default(), Vec::new());
        text.chunks(chunk).for_each(|chunk| splitter.push(chunk, |line| said.push(format!("{line:?}"))));
        said
    }

    #[test]
    fn every_kind_of_line_is_understood() {
        let output = |position, stderr, text, newline| Said::Output { position, stderr, text, newline };
        let state = |state, position, peer, given| Said::State { state, position, peer, given };
        let table: [(&[u8], Said<'_>); 14] = [
            (b"on 12 a # b  c ", output(12, false, b"a # b  c ", true)),
            (b"o- 1 ", output(1, false, b"", false)),
            (b"en 1 on 2 x", output(1, true, b"on 2 x", true)),
            (b"e- 7 \xff\0\r", output(7, true, b"\xff\0\r", false)),
            (b"x 1 768", Said::Status { position: 1, raw: 768 }),
            (b"s 3 0 2 ", state(State::ConnectionFailed, 0, Some(2), vec![])),
            (b"s 6 2 - ", state(State::CommandStarted, 2, None, vec![])),
            (b"s 5 0 2 a:3 ::1:4", state(State::ConnectionLost, 0, Some(2), vec![3, 4])),
            (b"s 17 0 -", state(State::Other(17), 0, None, vec![])),
            (b"c 2 ssh: refused", Said::Connector { peer: 2, text: b"ssh: refused" }),
            (b"x 1 +3", Said::Other(b"x 1 +3")),
            (b"o 1 x", Said::Other(b"o 1 x")),
            (b"on 1.2 x", Said::Other(b"on 1.2 x")),
            (b"", Said::Other(b"")),
        ];
        for (line, said) in table {
            assert_eq!(Said::parse(line), said, "{}", String::from_utf8_lossy(line));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        /// Arbitrary bytes never panic, and where they are cut does not matter.
        #[test]
        fn cuts_do_not_matter(text in proptest::collection::vec(prop_oneof![
            any::<u8>(), Just(b'\n'), Just(b' '), Just(b's'), Just(b'o'), Just(b'n'), Just(b'1')], 0..200), chunk in 1..50_usize) {
            prop_assert_eq!(all(&text, chunk), all(&text, text.len().max(1)));
        }

        /// What a command says comes out as it went in, whatever is in it: separators, our own markers, no newline.
        #[test]
        fn output_survives(text in proptest::collection::vec(any::<u8>(), 0..300), stderr in any::<bool>()) {
            let mut written = Vec::new();
            for line in text.split_inclusive(|byte| *byte == b'\n') {
                let (line, end) = line.strip_suffix(b"\n").map_or((line, b'-'), |line| (line, b'n'));
                written.extend([if stderr { b'e' } else { b'o' }, end]);
                written.extend(b" 4711 ");
                written.extend(line);
                written.push(b'\n');
            }
            let mut read = Vec::new();
            Splitter::default().push(&written, |said| match said {
                Said::Output { position: 4711, stderr: on, text, newline } if on == stderr => {
                    read.extend(text);
                    read.extend(newline.then_some(b'\n'));
                }
                other => panic!("{other:?}"),
            });
            prop_assert_eq!(read, text);
        }
    }

    #[test]
    fn a_huge_line_is_one_line() {
        let mut line = b"on 1 ".to_vec();
        line.resize(4 << 20, b'x');
        line.push(b'\n');
        assert_eq!(all(&line, 65536).len(), 1);
    }
}
