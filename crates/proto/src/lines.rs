//! A stream of bytes, cut into lines: chunks in, lines out. Knows nothing of encodings; who shows a line decides what
//! its bytes mean.
//!
//! # The rules
//!
//! 1. A line ends with `\n`; a `\r` right before it belongs to the ending (terminals send both). Any other `\r` is part
//!    of the line. Neither is part of what is handed out.
//! 2. What follows the last `\n` is a line of its own, handed out at the end of the stream ([`Lines::end_of_file`])
//!    unless it is empty.
//! 3. A line that is longer than the bound is handed out in pieces of exactly that many bytes, as they fill up, the
//!    rest of it last; see [`Ending::Cut`]. Nothing is lost, and what is cut where does not depend on the chunks.
//! 4. A line that lies whole in one chunk is a part of that chunk: nothing is copied. At most one line, bounded, is
//!    kept between chunks.

use memchr::{memchr, memchr_iter, memrchr};

/// What a line, or a piece of one, ended with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// `\n` or `\r\n`.
    Newline,
    /// The bound: the line goes on with the next piece.
    Cut,
    /// The end of the stream.
    EndOfFile,
}

/// A line, or a piece of one that is longer than the bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line<'a> {
    /// The bytes, without the ending.
    pub bytes: &'a [u8],
    /// What followed them.
    pub ending: Ending,
}

/// Cuts one stream into lines.
///
/// ```
/// use phalanx_proto::lines::Lines;
///
/// let mut lines = Lines::default();
/// let of = |chunk: Vec<phalanx_proto::lines::Line<'_>>| chunk.iter().map(|line| line.bytes.to_vec()).collect::<Vec<_>>();
/// assert_eq!(of(lines.feed(b"one\r\ntwo\nth").collect()), [&b"one"[..], b"two"]);
/// assert_eq!(of(lines.feed(b"ree\n\nfour").collect()), [&b"three"[..], b""]);
/// assert_eq!(of(lines.end_of_file().collect()), [b"four"]);
/// ```
#[derive(Clone, Debug)]
pub struct Lines {
    bound: usize,
    /// The beginning of a line whose end has not arrived: at most one byte longer than the bound, for a `\r`.
    partial: Vec<u8>,
    /// A line that began in an earlier chunk, for as long as the lines of the last chunk are read.
    joined: Vec<u8>,
}

impl Default for Lines {
    fn default() -> Self {
        Self::with_bound(Self::BOUND)
    }
}

impl Lines {
    /// The bound unless another is given: 1 MiB.
    pub const BOUND: usize = 1 << 20;

    /// Cuts lines that are longer than `bound` bytes, at least 1.
    #[must_use]
    pub fn with_bound(bound: usize) -> Self {
        Self { bound: bound.max(1), partial: Vec::new(), joined: Vec::new() }
    }

    /// Takes bytes that arrived, and hands out the lines that they complete. All of the chunk is taken in even if the
    /// iterator is not read to its end; the lines that were not read are then lost.
    pub fn feed<'a>(&'a mut self, chunk: &'a [u8]) -> FedLines<'a> {
        let bound = self.bound;
        self.joined.clear();
        let (joined, rest) = self.join(chunk);
        let whole = memrchr(b'\n', rest).map_or(0, |last| last + 1);
        let (whole, tail) = rest.split_at(whole);
        let tail = if tail.is_empty() { tail } else { self.keep(tail) };
        FedLines::new(Pieces { bytes: &self.joined, bound, ending: joined }, whole, tail)
    }

    /// The last line, if the stream ended without a newline. (In two pieces if it fills the bound but for a `\r`.)
    pub fn end_of_file(&mut self) -> FedLines<'_> {
        self.joined.clear();
        std::mem::swap(&mut self.joined, &mut self.partial);
        let ending = (!self.joined.is_empty()).then_some(Ending::EndOfFile);
        FedLines::new(Pieces { bytes: &self.joined, bound: self.bound, ending }, &[], &[])
    }

    /// Completes the line that began in an earlier chunk, as far as it is in this one. Leaves it in `joined`, and says
    /// whether its end is there.
    fn join<'a>(&mut self, chunk: &'a [u8]) -> (Option<Ending>, &'a [u8]) {
        if self.partial.is_empty() {
            return (None, chunk);
        }
        std::mem::swap(&mut self.joined, &mut self.partial);
        if let Some(end) = memchr(b'\n', chunk) {
            self.joined.extend_from_slice(&chunk[..end]);
            self.joined.pop_if(|last| *last == b'\r');
            return (Some(Ending::Newline), &chunk[end + 1..]);
        }
        self.joined.extend_from_slice(chunk);
        let complete = complete(&self.joined, self.bound);
        self.partial.extend_from_slice(&self.joined[complete..]);
        self.joined.truncate(complete);
        (None, &[])
    }

    /// Keeps the beginning of a line, and returns the pieces of it that are complete.
    fn keep<'a>(&mut self, tail: &'a [u8]) -> &'a [u8] {
        let (pieces, partial) = tail.split_at(complete(tail, self.bound));
        self.partial.extend_from_slice(partial);
        pieces
    }
}

