//! Reads what the script of a get sends, into a private directory. The remote end is not trusted: what it names stays
//! inside that directory, and is what was asked for.
//!
//! ```text
//!  (whatever a login shell prints)
//!  phalanx-get TOKEN archive N ITEMS   a tar archive follows, and zeros: so many things that the Nth word stands for
//!  phalanx-get TOKEN sums              lines of sha256sum follow, for that archive
//!  phalanx-get TOKEN sum HASH LENGTH   a name of so many bytes follows, for that list
//!  phalanx-get TOKEN failed WHY        the end
//!  phalanx-get TOKEN done N            the end: that was all, for all of the N words
//! ```

use std::cell::Cell;
use std::collections::{BTreeSet, HashMap};
use std::ffi::{OsStr, OsString};
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, BufRead, BufReader, Read, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _, symlink};
use std::path::{Component, Path, PathBuf};

use sha2::{Digest as _, Sha256};
use tar::{Archive, Entry, EntryType};

use super::Fault;
use super::asked::Asked;
use super::date::Date;
use super::incoming::{Incoming, read_line};
use super::pack::plain_mode;
use super::progress::Counters;

/// As much as is read and written at once.
const BUFFER: usize = 256 * 1024;
/// What an archive may say of an entry before it comes to the entry: names and attributes.
const LONGEST_PREFACE: u64 = 1 << 20;

/// Reads what comes up to its first announcement, so that nothing is made here for a host that cannot be reached.
pub(super) fn await_stream<R: Read>(stream: R, token: &str) -> Result<Stream<R>, Fault> {
    let prefix = format!("phalanx-get {token} ").into_bytes();
    let incoming = Incoming::new(stream, &prefix);
    let mut stream = Stream { stream: BufReader::with_capacity(BUFFER, incoming), prefix, announced: Vec::new() };
    // Whatever comes before is what a login shell prints.
    while stream.next_line().map_err(|broken| stream.explain(broken))?.is_some() {}
    Ok(stream)
}

/// What the remote end sends.
pub(super) struct Stream<R: Read> {
    stream: BufReader<Incoming<R>>,
    prefix: Vec<u8>,
    announced: Vec<u8>,
}

/// Why no more can be read.
enum Broken {
    /// The stream does not go on as it should.
    Stream(io::Error),
    Fault(Fault),
}

impl From<Fault> for Broken {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

/// How what comes is unpacked.
pub(super) struct Unpacking<'a> {
    /// Private, and empty.
    pub(super) directory: &'a Path,
    pub(super) asked: &'a [OsString],
    pub(super) verify: bool,
    pub(super) keep_setid: bool,
    pub(super) counters: &'a Counters,
}

impl<R: Read> Stream<R> {
    /// A line, unless it announces something.
    fn next_line(&mut self) -> Result<Option<Vec<u8>>, Broken> {
        let line = read_line(&mut self.stream).map_err(Broken::Stream)?;
        match line.strip_prefix(&self.prefix[..]) {
            Some(announced) => {
                self.announced = announced.to_vec();
                Ok(None)
            }
            None => Ok(Some(line)),
        }
    }

    /// Returns why the remote end gave up, if that is what is announced.
    pub(super) fn failure(&self) -> Option<Fault> {
        self.announced.strip_prefix(b"failed").map(Fault::stated)
    }

    fn explain(&self, broken: Broken) -> Fault {
        match broken {
            Broken::Fault(fault) => fault,
            Broken::Stream(error) => self.stream.get_ref().explain(&error),
        }
    }

    /// Unpacks all that comes; returns the names of what is in the directory then.
    pub(super) fn unpack(mut self, unpacking: &Unpacking<'_>) -> Result<BTreeSet<OsString>, Fault> {
        let mut unpacker = Unpacker {
            unpacking,
            asked: Asked::new(unpacking.asked),
            buffer: vec![0; BUFFER].into(),
            checked_parent: PathBuf::new(),
            names: BTreeSet::new(),
            sums: HashMap::new(),
        };
        self.unpack_with(&mut unpacker).map_err(|broken| self.explain(broken))?;
        Ok(unpacker.names)
    }

    fn unpack_with(&mut self, unpacker: &mut Unpacker<'_>) -> Result<(), Broken> {
        loop {
            let announced = std::mem::take(&mut self.announced);
            let text = String::from_utf8_lossy(&announced);
            let words: Vec<_> = text.split_ascii_whitespace().collect();
            match words[..] {
                ["archive", number, items] => {
                    unpacker.check_all_had_sums()?;
                    let announced = unpacker.asked.announced(number, items)?;
                    unpacker.archive(&mut self.stream, announced)?;
                    skip_zeros(&mut self.stream).map_err(Broken::Stream)?;
                    while self.next_line()?.is_some() {}
                }
                ["sums"] => self.sums(unpacker)?,
                ["sum", sum, length] => {
                    let sum = parse_hash(sum.as_bytes()).ok_or_else(|| no_sum(&announced))?;
                    let name = self.name(length)?;
                    unpacker.compare(&name, sum)?;
                    self.sums(unpacker)?;
                }
                ["done", number] => {
                    unpacker.check_all_had_sums()?;
                    return Ok(unpacker.asked.check_all_came(number)?);
                }
                ["failed", ..] => return Err(Fault::stated(&announced["failed".len()..]).into()),
                _ => return Err(Fault::Remote(format!("said `{}`", announced.escape_ascii())).into()),
            }
        }
    }

