//! `phalanx put` and `phalanx get` through a real OpenSSH server: items 122 and 125 of the inventory of execo, and its
//! acceptance checks P1 to P6. All hosts of the fleet are this machine, so each has a directory of its own.

use std::fs::{self, File, Permissions};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use phalanx_tests::{Fleet, require_program, shared_fleet, skip, wait_until};
use tempfile::TempDir;

use crate::phalanx::{Phalanx, Ran, kill};

/// A directory that nobody else knows.
pub(crate) struct Place(TempDir);

impl Place {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().expect("a directory can be made"))
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn text(&self, name: &str) -> String {
        self.path(name).to_str().expect("UTF-8").to_owned()
    }

    pub(crate) fn write(&self, name: &str, content: &[u8]) -> String {
        fs::create_dir_all(self.path(name).parent().expect("it is in here")).expect("it is ours");
        fs::write(self.path(name), content).expect("it is ours");
        self.text(name)
    }

    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// A file that takes long to copy and no room.
    fn large(&self, name: &str) -> String {
        File::create(self.path(name)).and_then(|file| file.set_len(16 << 30)).expect("files may have holes");
        self.text(name)
    }

    pub(crate) fn script(&self, name: &str, text: &str) -> String {
        let path = self.write(name, format!("#!/bin/sh\n{text}\n").as_bytes());
        fs::set_permissions(&path, Permissions::from_mode(0o755)).expect("it is ours");
        path
    }

    /// Everything below, private directories of transfers included, in order.
    pub(crate) fn names(&self, directory: &str) -> Vec<String> {
        let entries = fs::read_dir(self.path(directory)).into_iter().flatten().flatten();
        let mut names: Vec<_> = entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    /// Waits until something of a transfer has come into the private directory in `directory`.
    fn wait_for_bytes(&self, directory: &str, within: &str) {
        wait_until("some bytes have come", || {
            let private = self.names(directory).into_iter().find(|name| name.starts_with(".phalanx-"));
            private.is_some_and(|private| {
                let path = self.path(directory).join(private).join(within);
                path.metadata().is_ok_and(|meta| meta.len() > 0)
            })
        });
    }
}

fn copy(fleet: &Fleet, verb: &str, arguments: &[&str]) -> Phalanx {
    Phalanx::verb(verb, &["-F"]).args([fleet.ssh_config()]).args(arguments)
}

fn put(fleet: &Fleet, arguments: &[&str]) -> Ran {
    copy(fleet, "put", arguments).output()
}

fn get(fleet: &Fleet, arguments: &[&str]) -> Ran {
    copy(fleet, "get", arguments).output()
}

#[track_caller]
fn assert_ok(ran: &Ran) {
    assert_eq!((ran.status(), ran.stderr()), (Some(0), String::new()));
}

#[track_caller]
fn assert_says(ran: &Ran, status: i32, sentence: &str) {
    assert_eq!(ran.status(), Some(status), "{}", ran.stderr());
    assert!(ran.stderr().contains(sentence), "{}", ran.stderr());
}

/// A tree with every oddity a name or a file may have.
pub(crate) fn odd_tree(place: &Place) -> String {
    let long = format!("tree/{}/{}", "d".repeat(120), "f".repeat(120));
    for name in ["tree/-rf", "tree/sp ace", "tree/quo'te\"", "tree/$(touch x)`y`", "tree/new\nline", "tree/back\\slash"]
    {
        place.write(name, name.as_bytes());
    }
    place.write(&long, b"long");
    place.write("tree/empty", b"");
    place.write("tree/.hidden", b"hidden");
    place.write("tree/large", &vec![7; 1 << 20]);
    fs::write(place.path("tree").join(std::ffi::OsStr::from_bytes(b"not \xff\xfe UTF-8")), "bytes")
        .expect("it is ours");
    std::os::unix::fs::symlink("nowhere", place.path("tree/broken link")).expect("it is ours");
    std::os::unix::fs::symlink("l".repeat(150), place.path("tree/long link")).expect("it is ours");
    fs::create_dir(place.path("tree/empty directory")).expect("it is ours");
    fs::set_permissions(place.path("tree/sp ace"), Permissions::from_mode(0o4751)).expect("it is ours");
    fs::set_permissions(place.path("tree/empty directory"), Permissions::from_mode(0o555)).expect("it is ours");
    let old = SystemTime::UNIX_EPOCH + Duration::from_secs(981_173_106);
    for name in ["tree/-rf", "tree/empty directory"] {
        File::open(place.path(name)).and_then(|file| file.set_modified(old)).expect("it is ours");
    }
    place.text("tree")
}

