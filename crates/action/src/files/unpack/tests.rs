//! What hosts send, honest ones and others.

use tar::Header;

use super::*;

/// What a host sends, with these entries: a kind, a name, what a link leads to.
fn stream(entries: &[(EntryType, &str, &str)]) -> Vec<u8> {
    let tops: BTreeSet<_> =
        entries.iter().filter_map(|(_, name, _)| name.trim_start_matches("./").split('/').next()).collect();
    let mut stream = format!("Welcome\nphalanx-get T archive 1 {}\n", tops.len()).into_bytes();
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
    stream.extend_from_slice(b"\nphalanx-get T done 1\n");
    stream
}

/// What comes of that when this is asked for.
fn unpacked(bytes: &[u8], asked: &[&str], verify: bool) -> (tempfile::TempDir, Result<BTreeSet<OsString>, Fault>) {
    let place = tempfile::tempdir().unwrap();
    let inner = place.path().join("inner");
    fs::create_dir(&inner).unwrap();
    let asked: Vec<OsString> = asked.iter().map(OsString::from).collect();
    let counters = Counters::default();
    let unpacking = Unpacking { directory: &inner, asked: &asked, verify, keep_setid: false, counters: &counters };
    let result = await_stream(bytes, "T").and_then(|stream| stream.unpack(&unpacking));
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
        let (place, result) = unpacked(&stream(entries), &["*"], false);
        assert!(matches!(result, Err(Fault::Local(_))), "{entries:?}: {result:?}");
        assert!(!place.path().join("escaped").exists() && !Path::new("/tmp/phalanx-escaped").exists());
    }
    let (place, result) = unpacked(&stream(&[(Regular, "./d/./f", ""), (Symlink, "l", "/etc")]), &["*"], false);
    assert_eq!(result.unwrap().into_iter().collect::<Vec<_>>(), ["d", "l"]);
    assert_eq!(fs::read(place.path().join("inner/d/f")).unwrap(), b"x");
}

#[test]
fn a_stream_that_ends_anywhere_is_cut_and_never_whole() {
    let whole = stream(&[(EntryType::Regular, "a", ""), (EntryType::Regular, "b", "")]);
    for end in (0..whole.len()).step_by(37) {
        assert_eq!(unpacked(&whole[..end], &["?"], false).1, Err(Fault::Disconnected), "{end}");
    }
    assert!(unpacked(&whole, &["?"], false).1.is_ok());
    // Checksums that did not come are no checksums that agree.
    assert!(matches!(unpacked(&whole, &["?"], true).1, Err(Fault::Remote(_))));
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

#[test]
fn only_what_was_asked_for_is_taken_and_all_of_it_must_come() {
    use EntryType::Regular;
    let table: [(&[&str], &[&str], &str); 6] = [
        (&["a"], &["a"], ""),
        (&["a"], &["a", ".bashrc"], "`.bashrc` is not what was asked for, which was `a`"),
        (&["*.log"], &["a"], "`a` is not what was asked for"),
        (&["a"], &[], "announced `archive 1"),
        (&["a", "b"], &["a"], "`b` did not come"),
        (&["~"], &["a", "b"], ""),
    ];
    for (asked, sent, expected) in table {
        let entries: Vec<_> = sent.iter().map(|name| (Regular, *name, "")).collect();
        match unpacked(&stream(&entries), asked, false).1 {
            Ok(_) => assert_eq!(expected, "", "{asked:?} {sent:?}"),
            Err(fault) => assert!(!expected.is_empty() && fault.to_string().contains(expected), "{sent:?}: {fault}"),
        }
    }
}

/// A remote end that waits for its answer, whatever it has sent: it must not be waited for.
struct Waiting;

impl Read for Waiting {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        panic!("nothing more will ever come from here")
    }
}

#[test]
fn an_archive_that_is_short_is_not_waited_for() {
    let whole = stream(&[(EntryType::Regular, "a", ""), (EntryType::Regular, "b", "")]);
    let (start, last) = ("Welcome\nphalanx-get T archive 1 2\n".len(), b"\nphalanx-get T done 1\n");
    for end in (start..start + 2 * 1024 + 700).step_by(61) {
        for last in [&last[..], b"\nphalanx-get T failed it was killed\n"] {
            let sent = [&whole[..end], last].concat();
            let place = tempfile::tempdir().unwrap();
            let (asked, counters) = (["?".into()], Counters::default());
            let unpacking = Unpacking {
                directory: place.path(),
                asked: &asked,
                verify: false,
                keep_setid: false,
                counters: &counters,
            };
            let result = await_stream(sent.chain(Waiting), "T").and_then(|stream| stream.unpack(&unpacking));
            let whole = end >= start + 2 * 1024 && last.starts_with(b"\nphalanx-get T done");
            match result {
                Ok(_) => assert!(whole, "{end}"),
                Err(Fault::Remote(reason)) => assert!(
                    reason.contains("is not whole") && !last.ends_with(b"killed\n") || reason == "it was killed",
                    "{end}: {reason}"
                ),
                Err(fault) => panic!("{end}: {fault:?}"),
            }
        }
    }
}

#[test]
fn what_is_said_of_an_entry_is_bounded() {
    for kind in [EntryType::GNULongName, EntryType::GNULongLink, EntryType::XHeader] {
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_size(u64::MAX >> 2);
        header.set_cksum();
        let start = [b"phalanx-get T archive 1 1\n", &header.as_bytes()[..]].concat();
        let sent = start.chain(io::repeat(b'A'));
        let place = tempfile::tempdir().unwrap();
        let (asked, counters) = (["a".into()], Counters::default());
        let unpacking =
            Unpacking { directory: place.path(), asked: &asked, verify: false, keep_setid: false, counters: &counters };
        let result = await_stream(sent, "T").and_then(|stream| stream.unpack(&unpacking));
        assert!(matches!(&result, Err(Fault::Remote(reason)) if reason.contains("is too long")), "{result:?}");
    }
}

#[test]
fn set_id_bits_and_any_date_are_no_danger() {
    let mut header = Header::new_gnu();
    header.set_mode(0o6755);
    header.set_size(0);
    header.as_old_mut().name[0] = b'a';
    for (mtime, year) in [([0xff; 12], -1), ([&[0x80, 0, 0, 0][..], &[0xff; 8]].concat().try_into().unwrap(), 1)] {
        header.as_old_mut().mtime = mtime;
        header.set_cksum();
        let sent =
            [b"phalanx-get T archive 1 1\n", &header.as_bytes()[..], &[0; 1024], b"\nphalanx-get T done 1\n"].concat();
        let (place, result) = unpacked(&sent, &["a"], false);
        assert_eq!(result.map(|names| names.len()), Ok(1));
        let meta = fs::metadata(place.path().join("inner/a")).unwrap();
        assert_eq!(meta.permissions().mode() & 0o7777, 0o755);
        assert_eq!(std::os::unix::fs::MetadataExt::mtime(&meta).signum(), year);
    }
}
