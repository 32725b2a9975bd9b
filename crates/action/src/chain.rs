//! Files from here to many hosts, each host passing on what it gets to the next: so that a thousand hosts cost this
//! machine no more than one.
//!
//! ```text
//!  here ─pack─▶ TCP ─▶ host 1 ─TCP─▶ host 2 ─TCP─▶ …            the stream: one tar archive
//!    ║                   ║             ║
//!    ╚══ ssh ════════════╩═════════════╩══ …                    who feeds whom, and the length and sum of it all
//! ```
//!
//! On every host a script for `/bin/sh` receives with netcat, stores what comes, and passes it on as it comes, with
//! another netcat, to whom we tell it through its ssh. Storing and passing on do not wait for each other: a host that is
//! slow delays those behind it and nobody before it, and when one dies, the next living one before it goes on feeding
//! the one behind it, from exactly the byte where that one stopped. When all has come, each host compares length and
//! SHA-256 with what we tell it, unpacks, and moves everything into place, as after a put.
//!
//! # What holds
//! * A host is ok if it has said that everything is in place, and what it was agrees with what we sent: names, modes,
//!   times and bytes. There is no way to a file that is cut, or has another byte in it, and is called ok.
//! * Nothing appears under its final name before that. Everything before is in a directory with an unpredictable name,
//!   mode 0700, beside the destination; it is removed at the end, when the connection ends and when the script is
//!   killed. While it lasts it takes twice the room of the files.
//! * A stranger who connects is not listened to: a connection begins with words that only this run knows, and with the
//!   place in the stream.
//!
//! # What a chain does not protect
//! Between the hosts there is plain TCP. **Everyone who can see that network can read the files, and so can any user of any
//! of the hosts**, who can take the place of a receiver; they can disturb the transfer, too. They cannot change a file
//! unnoticed, since length and checksum travel through ssh; but what they inject into a running connection makes that host
//! and those behind it fail. For secrets, use a put.
//!
//! # What it needs
//! The addresses of the hosts, as this machine knows them, must be known to the hosts, too ([`ChainParams::address`]),
//! and each must be able to connect to the next on ports from 20000 to 31999, or [`ChainParams::port`]. Each needs `sh`,
//! netcat (the traditional one, OpenBSD's, ncat or busybox's, recognised there), `tar`, `dd`, `od`, `tail`, `ls` and
//! `mkfifo`, and `sha256sum` or `shasum`. A host that lacks something is skipped, and says what.
//!
//! Modules in reading order: [`params`] is how a chain is described; `topology` decides which host feeds which; `protocol` is
//! what is said between here and a host; `node.sh` is what runs there; `sender` feeds a host from here; [`session`] joins all
//! that to an engine, and `action` makes it an action.

mod action;
pub mod params;
mod protocol;
mod remote_script;
mod sender;
pub mod session;
mod topology;

pub use params::{ChainParams, MaxSkips};
pub use session::{Broadcast, CancelHandle, ChainHandler};