/// Same names, kinds, contents, modes and times in whole seconds.
#[track_caller]
pub(crate) fn assert_same_tree(one: &Path, other: &Path) {
    let (meta, others) = (fs::symlink_metadata(one).expect("it is there"), fs::symlink_metadata(other));
    let others = others.unwrap_or_else(|error| panic!("{}: {error}", other.display()));
    assert_eq!((meta.mode(), meta.file_type()), (others.mode(), others.file_type()), "{}", one.display());
    if meta.is_symlink() {
        return assert_eq!(fs::read_link(one).expect("a link"), fs::read_link(other).expect("a link"));
    }
    assert_eq!(meta.mtime(), others.mtime(), "{}", one.display());
    if meta.is_file() {
        return assert_eq!(fs::read(one).expect("a file"), fs::read(other).expect("a file"), "{}", one.display());
    }
    let names = |directory: &Path| {
        let mut names: Vec<_> =
            fs::read_dir(directory).expect("a directory").map(|entry| entry.expect("an entry").file_name()).collect();
        names.sort();
        names
    };
    assert_eq!(names(one), names(other));
    names(one).iter().for_each(|name| assert_same_tree(&one.join(name), &other.join(name)));
}

/// P1 and P6.
#[test]
fn a_tree_with_odd_names_arrives_on_every_host_as_it_is() {
    let Some(fleet) = shared_fleet() else { return };
    let place = Place::new();
    let (tree, file) = (odd_tree(&place), place.write("-a 'file'", b"file"));
    assert_ok(&put(
        fleet,
        &["-w", "node[1-3]", "--verify", "--preserve-setid", &tree, &file, &place.text("there/{{{host}}}/")],
    ));
    for node in ["node1", "node2", "node3"] {
        let there = place.path("there").join(node);
        assert_same_tree(&place.path("tree"), &there.join("tree"));
        assert_eq!(fs::read(there.join("-a 'file'")).expect("it is there"), b"file");
        assert_eq!(place.names(&format!("there/{node}")), ["-a 'file'", "tree"]);
    }
    assert_ok(&get(fleet, &["-w", "node[1-2]", "--verify", "--preserve-setid", &tree, &file, &place.text("back")]));
    for node in ["node1", "node2"] {
        assert_same_tree(&place.path("tree"), &place.path("back").join(node).join("tree"));
        assert_eq!(place.names(&format!("back/{node}")), ["-a 'file'", "tree"]);
    }
    // Once more, on top of what is there.
    assert_ok(&put(fleet, &["-w", "node1", &tree, &place.text("there/{{{host}}}")]));
    assert_ok(&get(fleet, &["-w", "node1", &tree, &place.text("back")]));
    for again in ["there/node1/tree", "back/node1/tree"] {
        assert_eq!(place.names(again), place.names("tree"));
        assert_same_tree(&place.path("tree/large"), &place.path(again).join("large"));
    }
}

