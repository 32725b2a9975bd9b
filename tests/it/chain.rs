//! `phalanx put --chain` between hosts that have addresses of their own: item 124 of the inventory of execo, and its
//! acceptance checks C1 to C6. C7, the speed, is `cargo xtask bench chain`.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use phalanx_tests::{Namespaces, require_program, shared_fleet, wait_until};

use crate::phalanx::{Phalanx, Ran, kill};
use crate::put_get::{Place, assert_same_tree, odd_tree};

const MEGABYTE: usize = 1_000_000;

/// Bytes that are different everywhere, so that none can be missing, doubled or moved unnoticed.
fn content(length: usize) -> Vec<u8> {
    let mut state = 1_u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state.to_be_bytes()
    };
    let mut bytes: Vec<u8> = (0..length.div_ceil(8)).flat_map(|_| next()).collect();
    bytes.truncate(length);
    bytes
}

/// A chain to be: its hosts, and a file.
struct Lab {
    hosts: Namespaces,
    place: Place,
    content: Vec<u8>,
}

impl Lab {
    fn new(hosts: usize, megabytes: usize) -> Option<Self> {
        require_program("nc", "netcat-traditional")?;
        require_program("tc", "iproute2")?;
        let (hosts, place, content) = (Namespaces::start(hosts)?, Place::new(), content(megabytes * MEGABYTE));
        place.write("file", &content);
        Some(Self { hosts, place, content })
    }

    fn chain(&self, options: &[&str]) -> Phalanx {
        Phalanx::chain(&self.hosts, options).args(["-w", &self.hosts.hosts(), "--json"])
    }

    fn put(&self, options: &[&str]) -> Ran {
        self.chain(options).args([self.place.text("file"), "file".to_owned()]).output()
    }

    /// The hosts whose file is whole. No host may have another one.
    #[track_caller]
    fn whole(&self) -> Vec<usize> {
        let has = |host: &usize| match fs::read(self.hosts.home(*host).join("file")) {
            Ok(bytes) => {
                assert!(bytes == self.content, "host {host} has another file, of {} bytes", bytes.len());
                true
            }
            Err(_) => false,
        };
        (1..).take_while(|host| self.hosts.home(*host).exists()).filter(has).collect()
    }

    /// The hosts that were reported ok. Their files must be whole. So may be that of a host whose shell was killed: what it
    /// had started goes on for a moment, and may come to the end.
    #[track_caller]
    fn ok(&self, ran: &Ran) -> Vec<usize> {
        let results = ran.results();
        let number = |host: &String| host.rsplit('.').next().and_then(|number| number.parse().ok());
        let mut ok: Vec<usize> =
            results.iter().filter(|(_, word)| *word == "ok").filter_map(|(host, _)| number(host)).collect();
        ok.sort_unstable();
        let whole = self.whole();
        assert!(ok.iter().all(|host| whole.contains(host)), "{whole:?} {results:?} {}", ran.stderr());
        ok
    }

    /// C6: no temporary file, no listener, nobody that goes on.
    #[track_caller]
    fn assert_tidy(&self) {
        let hosts: Vec<_> = (1..).take_while(|host| self.hosts.home(*host).exists()).collect();
        wait_until("nothing runs on any host", || hosts.iter().all(|host| self.hosts.processes(*host).is_empty()));
        for host in hosts {
            let names =
                fs::read_dir(self.hosts.home(host)).expect("it is there").flatten().map(|entry| entry.file_name());
            let left: Vec<_> = names.filter(|name| name.to_string_lossy().starts_with(".phalanx")).collect();
            assert!(left.is_empty(), "host {host}: {left:?}");
        }
    }

    fn clear(&self) {
        for host in (1..).take_while(|host| self.hosts.home(*host).exists()) {
            let _ = fs::remove_file(self.hosts.home(host).join("file"));
        }
    }

    /// Waits until a part of the file has come to a host, and not all of it.
    fn wait_for_part(&self, host: usize) {
        wait_until("some of it has come", || self.stored(host) > MEGABYTE as u64);
        assert!(self.stored(host) < self.content.len() as u64, "it was too fast for this test");
    }

    fn stored(&self, host: usize) -> u64 {
        let entries = fs::read_dir(self.hosts.home(host)).into_iter().flatten().flatten();
        let private = entries.map(|entry| entry.path()).find(|path| path.to_string_lossy().contains(".phalanx-chain-"));
        private.and_then(|path| path.join("stream").metadata().ok()).map_or(0, |meta| meta.len())
    }

