//! What was received and may still be needed: the bytes after the last match, and enough before them to look back at.
//! Positions are counted from the beginning of the stream and never reused. Knows no patterns.

/// See the module's documentation.
#[derive(Debug, Default)]
pub(super) struct Received {
    bytes: Vec<u8>,
    /// Where in the stream `bytes` begins.
    base: u64,
    /// Where in the stream the next search begins.
    consumed: u64,
}

impl Received {
    pub(super) fn push(&mut self, chunk: &[u8]) {
        self.bytes.extend_from_slice(chunk);
    }

    /// How much was received so far, which is also the position of the byte that comes next.
    pub(super) fn total(&self) -> u64 {
        self.base + self.bytes.len() as u64
    }

    pub(super) fn consumed(&self) -> u64 {
        self.consumed
    }

    /// The first position that is still kept.
    pub(super) fn base(&self) -> u64 {
        self.base
    }

    /// From here on nothing before `position` will be searched again.
    pub(super) fn consume_to(&mut self, position: u64) {
        debug_assert!(position >= self.consumed && position <= self.total());
        self.consumed = position;
    }

    pub(super) fn byte_before(&self, position: u64) -> Option<u8> {
        self.index(position).checked_sub(1).map(|index| self.bytes[index])
    }

    /// The kept bytes before `position`.
    pub(super) fn up_to(&self, position: u64) -> &[u8] {
        &self.bytes[..self.index(position)]
    }

    pub(super) fn between(&self, from: u64, to: u64) -> &[u8] {
        &self.bytes[self.index(from)..self.index(to)]
    }

    pub(super) fn all(&self) -> &[u8] {
        &self.bytes
    }

    /// Where in [`Received::all`] a position is. Positions that are asked for are kept: the matcher forgets nothing it
    /// may need.
    pub(super) fn index(&self, position: u64) -> usize {
        debug_assert!(
            position >= self.base && position <= self.total(),
            "{position} is not within {}..{}",
            self.base,
            self.total()
        );
        (position - self.base) as usize
    }

    /// Allows everything before `position` to be forgotten. Forgets in large steps, so that each byte is moved a
    /// bounded number of times.
    pub(super) fn forget_before(&mut self, position: u64) {
        let excess = position.saturating_sub(self.base) as usize;
        if excess >= 4096 && excess >= self.bytes.len() / 2 {
            self.bytes.drain(..excess);
            self.base += excess as u64;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_stay_what_they_are_when_bytes_are_forgotten() {
        let mut received = Received::default();
        received.push(&[b'a'; 10_000]);
        received.push(b"tail");
        received.forget_before(9_999);
        assert_eq!(received.base(), 9_999);
        assert_eq!(received.total(), 10_004);
        assert_eq!(received.between(10_000, 10_004), b"tail");
        assert_eq!(received.byte_before(10_000), Some(b'a'));
    }

    #[test]
    fn nothing_is_moved_for_a_few_bytes() {
        let mut received = Received::default();
        received.push(&[b'a'; 100_000]);
        received.forget_before(10_000);
        assert_eq!(received.base(), 0);
        received.forget_before(50_000);
        assert_eq!(received.base(), 50_000);
    }
}