/// P1: each on the side that owns the files, and never by a shell that would also execute.
#[test]
fn patterns_and_homes_belong_to_the_side_that_has_the_files() {
    let Some(fleet) = shared_fleet() else { return };
    let place = Place::new();
    for name in ["a1.txt", "a2.txt", "b.log", ".a3.txt", "[a]*.txt", "sub/x/deep.txt", "sub/y/deep.log"] {
        place.write(&format!("home/{name}"), name.as_bytes());
    }
    let dest = place.text("put/");
    let run = copy(fleet, "put", &["-w", "node1", "~/a?.txt", "~/sub/*/*.txt", &dest]).env("HOME", place.path("home"));
    assert_ok(&run.output());
    assert_eq!(place.names("put"), ["a1.txt", "a2.txt", "deep.txt"]);
    let home = place.text("home");
    let asked = [format!("{home}/[ab]*"), format!("{home}/*/y/*")];
    assert_ok(&get(fleet, &["-w", "node1", &asked[0], &asked[1], &place.text("got")]));
    assert_eq!(place.names("got/node1"), ["a1.txt", "a2.txt", "b.log", "deep.log"]);
    // A file of exactly that name comes first.
    assert_ok(&get(fleet, &["-w", "node1", &format!("{home}/[a]*.txt"), &place.text("exact")]));
    assert_eq!(place.names("exact/node1"), ["[a]*.txt"]);
    let evil = format!("$(touch {home}/evil)`touch {home}/evil`; touch {home}/evil; *");
    assert_says(&get(fleet, &["-w", "node1", &evil, &place.text("none")]), 1, "there is no `$(touch");
    assert_says(&put(fleet, &["-w", "node1", &format!("{home}/b.log"), &evil]), 1, "there is no directory");
    assert!(!place.path("home/evil").exists());
}

/// `~` of the host is expanded there, in a destination and in a source.
#[test]
fn the_remote_home_is_found_there() {
    let Some(fleet) = shared_fleet() else { return };
    let place = Place::new();
    let file = place.write("file", b"x");
    let home = fleet.ssh_command().args(["node1", "pwd -P"]).output().expect("ssh runs").stdout;
    let up = "../".repeat(String::from_utf8_lossy(&home).trim().matches('/').count());
    let root = fs::canonicalize(place.0.path()).expect("it is there");
    let below = root.to_str().expect("UTF-8").trim_start_matches('/');
    assert_ok(&put(fleet, &["-w", "node1", &file, &format!("~/{up}{below}/renamed")]));
    assert_eq!(place.read("renamed"), b"x");
    assert_ok(&put(fleet, &["-w", "node1", &file, &format!("{up}{below}/relative")]));
    assert_ok(&get(fleet, &["-w", "node1", &format!("~/{up}{below}/rel*"), &place.text("got")]));
    assert_eq!(place.read("got/node1/relative"), b"x");
}

/// The stated rule about destinations, of a put.
#[test]
fn a_destination_is_a_directory_a_new_name_or_refused() {
    let Some(fleet) = shared_fleet() else { return };
    let place = Place::new();
    let (one, two) = (place.write("one", b"1"), place.write("two", b"2"));
    fs::create_dir(place.path("there")).expect("it is ours");
    assert_ok(&put(fleet, &["-w", "node1", &one, &place.text("there")]));
    assert_ok(&put(fleet, &["-w", "node1", &one, &place.text("there/new")]));
    assert_ok(&put(fleet, &["-w", "node1", &one, &place.text("made/with/parents/")]));
    assert_ok(&put(fleet, &["-w", "node1", &one, &two, &place.text("several")]));
    let absent = put(fleet, &["-w", "node1", &one, &place.text("absent/name")]);
    assert_says(&absent, 1, "end the destination with a slash to have it made");
    assert_eq!(place.names("there"), ["new", "one"]);
    assert_eq!(place.names("made/with/parents"), ["one"]);
    assert_eq!(place.names("several"), ["one", "two"]);
    assert!(!place.path("absent").exists());
    // A directory does not give way to a file, nor the other way round; and two directories become one.
    fs::create_dir_all(place.path("there/two")).expect("it is ours");
    assert_says(&put(fleet, &["-w", "node1", &two, &place.text("there/")]), 1, "it is a directory there");
    place.write("tree/sub/new", b"new");
    place.write("there/tree/sub/old", b"old");
    assert_ok(&put(fleet, &["-w", "node1", &place.text("tree"), &place.text("there")]));
    assert_eq!(place.names("there/tree/sub"), ["new", "old"]);
    assert_eq!(place.names("there"), ["new", "one", "tree", "two"]);
}

