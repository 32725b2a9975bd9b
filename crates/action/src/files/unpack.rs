//! Reads what the script of a get sends, into a private directory. The far end is not trusted: what it names stays
//! inside that directory.
//!
//! ```text
//!  (whatever a login shell prints)
//!  phalanx-get TOKEN archive      a tar archive follows, and zeros
//!  phalanx-get TOKEN sums         lines of sha256sum follow, for that archive
//!  phalanx-get TOKEN failed WHY   the end
//!  phalanx-get TOKEN done         the end
//! ```

use std::collections::{BTreeSet, HashMap};
use std::ffi::{OsStr, OsString};
use std::fs::{self, DirBuilder, File, FileTimes, OpenOptions, Permissions};
use std::io::{self, BufRead, BufReader, Read, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _, symlink};
use std::path::{Component, Path, PathBuf};
use std::time::{Duration, SystemTime};

use sha2::{Digest as _, Sha256};
use tar::{Archive, Entry, EntryType, Header};

use super::transfers::{Counters, Fault};

/// As much as is read and written at once.
const BUFFER: usize = 256 * 1024;

/// Reads what comes up to its first announcement, so that nothing is made here for a host that cannot be reached.
pub(super) fn await_stream<R: Read>(stream: R, token: &str) -> Result<Stream<R>, Fault> {
    let prefix = format!("phalanx-get {token} ").into_bytes();
    let mut stream = Stream { stream: BufReader::with_capacity(BUFFER, stream), prefix, announced: Vec::new() };
    // Whatever comes before is what a login shell prints.
    while stream.next_line()?.is_some() {}
    Ok(stream)
}

/// What the far end sends.
pub(super) struct Stream<R: Read> {
    stream: BufReader<R>,
    prefix: Vec<u8>,
    announced: Vec<u8>,
}

impl<R: Read> Stream<R> {
    /// A line, unless it announces something.
    fn next_line(&mut self) -> Result<Option<Vec<u8>>, Fault> {
        let line = read_line(&mut self.stream)?;
        match line.strip_prefix(&self.prefix[..]) {
            Some(announced) => {
                self.announced = announced.to_vec();
                Ok(None)
            }
            None => Ok(Some(line)),
        }
    }

    /// Why the far end gave up, if that is what is announced.
    pub(super) fn failure(&self) -> Option<Fault> {
        let reason = self.announced.strip_prefix(b"failed ")?;
        Some(Fault::There(String::from_utf8_lossy(reason).trim_end().to_owned()))
    }

    /// Unpacks all that comes into `directory`, which is ours alone and empty; returns the names of what is in it.
    pub(super) fn unpack(
        mut self,
        verify: bool,
        directory: &Path,
        counters: &Counters,
    ) -> Result<BTreeSet<OsString>, Fault> {
        let mut unpacker = Unpacker {
            directory,
            verify,
            counters,
            buffer: vec![0; BUFFER].into(),
            checked_parent: PathBuf::new(),
            names: BTreeSet::new(),
            sums: HashMap::new(),
        };
        loop {
            match &self.announced[..] {
                b"archive" => {
                    unpacker.check_all_had_sums()?;
                    unpacker.archive(&mut self.stream)?;
                    skip_zeros(&mut self.stream)?;
                    while self.next_line()?.is_some() {}
                }
                b"sums" => {
                    while let Some(line) = self.next_line()? {
                        unpacker.check_sum(&line)?;
                    }
                }
                b"done" => {
                    unpacker.check_all_had_sums()?;
                    return Ok(unpacker.names);
                }
                other => {
                    let unknown = || Fault::There(format!("said `{}`", other.escape_ascii()));
                    return Err(self.failure().unwrap_or_else(unknown));
                }
            }
        }
    }
}

fn read_line(stream: &mut impl BufRead) -> Result<Vec<u8>, Fault> {
    let mut line = Vec::new();
    let read = stream.read_until(b'\n', &mut line).map_err(|_| Fault::Cut)?;
    if read == 0 || line.pop() != Some(b'\n') { Err(Fault::Cut) } else { Ok(line) }
}

