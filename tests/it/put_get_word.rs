//! `phalanx put` and `phalanx get` against remote ends that lie, stop, are poor, or are asked for odd things: nothing is ok
//! without the word of the remote end, and what cannot be copied is refused by its name.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant, SystemTime};

use phalanx_tests::{find_program, require_program, shared_fleet};

use crate::phalanx::{Phalanx, Ran};
use crate::put_get::Place;

/// Runs a verb with a connector that is this script; `"$command"` is what the host would have run.
fn through(place: &Place, script: &str, verb: &str, arguments: &[&str]) -> Ran {
    let connector = place.script("connector", &format!("for command; do :; done\n{script}"));
    Phalanx::verb(verb, &["--ssh", &connector, "-w", "n"]).args(arguments).output()
}

const HONEST: &str = "exec sh -c \"$command\"";

#[track_caller]
fn assert_ok(ran: &Ran) {
    assert_eq!((ran.status(), ran.stderr()), (Some(0), String::new()));
}

#[track_caller]
fn assert_not_transferred(ran: &Ran, sentence: &str) {
    assert_eq!(ran.status(), Some(1), "{}", ran.stderr());
    let said = ran.stderr();
    assert!(said.contains("n: not transferred: ") && said.contains(sentence), "{said}");
}

const NO_WORD: &str = "the far end ended without a word";

/// Every way in which nothing happens without a complaint.
#[test]
fn a_remote_end_that_says_nothing_is_not_ok() {
    let place = Place::new();
    let file = place.write("file", b"content");
    let (there, here) = (place.text("there"), place.text("here"));
    let bin = place.path("bin");
    fs::create_dir(&bin).expect("it is ours");
    for program in ["sh", "tar", "mkdir", "mv", "rm", "find"] {
        symlink(find_program(program).expect("every system has it"), bin.join(program)).expect("it is ours");
    }
    let scripts = [
        ("nothing runs at all", "exit 0".to_owned()),
        ("StdinNull", format!("{HONEST} </dev/null")),
        ("a login script that reads stdin", format!("cat >/dev/null\n{HONEST}")),
        ("a login shell that loses the exit status", "sh -c \"$command\" </dev/null; exit 0".to_owned()),
        ("a login shell that prints what it reads", "timeout 5 cat; exit 0".to_owned()),
        ("a host without dd", format!("PATH={}\nexport PATH\n{HONEST} 2>/dev/null", place.text("bin"))),
    ];
    for (what, script) in &scripts {
        let put = through(&place, script, "put", &["--verify", &file, &there]);
        assert_not_transferred(&put, NO_WORD);
        assert!(!place.path("there").exists(), "{what}");
        let get = through(&place, script, "get", &[&file, &here]);
        assert_not_transferred(&get, "far end");
        assert!(!place.path("here/n/file").exists(), "{what}");
    }
}

#[test]
fn an_option_of_the_users_ssh_configuration_that_takes_stdin_is_noticed() {
    let Some(fleet) = shared_fleet() else { return };
    let place = Place::new();
    let file = place.write("file", b"content");
    let (there, here) = (place.text("there"), place.text("here"));
    let ssh = place.script("ssh-n", "exec ssh -n \"$@\"");
    for (verb, to) in [("put", &there), ("get", &here)] {
        let config = fleet.ssh_config();
        let ran = Phalanx::verb(verb, &["--ssh", &ssh, "-w", "node1", "-F"]).args([&config]).args([&file, to]).output();
        assert_eq!(ran.status(), Some(1), "{}", ran.stderr());
        assert!(ran.stderr().contains("node1: not transferred: "), "{}", ran.stderr());
    }
    assert!(!place.path("there").exists() && !place.path("here/node1/file").exists());
}