/// How many bytes of an unfinished line are pieces that certainly do not end it. The line ends with what is left, which
/// is no longer than the bound, not counting a `\r` that may belong to the ending.
fn complete(line: &[u8], bound: usize) -> usize {
    let ending = usize::from(line.last() == Some(&b'\r'));
    (line.len() - ending).saturating_sub(1) / bound * bound
}

/// One line, handed out in pieces.
#[derive(Clone, Debug)]
struct Pieces<'a> {
    bytes: &'a [u8],
    bound: usize,
    /// What the last piece ends with. `None`: all pieces are cut, and there may be none.
    ending: Option<Ending>,
}

impl<'a> Pieces<'a> {
    /// A line that ends with a newline, which `bytes` do not contain.
    #[inline]
    fn of_line(bytes: &'a [u8], bound: usize) -> Self {
        Self { bytes: bytes.strip_suffix(b"\r").unwrap_or(bytes), bound, ending: Some(Ending::Newline) }
    }

    #[inline]
    fn next(&mut self) -> Option<Line<'a>> {
        if self.bytes.len() > self.bound || (self.ending.is_none() && !self.bytes.is_empty()) {
            let (piece, rest) = self.bytes.split_at(self.bound);
            self.bytes = rest;
            return Some(Line { bytes: piece, ending: Ending::Cut });
        }
        let ending = self.ending.take()?;
        Some(Line { bytes: std::mem::take(&mut self.bytes), ending })
    }
}

/// The lines that a chunk has completed; see [`Lines::feed`].
#[derive(Clone, Debug)]
pub struct FedLines<'a> {
    joined: Pieces<'a>,
    /// The line of the chunk being handed out.
    whole: Pieces<'a>,
    /// The lines that lie whole in the chunk, with their endings.
    chunk: &'a [u8],
    newlines: memchr::Memchr<'a>,
    at: usize,
    tail: Pieces<'a>,
}

impl<'a> Iterator for FedLines<'a> {
    type Item = Line<'a>;

    #[inline]
    fn next(&mut self) -> Option<Line<'a>> {
        if let Some(line) = self.joined.next().or_else(|| self.whole.next()) {
            return Some(line);
        }
        let Some(end) = self.newlines.next() else {
            return self.tail.next();
        };
        let mut line = Pieces::of_line(&self.chunk[self.at..end], self.bound());
        self.at = end + 1;
        let first = line.next();
        self.whole = line;
        first
    }

    /// What `for_each` and its kin use: without asking for every line where the last one came from.
    #[inline]
    fn fold<T, F: FnMut(T, Line<'a>) -> T>(mut self, start: T, mut step: F) -> T {
        let bound = self.bound();
        let mut folded = start;
        for mut pieces in [self.joined, self.whole] {
            while let Some(line) = pieces.next() {
                folded = step(folded, line);
            }
        }
        for end in self.newlines {
            let mut line = Pieces::of_line(&self.chunk[self.at..end], bound);
            self.at = end + 1;
            if line.bytes.len() <= bound {
                folded = step(folded, Line { bytes: line.bytes, ending: Ending::Newline });
                continue;
            }
            while let Some(piece) = line.next() {
                folded = step(folded, piece);
            }
        }
        while let Some(line) = self.tail.next() {
            folded = step(folded, line);
        }
        folded
    }
}

impl<'a> FedLines<'a> {
    fn new(joined: Pieces<'a>, whole: &'a [u8], tail: &'a [u8]) -> Self {
        let none = Pieces { bytes: &[], bound: joined.bound, ending: None };
        let newlines = memchr_iter(b'\n', whole);
        Self { tail: Pieces { bytes: tail, ..none }, whole: none, chunk: whole, newlines, at: 0, joined }
    }