    /// Reads lines of sha256sum.
    fn sums(&mut self, unpacker: &mut Unpacker<'_>) -> Result<(), Broken> {
        while let Some(line) = self.next_line()? {
            if !line.is_empty() {
                let (sum, name) = parse_sum(&line).ok_or_else(|| no_sum(&line))?;
                unpacker.compare(&name, sum)?;
            }
        }
        Ok(())
    }

    /// Reads a name of `length` bytes.
    fn name(&mut self, length: &str) -> Result<Vec<u8>, Broken> {
        let length = length.parse().ok().filter(|length| *length <= LONGEST_PREFACE);
        let length = length.ok_or_else(|| Fault::Remote("sent a name that is too long".to_owned()))?;
        let mut name = Vec::new();
        (&mut self.stream).take(length).read_to_end(&mut name).map_err(Broken::Stream)?;
        if name.len() as u64 == length { Ok(name) } else { Err(Broken::Stream(io::ErrorKind::UnexpectedEof.into())) }
    }
}

fn no_sum(said: &[u8]) -> Fault {
    Fault::Remote(format!("no checksum: `{}`", String::from_utf8_lossy(said)))
}

/// tar fills its last record with zeros.
fn skip_zeros(stream: &mut impl BufRead) -> io::Result<()> {
    loop {
        let bytes = stream.fill_buf()?;
        let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
        let done = zeros < bytes.len() || bytes.is_empty();
        stream.consume(zeros);
        if done {
            return Ok(());
        }
    }
}

/// Reads no more than is left, which the one who looks at entries sets anew for each.
struct Budgeted<'a, R> {
    stream: &'a mut R,
    left: &'a Cell<u64>,
}

impl<R: Read> Read for Budgeted<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.stream.read(buffer)?;
        let left = self.left.get().checked_sub(count as u64);
        self.left.set(left.ok_or_else(|| io::Error::other("what is said of one of its entries is too long"))?);
        Ok(count)
    }
}

struct Unpacker<'a> {
    unpacking: &'a Unpacking<'a>,
    asked: Asked<'a>,
    buffer: Box<[u8]>,
    /// The directory that was last found to be safe.
    checked_parent: PathBuf,
    /// What is at the top.
    names: BTreeSet<OsString>,
    /// Of the files that have not been compared yet.
    sums: HashMap<PathBuf, [u8; 32]>,
}

fn unwritable(path: &Path, error: &io::Error) -> Fault {
    Fault::Local(format!("cannot write `{}`: {error}", path.display()))
}

fn malformed(path: &Path, what: &str) -> Fault {
    Fault::Local(format!("refused what the host sent: `{}` {what}", path.display()))
}