/// A plan does not go on to the step that needs the files.
#[test]
fn a_step_of_a_plan_is_not_ok_without_the_word() {
    let place = Place::new();
    let file = place.write("file", b"content");
    let connector = place.script("silent", "cat >/dev/null; exit 0");
    for step in [format!("put = '{file}'\nto = 'there'"), "get = '/etc/hostname'\nto = 'here'".to_owned()] {
        let plan = format!("[[step]]\n{step}\non = 'n'\n[[step]]\nlocal = 'echo went on'\n");
        let plan = place.write("plan.toml", plan.as_bytes());
        let ran = Phalanx::verb("play", &["--ssh", &connector, &plan]).output();
        assert_eq!(ran.status(), Some(1), "{}", ran.stderr());
        assert!(
            ran.stderr().contains(NO_WORD) && !ran.stdout().contains("went on"),
            "{} {}",
            ran.stdout(),
            ran.stderr()
        );
    }
}

/// A script that has lost its beginning or its end is not run in part.
#[test]
fn a_login_script_that_takes_a_line_ends_it_all() {
    let place = Place::new();
    let file = place.write("file", b"content");
    let script = format!("read -r line\n{HONEST}");
    let begun = Instant::now();
    assert_not_transferred(&through(&place, &script, "put", &[&file, &place.text("there")]), "far end");
    assert_not_transferred(&through(&place, &script, "get", &[&file, &place.text("here")]), "far end");
    assert!(begun.elapsed() < Duration::from_secs(50), "{:?}", begun.elapsed());
    assert!(!place.path("there").exists());
}

/// A directory of programs of which some are replaced.
fn replaced(place: &Place, programs: &[(&str, &str)]) -> String {
    for (name, script) in programs {
        place.script(&format!("bin/{name}"), script);
    }
    format!("PATH={}:$PATH\nexport PATH\n{HONEST}", place.text("bin"))
}

/// Tars that do less than they say.
#[test]
fn a_tar_that_does_half_of_its_work_is_found_out() {
    let place = Place::new();
    let file = place.write("tree/file", b"content");
    place.write("tree/more", &vec![7; 300_000]);
    let tree = place.text("tree");
    let real = find_program("tar").expect("every system has it").display().to_string();
    let gets = [
        ("exit 0", "is not whole"),
        (&format!("{real} \"$@\" | head -c 1000"), "is not whole"),
        (&format!("{real} \"$@\" | head -c 100000"), "is not whole"),
        (&format!("{real} -cf - -T /dev/null"), "of 1 files and directories, 0 came"),
        (&format!("{real} \"$@\"; exit 2"), "cannot pack it: tar exited with 2"),
    ];
    for (tar, sentence) in gets {
        let script = replaced(&place, &[("tar", tar)]);
        assert_not_transferred(&through(&place, &script, "get", &[&tree, &place.text("here")]), sentence);
        assert_eq!(place.names("here/n"), [] as [&str; 0]);
    }
    let puts = [
        ("exit 0".to_owned(), "the stream ended too early"),
        (format!("{real} \"$@\" && rm -f there/.phalanx-put-*/0/more"), "its tar unpacked"),
        ("cat >/dev/null; echo; exit 1".to_owned(), "cannot unpack it: tar exited with 1, without a reason"),
        ("cat >/dev/null; echo; echo why >&2; exit 1".to_owned(), "cannot unpack it: why"),
    ];
    for (tar, sentence) in puts {
        let script = format!("cd '{}'\n{}", place.text(""), replaced(&place, &[("tar", &tar)]));
        assert_not_transferred(&through(&place, &script, "put", &[&tree, "there/"]), sentence);
        assert_eq!(place.names("there"), [] as [&str; 0]);
    }
    // A checker that finds everything well without looking.
    let script = replaced(&place, &[("tar", &format!("exec {real} \"$@\"")), ("sha256sum", "cat >/dev/null; exit 0")]);
    let unchecked = through(&place, &script, "put", &["--verify", &file, &place.text("there/")]);
    assert_not_transferred(&unchecked, "its checksum differs from ours");
}

