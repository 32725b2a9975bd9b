//! Files to hosts and back: [`FileCopy`], through the user's own ssh, a chain or taktuk.
//!
//! # How files travel
//! As one tar archive over one ssh connection, packed and unpacked here by us and there by the host's tar, which a
//! script for `/bin/sh` surrounds. scp and sftp would do too, and cost one round trip and more for every file.
//!
//! ```text
//!  put:  files ─▶ pack ─pipe─▶ ssh ═════▶ sh: tar -x into a private directory, check, move into place
//!           ok ◀── "placed", and the last words of the archive ──┘
//!  get:  files ◀─ unpack ◀─pipe─ ssh ◀═════ sh: tar -c of each thing that was asked for, "done"
//!           └── "ok", when all is in place ──▶ sh: exit status
//! ```
//!
//! The script comes first on stdin and is read by `eval "$(… dd …)"`: so the command itself is the same short line of
//! ASCII for every login shell, whatever the names of the files are, and no name is ever seen in a list of processes.
//!
//! # What holds
//! * A transfer is ok only if the remote end of a put has said that everything is in place, in words that cannot come about
//!   by accident, and if of a get everything that was asked for has come, and nothing else. The exit status of ssh alone
//!   says nothing: shells lose it, and what runs nothing succeeds.
//! * Nothing appears under its final name before all of it has come: it is unpacked into a directory called
//!   `.phalanx-put-…` or `.phalanx-get-…` beside the destination, and moved by renaming. The end that is cut off removes
//!   that directory; after a SIGKILL of ours the one of a get stays behind.
//! * A source that is a symbolic link is followed; links inside a directory stay links. Below the destination no link is
//!   followed, on either side: a link to a file is replaced, one to a directory is refused. So is everything that is
//!   neither a file nor a directory, as a source and as what stands at the destination.
//! * Modes and times (in whole seconds) are kept, set-id bits only on request, owners not; but a file that replaces another
//!   one is given to the owner of that, where that may be done. A directory that is there already keeps its own mode.
//! * What is sent is what was read, and checksums are of that. Files of /proc, which say that they are empty, are put whole,
//!   or refused if they are huge; to get them is refused.
//! * `~`, `~user` and patterns (`*`, `?`, `[…]`) belong to the side that has the files. A file whose name is exactly
//!   what was given wins over the pattern. No name is ever executed.
//!
//! # What the remote end needs
//! `sh` and `tar` (GNU, BSD or busybox), `dd`; for a put `mkdir`, `mv`, `rm`, `chmod`, `rmdir`, for a get `find`; to check,
//! `sha256sum` or `shasum`, `grep` and `head`. What is missing is said.
//!
//! Modules in reading order: [`copy`] is what one asks for, and `plan` decides what that means for every host; [`sources`]
//! finds what is to be sent, `pack` writes it as an archive; `incoming` and `unpack` read what comes back, `asked` compares
//! it with what was asked for, and `install` moves it to where it belongs; `remote_script` makes what runs at the remote
//! end, and `acknowledgement` understands what that says. [`session`] has one transfer for every host, and `worker` the
//! thread of each. `execo` has execo's names for all that.

mod acknowledgement;
mod arrival;
mod asked;
pub mod copy;
mod date;
mod execo;
mod fault;
mod incoming;
mod install;
pub(crate) mod pack;
mod pattern;
mod plan;
mod progress;
pub(crate) mod remote_script;
pub mod session;
pub mod sources;
mod transfer;
mod unpack;
mod worker;

pub use copy::{CopyError, CopyOptions, FileCopy, Via};
pub use execo::{ChainPut, Get, Put, TaktukGet, TaktukPut};
pub use fault::Fault;
pub use progress::Progress;
pub use session::TransferSet;

pub(crate) use acknowledgement::{Acknowledgement, token};
pub(crate) use arrival::Arrival;
pub(crate) use plan::Request;
pub(crate) use progress::{Counters, size_of_tree};
pub(crate) use transfer::{GetTransfer, PutTransfer, Transfer, is_directory_target, substitute};
