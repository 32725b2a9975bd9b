//! The encoding that every message of the protocol is made of: big-endian 32-bit numbers, strings with their length before
//! them, and frames with theirs. It knows no message.

use super::ProtocolError;

/// Puts numbers and strings behind one another, and their length before them.
#[derive(Debug)]
pub(super) struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    /// Starts a frame of a message of this kind.
    pub(super) fn new(kind: u32) -> Self {
        let mut writer = Self { bytes: vec![0; 4] };
        writer.number(kind);
        writer
    }

    pub(super) fn number(&mut self, number: u32) -> &mut Self {
        self.bytes.extend_from_slice(&number.to_be_bytes());
        self
    }

    /// The protocol has no byte-sized truth: its flags are numbers.
    pub(super) fn flag(&mut self, flag: bool) -> &mut Self {
        self.number(flag.into())
    }

    pub(super) fn string(&mut self, string: &[u8]) -> &mut Self {
        self.number(length(string.len()));
        self.bytes.extend_from_slice(string);
        self
    }

    /// Returns the whole frame.
    pub(super) fn finish(mut self) -> Vec<u8> {
        let body = length(self.bytes.len() - 4);
        self.bytes[..4].copy_from_slice(&body.to_be_bytes());
        self.bytes
    }
}

/// No string that fits into memory beside a frame of at most 256 KiB is longer; a longer one makes a frame that is refused
/// for its length.
fn length(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

/// Takes numbers and strings off the front of a message.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
}

/// A message ends before what it should hold, or goes on behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed;

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    pub(super) fn number(&mut self) -> Result<u32, Malformed> {
        let (number, rest) = self.bytes.split_first_chunk().ok_or(Malformed)?;
        self.bytes = rest;
        Ok(u32::from_be_bytes(*number))
    }

    pub(super) fn flag(&mut self) -> Result<bool, Malformed> {
        Ok(self.number()? != 0)
    }

    pub(super) fn string(&mut self) -> Result<&'a [u8], Malformed> {
        let length = usize::try_from(self.number()?).map_err(|_| Malformed)?;
        let (string, rest) = self.bytes.split_at_checked(length).ok_or(Malformed)?;
        self.bytes = rest;
        Ok(string)
    }

    /// Says that the message must end here.
    pub(super) fn end(&self) -> Result<(), Malformed> {
        if self.is_empty() { Ok(()) } else { Err(Malformed) }
    }
}

/// Cuts a stream into frames, cut as the stream may arrive.
#[derive(Debug)]
pub(super) struct Frames {
    /// The beginning of a frame that has not arrived whole: never more than one of the longest allowed.
    partial: Vec<u8>,
    longest: usize,
}

/// What the front of the stream is.
enum Front {
    /// A frame that ends before this place.
    Whole(usize),
    Partial,
}

impl Frames {
    /// Refuses frames with bodies longer than `longest` bytes.
    pub(super) fn new(longest: usize) -> Self {
        Self { partial: Vec::new(), longest }
    }

    /// Calls `take` with the body of every frame that is whole now, and keeps the rest. Memory follows what has arrived, not
    /// what a length announces.
    ///
    /// # Errors
    /// The first error of `take`, or a frame of a length that is not allowed. The stream must not be read any further.
    pub(super) fn push<E: From<ProtocolError>>(
        &mut self,
        mut bytes: &[u8],
        mut take: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        while !self.partial.is_empty() && !bytes.is_empty() {
            let missing = self.missing()?;
            let (more, rest) = bytes.split_at(missing.min(bytes.len()));
            self.partial.extend_from_slice(more);
            bytes = rest;
            if let Front::Whole(end) = self.front(&self.partial)? {
                let frame = std::mem::take(&mut self.partial);
                take(&frame[4..end])?;
            }
        }
        while let Front::Whole(end) = self.front(bytes)? {
            take(&bytes[4..end])?;
            bytes = &bytes[end..];
        }
        self.partial.extend_from_slice(bytes);
        Ok(())
    }