    /// The processes of a host whose command line has that word, or one that begins with it.
    fn running(&self, host: usize, word: &str) -> Vec<u32> {
        let is_it = |pid: &u32| Namespaces::words(*pid).iter().any(|other| other.starts_with(word));
        self.hosts.processes(host).into_iter().filter(is_it).collect()
    }

    /// The shell that a real ssh would have started; all others descend from it.
    fn shell(&self, host: usize) -> u32 {
        let shells = self.running(host, "eval");
        let parent = |pid: u32| fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let parent = |pid: u32| parent(pid).rsplit(") ").next().and_then(|rest| rest.split(' ').nth(1)?.parse().ok());
        let main = shells.iter().find(|pid| parent(**pid).is_none_or(|parent: u32| !shells.contains(&parent)));
        *main.expect("it runs")
    }

    /// The netcat that receives.
    fn receiver(&self, host: usize) -> u32 {
        let netcats = self.running(host, "nc").into_iter();
        *netcats
            .filter(|pid| Namespaces::words(*pid).iter().any(|word| word == "-l"))
            .collect::<Vec<_>>()
            .first()
            .expect("it runs")
    }
}

/// Some processes live for a moment only: it does not matter whether they are still there.
fn signal_all(lab: &Lab, host: usize, signal: &str) {
    let pids = lab.hosts.processes(host).into_iter().map(|pid| pid.to_string());
    let sent = Command::new("kill").arg(format!("-{signal}")).args(pids).stderr(Stdio::null()).status();
    sent.expect("kill(1) is there");
}

#[track_caller]
fn assert_says(ran: &Ran, sentence: &str) {
    let said = ran.stdout() + &ran.stderr();
    assert!(said.contains(sentence), "{said}");
}

/// C1, C6.
#[test]
fn a_file_is_the_same_on_eight_hosts() {
    let Some(lab) = Lab::new(8, 8) else { return };
    let ran = lab.put(&[]);
    assert_eq!(lab.ok(&ran), [1, 2, 3, 4, 5, 6, 7, 8]);
    assert_eq!(ran.status(), Some(0), "{}", ran.stderr());
    lab.assert_tidy();
}

/// C2: the first, one in the middle, the last, several.
#[test]
fn dead_hosts_are_skipped() {
    let Some(lab) = Lab::new(5, 1) else { return };
    for dead in [&[1][..], &[3], &[5], &[1, 2], &[2, 4], &[1, 3, 4, 5]] {
        lab.clear();
        (1..=5).for_each(|host| lab.hosts.prepare(host, if dead.contains(&host) { "exit 255" } else { "" }));
        let ran = lab.put(&[]);
        let alive: Vec<_> = (1..=5).filter(|host| !dead.contains(host)).collect();
        assert_eq!((lab.ok(&ran), ran.status()), (alive, Some(1)), "{dead:?}");
        lab.assert_tidy();
    }
}

/// C2, and that of an empty chain.
#[test]
fn all_dead_is_an_end_too() {
    let Some(lab) = Lab::new(2, 1) else { return };
    (1..=2).for_each(|host| lab.hosts.prepare(host, "echo 'no route to host' >&2; exit 255"));
    let ran = lab.put(&[]);
    assert_eq!((lab.ok(&ran), ran.status()), (vec![], Some(1)));
    lab.assert_tidy();
}

/// C3, item 203.
#[test]
fn the_chain_ends_behind_too_many_that_were_skipped() {
    let Some(lab) = Lab::new(6, 1) else { return };
    [2, 3].into_iter().for_each(|host| lab.hosts.prepare(host, "exit 255"));
    for (retry, whole) in
        [("2", &[1, 4, 5, 6][..]), ("1", &[1]), ("0.34", &[1, 4, 5, 6]), ("0.2", &[1]), ("1.0", &[1, 4, 5, 6])]
    {
        lab.clear();
        let ran = lab.put(&["--chain-retry", retry]);
        assert_eq!(lab.ok(&ran), whole, "{retry}");
        if whole.len() == 1 {
            assert_says(&ran, "the chain ends before it: 2 hosts in succession had to be skipped");
        }
        lab.assert_tidy();
    }
}