/// P3 and P4.
#[test]
fn the_same_name_from_two_hosts_does_not_overwrite() {
    let Some(fleet) = shared_fleet() else { return };
    let place = Place::new();
    for node in ["node1", "node2"] {
        place.write(&format!("{node}/same.txt"), node.as_bytes());
    }
    let asked = place.text("{{{host}}}/same.txt");
    assert_ok(&get(fleet, &["-w", "node[1-2]", &asked, &place.text("got")]));
    assert_ok(&get(fleet, &["-w", "node[1-2]", &asked, &place.text("slash/{{{host}}}/")]));
    fs::create_dir(place.path("named")).expect("it is ours");
    assert_ok(&get(fleet, &["-w", "node[1-2]", &asked, &place.text("named/{{{host}}}.txt")]));
    for node in ["node1", "node2"] {
        for name in [format!("got/{node}/same.txt"), format!("slash/{node}/same.txt"), format!("named/{node}.txt")] {
            assert_eq!(place.read(&name), node.as_bytes(), "{name}");
        }
    }
    let absent = get(fleet, &["-w", "node1", &asked, &place.text("absent/{{{host}}}.txt")]);
    assert_says(&absent, 1, "there is no directory");
    // Of one host, two files of one name.
    let both = [place.text("node1/same.txt"), place.text("node2/same.txt")];
    assert_says(
        &get(fleet, &["-w", "node1", &both[0], &both[1], &place.text("both")]),
        1,
        "two of the sources are called",
    );
    assert_eq!(place.names("both/node1"), [] as [&str; 0]);
    assert_says(
        &put(fleet, &["-w", "node1", &both[0], &both[1], &place.text("both")]),
        2,
        "would be called `same.txt`",
    );
}

/// P5, and what else cannot be read or written.
#[test]
fn what_cannot_be_read_or_written_is_said_and_leaves_nothing() {
    let Some(fleet) = shared_fleet() else { return };
    let place = Place::new();
    let file = place.write("file", b"x");
    assert_says(&put(fleet, &["-w", "node1", &place.text("absent"), &place.text("x")]), 2, "there is no `");
    assert_says(&put(fleet, &["-w", "node1", &place.text("abs*"), &place.text("x")]), 2, "there is no `");
    assert_says(&put(fleet, &["-w", "node1", ".", &place.text("x")]), 2, "has no name of its own");
    assert_says(&put(fleet, &["-w", "node1", &file, "/proc/"]), 1, "cannot write into `/proc/'");
    assert_says(&put(fleet, &["-w", "node1", &file, "/proc/x/y/"]), 1, "cannot make the directory `/proc/x/y/'");
    let missing = get(fleet, &["-w", "node[1-2]", &file, &place.text("absent"), &place.text("got")]);
    assert_says(&missing, 1, "node2: not transferred: there is no `");
    assert_says(&get(fleet, &["-w", "node1", "..", &place.text("got")]), 1, "has no name of its own");
    assert!(!place.path("got").exists(), "nothing was there to be made");
    assert_says(&get(fleet, &["-w", "node1", &file, "/proc/x"]), 1, "cannot make the directory `/proc/x/node1`");
    let away = get(fleet, &["-w", "refused1,node1", &file, &place.text("away")]);
    assert_says(&away, 1, "refused1: not reached");
    assert_eq!(place.names("away"), ["node1"]);
}