/// tar fills its last record with zeros.
fn skip_zeros(stream: &mut impl BufRead) -> Result<(), Fault> {
    loop {
        let bytes = stream.fill_buf().map_err(|_| Fault::Cut)?;
        let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
        let done = zeros < bytes.len() || bytes.is_empty();
        stream.consume(zeros);
        if done {
            return Ok(());
        }
    }
}

struct Unpacker<'a> {
    directory: &'a Path,
    verify: bool,
    counters: &'a Counters,
    buffer: Box<[u8]>,
    /// The directory that was last found to be safe.
    checked_parent: PathBuf,
    /// What is at the top.
    names: BTreeSet<OsString>,
    /// Of the files that have not been compared yet.
    sums: HashMap<PathBuf, [u8; 32]>,
}

fn unwritable(path: &Path, error: &io::Error) -> Fault {
    Fault::Here(format!("cannot write `{}`: {error}", path.display()))
}

fn malformed(path: &Path, what: &str) -> Fault {
    Fault::Here(format!("refused what the host sent: `{}` {what}", path.display()))
}

impl Unpacker<'_> {
    fn archive(&mut self, stream: &mut impl Read) -> Result<(), Fault> {
        let mut archive = Archive::new(stream);
        let mut directories = Vec::new();
        let mut names = BTreeSet::new();
        for entry in archive.entries().map_err(|_| Fault::Cut)? {
            let mut entry = entry.map_err(|_| Fault::Cut)?;
            if entry.header().entry_type() == EntryType::XGlobalHeader {
                continue;
            }
            let path = inner_path(&entry.path_bytes())?;
            let Some(name) = path.iter().next() else { continue };
            if self.names.contains(name) {
                let name = name.display();
                return Err(Fault::Here(format!("two of the sources are called `{name}`: get them one by one")));
            }
            names.insert(name.to_owned());
            self.entry(&mut entry, &path, &mut directories)?;
        }
        // The inner ones first: to change something in a directory changes its time.
        for (path, header) in directories.iter().rev() {
            keep_mode_and_time(path, header).map_err(|error| unwritable(path, &error))?;
        }
        self.names.append(&mut names);
        Ok(())
    }

    fn entry<R: Read>(
        &mut self,
        entry: &mut Entry<'_, R>,
        path: &Path,
        directories: &mut Vec<(PathBuf, Header)>,
    ) -> Result<(), Fault> {
        let full = self.directory.join(path);
        let failed = |error: io::Error| unwritable(path, &error);
        self.make_parent(path.parent().unwrap_or(Path::new("")))?;
        match entry.header().entry_type() {
            EntryType::Directory => {
                self.make_parent(path)?;
                directories.push((full, entry.header().clone()));
                Ok(())
            }
            EntryType::Symlink => {
                let target = entry.link_name_bytes().ok_or_else(|| malformed(path, "is a link to nothing"))?;
                symlink(OsStr::from_bytes(&target), &full).map_err(failed)
            }
            EntryType::Link => {
                let target = entry.link_name_bytes().ok_or_else(|| malformed(path, "is a link to nothing"))?;
                let target = inner_path(&target)?;
                self.make_parent(target.parent().unwrap_or(Path::new("")))?;
                if self.verify
                    && let Some(sum) = self.sums.get(&target).copied()
                {
                    self.sums.insert(path.to_owned(), sum);
                }
                fs::hard_link(self.directory.join(target), &full).map_err(failed)
            }
            EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => self.file(entry, path, &full),
            _ => Err(malformed(path, "is neither a file nor a directory")),
        }
    }

    /// The file is new: whatever was sent before under that name, no link is followed.
    fn file<R: Read>(&mut self, entry: &mut Entry<'_, R>, path: &Path, full: &Path) -> Result<(), Fault> {
        let failed = |error: io::Error| unwritable(path, &error);
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(full).map_err(failed)?;
        let mut sum = self.verify.then(Sha256::new);
        loop {
            let count = entry.read(&mut self.buffer).map_err(|_| Fault::Cut)?;
            if count == 0 {
                break;
            }
            let bytes = &self.buffer[..count];
            if let Some(sum) = &mut sum {
                sum.update(bytes);
            }
            file.write_all(bytes).map_err(failed)?;
            self.counters.add_bytes(count);
        }
        if let Some(sum) = sum {
            self.sums.insert(path.to_owned(), sum.finalize().into());
        }
        self.counters.add_file();
        set_mode_and_time(&file, entry.header()).map_err(failed)
    }

    /// Makes a directory and those above it, all of which must be directories and no links.
    fn make_parent(&mut self, path: &Path) -> Result<(), Fault> {
        if path == self.checked_parent {
            return Ok(());
        }
        let mut full = self.directory.to_owned();
        for component in path {
            full.push(component);
            match fs::symlink_metadata(&full) {
                Ok(meta) if meta.is_dir() => {}
                Ok(_) => return Err(malformed(path, "is said to be a directory and something else")),
                Err(_) => {
                    DirBuilder::new().mode(0o700).create(&full).map_err(|error| unwritable(path, &error))?;
                }
            }
        }
        path.clone_into(&mut self.checked_parent);
        Ok(())
    }

    /// A line of sha256sum about a file that came.
    fn check_sum(&mut self, line: &[u8]) -> Result<(), Fault> {
        if line.is_empty() {
            return Ok(());
        }
        let (sum, name) =
            parse_sum(line).ok_or_else(|| Fault::There(format!("no checksum: `{}`", String::from_utf8_lossy(line))))?;
        let path = inner_path(&name)?;
        match self.sums.remove(&path) {
            Some(ours) if ours == sum => Ok(()),
            Some(_) => Err(Fault::There(format!(
                "the checksum of `{}` differs from that over there: it was damaged, or changed meanwhile",
                path.display()
            ))),
            None => Err(Fault::There(format!("`{}` has a checksum over there and did not come", path.display()))),
        }
    }

    fn check_all_had_sums(&mut self) -> Result<(), Fault> {
        match self.sums.keys().next() {
            Some(path) => Err(Fault::There(format!("there is no checksum of `{}` over there", path.display()))),
            None => Ok(()),
        }
    }
}