/// C4: a hop whose shell is killed is not ok, and those behind it get everything.
#[test]
fn a_hop_that_is_killed_is_not_ok_and_holds_up_nobody() {
    let Some(lab) = Lab::new(4, 8) else { return };
    lab.hosts.limit(24);
    let running = lab.chain(&[]).args([lab.place.text("file"), "file".to_owned()]).start();
    lab.wait_for_part(2);
    kill("KILL", lab.shell(2));
    let ran = running.end();
    assert_eq!((lab.ok(&ran), ran.status()), (vec![1, 3, 4], Some(1)));
    lab.assert_tidy();
}

/// C4: a netcat that is killed, the one that receives and the one that sends, is another try, from where it stopped.
#[test]
fn a_netcat_that_is_killed_is_started_again() {
    let Some(lab) = Lab::new(4, 8) else { return };
    lab.hosts.limit(24);
    let running = lab.chain(&[]).args([lab.place.text("file"), "file".to_owned()]).start();
    lab.wait_for_part(2);
    let before = lab.stored(2);
    kill("KILL", lab.receiver(2));
    wait_until("it goes on behind that", || lab.stored(2) > before + MEGABYTE as u64);
    let sender = lab.running(3, "-q");
    sender.into_iter().for_each(|pid| kill("KILL", pid));
    let ran = running.end();
    assert_eq!((lab.ok(&ran), ran.status()), (vec![1, 2, 3, 4], Some(0)), "{}", ran.stderr());
    lab.assert_tidy();
}

/// C4: what computes the checksum may be killed, too, as when memory runs out.
#[test]
fn a_checksum_that_is_killed_is_computed_again() {
    let Some(lab) = Lab::new(2, 8) else { return };
    lab.hosts.limit(24);
    let running = lab.chain(&[]).args([lab.place.text("file"), "file".to_owned()]).start();
    lab.wait_for_part(2);
    lab.running(2, "sha256sum").into_iter().for_each(|pid| kill("KILL", pid));
    let ran = running.end();
    assert_eq!((lab.ok(&ran), ran.status()), (vec![1, 2], Some(0)), "{}", ran.stderr());
    lab.assert_tidy();
}

/// C4: a hop that stands still is skipped after its time; a netcat that does is replaced.
#[test]
fn a_hop_that_stands_still_is_skipped_after_its_time() {
    let Some(lab) = Lab::new(4, 8) else { return };
    lab.hosts.limit(24);
    let options = ["--chain-timeout", "3"];
    let running = lab.chain(&options).args([lab.place.text("file"), "file".to_owned()]).start();
    lab.wait_for_part(2);
    kill("STOP", lab.receiver(3));
    // The shell first, which would start others.
    kill("STOP", lab.shell(2));
    signal_all(&lab, 2, "STOP");
    let ran = running.end();
    assert_eq!((lab.ok(&ran), ran.status()), (vec![1, 3, 4], Some(1)), "{}", ran.stderr());
    assert_says(&ran, "it has said nothing for 3 s");
    // It finds nobody to talk to when it wakes up, and tidies up.
    signal_all(&lab, 2, "CONT");
    lab.assert_tidy();
    assert_eq!(lab.whole(), [1, 3, 4]);
}

/// C5: several files and directories in one pass, names, modes and times.
#[test]
fn odd_names_modes_and_times_arrive() {
    let Some(lab) = Lab::new(3, 1) else { return };
    let tree = odd_tree(&lab.place);
    let odd = lab.place.write("-odd\nname ", b"odd");
    let ran = lab
        .chain(&["--preserve-setid"])
        .args(["--", &tree, &odd, &lab.place.text("file"), "in to/{{{host}}}/"])
        .output();
    assert_eq!(ran.status(), Some(0), "{} {}", ran.stdout(), ran.stderr());
    for host in 1..=3 {
        let there = lab.hosts.home(host).join("in to").join(lab.hosts.address(host));
        assert_same_tree(Path::new(&tree), &there.join("tree"));
        assert_same_tree(Path::new(&odd), &there.join("-odd\nname "));
        assert_eq!(fs::read(there.join("file")).unwrap(), lab.content);
    }
    lab.assert_tidy();
    // Where things go is decided as for a put.
    let refused = lab.chain(&[]).args([lab.place.text("file"), "absent/file".to_owned()]).output();
    assert_eq!(refused.status(), Some(1));
    assert_says(&refused, "there is no directory `absent/' to put it in");
    lab.assert_tidy();
}