#[test]
fn events_tell_of_every_host_and_a_dry_run_does_nothing() {
    let Some(fleet) = shared_fleet() else { return };
    let place = Place::new();
    let file = place.write("file", b"x");
    let dest = place.text("{{{host}}}/");
    let dry = put(fleet, &["--dry-run", "-w", "node[1-2]", &file, &dest]);
    assert_eq!(dry.stdout().lines().next(), Some(&format!("node1: put `{file}` into `{}`", place.text("node1/"))[..]));
    assert!(!place.path("node1").exists());
    let ran = put(fleet, &["--json", "-w", "node1,refused1", &file, &dest]);
    let results: Vec<_> = ran.results().into_values().collect();
    assert_eq!((ran.status(), results), (Some(1), vec!["ok".to_owned(), "unreachable".to_owned()]));
    assert_eq!(ran.events().iter().filter(|event| event["event"] == "output").count(), 0);
    let failed = get(fleet, &["--json", "-w", "node1", &place.text("absent"), &place.text("got")]);
    assert_eq!(failed.results()["node1"], "not-transferred");
}

/// The temporary directories of a put at the far end, and of a get here.
#[test]
fn an_ssh_killed_in_the_middle_of_a_transfer_leaves_nothing() {
    let Some(fleet) = shared_fleet() else { return };
    let place = Place::new();
    let large = place.large("large");
    for (verb, dest, directory, within) in [("put", "put/", "put", "0"), ("get", "got", "got/node1", "large")] {
        let mut running = copy(fleet, verb, &["--json", "-w", "node1", &large, &place.text(dest)]).start();
        let pid = running.event("started")["pid"].as_u64().expect("a number");
        place.wait_for_bytes(directory, within);
        kill("KILL", u32::try_from(pid).expect("a pid"));
        let ran = running.end();
        assert_eq!((ran.status(), &ran.results()["node1"][..]), (Some(1), "lost"), "{verb}");
        wait_until("the far end has noticed", || place.names(directory).is_empty());
    }
}

#[test]
fn a_transfer_that_is_stopped_leaves_nothing() {
    let Some(fleet) = shared_fleet() else { return };
    let place = Place::new();
    let large = place.large("large");
    for (verb, dest, directory, within) in [("put", "put/", "put", "0"), ("get", "got", "got/node1", "large")] {
        let running = copy(fleet, verb, &["-w", "node1", &large, &place.text(dest)]).start();
        place.wait_for_bytes(directory, within);
        running.signal("INT");
        let ran = running.end();
        assert_says(&ran, 130, "node1: ended, since the run was stopped");
        wait_until("the far end has noticed", || place.names(directory).is_empty());
        ran.assert_nothing_left();
    }
    let slow = put(fleet, &["-u", "1", "-w", "node1", &large, &place.text("put/")]);
    assert_says(&slow, 1, "node1: command timeout");
    wait_until("the far end has noticed", || place.names("put").is_empty());
}

#[test]
fn a_controller_killed_in_the_middle_leaves_nothing_under_its_final_name() {
    let Some(fleet) = shared_fleet() else { return };
    let place = Place::new();
    let large = place.large("large");
    let running = copy(fleet, "put", &["-w", "node1", &large, &place.text("put/")]).start();
    place.wait_for_bytes("put", "0");
    running.signal("KILL");
    running.end().assert_nothing_left();
    wait_until("the far end has noticed", || place.names("put").is_empty());
    let running = copy(fleet, "get", &["-w", "node1", &large, &place.text("got")]).start();
    place.wait_for_bytes("got/node1", "large");
    running.signal("KILL");
    running.end().assert_nothing_left();
    assert!(!place.path("got/node1/large").exists());
}

/// The byte is damaged on the way, after our checksum and before theirs, and the other way round.
#[test]
fn a_damaged_byte_is_found() {
    let Some(fleet) = shared_fleet() else { return };
    let place = Place::new();
    let mut bytes = vec![b'a'; 100_000];
    bytes[50_000] = 1;
    let file = place.write("file", &bytes);
    let forth = place.script("forth", "tr '\\001' '\\002' | ssh \"$@\"");
    let back = place.script("back", "ssh \"$@\" | stdbuf -o0 tr '\\001' '\\002'");
    let damaged = put(fleet, &["--ssh", &forth, "-w", "node1", &file, &place.text("unnoticed")]);
    assert_ok(&damaged);
    assert_eq!(place.read("unnoticed")[50_000], 2, "the damage is done");
    let noticed = put(fleet, &["--verify", "--ssh", &forth, "-w", "node1", &file, &place.text("put/")]);
    assert_says(&noticed, 1, "its checksum differs from ours: 0: FAILED");
    assert_eq!(place.names("put"), [] as [&str; 0]);
    let noticed = get(fleet, &["--verify", "--ssh", &back, "-w", "node1", &file, &place.text("got")]);
    assert_says(&noticed, 1, "the checksum of `file` differs");
    assert_eq!(place.names("got/node1"), [] as [&str; 0]);
}