/// A path of the archive, which must lead inwards.
fn inner_path(bytes: &[u8]) -> Result<PathBuf, Fault> {
    let given = Path::new(OsStr::from_bytes(bytes));
    let mut path = PathBuf::new();
    for component in given.components() {
        match component {
            Component::Normal(name) => path.push(name),
            Component::CurDir => {}
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => {
                return Err(malformed(given, "leads outside"));
            }
        }
    }
    Ok(path)
}

fn keep_mode_and_time(path: &Path, header: &Header) -> io::Result<()> {
    set_mode_and_time(&File::open(path)?, header)
}

fn set_mode_and_time(file: &File, header: &Header) -> io::Result<()> {
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(header.mtime()?);
    file.set_times(FileTimes::new().set_modified(time))?;
    file.set_permissions(Permissions::from_mode(header.mode()? & 0o7777))
}

/// `HASH  NAME`, or `\HASH  NAME` with backslashes and line breaks escaped.
fn parse_sum(line: &[u8]) -> Option<([u8; 32], Vec<u8>)> {
    let (escaped, line) = match line.strip_prefix(b"\\") {
        Some(rest) => (true, rest),
        None => (false, line),
    };
    let hex = std::str::from_utf8(line.get(..64)?).ok()?;
    let mut sum = [0; 32];
    for (byte, digits) in sum.iter_mut().zip(hex.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    }
    // Two blanks, or a blank and a star for "binary".
    let name = line.get(66..)?;
    Some((sum, if escaped { unescape(name) } else { name.to_vec() }))
}