/// The files of /proc say that they are empty, those of /sys that they have a page.
#[test]
fn what_is_sent_is_what_was_read() {
    let place = Place::new();
    assert_ok(&through(&place, HONEST, "put", &["--verify", "/proc/cpuinfo", &place.text("there")]));
    assert!(String::from_utf8_lossy(&place.read("there")).contains("processor"));
    let whole = fs::read("/proc/kallsyms").map_or(0, |all| all.len());
    if whole > 512 * 1024 && whole < 16 << 20 {
        assert_ok(&through(&place, HONEST, "put", &["/proc/kallsyms", &place.text("symbols")]));
        assert_eq!(place.read("symbols").len(), whole);
    }
    let page = "/sys/kernel/mm/transparent_hugepage/enabled";
    if Path::new(page).exists() {
        assert_ok(&through(&place, HONEST, "put", &["--verify", page, &place.text("page")]));
        assert_eq!(place.read("page"), fs::read(page).expect("it is there"));
    }
    for options in [&[][..], &["--verify"]] {
        let get = through(&place, HONEST, "get", &[options, &["/proc/cpuinfo", &place.text("here")]].concat());
        assert_not_transferred(&get, "says that it is empty, and is not");
    }
    assert!(!place.path("here/n/cpuinfo").exists());
    // Those that are empty come.
    let empty = place.write("empty", b"");
    assert_ok(&through(&place, HONEST, "get", &["--verify", &empty, &place.text("here")]));
    assert_eq!(place.read("here/n/empty"), b"");
}

#[test]
fn devices_pipes_and_sockets_are_neither_read_nor_replaced() {
    let place = Place::new();
    let file = place.write("file", b"content");
    let tree = place.text("tree");
    place.write("tree/name", b"new");
    let pipe = place.text("special/name");
    fs::create_dir(place.path("special")).expect("it is ours");
    assert!(Command::new("mkfifo").arg(&pipe).status().expect("mkfifo(1) is there").success());
    let kind = || fs::symlink_metadata(&pipe).expect("it is there").file_type();
    let refused = "neither a file nor a directory";
    assert_not_transferred(&through(&place, HONEST, "put", &[&file, &pipe]), refused);
    let merge = place.write("merge/special/name", b"new").replace("/name", "");
    assert_not_transferred(&through(&place, HONEST, "put", &[&merge, &place.text("")]), refused);
    let into = ["--set", &format!("d={}", place.text(""))];
    assert_not_transferred(
        &through(&place, HONEST, "get", &[&into[..], &[&file, "{{d}}/special/name"]].concat()),
        refused,
    );
    assert_not_transferred(&through(&place, HONEST, "get", &[&into[..], &[&merge, "{{d}}/"]].concat()), refused);
    assert_eq!(kind(), fs::symlink_metadata(&pipe).expect("it is there").file_type());
    assert!(std::os::unix::fs::FileTypeExt::is_fifo(&kind()));
    // As a source, and without waiting for a writer.
    assert_not_transferred(&through(&place, HONEST, "put", &[&place.text("special"), &place.text("there/")]), refused);
    assert_not_transferred(&through(&place, HONEST, "get", &[&place.text("special"), &place.text("here")]), refused);
    assert_ok(&through(&place, HONEST, "put", &[&tree, &place.text("there/")]));
}

/// Nothing below what was typed is followed: neither a link that a host has sent before, nor one that its user has made.
#[test]
fn links_below_a_destination_are_not_followed() {
    let place = Place::new();
    fs::create_dir(place.path("victim")).expect("it is ours");
    place.write("tree/x/f", b"evil");
    let tree = place.text("tree");
    for (verb, to, link) in [("get", place.text("here"), "here/n/tree"), ("put", place.text("there/"), "there/tree")] {
        fs::create_dir_all(place.path(link)).expect("it is ours");
        symlink(place.path("victim"), place.path(link).join("x")).expect("it is ours");
        assert_not_transferred(&through(&place, HONEST, verb, &[&tree, &to]), "no link is followed");
        fs::remove_dir_all(place.path(link)).expect("it is ours");
        symlink(place.path("victim"), place.path(link)).expect("it is ours");
        assert_not_transferred(&through(&place, HONEST, verb, &[&tree, &to]), "no link is followed");
    }
    assert_eq!(place.names("victim"), [] as [&str; 0]);
    // A link to a file is replaced, and what it leads to stays.
    let (file, kept) = (place.write("file", b"new"), place.write("kept", b"old"));
    for (verb, to, link) in [("get", place.text("here"), "here/n/file"), ("put", place.text("there/"), "there/file")] {
        symlink(&kept, place.path(link)).expect("it is ours");
        assert_ok(&through(&place, HONEST, verb, &[&file, &to]));
        assert_eq!((place.read(link), place.read("kept")), (b"new".to_vec(), b"old".to_vec()));
        assert!(!place.path(link).is_symlink());
    }
}