/// A connector that stays here, and has no other programs than those named.
fn poor_host(place: &Place, programs: &[&str]) -> String {
    fs::create_dir(place.path("bin")).expect("it is ours");
    for program in programs {
        let path = phalanx_tests::find_program(program).expect("every system has it");
        std::os::unix::fs::symlink(path, place.path("bin").join(program)).expect("it is ours");
    }
    let script = format!("while [ $# -gt 1 ]; do shift; done; PATH={} exec sh -c \"$1\"", place.text("bin"));
    place.script("connector", &script)
}

#[test]
fn what_the_far_end_lacks_is_said() {
    let place = Place::new();
    let file = place.write("file", b"x");
    let poor = poor_host(&place, &["sh", "dd", "tr"]);
    let verb = |verb, arguments: &[&str]| Phalanx::verb(verb, &["--ssh", &poor, "-w", "n"]).args(arguments).output();
    assert_says(&verb("put", &[&file, &place.text("x")]), 1, "there is no tar on that host");
    assert_says(&verb("get", &[&file, &place.text("x")]), 1, "there is no tar on that host");
    std::os::unix::fs::symlink("/bin/true", place.path("bin/tar")).expect("it is ours");
    assert_says(&verb("put", &["--verify", &file, &place.text("x")]), 1, "there is neither sha256sum nor shasum");
    assert_says(&verb("get", &["--verify", &file, &place.text("x")]), 1, "there is neither sha256sum nor shasum");
}

/// The smallest systems have busybox, whose tar and sha256sum know fewer options.
#[test]
fn busybox_at_the_far_end_is_enough() {
    let Some(busybox) = require_program("busybox", "busybox-static") else { return };
    let place = Place::new();
    let tree = odd_tree(&place);
    fs::create_dir(place.path("bin")).expect("it is ours");
    let programs = "sh dd tr tar mkdir mv rm rmdir chmod sha256sum grep head find";
    for program in programs.split(' ') {
        std::os::unix::fs::symlink(&busybox, place.path("bin").join(program)).expect("it is ours");
    }
    let script = format!("while [ $# -gt 1 ]; do shift; done; PATH={} exec sh -c \"$1\"", place.text("bin"));
    let poor = place.script("connector", &script);
    let verb = |verb, arguments: &[&str]| Phalanx::verb(verb, &["--ssh", &poor, "-w", "n"]).args(arguments).output();
    assert_ok(&verb("put", &["--verify", "--preserve-setid", &tree, &place.text("put/")]));
    assert_same_tree(&place.path("tree"), &place.path("put/tree"));
    assert_ok(&verb("get", &["--verify", "--preserve-setid", &tree, &place.text("got")]));
    assert_same_tree(&place.path("tree"), &place.path("got/n/tree"));
}

/// What a login shell prints is not taken for files.
#[test]
fn a_talkative_login_shell_does_no_harm() {
    let place = Place::new();
    let file = place.write("file", b"x");
    let script = "while [ $# -gt 1 ]; do shift; done; echo; echo Welcome; exec sh -c \"$1\"";
    let talkative = place.script("connector", script);
    let verb =
        |verb, arguments: &[&str]| Phalanx::verb(verb, &["--ssh", &talkative, "-w", "n"]).args(arguments).output();
    assert_ok(&verb("put", &[&file, &place.text("put/")]));
    assert_ok(&verb("get", &[&file, &place.text("got")]));
    assert_eq!((place.read("put/file"), place.read("got/n/file")), (b"x".to_vec(), b"x".to_vec()));
}

