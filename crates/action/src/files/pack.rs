//! Writes sources as a tar archive, in the form that the script of a put expects.
//!
//! ```text
//!  0          the first source, a file; or
//!  1/…        the second, a directory
//!  sums       with --verify: lines as of sha256sum, for all files
//!  end        an empty file: without it, nothing of the archive counts
//! ```
//!
//! The format is ustar with GNU's entries for long names, which GNU, BSD and busybox read; names are bytes. See
//! <https://www.gnu.org/software/tar/manual/html_node/Standard.html>.

use std::fs::{self, File, Metadata};
use std::io::{self, BufWriter, Read as _, Write};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use sha2::{Digest as _, Sha256};
use tar::{EntryType, Header};

use super::sources::Source;
use super::transfers::{Counters, Fault};

/// As much as is read and written at once: a few pipes full.
const BUFFER: usize = 256 * 1024;
/// What archives are made of.
const BLOCK: usize = 512;
/// The longest name that fits into a header.
const SHORT_NAME: usize = 100;

/// Packs everything into `out`.
pub(crate) fn pack(sources: &[Source], verify: bool, out: impl Write, counters: &Counters) -> Result<(), Fault> {
    let mut packer = Packer {
        out: BufWriter::with_capacity(BUFFER, out),
        buffer: vec![0; BUFFER].into(),
        sums: verify.then(Vec::new),
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
    sums: Option<Vec<u8>>,
    counters: &'a Counters,
}

fn unreadable(path: &Path, error: &io::Error) -> Fault {
    Fault::Here(format!("cannot read `{}`: {error}", path.display()))
}

/// What cannot be written to ssh is lost because ssh has ended, and that says why.
fn cut(_: io::Error) -> Fault {
    Fault::Cut
}

impl<W: Write> Packer<'_, W> {
    fn entry(&mut self, path: &Path, meta: &Metadata, name: Vec<u8>) -> Result<(), Fault> {
        if meta.is_dir() {
            return self.directory(path, meta, name);
        }
        if meta.is_symlink() {
            let target = fs::read_link(path).map_err(|error| unreadable(path, &error))?;
            let target = target.as_os_str().as_bytes();
            return self.header(EntryType::Symlink, &name, 0, meta, Some(target)).map_err(cut);
        }
        if !meta.is_file() {
            return Err(Fault::Here(format!("`{}` is neither a file nor a directory", path.display())));
        }
        self.file(path, name)
    }

    fn directory(&mut self, path: &Path, meta: &Metadata, mut name: Vec<u8>) -> Result<(), Fault> {
        name.push(b'/');
        self.header(EntryType::Directory, &name, 0, meta, None).map_err(cut)?;
        let mut is_empty = true;
        for entry in fs::read_dir(path).map_err(|error| unreadable(path, &error))? {
            let entry = entry.map_err(|error| unreadable(path, &error))?;
            let path = entry.path();
            let meta = entry.metadata().map_err(|error| unreadable(&path, &error))?;
            let name = [&name, entry.file_name().as_bytes()].concat();
            self.entry(&path, &meta, name)?;
            is_empty = false;
        }
        // Once more, for a tar that sets the time of a directory at once (busybox): what came into it has changed that.
        if is_empty { Ok(()) } else { self.header(EntryType::Directory, &name, 0, meta, None).map_err(cut) }
    }

    fn file(&mut self, path: &Path, name: Vec<u8>) -> Result<(), Fault> {
        let unreadable = |error: io::Error| unreadable(path, &error);
        let mut file = File::open(path).map_err(unreadable)?;
        // As it is now: it may have been replaced since it was listed.
        let meta = file.metadata().map_err(unreadable)?;
        let size = meta.len();
        self.header(EntryType::Regular, &name, size, &meta, None).map_err(cut)?;
        let mut sum = self.sums.is_some().then(Sha256::new);
        let mut left = size;
        while left > 0 {
            let most = usize::try_from(left).unwrap_or(BUFFER).min(BUFFER);
            let count = file.read(&mut self.buffer[..most]).map_err(unreadable)?;
            if count == 0 {
                return Err(Fault::Here(format!("`{}` became shorter while it was read", path.display())));
            }
            let bytes = &self.buffer[..count];
            if let Some(sum) = &mut sum {
                sum.update(bytes);
            }
            self.out.write_all(bytes).map_err(cut)?;
            self.counters.add_bytes(count);
            left -= count as u64;
        }
        self.pad(size).map_err(cut)?;
        self.counters.add_file();
        if let (Some(sums), Some(sum)) = (&mut self.sums, sum) {
            append_sum(&sum.finalize(), &name, sums);
        }
        Ok(())
    }

    fn finish(mut self) -> Result<(), Fault> {
        let own = |size: usize| {
            let mut header = Header::new_gnu();
            header.set_mode(0o600);
            header.set_size(size as u64);
            header
        };
        if let Some(sums) = self.sums.take() {
            self.raw(own(sums.len()), b"sums").map_err(cut)?;
            self.out.write_all(&sums).map_err(cut)?;
            self.pad(sums.len() as u64).map_err(cut)?;
        }
        self.raw(own(0), b"end").map_err(cut)?;
        self.out.write_all(&[0; 2 * BLOCK]).and_then(|()| self.out.flush()).map_err(cut)
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
        header.set_mode(meta.mode() & 0o7777);
        header.set_mtime(u64::try_from(meta.mtime()).unwrap_or_default());
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

/// One line as sha256sum writes it: with a backslash first where the name has one, or a line break, escaped.
fn append_sum(sum: &[u8], name: &[u8], sums: &mut Vec<u8>) {
    let odd = name.iter().any(|byte| b"\\\n".contains(byte));
    if odd {
        sums.push(b'\\');
    }
    for byte in sum {
        write!(sums, "{byte:02x}").expect("memory takes everything");
    }
    sums.extend_from_slice(b"  ");
    for byte in name {
        match byte {
            b'\\' => sums.extend_from_slice(b"\\\\"),
            b'\n' => sums.extend_from_slice(b"\\n"),
            byte => sums.push(*byte),
        }
    }
    sums.push(b'\n');
}
