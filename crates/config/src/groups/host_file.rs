//! The text of a host file: what it may be, and what else it may have been meant to be.

use super::hosts::{HostListError, Place};
use super::inventory;
use phalanx_nodeset::words;
use std::fs;
use std::io::{self, Read};

/// A list of a million hosts is smaller. What is larger, such as a device, is no list.
const LARGEST: u64 = 64 << 20;

/// The lines of a text, from 1, without comments.
pub(super) fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines().enumerate().map(|(index, line)| (index + 1, line.split('#').next().unwrap_or_default()))
}

/// Returns what is in a file; `-` is stdin.
pub(super) fn read(path: &str) -> Result<Vec<u8>, HostListError> {
    let mut bytes = Vec::new();
    let read = if path == "-" {
        io::stdin().lock().take(LARGEST + 1).read_to_end(&mut bytes)
    } else {
        fs::File::open(path).and_then(|file| file.take(LARGEST + 1).read_to_end(&mut bytes))
    };
    let failed = |error| HostListError::File { path: path.to_owned(), error };
    read.map_err(failed)?;
    if bytes.len() as u64 > LARGEST {
        return Err(failed(io::Error::other("it has more than 64 MiB, as no list of hosts has")));
    }
    Ok(bytes)
}

/// The text in the bytes of a file, without a byte order mark.
pub(super) fn decode(bytes: Vec<u8>, name: &str) -> Result<String, HostListError> {
    let wrong = |before: &[u8], what: &str| {
        let before = String::from_utf8_lossy(before);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let place = Place {
            file: name.into(),
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
        };
        HostListError::Text { place, what: what.to_owned() }
    };
    if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
        return Err(wrong(b"", "the file is UTF-16; save it as UTF-8"));
    }
    if let Some(nul) = bytes.iter().position(|byte| *byte == 0) {
        return Err(wrong(&bytes[..nul], "a NUL byte: this is no text file"));
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").map(<[u8]>::to_vec).unwrap_or(bytes);
    String::from_utf8(bytes).map_err(|error| {
        let good = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        wrong(good, "this is not valid UTF-8; names of hosts are")
    })
}

/// Refuses an inventory of Ansible, of which every word would be taken for a host.
pub(super) fn refuse_inventories(text: &str, name: &str) -> Result<(), HostListError> {
    let (kind, line) = inventory::kind(text);
    if kind == inventory::Kind::Plain {
        return Ok(());
    }
    let what = "this looks like an inventory of Ansible; give it with --inventory instead of --hostfile, -w or WCOLL";
    Err(HostListError::Text { place: Place { file: name.into(), line, column: 1 }, what: what.to_owned() })
}

/// Refuses lines of two words that may be a host and its user, as in the host files of pssh. Two hosts on a line are of one pattern, such
/// as `node1 node2`; anything else could run a command on a host called `root`.
pub(super) fn refuse_user_columns(text: &str, name: &str) -> Result<(), HostListError> {
    for (number, line) in lines(text) {
        let mut words = words(line);
        let (Some(first), Some(second), None) = (words.next(), words.next(), words.next()) else { continue };
        if pattern(first) == pattern(second) || !may_be_user(second) {
            continue;
        }
        let before = second.as_ptr() as usize - line.as_ptr() as usize;
        let column = line[..before].chars().count() + 1;
        let what = format!(
            "`{second}` may be the user of `{first}`, as in a host file of pssh, or another host; \
             write `{second}@{first}` or give the file with --inventory; of two hosts, write a comma between them"
        );
        return Err(HostListError::Text { place: Place { file: name.into(), line: number, column }, what });
    }
    Ok(())
}

/// A name without its numbers and ranges: of two that differ only there, neither is the user of the other.
fn pattern(word: &str) -> String {
    let mut pattern = String::new();
    let mut in_bracket = false;
    for char in word.chars() {
        match char {
            '[' => in_bracket = true,
            ']' => in_bracket = false,
            _ if in_bracket => {}
            _ if char.is_ascii_digit() => {}
            _ => pattern.push(char),
        }
    }
    pattern
}

/// Whether it could be the name of a user: not a group, a set of several, or a host with a user or a port of its own.
fn may_be_user(word: &str) -> bool {
    !word.starts_with('-') && word.chars().all(|char| char.is_alphanumeric() || "._-".contains(char))
}
