//! Makes whole lines of chunks, each with its newline. Nothing is changed, so that the lines put together again are the
//! stream, byte for byte.
//!
//! A line that grows past the bound is given out in pieces: memory stays bounded however long a program goes on
//! without a newline. What the last newline is followed by waits for the rest, or for the end.

use memchr::memrchr;

/// How long a line may grow before it is given out in pieces.
const LONGEST: usize = 1 << 20;

/// The beginning of a line, per stream.
#[derive(Debug, Default)]
pub(crate) struct LineBuffer {
    begun: Vec<u8>,
}

impl LineBuffer {
    /// Gives to `whole`, once or twice, bytes that end in a newline or at the bound.
    pub(crate) fn feed<E>(&mut self, chunk: &[u8], mut whole: impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        let mut rest = chunk;
        if !self.begun.is_empty() {
            let end = memchr::memchr(b'\n', chunk).map_or(chunk.len(), |at| at + 1);
            self.begun.extend_from_slice(&chunk[..end]);
            rest = &chunk[end..];
            if self.begun.ends_with(b"\n") || self.begun.len() >= LONGEST {
                let begun = std::mem::take(&mut self.begun);
                whole(&begun)?;
                // Keeps its room, if it is not out of the ordinary.
                if begun.capacity() <= 4096 {
                    self.begun = begun;
                    self.begun.clear();
                }
            }
        }
        let lines = memrchr(b'\n', rest).map_or(0, |at| at + 1);
        self.begun.extend_from_slice(&rest[lines..]);
        if lines > 0 { whole(&rest[..lines]) } else { Ok(()) }
    }

    /// What is left at the end.
    pub(crate) fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.begun)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn feed_all(chunks: &[&[u8]]) -> Vec<Vec<u8>> {
        let (mut buffer, mut pieces) = (LineBuffer::default(), Vec::new());
        for chunk in chunks {
            buffer
                .feed(chunk, |bytes| {
                    pieces.push(bytes.to_vec());
                    Ok::<(), ()>(())
                })
                .unwrap();
        }
        pieces.push(buffer.take());
        pieces
    }

    #[test]
    fn pieces_are_whole_lines_and_together_the_stream() {
        let stream = b"a\nbb\r\n\n\xff\0ccc\nd";
        for size in 1..=stream.len() {
            let pieces = feed_all(&stream.chunks(size).collect::<Vec<_>>());
            assert_eq!(pieces.concat(), stream);
            let (last, whole) = pieces.split_last().unwrap();
            assert!(whole.iter().all(|piece| piece.ends_with(b"\n")), "chunks of {size}");
            assert_eq!(last, b"d");
        }
    }

    #[test]
    fn a_line_without_end_is_given_out_in_bounded_pieces() {
        let chunk = vec![b'x'; 300_000];
        let pieces = feed_all(&[&chunk[..]; 10]);
        assert_eq!(pieces.concat().len(), 3_000_000);
        assert!(pieces.iter().all(|piece| piece.len() <= LONGEST + chunk.len()));
    }
}
