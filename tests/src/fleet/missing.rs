//! Why there is no fleet, in a sentence that says what to do.

use std::io;
use std::path::PathBuf;

/// Why a fleet cannot be had on this machine.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Missing {
    /// A program is not installed.
    #[error("{program} is not installed: as root, apt-get install {package}")]
    Program {
        /// What was looked for in `$PATH`, `/usr/sbin` and `/sbin`.
        program: &'static str,
        /// The Debian package that holds it.
        package: &'static str,
    },
    /// The user has no name, which sshd insists on.
    #[error(
        "user id {uid} has no entry in the password database, and sshd serves nobody without one: add it, or run as another user"
    )]
    User {
        /// The user id of this process.
        uid: u32,
    },
    /// A file or a program of the fleet could not be made or started.
    #[error("cannot {attempt} {}: {source}", path.display())]
    Setup {
        /// What was attempted, as a verb.
        attempt: &'static str,
        /// On what.
        path: PathBuf,
        /// What went wrong.
        source: io::Error,
    },
    /// A program of OpenSSH ran and refused; its own words follow.
    #[error("{what}\n{output}")]
    Refused {
        /// What was attempted, and what it means.
        what: String,
        /// The last words of the program, or of the server's log.
        output: String,
    },
}
