//! Writes sources as a tar archive, in the form that the script of a put expects.
//!
//! ```text
//!  0          the first source, a file; or
//!  1/…        the second, a directory
//!  sums, odd  with --verify: lines as of sha256sum, and for names that not every sha256sum can read, lines of a script
//!  end        how many entries, how many that cannot be overlooked, how many checksums, and the receipt: without it,
//!             nothing of the archive counts
//! ```
//!
//! The format is ustar with GNU's entries for long names, which GNU, BSD and busybox read; names are bytes. See
//! <https://www.gnu.org/software/tar/manual/html_node/Standard.html>.
//!
//! What is sent is what was read. The size that the system states is not believed, since the files of /proc say that they
//! are empty and those of /sys that they have a page: a file that ends within the first buffer has the size that was read,
//! and a larger one must have what it says, or it is collected in memory, or refused.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, BufWriter, Read as _, Write};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use nix::fcntl::OFlag;
use sha2::{Digest as _, Sha256};
use tar::{EntryType, Header};

use super::Fault;
use super::progress::Counters;
use super::remote_script::quote;
use super::sources::Source;

/// As much as is read and written at once: a few pipes full.
const BUFFER: usize = 256 * 1024;
/// The largest file whose size is found out by reading it into memory.
const COLLECTED: usize = 16 << 20;
/// What archives are made of.
const BLOCK: usize = 512;
/// The longest name that fits into a header.
const SHORT_NAME: usize = 100;

/// What is sent beside the sources themselves.
#[derive(Debug, Clone)]
pub(crate) struct Packing {
    /// Checksums are.
    pub(crate) verify: bool,
    /// The set-id bits of files and directories are.
    pub(crate) keep_setid: bool,
    /// The last thing in the archive.
    pub(crate) receipt: String,
}

/// Packs everything into `out`.
pub(crate) fn pack(sources: &[Source], packing: &Packing, out: impl Write, counters: &Counters) -> Result<(), Fault> {
    let mut packer = Packer {
        out: BufWriter::with_capacity(BUFFER, out),
        buffer: vec![0; BUFFER].into(),
        packing,
        sums: Sums::default(),
        entries: 0,
        visible: 0,
        hidden: false,
        counters,
    };
    for (number, source) in sources.iter().enumerate() {
        let meta = fs::metadata(&source.path).map_err(|error| unreadable(&source.path, &error))?;
        packer.entry(&source.path, &meta, number.to_string().into_bytes())?;
    }
    packer.finish()
}

struct Packer<'a, W: Write> {
    out: BufWriter<W>,
    buffer: Box<[u8]>,
    packing: &'a Packing,
    sums: Sums,
    /// Of the archive, so far.
    entries: u64,
    /// Of these, those that are in no directory whose mode keeps its owner from listing it.
    visible: u64,
    /// The present directory is, or is in, such a directory.
    hidden: bool,
    counters: &'a Counters,
}

fn unreadable(path: &Path, error: &io::Error) -> Fault {
    Fault::Local(format!("cannot read `{}`: {error}", path.display()))
}

/// What cannot be written to ssh is lost because ssh has ended, and that says why.
fn cut(_: io::Error) -> Fault {
    Fault::Disconnected
}

/// How a file is read.
enum Content {
    /// The buffer has all of it.
    Short(usize),
    /// The buffer is full, and so much is to come in all.
    Long(u64),
    /// It said it had less than it has.
    Collected(Vec<u8>),
}