/// C6: called off by the user, or killed.
#[test]
fn whatever_ends_it_leaves_nothing_behind() {
    let Some(lab) = Lab::new(3, 8) else { return };
    lab.hosts.limit(24);
    for signal in ["INT", "KILL"] {
        let running = lab.chain(&[]).args([lab.place.text("file"), "file".to_owned()]).start();
        lab.wait_for_part(2);
        let private = fs::read_dir(lab.hosts.home(2)).unwrap().flatten().map(|entry| entry.metadata().unwrap());
        assert!(private.into_iter().all(|meta| meta.permissions().mode() & 0o7777 == 0o700));
        running.signal(signal);
        drop(running.end());
        lab.assert_tidy();
        assert!(lab.whole().is_empty(), "{signal}");
    }
}

#[test]
fn a_full_disk_is_the_trouble_of_that_host() {
    let Some(lab) = Lab::new(3, 8) else { return };
    // For the stream, and for what is in it.
    for size in ["4m", "12m"] {
        lab.clear();
        lab.hosts.prepare(2, &format!("mount -t tmpfs -o size={size} none \"$PWD\" && cd \"$PWD\""));
        let ran = lab.put(&[]);
        assert_eq!((lab.ok(&ran), ran.status()), (vec![1, 3], Some(1)));
        assert_says(&ran, "the disk is full there");
        lab.assert_tidy();
    }
}

