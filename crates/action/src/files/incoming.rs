//! The bytes that the remote end of a get sends, up to its last word.
//!
//! The remote end says nothing after `done` and `failed` until it is answered. So when these stand at the end of what has
//! come, nothing more will, whatever is still wanted: an archive that is short is found at once, and not waited for.

use std::io::{self, BufRead, Read};

use super::Fault;

/// The longest line of which more than the beginning counts.
const LONGEST_LINE: usize = 64 * 1024;
/// How much of the end is looked at. The last word is shorter.
const TAIL: usize = 4096;

/// Reads from `inner` until the last word has come.
pub(super) struct Incoming<R> {
    inner: R,
    prefix: Vec<u8>,
    tail: Vec<u8>,
    at_end: bool,
}

impl<R: Read> Incoming<R> {
    /// `prefix` is what the announcements begin with.
    pub(super) fn new(inner: R, prefix: &[u8]) -> Self {
        Self { inner, prefix: prefix.to_vec(), tail: Vec::new(), at_end: false }
    }

    fn last_word(&self) -> Option<&[u8]> {
        let line = self.tail.strip_suffix(b"\n")?.rsplit(|byte| *byte == b'\n').next()?;
        let said = line.strip_prefix(&self.prefix[..])?;
        [&b"done"[..], b"failed"].iter().any(|word| said.starts_with(word)).then_some(said)
    }

    /// Returns why what came cannot be understood, which gave this error.
    pub(super) fn explain(&self, error: &io::Error) -> Fault {
        match self.last_word() {
            _ if self.at_end => Fault::Disconnected,
            Some(said) => match said.strip_prefix(b"failed") {
                Some(reason) => Fault::stated(reason),
                None => Fault::Remote(format!("the archive that its tar sent is not whole: {error}")),
            },
            None => Fault::Remote(format!("what it sent is no archive: {error}")),
        }
    }
}

impl<R: Read> Read for Incoming<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() || self.last_word().is_some() {
            return Ok(0);
        }
        let count = loop {
            match self.inner.read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(count) => break count,
                // As if it had ended.
                Err(_) => break 0,
            }
        };
        self.at_end = count == 0;
        let read = &buffer[count.saturating_sub(TAIL)..count];
        self.tail.drain(..(self.tail.len() + read.len()).saturating_sub(TAIL));
        self.tail.extend_from_slice(read);
        Ok(count)
    }
}

/// Reads a line, without its end. Of an endless one, the beginning is kept.
pub(super) fn read_line(stream: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    loop {
        let bytes = stream.fill_buf()?;
        if bytes.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let end = memchr::memchr(b'\n', bytes);
        let part = &bytes[..end.unwrap_or(bytes.len())];
        line.extend_from_slice(&part[..part.len().min(LONGEST_LINE - line.len())]);
        let used = part.len() + usize::from(end.is_some());
        stream.consume(used);
        if end.is_some() {
            return Ok(line);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use super::*;

    #[test]
    fn nothing_is_read_after_the_last_word_however_it_comes() {
        for word in ["done 1", "failed because of it"] {
            let said = format!("\nphalanx-get T {word}\n");
            for size in 1..said.len() + 3 {
                let all = format!("some bytes of a file{said}");
                let reader = BufReader::with_capacity(size, all.as_bytes()).chain(Endless);
                let mut incoming = Incoming::new(reader, b"phalanx-get T ");
                let mut read = Vec::new();
                let mut buffer = vec![0; size];
                loop {
                    let count = incoming.read(&mut buffer).unwrap();
                    read.extend_from_slice(&buffer[..count]);
                    if count == 0 {
                        break;
                    }
                }
                assert_eq!(String::from_utf8(read).unwrap(), all);
                assert_ne!(incoming.explain(&io::ErrorKind::Other.into()), Fault::Disconnected);
            }
        }
    }

    /// A remote end that waits for an answer.
    struct Endless;

    impl Read for Endless {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            panic!("no byte will ever follow")
        }
    }

    #[test]
    fn an_endless_line_costs_its_beginning() {
        let mut all = vec![b'a'; 3 * LONGEST_LINE];
        all.extend_from_slice(b"\nb\nc");
        let mut stream = BufReader::with_capacity(100, &all[..]);
        assert_eq!(read_line(&mut stream).unwrap(), vec![b'a'; LONGEST_LINE]);
        assert_eq!(read_line(&mut stream).unwrap(), b"b");
        assert!(read_line(&mut stream).is_err());
    }
}