impl<W: Write> Packer<'_, W> {
    fn entry(&mut self, path: &Path, meta: &Metadata, name: Vec<u8>) -> Result<(), Fault> {
        if meta.is_dir() {
            return self.directory(path, meta, name);
        }
        if meta.is_symlink() {
            let target = fs::read_link(path).map_err(|error| unreadable(path, &error))?;
            let target = target.as_os_str().as_bytes();
            self.count();
            return self.header(EntryType::Symlink, &name, 0, meta, Some(target)).map_err(cut);
        }
        if !meta.is_file() {
            return Err(Fault::Local(format!("`{}` is neither a file nor a directory", path.display())));
        }
        self.file(path, &name)
    }

    fn count(&mut self) {
        self.entries += 1;
        self.visible += u64::from(!self.hidden);
    }

    fn directory(&mut self, path: &Path, meta: &Metadata, mut name: Vec<u8>) -> Result<(), Fault> {
        name.push(b'/');
        self.count();
        self.header(EntryType::Directory, &name, 0, meta, None).map_err(cut)?;
        let hidden = self.hidden;
        self.hidden |= meta.mode() & 0o500 != 0o500;
        let mut is_empty = true;
        for entry in fs::read_dir(path).map_err(|error| unreadable(path, &error))? {
            let entry = entry.map_err(|error| unreadable(path, &error))?;
            let path = entry.path();
            let meta = entry.metadata().map_err(|error| unreadable(&path, &error))?;
            let name = [&name, entry.file_name().as_bytes()].concat();
            self.entry(&path, &meta, name)?;
            is_empty = false;
        }
        self.hidden = hidden;
        // Once more, for a tar that sets the time of a directory at once (busybox): what came into it has changed that.
        if is_empty { Ok(()) } else { self.header(EntryType::Directory, &name, 0, meta, None).map_err(cut) }
    }

    fn file(&mut self, path: &Path, name: &[u8]) -> Result<(), Fault> {
        let (mut file, meta) = open(path, name)?;
        let content = self.begin_reading(path, &mut file, meta.len())?;
        let size = match &content {
            Content::Short(size) => *size as u64,
            Content::Long(size) => *size,
            Content::Collected(bytes) => bytes.len() as u64,
        };
        self.count();
        self.header(EntryType::Regular, name, size, &meta, None).map_err(cut)?;
        let mut sum = self.packing.verify.then(Sha256::new);
        match content {
            Content::Short(size) => self.send_buffer(size, sum.as_mut())?,
            Content::Collected(bytes) => {
                sum.iter_mut().for_each(|sum| sum.update(&bytes));
                self.out.write_all(&bytes).map_err(cut)?;
                self.counters.add_bytes(bytes.len());
            }
            Content::Long(size) => self.stream(path, &mut file, size, sum.as_mut())?,
        }
        self.pad(size).map_err(cut)?;
        self.counters.add_file();
        if let Some(sum) = sum {
            self.sums.add(&sum.finalize(), name);
        }
        Ok(())
    }

    /// Fills the buffer, and finds out how much there is. A read that had room for more and returns exactly what is stated
    /// is the whole of a file; everything else is read to its end.
    fn begin_reading(&mut self, path: &Path, file: &mut File, stated: u64) -> Result<Content, Fault> {
        let unreadable = |error: io::Error| unreadable(path, &error);
        let mut filled = 0;
        while filled < BUFFER {
            match file.read(&mut self.buffer[filled..]).map_err(unreadable)? {
                0 => return Ok(Content::Short(filled)),
                count if count as u64 == stated && count < BUFFER => return Ok(Content::Short(count)),
                count => filled += count,
            }
        }
        // Asked now: it may have grown.
        let stated = file.metadata().map_err(unreadable)?.len();
        if stated >= BUFFER as u64 {
            return Ok(Content::Long(stated));
        }
        let mut bytes = self.buffer.to_vec();
        file.take((COLLECTED + 1 - BUFFER) as u64).read_to_end(&mut bytes).map_err(unreadable)?;
        if bytes.len() > COLLECTED { Err(too_long(path, stated)) } else { Ok(Content::Collected(bytes)) }
    }

    fn send_buffer(&mut self, count: usize, sum: Option<&mut Sha256>) -> Result<(), Fault> {
        let bytes = &self.buffer[..count];
        if let Some(sum) = sum {
            sum.update(bytes);
        }
        self.out.write_all(bytes).map_err(cut)?;
        self.counters.add_bytes(count);
        Ok(())
    }

    /// Sends a file of which the buffer has the beginning.
    fn stream(&mut self, path: &Path, file: &mut File, size: u64, mut sum: Option<&mut Sha256>) -> Result<(), Fault> {
        let unreadable = |error: io::Error| unreadable(path, &error);
        self.send_buffer(BUFFER, sum.as_deref_mut())?;
        let mut left = size - BUFFER as u64;
        while left > 0 {
            let most = usize::try_from(left).unwrap_or(BUFFER).min(BUFFER);
            let count = file.read(&mut self.buffer[..most]).map_err(unreadable)?;
            if count == 0 {
                return Err(Fault::Local(format!("`{}` became shorter while it was read", path.display())));
            }
            self.send_buffer(count, sum.as_deref_mut())?;
            left -= count as u64;
        }
        // A file that has grown meanwhile comes as it was. One that has more than it says has not grown.
        let more = file.read(&mut self.buffer[..1]).map_err(unreadable)? > 0;
        if more && file.metadata().map_err(unreadable)?.len() <= size { Err(too_long(path, size)) } else { Ok(()) }
    }

    fn finish(mut self) -> Result<(), Fault> {
        if self.packing.verify {
            let (plain, odd) = (std::mem::take(&mut self.sums.plain), std::mem::take(&mut self.sums.odd));
            self.own(b"sums", &plain)?;
            self.own(b"odd", &odd)?;
        }
        let count = self.sums.count;
        let end = format!("{} {} {count} {}\n", self.entries + 1, self.visible + 1, self.packing.receipt);
        self.own(b"end", end.as_bytes())?;
        self.out.write_all(&[0; 2 * BLOCK]).and_then(|()| self.out.flush()).map_err(cut)
    }

    /// Adds an entry of our own.
    fn own(&mut self, name: &[u8], content: &[u8]) -> Result<(), Fault> {
        self.entries += 1;
        self.visible += 1;
        let mut header = Header::new_gnu();
        header.set_mode(0o600);
        header.set_mtime(0);
        header.set_size(content.len() as u64);
        self.raw(header, name).and_then(|()| self.out.write_all(content)).map_err(cut)?;
        self.pad(content.len() as u64).map_err(cut)
    }

    fn header(
        &mut self,
        kind: EntryType,
        name: &[u8],
        size: u64,
        meta: &Metadata,
        link: Option<&[u8]>,
    ) -> io::Result<()> {
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(meta.mode() & if self.packing.keep_setid { 0o7777 } else { plain_mode(meta.is_dir()) });
        set_mtime(&mut header, meta.mtime());
        header.set_size(size);
        if let Some(link) = link {
            if link.len() > SHORT_NAME {
                self.long(EntryType::GNULongLink, link)?;
            }
            let short = link.len().min(SHORT_NAME);
            header.as_old_mut().linkname[..short].copy_from_slice(&link[..short]);
        }
        self.raw(header, name)
    }

    /// A header that has all but its name.
    fn raw(&mut self, mut header: Header, name: &[u8]) -> io::Result<()> {
        if name.len() > SHORT_NAME {
            self.long(EntryType::GNULongName, name)?;
        }
        let short = name.len().min(SHORT_NAME);
        header.as_old_mut().name[..short].copy_from_slice(&name[..short]);
        header.set_uid(0);
        header.set_gid(0);
        header.set_cksum();
        self.out.write_all(header.as_bytes())
    }

    /// What GNU's tar writes before an entry whose name does not fit.
    fn long(&mut self, kind: EntryType, text: &[u8]) -> io::Result<()> {
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(0o644);
        header.set_mtime(0);
        header.set_size(text.len() as u64 + 1);
        self.raw(header, b"././@LongLink")?;
        self.out.write_all(text)?;
        self.out.write_all(b"\0")?;
        self.pad(text.len() as u64 + 1)
    }

    fn pad(&mut self, size: u64) -> io::Result<()> {
        let over = usize::try_from(size % BLOCK as u64).expect("less than a block");
        if over == 0 { Ok(()) } else { self.out.write_all(&[0; BLOCK][over..]) }
    }
}

