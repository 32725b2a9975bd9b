//! What the remote end of a put must say for it to be ok. Pure.
//!
//! ```text
//!  phalanx-put TOKEN placed SOURCES RECEIPT
//!  phalanx-put TOKEN failed WHY
//! ```
//!
//! The token travels in the script and the receipt in the last entry of the archive. So no shell that prints what it reads,
//! no script that did not arrive, and no exit status that got lost can make a line that says that everything is in place.

use std::hash::{BuildHasher as _, RandomState};

use super::Fault;

/// Returns 16 hexadecimal digits that nothing else has by accident. They need not be a secret.
pub(crate) fn token() -> String {
    format!("{:016x}", RandomState::new().hash_one(std::process::id()))
}

/// What a put expects to hear.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Acknowledgement {
    pub(crate) token: String,
    /// How many sources there are to be placed.
    pub(crate) sources: usize,
    /// The last thing in the archive.
    pub(crate) receipt: String,
}

impl Acknowledgement {
    /// Looks in `stdout` for the word that everything is in place. Lines of others do not matter.
    ///
    /// # Errors
    /// What the remote end says was wrong; [`Fault::Disconnected`] if it says nothing.
    pub(crate) fn check(&self, stdout: &[u8]) -> Result<(), Fault> {
        let prefix = format!("phalanx-put {} ", self.token);
        let said = stdout.split(|byte| *byte == b'\n').rev().find_map(|line| line.strip_prefix(prefix.as_bytes()));
        let said = said.ok_or(Fault::Disconnected)?.trim_ascii_end();
        if said == format!("placed {} {}", self.sources, self.receipt).as_bytes() {
            return Ok(());
        }
        match said.strip_prefix(b"failed") {
            Some(reason) => Err(Fault::stated(reason)),
            None => {
                Err(Fault::Remote(format!("the far end says something else than was agreed: {}", said.escape_ascii())))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_agreed_word_is_an_acknowledgement() {
        let expected = Acknowledgement { token: "T".into(), sources: 2, receipt: "R".into() };
        let remote = |reason: &str| Err(Fault::Remote(reason.to_owned()));
        let table = [
            ("phalanx-put T placed 2 R\n", Ok(())),
            ("Welcome\n\nphalanx-put T placed 2 R\r\nlogout\n", Ok(())),
            ("", Err(Fault::Disconnected)),
            ("ok\n", Err(Fault::Disconnected)),
            // The script itself, from a shell that prints what it reads; and that of another run.
            ("token=T\nsay \"placed $index $receipt\"\n", Err(Fault::Disconnected)),
            ("phalanx-put U placed 2 R\n", Err(Fault::Disconnected)),
            ("phalanx-put T failed the disk is full\n", remote("the disk is full")),
            ("phalanx-put T failed \n", remote("the far end gave up, and gave no reason")),
            ("phalanx-put T failed\n", remote("the far end gave up, and gave no reason")),
            ("phalanx-put T placed 1 R\n", remote("the far end says something else than was agreed: placed 1 R")),
            ("phalanx-put T placed 2 \n", remote("the far end says something else than was agreed: placed 2")),
        ];
        for (said, result) in table {
            assert_eq!(expected.check(said.as_bytes()), result, "{said:?}");
        }
    }
}
