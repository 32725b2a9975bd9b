//! Expect: waiting for something in a stream of bytes.
//!
//! Reads no descriptor and no clock, and calls nothing: bytes and events go in, results come out. A [`Matcher`] searches
//! one stream; a [`Session`] adds the time, and scripts. Everything that expects something of a stream drives a session.
//!
//! # What is found
//!
//! Tools of this kind search what happens to have arrived, so that their answers depend on how the bytes were cut:
//! `(\d+)` finds `12` or `123`. Here a match is a fact about the stream:
//!
//! 1. A search begins at the end of the match before, or at the beginning of the stream. Assertions may look at the
//!    byte before that.
//! 2. A text matches where it occurs first. A regular expression matches where a search of the whole text would find
//!    it: leftmost, and of the matches that start there the preferred one (first alternative, greedy as written). See
//!    [`Extent`] for another choice.
//! 3. A pattern is *decided* by the fewest bytes after which no continuation of the stream could change its match. For
//!    `login: ` that is its last byte; for `\d+` it is the byte after the number, and for `foo$` the end of the line.
//! 4. The pattern that is decided first wins; of those decided by the same byte, the one that comes first in the list.
//!    See [`Precedence`] for execo's rule.
//! 5. The end of the stream, a timeout and silence ([`Matcher::handle_idle`]) take the end of what was received for the end
//!    of the text: then every match that is there counts, in the order of the list, in which [`Pattern::EndOfFile`] and
//!    [`Pattern::Timeout`] have their place.
//! 6. The position of a match is counted in bytes from the beginning of the stream. The next search begins where it
//!    ends. A match may be empty; then the next search for the same pattern finds the same again.
//!
//! So the bytes alone decide, cut as they may be; silence is the only thing that depends on time, it can only be asked
//! to decide what further bytes might have changed ([`Matcher::is_pending`]), and most prompts never need it.
//!
//! # Cost
//!
//! Every byte is read once by every pattern, from automaton states that are carried from chunk to chunk, whatever was
//! received before; where a match starts and what its groups are is worked out only once it is found, over its own
//! bytes. Texts are searched at memory speed, and so are regular expressions that begin with one of a few texts, or with
//! one of a few bytes that are rare in text (`[$#] $`). See [`Matcher::with_window`] for what is remembered.
//!
//! There are no quit bytes and no fallback to a slower engine: the one thing these automata cannot do is Unicode word
//! boundaries, and those are read as the boundaries of ASCII words.
//!
//! # Bytes are bytes
//!
//! A stream is bytes and stays bytes: nothing is decoded, and no line ending is translated before the search. So regular
//! expressions are about bytes ([`Pattern::regex`]): `.` is any byte but LF, `[^x]` any byte but `x`.

use std::time::Duration;

mod compiled;
mod exits;
mod matched;
mod matcher;
mod pattern;
mod program;
mod received;
mod script;
mod search;
mod session;
mod syntax;

pub use compiled::{Expect, Extent, InvalidPattern, Precedence};
pub use matched::{Match, MatchResult, NotFound, Reason};
pub use matcher::Matcher;
pub use pattern::Pattern;
pub use script::{Script, ScriptOutcome};
pub use session::{Session, SessionResult};

/// How long a stream is silent before a match that further bytes might change is taken as it is.
///
/// Long enough that the two halves of a line which a busy sender wrote apart come together, short enough that a
/// dialogue does not drag.
pub const IDLE_TIMEOUT: Duration = Duration::from_millis(50);
