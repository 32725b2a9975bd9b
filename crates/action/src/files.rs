//! Files to hosts and back: [`Put`] and [`Get`], through the user's own ssh.
//!
//! # How files travel
//! As one tar archive over one ssh connection, packed and unpacked here by us and there by the host's tar, which a
//! script for `/bin/sh` surrounds. scp and sftp would do too, and cost one round trip and more for every file.
//!
//! ```text
//!  put:  files ─▶ pack ─pipe─▶ ssh ═════▶ sh: tar -x into a private directory, check, move into place, exit status
//!  get:  files ◀─ unpack ◀─pipe─ ssh ◀═════ sh: tar -c
//!                   └── "ok", when all is in place ──▶ sh: exit status
//! ```
//!
//! The script comes first on stdin and is read by `eval "$(dd …)"`: so the command itself is the same short line of
//! ASCII for every login shell, whatever the names of the files are, and no name is ever seen in a list of processes.
//!
//! # What holds
//! * Nothing appears under its final name before all of it has come: it is unpacked into a directory called
//!   `.phalanx-put-…` or `.phalanx-get-…` beside the destination, and moved by renaming. Whoever is cut off removes that
//!   directory; after a SIGKILL of ours the one of a get stays behind.
//! * The exit status of the ssh process is that of the whole transfer: both ends have said that all is well. So the
//!   process of each host can be judged like any other.
//! * A source that is a symbolic link is followed; links inside a directory stay links. Modes and times (in whole
//!   seconds) are kept, owners are not. A directory that is there already keeps its own mode.
//! * `~`, `~user` and patterns (`*`, `?`, `[…]`) belong to the side that has the files. A file whose name is exactly
//!   what was given wins over the pattern. No name is ever executed.
//!
//! # What the far end needs
//! `sh` and `tar` (GNU, BSD or busybox), `dd`, `tr`, `mkdir`, `mv`, `rm`, `chmod`, `rmdir`; to check, `sha256sum` or
//! `shasum`, `grep`, `head` and `find`. What is missing is said.
//!
//! Modules in reading order: [`sources`] finds what is to be sent, `pack` writes it as an archive; `unpack` reads what
//! comes back and `place` moves it to where it belongs; `script` makes what runs at the far end; [`transfers`] has one
//! of these for every host. [`put`] and [`get`] are what one asks for.

pub mod get;
pub(crate) mod pack;
mod pattern;
mod place;
pub mod put;
pub(crate) mod script;
pub mod sources;
pub mod transfers;
mod unpack;

pub use get::Get;
pub use put::Put;
pub use transfers::Transfers;