#[test]
fn set_id_bits_travel_only_on_request() {
    let place = Place::new();
    let file = place.write("tree/file", b"x");
    fs::set_permissions(&file, Permissions::from_mode(0o6755)).expect("it is ours");
    fs::set_permissions(place.path("tree"), Permissions::from_mode(0o3755)).expect("it is ours");
    let tree = place.text("tree");
    let mode = |name: &str| fs::metadata(place.path(name)).expect("it is there").mode() & 0o7777;
    for (options, file, directory) in [(&[][..], 0o755, 0o1755), (&["--preserve-setid"], 0o6755, 0o3755)] {
        let (there, here) = (place.text(&format!("there{file:o}/")), place.text(&format!("here{file:o}")));
        assert_ok(&through(&place, HONEST, "put", &[options, &[&tree, &there]].concat()));
        assert_ok(&through(&place, HONEST, "get", &[options, &[&tree, &here]].concat()));
        for at in [format!("there{file:o}/tree"), format!("here{file:o}/n/tree")] {
            assert_eq!((mode(&at), mode(&format!("{at}/file"))), (directory, file), "{at}");
        }
    }
}

#[test]
fn dates_before_1970_are_kept() {
    let place = Place::new();
    let times = [("moon", -14_182_940), ("second", -1), ("epoch", 0), ("far", 5_000_000_000)];
    for (name, seconds) in times {
        let path = place.write(&format!("tree/{name}"), b"x");
        let date = SystemTime::UNIX_EPOCH;
        let moved = Duration::from_secs(i64::unsigned_abs(seconds));
        let date = if seconds < 0 { date - moved + Duration::from_millis(500) } else { date + moved };
        File::open(path).and_then(|file| file.set_modified(date)).expect("it is ours");
    }
    let tree = place.text("tree");
    // Its tar writes no date before 1970.
    let mut hosts = vec![(HONEST.to_owned(), &["there/tree", "here/n/tree"][..])];
    if let Some(busybox) = require_program("busybox", "busybox-static") {
        hosts.push((format!("exec '{}' sh -c \"$command\"", busybox.display()), &["there/tree"]));
    }
    for (host, places) in hosts {
        let _ = (fs::remove_dir_all(place.path("there")), fs::remove_dir_all(place.path("here")));
        assert_ok(&through(&place, &host, "put", &[&tree, &place.text("there/")]));
        let begun = Instant::now();
        let get = through(&place, &host, "get", &[&tree, &place.text("here")]);
        assert_eq!(get.status(), Some(0), "{}", get.stderr());
        assert!(begun.elapsed() < Duration::from_secs(4), "nothing is waited for");
        for (name, seconds) in times {
            for at in places {
                let meta = fs::metadata(place.path(at).join(name)).expect("it is there");
                assert_eq!(meta.mtime(), seconds, "{at}/{name}");
            }
        }
    }
}