/// A file system of one MiB, where root may mount one.
struct Tiny<'a>(&'a Path);

impl<'a> Tiny<'a> {
    fn mount(at: &'a Path) -> Option<Self> {
        fs::create_dir(at).expect("it is ours");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=1m", "tmpfs"]).arg(at);
        match mount.output() {
            Ok(output) if output.status.success() => Some(Self(at)),
            Ok(output) => {
                skip(format_args!("cannot mount a tiny tmpfs: {}", String::from_utf8_lossy(&output.stderr).trim()));
                None
            }
            Err(error) => {
                skip(format_args!("cannot run mount: {error}"));
                None
            }
        }
    }
}

impl Drop for Tiny<'_> {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg(self.0).status();
        assert!(unmounted.is_ok_and(|status| status.success()), "{} is still mounted", self.0.display());
    }
}

#[test]
fn a_full_disk_is_said_and_leaves_nothing() {
    let Some(fleet) = shared_fleet() else { return };
    let place = Place::new();
    let file = place.write("file", &vec![b'a'; 4 << 20]);
    let path = place.path("tiny");
    let Some(_tiny) = Tiny::mount(&path) else { return };
    place.write("tiny/file", b"old");
    assert_says(&put(fleet, &["-w", "node1", &file, &place.text("tiny/")]), 1, "the disk is full there");
    assert_says(&get(fleet, &["-w", "node1", &file, &place.text("tiny")]), 1, "No space left on device");
    assert_eq!((place.read("tiny/file"), place.names("tiny/node1")), (b"old".to_vec(), Vec::new()));
    assert_eq!(place.names("tiny"), ["file", "node1"]);
}

#[test]
fn paths_have_the_values_of_lists() {
    let put = Phalanx::verb("put", &["--dry-run", "-w", "n[1-3]", "--set", "d=x,y", "/etc/hostname", "/tmp/{{d}}/"]);
    let said = put.output().stdout();
    for (host, directory) in [("n1", "x"), ("n2", "y"), ("n3", "x")] {
        assert!(said.contains(&format!("{host}: put `/etc/hostname` into `/tmp/{directory}/`")), "{said}");
    }
    let get = Phalanx::verb("get", &["-w", "n", "--set", "d=x", "/tmp/{{e}}", "here"]).output();
    assert!(get.stderr().contains("`{{e}}` names no list; known are d"), "{}", get.stderr());
    assert_eq!(get.status(), Some(2));
}

/// Item 6 of the action layer: files leave a record as commands do, and it is not mistaken for one of a command.
#[test]
fn what_became_of_files_is_recorded() {
    let Some(fleet) = shared_fleet() else { return };
    let place = Place::new();
    let (file, record) = (place.write("file", b"x"), place.text("record"));
    let destination = place.text("{{{host}}}");
    let ran = put(fleet, &["--record", &record, "-w", "node1,denied1", &file, &destination]);
    assert_eq!(ran.status(), Some(1));
    let report = Phalanx::report(&[&record]).output();
    assert_eq!(report.status(), Some(0), "{}", report.stderr());
    assert!(
        report.stdout().contains(&format!("put to {destination} (")) && report.stdout().contains("denied1"),
        "{}",
        report.stdout()
    );
    let again = ["--failed-from", &record];
    assert_says(
        &Phalanx::run(&again).output(),
        2,
        "is one of files that were copied: give a command after the options",
    );
    let with_command = Phalanx::run(&again).args(["-R", "exec", "echo %h"]).output();
    assert_eq!((with_command.stdout().as_str(), with_command.status()), ("denied1: denied1\n", Some(0)));
    let second = get(fleet, &["--record", &record, "-w", "node1", "/etc/hostname", &place.text("here")]);
    assert_says(&second, 2, "is not empty, and a record is never overwritten");
}