fn unescape(name: &[u8]) -> Vec<u8> {
    let mut result = Vec::with_capacity(name.len());
    let mut bytes = name.iter();
    while let Some(byte) = bytes.next() {
        result.push(match byte {
            b'\\' => match bytes.next() {
                Some(b'n') => b'\n',
                Some(b'r') => b'\r',
                Some(other) => *other,
                None => b'\\',
            },
            byte => *byte,
        });
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a host sends, with these entries: a kind, a name, what a link leads to.
    fn stream(entries: &[(EntryType, &str, &str)]) -> Vec<u8> {
        let mut stream = b"Welcome\nphalanx-get T archive\n".to_vec();
        for (kind, name, link) in entries {
            let mut header = Header::new_gnu();
            header.set_entry_type(*kind);
            header.set_mode(0o644);
            header.set_mtime(0);
            header.set_size(if *kind == EntryType::Regular { 1 } else { 0 });
            header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
            header.as_old_mut().linkname[..link.len()].copy_from_slice(link.as_bytes());
            header.set_cksum();
            stream.extend_from_slice(header.as_bytes());
            if *kind == EntryType::Regular {
                stream.extend_from_slice(&[[b'x'; 1].as_slice(), &[0; 511]].concat());
            }
        }
        stream.extend_from_slice(&[0; 4096]);
        stream.extend_from_slice(b"\nphalanx-get T done\n");
        stream
    }

    fn unpacked(bytes: &[u8], verify: bool) -> (tempfile::TempDir, Result<BTreeSet<OsString>, Fault>) {
        let place = tempfile::tempdir().unwrap();
        let inner = place.path().join("inner");
        fs::create_dir(&inner).unwrap();
        let result = await_stream(bytes, "T").and_then(|stream| stream.unpack(verify, &inner, &Counters::default()));
        (place, result)
    }

    #[test]
    fn what_a_host_names_stays_inside() {
        use EntryType::{Link, Regular, Symlink};
        let hostile: [&[(EntryType, &str, &str)]; 7] = [
            &[(Regular, "../escaped", "")],
            &[(Regular, "/tmp/phalanx-escaped", "")],
            &[(Symlink, "a", ".."), (Regular, "a/escaped", "")],
            &[(Symlink, "a", "../escaped"), (Regular, "a", "")],
            &[(Symlink, "a", ".."), (EntryType::Directory, "a", "")],
            &[(Link, "a", "../inner")],
            &[(EntryType::Fifo, "a", "")],
        ];
        for entries in hostile {
            let (place, result) = unpacked(&stream(entries), false);
            assert!(matches!(result, Err(Fault::Here(_))), "{entries:?}: {result:?}");
            assert!(!place.path().join("escaped").exists() && !Path::new("/tmp/phalanx-escaped").exists());
        }
        let (place, result) = unpacked(&stream(&[(Regular, "./d/./f", ""), (Symlink, "l", "/etc")]), false);
        assert_eq!(result.unwrap().into_iter().collect::<Vec<_>>(), ["d", "l"]);
        assert_eq!(fs::read(place.path().join("inner/d/f")).unwrap(), b"x");
    }

    #[test]
    fn a_stream_that_ends_anywhere_is_cut_and_never_whole() {
        let whole = stream(&[(EntryType::Regular, "a", ""), (EntryType::Regular, "b", "")]);
        for end in (0..whole.len()).step_by(37) {
            assert_eq!(unpacked(&whole[..end], false).1, Err(Fault::Cut), "{end}");
        }
        assert!(unpacked(&whole, false).1.is_ok());
        // Checksums that did not come are no checksums that agree.
        assert!(matches!(unpacked(&whole, true).1, Err(Fault::There(_))));
    }

    #[test]
    fn checksums_are_read_as_sha256sum_writes_them() {
        let sum = "ab".repeat(32);
        let table = [
            (format!("{sum}  ./a b"), Some("./a b")),
            (format!("{sum} *x"), Some("x")),
            (format!("\\{sum}  a\\nb\\\\c"), Some("a\nb\\c")),
            (format!("{}  short", &sum[2..]), None),
            ("sha256sum: x: Permission denied, which is long enough to be taken for a sum".to_owned(), None),
        ];
        for (line, expected) in table {
            let name = parse_sum(line.as_bytes()).map(|(_, name)| name);
            assert_eq!(name.as_deref(), expected.map(str::as_bytes), "{line}");
        }
    }
}