    fn bound(&self) -> usize {
        self.tail.bound
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    type Seen = (Vec<u8>, Ending);

    fn cut(bound: usize, chunks: &[&[u8]]) -> Vec<Seen> {
        let mut lines = Lines::with_bound(bound);
        let mut seen: Vec<Seen> = Vec::new();
        for chunk in chunks {
            seen.extend(lines.feed(chunk).map(|line| (line.bytes.to_vec(), line.ending)));
        }
        seen.extend(lines.end_of_file().map(|line| (line.bytes.to_vec(), line.ending)));
        seen
    }

    /// As [`cut`], by `for_each`, which goes another way; `first` lines of each chunk are taken one by one before.
    fn cut_for_each(bound: usize, chunks: &[&[u8]], first: usize) -> Vec<Seen> {
        let mut lines = Lines::with_bound(bound);
        let mut seen: Vec<Seen> = Vec::new();
        for chunk in chunks {
            let mut fed = lines.feed(chunk);
            seen.extend(fed.by_ref().take(first).map(|line| (line.bytes.to_vec(), line.ending)));
            fed.for_each(|line| seen.push((line.bytes.to_vec(), line.ending)));
        }
        lines.end_of_file().for_each(|line| seen.push((line.bytes.to_vec(), line.ending)));
        seen
    }

    /// The rules once more, over the whole text.
    fn oracle(bound: usize, text: &[u8]) -> Vec<Seen> {
        let mut seen = Vec::new();
        let mut lines: Vec<&[u8]> = text.split(|&byte| byte == b'\n').collect();
        let last = lines.pop().expect("there is always a last one");
        let mut add = |mut line: &[u8], ending| {
            while line.len() > bound {
                seen.push((line[..bound].to_vec(), Ending::Cut));
                line = &line[bound..];
            }
            seen.push((line.to_vec(), ending));
        };
        for line in lines {
            add(line.strip_suffix(b"\r").unwrap_or(line), Ending::Newline);
        }
        if !last.is_empty() {
            add(last, Ending::EndOfFile);
        }
        seen
    }

    #[test]
    fn lines_end_with_either_ending_and_the_last_partial_line_is_delivered() {
        let seen = cut(100, &[b"a\r\n", b"b\rc\n\n", b"d"]);
        let expected =
            [("a", Ending::Newline), ("b\rc", Ending::Newline), ("", Ending::Newline), ("d", Ending::EndOfFile)];
        assert_eq!(seen, expected.map(|(line, ending)| (line.as_bytes().to_vec(), ending)));
    }

    #[test]
    fn an_ending_may_be_cut_in_two() {
        assert_eq!(cut(100, &[b"a\r", b"\nb"]), cut(100, &[b"a\r\nb"]));
        assert_eq!(cut(1, &[b"a\r", b"\nb"]), cut(1, &[b"a\r\nb"]));
    }

    #[test]
    fn a_line_over_the_bound_comes_in_pieces_as_they_fill_up() {
        let mut lines = Lines::with_bound(4);
        assert_eq!(lines.feed(b"abcd").count(), 0, "the next byte may be the end of the line");
        assert_eq!(lines.feed(b"efgh").collect::<Vec<_>>(), [Line { bytes: b"abcd", ending: Ending::Cut }]);
        assert_eq!(lines.feed(b"\r\n").collect::<Vec<_>>(), [Line { bytes: b"efgh", ending: Ending::Newline }]);
    }

    #[test]
    fn a_line_without_end_is_never_kept_whole() {
        let mut lines = Lines::with_bound(1000);
        let bytes: usize =
            (0..1000).map(|_| lines.feed(&[b'x'; 999]).map(|line| line.bytes.len()).sum::<usize>()).sum();
        assert_eq!(bytes + lines.partial.len(), 999_000);
        assert!(lines.partial.len() <= 1000 && lines.partial.capacity() < 10_000 && lines.joined.capacity() < 10_000);
    }

    #[test]
    fn a_line_that_lies_whole_in_a_chunk_is_not_copied() {
        let chunk = b"one\ntwo\n";
        let mut lines = Lines::default();
        assert!(lines.feed(chunk).all(|line| chunk.as_ptr_range().contains(&line.bytes.as_ptr())));
    }

    #[test]
    fn a_million_lines_are_a_million_lines() {
        let text = b"line\n".repeat(1_000_000);
        let mut lines = Lines::default();
        assert_eq!(text.chunks(65_537).map(|chunk| lines.feed(chunk).count()).sum::<usize>(), 1_000_000);
        assert_eq!(lines.end_of_file().count(), 0);
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn lines_do_not_depend_on_the_chunks(
            chunks in vec(vec(prop_oneof![Just(b'\n'), Just(b'\r'), Just(b'a'), any::<u8>()], 0..12), 0..12), bound in 1usize..8,
        ) {
            let text = chunks.concat();
            let chunks: Vec<&[u8]> = chunks.iter().map(Vec::as_slice).collect();
            let oracle = oracle(bound, &text);
            for first in 0..3 {
                prop_assert_eq!(&cut_for_each(bound, &chunks, first), &oracle);
            }
            prop_assert_eq!(cut(bound, &chunks), oracle);
        }
    }
}