/// GNU's tar takes `\101` for an A, and patterns keep backslashes.
#[test]
fn the_file_that_was_named_comes() {
    let place = Place::new();
    for (name, content) in [("d/\\101", "right"), ("d/-rf", "dash"), ("d/new\nline", "line"), ("d/a\\", "end")] {
        place.write(name, content.as_bytes());
    }
    for with_twin in [true, false] {
        if with_twin {
            place.write("d/A", b"wrong");
        } else {
            fs::remove_file(place.path("d/A")).expect("it is ours");
        }
        let _ = fs::remove_dir_all(place.path("here"));
        assert_ok(&through(&place, HONEST, "get", &["--verify", &place.text("d/\\101"), &place.text("here")]));
        assert_eq!((place.names("here/n"), place.read("here/n/\\101")), (vec!["\\101".to_owned()], b"right".to_vec()));
        assert_ok(&through(&place, HONEST, "get", &["--verify", &place.text("d/*"), &place.text("here")]));
        assert_eq!(place.names("here/n"), place.names("d"));
    }
    let odd = place.text("d/new\nline");
    assert_ok(&through(&place, HONEST, "put", &["--verify", &odd, &place.text("d/a\\"), &place.text("there/")]));
    assert_eq!(place.names("there"), ["a\\", "new\nline"]);
}

/// What a host sends beside what it was asked for, as with CVE-2019-6111 of scp.
#[test]
fn files_that_were_not_asked_for_are_refused() {
    let place = Place::new();
    let file = place.write("asked", b"x");
    place.write(".bashrc", b"evil");
    let real = find_program("tar").expect("every system has it").display().to_string();
    let script = replaced(&place, &[("tar", &format!("exec {real} \"$@\" ./.bashrc"))]);
    let extra = through(&place, &script, "get", &[&file, &place.text("here")]);
    assert_not_transferred(&extra, "`.bashrc` is not what was asked for, which was `");
    let instead = replaced(&place, &[("tar", &format!("exec {real} -cf - ./.bashrc"))]);
    assert_not_transferred(
        &through(&place, &instead, "get", &[&file, &place.text("here")]),
        "is not what was asked for",
    );
    assert_eq!(place.names("here/n"), [] as [&str; 0]);
}

/// A host that never ends a line, and one that never ends to say how a name goes on, cost it alone.
#[test]
fn endless_lines_cost_nothing() {
    let place = Place::new();
    let script = "head -c 300000000 /dev/zero; exit 0";
    assert_not_transferred(&through(&place, script, "get", &["/etc/hostname", &place.text("here")]), NO_WORD);
    assert_not_transferred(&through(&place, script, "put", &["/etc/hostname", &place.text("there")]), NO_WORD);
}

/// A host of an ordinary user, where directories deny writing to their owner, and files belong to others.
#[test]
fn a_second_put_goes_as_well_as_the_first() {
    if !nix::unistd::geteuid().is_root() || find_program("setpriv").is_none() {
        return phalanx_tests::skip(format_args!("only root can be another user, with setpriv"));
    }
    let place = Place::new();
    place.write("tree/locked/deep/file", b"x");
    for directory in ["tree/locked/deep", "tree/locked"] {
        fs::set_permissions(place.path(directory), Permissions::from_mode(0o555)).expect("it is ours");
    }
    fs::create_dir(place.path("home")).expect("it is ours");
    std::os::unix::fs::chown(place.path("home"), Some(65_534), Some(65_534)).expect("we are root");
    fs::set_permissions(place.path(""), Permissions::from_mode(0o755)).expect("it is ours");
    let ordinary = "exec setpriv --reuid 65534 --regid 65534 --clear-groups sh -c \"$command\"";
    for _ in 0..2 {
        assert_ok(&through(&place, ordinary, "put", &[&place.text("tree"), &place.text("home/")]));
    }
    let mode = |name: &str| fs::metadata(place.path(name)).expect("it is there").mode() & 0o7777;
    assert_eq!((mode("home/tree/locked"), mode("home/tree/locked/deep")), (0o555, 0o555));
    // What root replaces stays its owner's.
    let file = place.write("file", b"new");
    for (verb, to, at) in [("put", place.text("home/"), "home/file"), ("get", place.text("here"), "here/n/file")] {
        place.write(at, b"old");
        std::os::unix::fs::chown(place.path(at), Some(65_534), Some(65_534)).expect("we are root");
        assert_ok(&through(&place, HONEST, verb, &[&file, &to]));
        let meta = fs::metadata(place.path(at)).expect("it is there");
        assert_eq!((place.read(at), meta.uid(), meta.gid()), (b"new".to_vec(), 65_534, 65_534), "{at}");
    }
}