    /// Whether the stream stands between two frames.
    pub(super) fn is_between(&self) -> bool {
        self.partial.is_empty()
    }

    /// Returns how many bytes the frame that has begun lacks, or its length if that is not known yet.
    fn missing(&self) -> Result<usize, ProtocolError> {
        match self.length(&self.partial)? {
            None => Ok(4 - self.partial.len()),
            Some(length) => Ok(4 + length - self.partial.len()),
        }
    }

    fn front(&self, bytes: &[u8]) -> Result<Front, ProtocolError> {
        let whole = self.length(bytes)?.map(|length| 4 + length).filter(|end| *end <= bytes.len());
        Ok(whole.map_or(Front::Partial, Front::Whole))
    }

    /// Returns the length that `bytes` announce, once they do.
    fn length(&self, bytes: &[u8]) -> Result<Option<usize>, ProtocolError> {
        let Some(length) = bytes.first_chunk().map(|length| u32::from_be_bytes(*length)) else { return Ok(None) };
        match usize::try_from(length) {
            Ok(short) if short <= self.longest => Ok(Some(short)),
            _ => Err(ProtocolError::FrameTooLong { length }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(longest: usize, chunks: &[&[u8]]) -> (Vec<Vec<u8>>, Result<(), ProtocolError>, Frames) {
        let (mut frames, mut bodies) = (Frames::new(longest), Vec::new());
        let push = |chunk: &&[u8]| {
            frames.push(chunk, |body| {
                bodies.push(body.to_vec());
                Ok(())
            })
        };
        let result = chunks.iter().try_for_each(push);
        (bodies, result, frames)
    }

    #[test]
    fn numbers_and_strings_come_back_and_a_message_ends_where_it_ends() {
        let mut writer = Writer::new(7);
        writer.flag(true).string(b"ab").string(b"");
        let frame = writer.finish();
        assert_eq!(frame, b"\0\0\0\x12\0\0\0\x07\0\0\0\x01\0\0\0\x02ab\0\0\0\0");
        let mut reader = Reader::new(&frame[4..]);
        assert_eq!((reader.number(), reader.flag()), (Ok(7), Ok(true)));
        assert_eq!((reader.string(), reader.end()), (Ok(&b"ab"[..]), Err(Malformed)));
        assert_eq!((reader.string(), reader.end()), (Ok(&b""[..]), Ok(())));
        assert_eq!(reader.number(), Err(Malformed));
    }

    #[test]
    fn a_string_longer_than_its_message_is_malformed() {
        for bytes in [&b"\0\0\0\x03ab"[..], b"\xff\xff\xff\xff", b"\0\0\0"] {
            assert_eq!(Reader::new(bytes).string(), Err(Malformed));
        }
    }

    #[test]
    fn frames_are_found_however_the_stream_is_cut() {
        let stream = b"\0\0\0\x02ab\0\0\0\0\0\0\0\x01c\0\0";
        for size in 1..=stream.len() {
            let chunks: Vec<_> = stream.chunks(size).collect();
            let (bodies, result, frames) = frames(2, &chunks);
            assert_eq!(bodies, [b"ab".to_vec(), b"".to_vec(), b"c".to_vec()], "{size}");
            assert_eq!((result, frames.is_between()), (Ok(()), false));
        }
        assert!(frames(2, &[&stream[..15]]).2.is_between());
    }

    #[test]
    fn a_length_beyond_the_bound_is_refused_before_its_body_and_reserves_nothing() {
        let too_long = |length| Err(ProtocolError::FrameTooLong { length });
        assert_eq!(frames(2, &[b"\0\0\0\x03"]).1, too_long(3));
        assert_eq!(frames(2, &[b"\xff\xff\xff", b"\xff"]).1, too_long(u32::MAX));
        let (_, result, partial) = frames(1 << 20, &[b"\0\x0f\xff\xff", b"abc"]);
        assert_eq!(result, Ok(()));
        assert!(partial.partial.capacity() < 64, "{}", partial.partial.capacity());
    }
}