/// Who connects to a host and says something else is not heard, and neither is who says nothing.
#[test]
fn strangers_are_not_listened_to() {
    let Some(lab) = Lab::new(3, 4) else { return };
    lab.hosts.limit(24);
    let stranger = "n=0; while [ $n -lt 2 ]; do
            printf 'phalanx-chain 00000000000000000000000000000000 0000000000000000\\npoison' | nc -q 0 10.77.0.2 20999 && n=$((n + 1))
        done; until sleep 30 | nc 10.77.0.3 20999; do :; done";
    let mut command = lab.hosts.here("sh");
    command.args(["-c", stranger]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    #[expect(clippy::disallowed_methods, reason = "a stranger is an ordinary child of the test")]
    let stranger: Child = command.spawn().expect("a shell can be started");
    let ran = lab.put(&["--chain-port", "20999", "--chain-timeout", "10"]);
    kill("KILL", stranger.id());
    drop(stranger.wait_with_output());
    assert_eq!((lab.ok(&ran), ran.status()), (vec![1, 2, 3], Some(0)), "{}", ran.stderr());
    lab.assert_tidy();
}

/// What a host needs, and nothing else.
const TOOLS: &str = "sh tar dd od tr mkdir mkfifo mv rm rmdir chmod ls cat head tail sleep sha256sum";

/// Makes that host one that has these tools, and no others.
fn with_tools(lab: &Lab, host: usize, netcat: &str) {
    let tools = format!(
        "mkdir -p bin; for tool in {TOOLS}; do ln -sf \"$(command -v $tool)\" bin/; done; {netcat} PATH=$PWD/bin"
    );
    lab.hosts.prepare(host, &tools);
}

/// Item 199: the program is found, and its kind recognised, on each host.
#[test]
fn every_netcat_talks_to_every_other() {
    let Some(lab) = Lab::new(8, 2) else { return };
    let kinds = [("nc.openbsd", "netcat-openbsd"), ("ncat", "ncat"), ("busybox", "busybox-static")];
    if kinds.iter().any(|(program, package)| require_program(program, package).is_none()) {
        return;
    }
    let link = |program: &str, name: &str| format!("ln -sf \"$(command -v {program})\" bin/{name};");
    let kinds = [
        link("nc.traditional", "nc"),
        link("nc.openbsd", "nc"),
        link("ncat", "ncat"),
        link("busybox", "busybox"),
        link("nc.openbsd", "nc.openbsd"),
        link("nc.traditional", "nc.traditional"),
        link("busybox", "nc"),
    ];
    kinds.iter().enumerate().for_each(|(index, kind)| with_tools(&lab, index + 1, kind));
    // And one that has none.
    with_tools(&lab, 8, "");
    let ran = lab.put(&[]);
    assert_eq!((lab.ok(&ran), ran.status()), (vec![1, 2, 3, 4, 5, 6, 7], Some(1)), "{}", ran.stderr());
    assert_says(&ran, "there is no netcat on that host, and a chain needs one");
    lab.clear();
    let ran = lab.put(&["--netcat", "no-such-netcat"]);
    assert_eq!((lab.ok(&ran), ran.status()), (vec![], Some(1)));
    assert_says(&ran, "there is no no-such-netcat on that host");
    lab.assert_tidy();
}

/// Home directories are often on a file server: all hosts put the file into the same place. And 0 s is for ever.
#[test]
fn hosts_may_share_the_directory() {
    let Some(fleet) = shared_fleet() else { return };
    let place = Place::new();
    let file = place.write("file", &content(3 * MEGABYTE));
    fs::create_dir(place.path("there")).expect("it is ours");
    let config = fleet.ssh_config().display().to_string();
    let chain = ["--chain", "--chain-address", "127.0.0.1", "--chain-timeout", "0", "-F", &config, "-w", "node[1-3]"];
    let ran = Phalanx::verb("put", &chain).args([&file, &place.text("there/")]).output();
    assert_eq!((ran.status(), ran.stderr()), (Some(0), String::new()));
    assert_same_tree(Path::new(&file), &place.path("there/file"));
    assert_eq!(fs::read_dir(place.path("there")).unwrap().count(), 1);
}

/// Other shells, and other tools than those of GNU.
#[test]
fn bash_and_busybox_will_do() {
    let Some(lab) = Lab::new(4, 4) else { return };
    if require_program("busybox", "busybox-static").is_none() {
        return;
    }
    lab.hosts.limit(40);
    with_tools(&lab, 1, "ln -sf \"$(command -v bash)\" bin/sh; ln -sf \"$(command -v nc)\" bin/;");
    // Nothing else at all.
    let busybox = "mkdir -p bin; \"$(command -v busybox)\" --install -s \"$PWD/bin\"; PATH=$PWD/bin";
    [2, 3].into_iter().for_each(|host| lab.hosts.prepare(host, busybox));
    let running = lab.chain(&[]).args([lab.place.text("file"), "file".to_owned()]).start();
    lab.wait_for_part(4);
    kill("KILL", lab.shell(3));
    let ran = running.end();
    assert_eq!((lab.ok(&ran), ran.status()), (vec![1, 2, 4], Some(1)), "{}", ran.stderr());
    lab.assert_tidy();
}

/// Behind a real ssh, whose hosts are all this machine: each chooses a port of its own.
#[test]
fn a_chain_goes_through_a_real_ssh() {
    let Some(fleet) = shared_fleet() else { return };
    let place = Place::new();
    let file = place.write("file", &content(3 * MEGABYTE));
    let there = place.text("there/{{{host}}}/");
    let config = fleet.ssh_config();
    let config = config.to_str().expect("UTF-8");
    let chain = ["--chain", "--chain-address", "127.0.0.1", "-F", config, "-w"];
    let ran = Phalanx::verb("put", &chain).args(["node[1-4],refused1", &file, &there]).output();
    assert_eq!(ran.status(), Some(1), "{}", ran.stderr());
    assert!(ran.stderr().contains("refused1: not reached"), "{}", ran.stderr());
    for node in 1..=4 {
        assert_same_tree(Path::new(&file), &place.path(&format!("there/node{node}/file")));
        assert_eq!(fs::read_dir(place.path(&format!("there/node{node}"))).unwrap().count(), 1);
    }
}

#[test]
fn a_dry_run_shows_who_feeds_whom_and_nothing_begins() {
    let place = Place::new();
    let file = place.write("file", b"content");
    let options = ["--chain", "--dry-run", "--ssh", "sh", "--chain-address", "{{{host}}}-ib0", "-w", "n[1-2]"];
    let ran = Phalanx::verb("put", &options).args([&file, "there/"]).output();
    assert_eq!(ran.status(), Some(0), "{}", ran.stderr());
    for part in ["from here, to n1-ib0", "from `n1`, to n2-ib0"] {
        assert!(ran.stdout().contains(part), "{}", ran.stdout());
    }
    for (options, said) in [
        (&["--chain", "--chain-retry", "1.5"][..], "may be skipped"),
        (&["--chain-retry", "3"], "--chain"),
        (&["--chain", "--verify"], "--verify"),
        (&["--chain", "--chain-address=-x"], "cannot be the address"),
    ] {
        let ran = Phalanx::verb("put", options).args(["--ssh=sh", "-w", "n1", &file, "there/"]).output();
        assert_eq!(ran.status(), Some(2), "{options:?}");
        assert!(ran.stderr().contains(said), "{options:?} {}", ran.stderr());
    }
}