impl Unpacker<'_> {
    /// Unpacks an archive that has so many things for the word at that index.
    fn archive(&mut self, stream: &mut impl Read, (word, items): (usize, usize)) -> Result<(), Broken> {
        let left = Cell::new(LONGEST_PREFACE);
        let mut archive = Archive::new(Budgeted { stream, left: &left });
        let mut directories = Vec::new();
        let mut names = BTreeSet::new();
        for entry in archive.entries().map_err(Broken::Stream)? {
            let mut entry = entry.map_err(Broken::Stream)?;
            left.set(u64::MAX);
            if entry.header().entry_type() == EntryType::XGlobalHeader {
                continue;
            }
            let path = inner_path(&entry.path_bytes())?;
            let Some(name) = path.iter().next() else { continue };
            if self.names.contains(name) {
                let name = name.display();
                return Err(Fault::Local(format!("two of the sources are called `{name}`: get them one by one")).into());
            }
            if !names.contains(name) {
                self.asked.check_name(word, name)?;
                names.insert(name.to_owned());
            }
            self.entry(&mut entry, &path, &mut directories)?;
            left.set(LONGEST_PREFACE);
        }
        if names.len() != items {
            let came = names.len();
            let error = format!("of {items} files and directories, {came} came");
            return Err(Broken::Stream(io::Error::other(error)));
        }
        // The inner ones first: to change something in a directory changes its time.
        for (path, attributes) in directories.iter().rev() {
            let set = File::open(path).and_then(|directory| attributes.set(&directory));
            set.map_err(|error| unwritable(path, &error))?;
        }
        self.names.append(&mut names);
        Ok(())
    }

    fn entry<R: Read>(
        &mut self,
        entry: &mut Entry<'_, R>,
        path: &Path,
        directories: &mut Vec<(PathBuf, Attributes)>,
    ) -> Result<(), Broken> {
        let full = self.unpacking.directory.join(path);
        let failed = |error: io::Error| unwritable(path, &error);
        self.make_parent(path.parent().unwrap_or(Path::new("")))?;
        match entry.header().entry_type() {
            EntryType::Directory => {
                self.make_parent(path)?;
                directories.push((full, self.attributes(entry, path)?));
            }
            EntryType::Symlink => {
                let target = entry.link_name_bytes().ok_or_else(|| malformed(path, "is a link to nothing"))?;
                symlink(OsStr::from_bytes(&target), &full).map_err(failed)?;
            }
            EntryType::Link => {
                let target = entry.link_name_bytes().ok_or_else(|| malformed(path, "is a link to nothing"))?;
                let target = inner_path(&target)?;
                self.make_parent(target.parent().unwrap_or(Path::new("")))?;
                if self.unpacking.verify
                    && let Some(sum) = self.sums.get(&target).copied()
                {
                    self.sums.insert(path.to_owned(), sum);
                }
                fs::hard_link(self.unpacking.directory.join(target), &full).map_err(failed)?;
            }
            EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => self.file(entry, path, &full)?,
            _ => return Err(malformed(path, "is neither a file nor a directory").into()),
        }
        Ok(())
    }

    /// Writes a file that is new: whatever was sent before under that name, no link is followed.
    fn file<R: Read>(&mut self, entry: &mut Entry<'_, R>, path: &Path, full: &Path) -> Result<(), Broken> {
        let failed = |error: io::Error| unwritable(path, &error);
        let attributes = self.attributes(entry, path)?;
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(full).map_err(failed)?;
        let mut sum = self.unpacking.verify.then(Sha256::new);
        let mut left = entry.size();
        while left > 0 {
            let count = entry.read(&mut self.buffer).map_err(Broken::Stream)?;
            if count == 0 {
                return Err(Broken::Stream(io::ErrorKind::UnexpectedEof.into()));
            }
            let bytes = &self.buffer[..count];
            if let Some(sum) = &mut sum {
                sum.update(bytes);
            }
            file.write_all(bytes).map_err(failed)?;
            self.unpacking.counters.add_bytes(count);
            left = left.saturating_sub(count as u64);
        }
        if let Some(sum) = sum {
            self.sums.insert(path.to_owned(), sum.finalize().into());
        }
        self.unpacking.counters.add_file();
        Ok(attributes.set(&file).map_err(failed)?)
    }

    /// Makes a directory and those above it, all of which must be directories and no links.
    fn make_parent(&mut self, path: &Path) -> Result<(), Fault> {
        if path == self.checked_parent {
            return Ok(());
        }
        let mut full = self.unpacking.directory.to_owned();
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

    fn attributes<R: Read>(&self, entry: &mut Entry<'_, R>, path: &Path) -> Result<Attributes, Fault> {
        let is_directory = entry.header().entry_type() == EntryType::Directory;
        let kept = if self.unpacking.keep_setid { 0o7777 } else { plain_mode(is_directory) };
        let mode = entry.header().mode().map_err(|_| malformed(path, "has no mode"))? & kept;
        let date = Date::of(entry).ok_or_else(|| malformed(path, "has no date"))?;
        Ok(Attributes { mode, date })
    }

    /// Compares the checksum that a file has over there with what came.
    fn compare(&mut self, name: &[u8], sum: [u8; 32]) -> Result<(), Fault> {
        let path = inner_path(name)?;
        match self.sums.remove(&path) {
            Some(ours) if ours == sum => Ok(()),
            Some(_) => Err(Fault::Remote(format!(
                "the checksum of `{}` differs from that over there: it was damaged, or changed meanwhile",
                path.display()
            ))),
            None => Err(Fault::Remote(format!("`{}` has a checksum over there and did not come", path.display()))),
        }
    }

    fn check_all_had_sums(&mut self) -> Result<(), Fault> {
        match self.sums.keys().next() {
            Some(path) => Err(Fault::Remote(format!("there is no checksum of `{}` over there", path.display()))),
            None => Ok(()),
        }
    }
}

/// What a file or a directory has beside its content.
struct Attributes {
    mode: u32,
    date: Date,
}

impl Attributes {
    fn set(&self, file: &File) -> io::Result<()> {
        self.date.set(file)?;
        file.set_permissions(Permissions::from_mode(self.mode))
    }
}

/// Returns a path of the archive, which must lead inwards.
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

/// `HASH  NAME`, or `\HASH  NAME` with backslashes and line breaks escaped.
fn parse_sum(line: &[u8]) -> Option<([u8; 32], Vec<u8>)> {
    let (escaped, line) = match line.strip_prefix(b"\\") {
        Some(rest) => (true, rest),
        None => (false, line),
    };
    let sum = parse_hash(line.get(..64)?)?;
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

/// 64 hexadecimal digits.
fn parse_hash(hex: &[u8]) -> Option<[u8; 32]> {
    let mut sum = [0; 32];
    if hex.len() != 64 || !hex.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    for (byte, digits) in sum.iter_mut().zip(hex.chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    }
    Some(sum)
}

#[cfg(test)]
mod tests;