/// Opens a file to be read. Only what the user named may be a link. Without waiting, since it may be a FIFO by now.
fn open(path: &Path, name: &[u8]) -> Result<(File, Metadata), Fault> {
    let is_inner = name.contains(&b'/');
    let flags = if is_inner { OFlag::O_NONBLOCK | OFlag::O_NOFOLLOW } else { OFlag::O_NONBLOCK };
    let file = OpenOptions::new().read(true).custom_flags(flags.bits()).open(path);
    let file = file.map_err(|error| unreadable(path, &error))?;
    let meta = file.metadata().map_err(|error| unreadable(path, &error))?;
    if meta.is_file() {
        return Ok((file, meta));
    }
    Err(Fault::Local(format!("`{}` was a file when it was found, and is none now", path.display())))
}

fn too_long(path: &Path, stated: u64) -> Fault {
    Fault::Local(format!(
        "`{}` has more than the {stated} bytes that it states: make a copy of it, and put that",
        path.display()
    ))
}

/// The bits of a mode that travel unasked: without set-id bits, which are for the owner that a file has here.
pub(crate) fn plain_mode(is_directory: bool) -> u32 {
    if is_directory { 0o1777 } else { 0o777 }
}

/// Sets a date in whole seconds. Before 1970, it is a number of GNU's with a sign; others would read it as octal digits.
fn set_mtime(header: &mut Header, seconds: i64) {
    match u64::try_from(seconds) {
        Ok(seconds) => header.set_mtime(seconds),
        Err(_) => {
            let field = &mut header.as_old_mut().mtime;
            field.fill(0xff);
            field[4..].copy_from_slice(&seconds.to_be_bytes());
        }
    }
}

/// The checksums of all files.
#[derive(Default)]
struct Sums {
    /// One line each, as sha256sum writes and reads it.
    plain: Vec<u8>,
    /// Of names that one sha256sum escapes and another does not: calls of a function.
    odd: Vec<u8>,
    count: u64,
}

impl Sums {
    fn add(&mut self, sum: &[u8], name: &[u8]) {
        let is_odd = name.iter().any(|byte| *byte == b'\\' || byte.is_ascii_control());
        let (before, list) = if is_odd { (&b"check "[..], &mut self.odd) } else { (&b""[..], &mut self.plain) };
        list.extend_from_slice(before);
        for byte in sum {
            write!(list, "{byte:02x}").expect("memory takes everything");
        }
        if is_odd {
            list.push(b' ');
            quote(name, list);
        } else {
            list.extend_from_slice(b"  ");
            list.extend_from_slice(name);
        }
        list.push(b'\n');
        self.count += 1;
    }
}
