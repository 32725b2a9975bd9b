//! Keeps what a process said: all of it, the last so many bytes, or nothing. Bytes in, bytes out.
//!
//! Appending is linear whatever the total: no byte is moved more than a constant number of times.

use std::borrow::Cow;
use std::fmt;

/// From here on a buffer is worth large pages: some of 2 MiB.
const LARGE: usize = 8 * 1024 * 1024;

/// How much of a stream is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Capture {
    /// Everything.
    #[default]
    All,
    /// The last so many bytes.
    Last(usize),
    /// Nothing but the count.
    None,
}

/// What was kept of a stream.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Captured {
    bytes: Vec<u8>,
    capture: Capture,
    total: u64,
}

impl Captured {
    /// Nothing yet, to be kept as `capture` says.
    #[must_use]
    pub fn new(capture: Capture) -> Self {
        Self { bytes: Vec::new(), capture, total: 0 }
    }

    /// Adds the bytes that came next. Reports whether its buffer has moved and is so large that the driver should put it
    /// on large pages ([`Captured::buffer`]): the page faults would cost more than the reading.
    pub fn append(&mut self, bytes: &[u8]) -> bool {
        self.total += bytes.len() as u64;
        let before = self.bytes.capacity();
        match self.capture {
            Capture::All => self.bytes.extend_from_slice(bytes),
            Capture::Last(limit) => self.append_bounded(bytes, limit),
            Capture::None => {}
        }
        self.bytes.capacity() != before && self.bytes.capacity() >= LARGE
    }

    /// The buffer itself, for a driver that advises the system on its memory and leaves its contents alone.
    pub fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// Lets the buffer grow to twice the limit before its older half is moved out, so that each byte moves once.
    fn append_bounded(&mut self, bytes: &[u8], limit: usize) {
        let bytes = &bytes[bytes.len().saturating_sub(limit)..];
        if self.bytes.len() + bytes.len() > limit.saturating_mul(2) {
            let keep = limit.saturating_sub(bytes.len()).min(self.bytes.len());
            self.bytes.drain(..self.bytes.len() - keep);
        }
        self.bytes.extend_from_slice(bytes);
    }

    /// The bytes that were kept.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        match self.capture {
            Capture::Last(limit) => &self.bytes[self.bytes.len().saturating_sub(limit)..],
            Capture::All | Capture::None => &self.bytes,
        }
    }

    /// The bytes that were kept, for keeping longer.
    #[must_use]
    pub fn into_bytes(mut self) -> Vec<u8> {
        if let Capture::Last(limit) = self.capture {
            self.bytes.drain(..self.bytes.len().saturating_sub(limit));
        }
        self.bytes
    }

    /// The bytes as text, with U+FFFD where they are not UTF-8.
    #[must_use]
    pub fn text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(self.bytes())
    }

    /// How many bytes there were in all, kept or not.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Whether something was not kept.
    #[must_use]
    pub fn is_truncated(&self) -> bool {
        self.total > self.bytes().len() as u64
    }
}

impl fmt::Debug for Captured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} bytes: {:?}", self.bytes().len(), self.total, Excerpt(self.bytes()))
    }
}

/// At most the first 64 bytes, escaped: a debug print must not be a gigabyte.
struct Excerpt<'a>(&'a [u8]);

impl fmt::Debug for Excerpt<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = &self.0[..self.0.len().min(64)];
        write!(f, "\"{}\"{}", shown.escape_ascii(), if shown.len() < self.0.len() { "..." } else { "" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_every_byte_value() {
        let all: Vec<u8> = (0..=255).collect();
        let mut captured = Captured::new(Capture::All);
        captured.append(&all);
        captured.append(&all);
        assert_eq!(captured.bytes(), [all.clone(), all].concat());
        assert!(!captured.is_truncated());
    }

    #[test]
    fn keeps_exactly_the_last_bytes_whatever_the_chunks() {
        let said: Vec<u8> = (0..1000_u32).map(|n| (n % 251) as u8).collect();
        for limit in [0, 1, 7, 100, 999, 1000, 2000] {
            for chunk in [1, 3, 64, 500, 1000] {
                let mut captured = Captured::new(Capture::Last(limit));
                for bytes in said.chunks(chunk) {
                    captured.append(bytes);
                }
                let expected = &said[said.len().saturating_sub(limit)..];
                assert_eq!(captured.bytes(), expected, "limit {limit}, chunks of {chunk}");
                assert_eq!((captured.total(), captured.is_truncated()), (1000, limit < 1000));
                assert_eq!(captured.into_bytes(), expected);
            }
        }
    }

    #[test]
    fn counts_what_it_does_not_keep() {
        let mut captured = Captured::new(Capture::None);
        captured.append(b"abc");
        assert_eq!((captured.bytes(), captured.total(), captured.is_truncated()), (&b""[..], 3, true));
    }
}
