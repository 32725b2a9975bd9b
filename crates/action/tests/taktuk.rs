//! Commands and files through the real `taktuk`, to the private fleet of ssh hosts: check T1, and the items of execo's
//! inventory by their numbers.
#![expect(clippy::unwrap_used, reason = "a test says what went wrong by failing there")]

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use phalanx_action::Action;
use phalanx_action::factory::{
    ActionFactory, FactoryError, GetTool, PutTool, RemoteTool, default_factory, set_default_factory,
};
use phalanx_action::files::{CopyError, Get, Put, TaktukGet, TaktukPut};
use phalanx_action::remote::Remote;
use phalanx_action::substitute::Lists;
use phalanx_action::taktuk::{TaktukError, TaktukParams, TaktukRemote};
use phalanx_process::event::{Grace, Kill};
use phalanx_process::host::Host;
use phalanx_process::spec::Policy;
use phalanx_process::ssh::SshOptions;
use phalanx_process::{ExitStatus, Process, Signal};
use phalanx_tests::{Fleet, require_program, shared_fleet, wait_until};

/// The fleet, if taktuk is there too.
fn fleet() -> Option<&'static Fleet> {
    require_program("taktuk", "taktuk")?;
    shared_fleet()
}

fn params(fleet: &Fleet) -> SshOptions {
    SshOptions { ssh_config: Some(fleet.ssh_config()), ..SshOptions::default() }
}

fn remote(fleet: &Fleet, command: &str, hosts: &[&str]) -> TaktukRemote {
    TaktukRemote::new(command, hosts.iter().copied()).params(params(fleet))
}

fn run(fleet: &Fleet, command: &str, hosts: &[&str]) -> Action {
    remote(fleet, command, hosts).build().unwrap().run()
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap()
}

/// How many processes of the fleet have this word among their arguments.
fn survivors(fleet: &Fleet, word: &str) -> usize {
    let has = |pid: &u32| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line.split(|byte| *byte == 0).any(|argument| argument == word.as_bytes())
    };
    fleet.survivors().iter().filter(|pid| has(pid)).count()
}

/// T1: the same results as through ssh, whatever the command says and however it ends. Items 83 and 118.
#[test]
fn the_results_are_those_of_ssh() {
    let Some(fleet) = fleet() else { return };
    let commands = [
        "echo out; echo err >&2; exit 3",
        "printf 'no newline'; printf 'neither' >&2",
        "printf '\\n\\nempty lines\\n\\n'",
        "printf 'on 1 x\\nx 1 768\\ns 5 0 1 \\n# - !\\n'",
        "echo \"{{{host}}}\" '[ ] { } ; , ! -[ -]' \"it's\" $((1 + 1))",
        "echo two\necho   lines",
        "cat <<END\nhere\nEND",
        "cat; tty; echo $0 | sed 's,.*/,,'",
        "kill -9 $$",
        "no-such-program",
        "exit 255",
        "echo '",
        "echo héhé \\\\ %s %d",
        "head -c 300000 /dev/zero | tr '\\0' '\\377'",
        "awk 'BEGIN { for (i = 0; i < 256; i++) printf \"%c\", i }'",
        "",
    ];
    for command in commands {
        let hosts = ["node1", "node2"];
        let flat = Remote::new(command, hosts).params(params(fleet)).build().unwrap().run();
        let tree = run(fleet, command, &hosts);
        for (flat, tree) in flat.processes().iter().zip(tree.processes()) {
            assert!(tree.stdout() == flat.stdout(), "{command:?}: {tree:?}");
            // sshd calls the shell by its last name.
            assert_eq!(
                text(tree.stderr()).replace("/bin/", ""),
                text(flat.stderr()).replace("/bin/", ""),
                "{command:?}"
            );
            assert_eq!((tree.ok(), tree.host()), (flat.ok(), flat.host()), "{command:?}");
            if command.starts_with("kill") {
                // ssh cannot tell; taktuk can.
                let killed = ExitStatus::Signaled { signal: Signal::KILL, core_dumped: false };
                assert_eq!(tree.status(), Some(killed));
            } else {
                assert_eq!(tree.status(), flat.status(), "{command:?}");
            }
        }
    }
}

/// T1: hosts that cannot be reached are start errors with the reason, and harm nobody else.
#[test]
fn hosts_that_cannot_be_reached_are_named_with_the_reason() {
    let Some(fleet) = fleet() else { return };
    let hosts = ["node1", "refused1", "denied1", "unresolved1", "changed1", "node2"];
    let action = run(fleet, "echo hello", &hosts);
    let errors: Vec<_> = action.processes().iter().map(Process::error).collect();
    assert!(errors[0].is_none() && errors[5].is_none(), "{action:?}");
    assert_eq!(action.processes()[5].stdout(), b"hello\n");
    for (index, reason) in [(1, "Connection refused"), (2, "Permission denied"), (3, "resolve"), (4, "verification")] {
        let error = errors[index].clone().unwrap().to_string();
        assert!(error.contains("taktuk connection failed") && error.contains(hosts[index]), "{error}");
        assert!(error.contains(reason), "{error}");
    }
    assert!(!action.ok() && action.ended());
    assert_eq!((action.stats().errors, action.stats().ok), (4, 2));
}

/// T1, item 120: a kill reaches the remote processes, and whatever they started.
#[test]
fn a_kill_reaches_the_hosts() {
    let Some(fleet) = fleet() else { return };
    let action = remote(fleet, "sleep 54321 & echo ready; exec sleep 54321", &["node1", "node2", "node3"]);
    let action = action.build().unwrap().start();
    wait_until("all are ready", || action.processes().iter().all(|process| process.stdout() == b"ready\n"));
    wait_until("they all sleep", || survivors(fleet, "54321") == 6);
    action.kill();
    let action = action.wait();
    assert!(action.ok() && action.processes().iter().all(Process::killed), "{:?}", action.processes());
    wait_until("nobody is left", || survivors(fleet, "54321") == 0);
}

/// Killed while a host does not answer: nobody waits for it.
#[test]
fn a_kill_does_not_wait_for_a_host_that_is_silent() {
    let Some(fleet) = fleet() else { return };
    let action = remote(fleet, "echo ready; exec sleep 54322", &["node1", "silent1"]).build().unwrap().start();
    // Whoever is reached begins at once.
    wait_until("it is ready", || action.processes()[0].stdout() == b"ready\n");
    assert!(!action.processes()[1].running());
    action.kill();
    let action = action.wait();
    assert!(action.processes().iter().all(Process::killed));
    assert_eq!(action.processes()[1].status(), None);
    wait_until("nobody is left", || survivors(fleet, "54322") == 0);
}

/// One process of several: with SIGKILL after its grace where SIGTERM does not help, and by its timeout.
#[test]
fn one_process_is_killed_and_the_others_go_on() {
    let Some(fleet) = fleet() else { return };
    let command = "trap '' TERM; echo ready; while test ! -e /tmp/never; do sleep 0.05; done # 54323";
    let action = remote(fleet, command, &["node1", "node2", "node3"]).build().unwrap().start();
    wait_until("all are ready", || action.processes().iter().all(|process| process.stdout() == b"ready\n"));
    let kill = Kill { signal: Signal::TERM, grace: Grace::After(Duration::from_millis(300)), group: true };
    action.processes()[1].kill_with(kill);
    let one = action.processes()[1].clone().wait();
    assert!(one.forced_kill());
    assert_eq!(one.status(), Some(ExitStatus::Signaled { signal: Signal::KILL, core_dumped: false }));
    assert!(action.processes()[0].running() && action.processes()[2].running());
    action.processes().iter().for_each(|process| process.kill_with(Kill::NOW));
    assert!(action.wait().ended());
}

#[test]
fn a_process_that_takes_too_long_is_ended() {
    let Some(fleet) = fleet() else { return };
    let policy = Policy { timeout: Some(Duration::from_secs(2)), ..Policy::default() };
    let action = remote(fleet, "test {{{host}}} = node1 || exec sleep 54324", &["node1", "node2"]).policy(policy);
    let action = action.build().unwrap().run();
    assert!(action.processes()[0].ok());
    let late = &action.processes()[1];
    assert!(late.timed_out() && !late.ok(), "{late:?}");
    wait_until("nobody is left", || survivors(fleet, "54324") == 0);
}

/// taktuk dies, or a connection does: everybody ends, with a reason.
#[test]
fn who_is_lost_ends_with_a_reason() {
    let Some(fleet) = fleet() else { return };
    let lost = "echo ready; test {{{host}}} = node1 && sleep 54325; kill -9 $PPID; sleep 54325";
    let options =
        TaktukParams { taktuk_options: Some(vec!["-s".into(), "-d".into(), "-1".into()]), ..Default::default() };
    let action = remote(fleet, lost, &["node1", "node2"]).taktuk(options).build().unwrap().start();
    wait_until("it is lost", || action.processes()[1].ended());
    let gone = &action.processes()[1];
    assert_eq!(gone.status(), Some(ExitStatus::Lost), "{gone:?}");
    assert!(text(gone.stderr()).contains("taktuk connection lost: `node2`"), "{gone:?}");
    wait_until("the other runs all the same", || action.processes()[0].stdout() == b"ready\n");
    action.kill();
    let _ = action.wait();
    for pid in fleet.survivors() {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        if line.ends_with(b"54325\0") {
            // What it left behind; see the limits.
            let _ = std::process::Command::new("kill").arg(pid.to_string()).status();
        }
    }
}

#[test]
fn a_taktuk_that_is_not_there_or_dies_is_the_error_of_all() {
    let Some(fleet) = fleet() else { return };
    let taktuk = TaktukParams { taktuk: Some("/no/such/taktuk".into()), ..TaktukParams::default() };
    let action = remote(fleet, "true", &["node1", "node2"]).taktuk(taktuk).build().unwrap().run();
    for process in action.processes() {
        let error = process.error().unwrap().to_string();
        assert!(error.contains("/no/such/taktuk") && error.contains("install"), "{error}");
    }
    let directory = tempfile::tempdir().unwrap();
    let (program, pid) = (directory.path().join("taktuk"), directory.path().join("pid"));
    let script = format!("#!/bin/sh\necho $$ > {}\nexec taktuk \"$@\"\n", pid.display());
    std::fs::write(&program, script).unwrap();
    std::fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let taktuk = TaktukParams { taktuk: Some(program.into()), ..TaktukParams::default() };
    let action = remote(fleet, "echo ready; exec sleep 5.4326", &["node1", "node2"]).taktuk(taktuk).build().unwrap();
    let action = action.start();
    wait_until("all are ready", || action.processes().iter().all(|process| process.stdout() == b"ready\n"));
    let pid = std::fs::read_to_string(pid).unwrap();
    assert!(std::process::Command::new("kill").args(["-9", pid.trim()]).status().unwrap().success());
    let action = action.wait();
    for process in action.processes() {
        assert_eq!(process.status(), Some(ExitStatus::Lost), "{process:?}");
        assert!(text(process.stderr()).contains("taktuk itself ended too early"), "{process:?}");
    }
    wait_until("their commands have ended too", || survivors(fleet, "5.4326") == 0);
}

/// Items 119, 188 to 190, 208: what taktuk knows for all hosts only is refused when they differ; users may differ.
#[test]
fn ports_and_keys_are_for_all_hosts_and_users_may_differ() {
    let build = |hosts: Vec<Host>| TaktukRemote::new("true", hosts).build().map(drop);
    let ports = build(vec!["a".into(), Host::new("b").with_port(22)]).unwrap_err();
    assert!(matches!(ports, TaktukError::Differ { what: "ports", .. }), "{ports}");
    assert!(ports.to_string().contains("`a` and `b:22`"), "{ports}");
    let keys = build(vec![Host::new("a").with_identity_file("k"), "b".into()]).unwrap_err();
    assert!(matches!(keys, TaktukError::Differ { what: "key files", .. }), "{keys}");
    assert!(build(vec![Host::new("a").with_port(1), Host::new("b").with_port(1)]).is_ok());
    assert!(matches!(build(vec!["a[1-3]".into()]), Err(TaktukError::Host { .. })));
    assert!(matches!(build(vec![Host::new("a").with_user("x y")]), Err(TaktukError::User { .. })));

    let Some(fleet) = fleet() else { return };
    let me =
        text(Remote::new("id -un", ["node1"]).params(params(fleet)).build().unwrap().run().processes()[0].stdout());
    let hosts =
        [Host::new("node1").with_user(me.trim()), Host::new("node2"), Host::new("node3").with_user("nobody-here")];
    let action = TaktukRemote::new("echo {{{host}}}", hosts).params(params(fleet)).build().unwrap().run();
    let processes = action.processes();
    assert_eq!((text(processes[0].stdout()), text(processes[1].stdout())), ("node1\n".into(), "node2\n".into()));
    assert!(processes[2].error().is_some());
}

/// Handlers, expecting, names, lists, a host twice, no host at all, again after a reset.
#[test]
fn its_processes_are_like_any_other() {
    let Some(fleet) = fleet() else { return };
    let mut lists = Lists::default();
    lists.insert("n", vec!["one".into(), "two".into()]).unwrap();
    let action = remote(fleet, "echo {{n}}; sleep 0.1; echo last", &["node1", "node1", "node2"]).lists(lists);
    let action = action.build().unwrap();
    let heard = Arc::new(Mutex::new(BTreeSet::new()));
    for (index, process) in action.processes().iter().enumerate() {
        let heard = Arc::clone(&heard);
        drop(process.clone().on_line(move |_, _, line| {
            heard.lock().unwrap().insert((index, line.bytes.to_vec()));
        }));
    }
    let action = action.start();
    assert!(action.expect("last").unwrap().iter().all(Result::is_ok));
    let action = action.wait();
    let expected = [(0, "one"), (0, "last"), (1, "two"), (1, "last"), (2, "one"), (2, "last")];
    assert_eq!(*heard.lock().unwrap(), expected.map(|(index, line)| (index, line.as_bytes().to_vec())).into());
    assert_eq!(&*action.name(), "echo {{n}}; sleep 0.1; echo last");
    assert_eq!(action.processes()[1].name(), "echo two; sleep 0.1; echo last");
    let again = action.processes()[2].clone().reset().run();
    assert_eq!(text(again.stdout()), "one\nlast\n");
    assert!(again.stats().start_date.is_some() && again.stats().end_date.is_some());
    let none = TaktukRemote::new("true", [""; 0]).build().unwrap().run();
    assert!(none.finished_ok());
}

/// What it cannot do is said when it is tried.
#[test]
fn what_taktuk_cannot_do_is_refused() {
    let Some(fleet) = fleet() else { return };
    let action = remote(fleet, "cat", &["node1"]).build().unwrap();
    let process = action.processes()[0].clone().stdin(phalanx_process::spec::Stdin::Pipe).run();
    assert!(process.error().unwrap().reason.contains("cannot be written to"));
    let process = process.reset().pty().run();
    assert!(process.error().unwrap().reason.contains("no terminal"));
}

/// A tree with names, modes and contents of every kind.
fn tree(directory: &std::path::Path) -> std::path::PathBuf {
    use std::os::unix::fs::PermissionsExt as _;
    let root = directory.join("a tree");
    std::fs::create_dir_all(root.join("sub/-dir")).unwrap();
    let mut noise = 12345_u32;
    let bytes: Vec<u8> = (0..300_000)
        .map(|_| {
            noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            noise.to_be_bytes()[0]
        })
        .collect();
    std::fs::write(root.join("noise"), bytes).unwrap();
    std::fs::write(root.join("it's [ ] $HOME; !"), "odd\n").unwrap();
    std::fs::write(root.join("sub/-dir/line\nbreak"), "").unwrap();
    std::fs::set_permissions(root.join("noise"), std::fs::Permissions::from_mode(0o750)).unwrap();
    std::os::unix::fs::symlink("noise", root.join("sub/link")).unwrap();
    root
}

/// Names, kinds, modes and contents of all that is in a directory.
fn listing(directory: &std::path::Path) -> String {
    let command =
        "find . -printf '%P %y %m %l\\n' | sort; find . -type f | sort | tr '\\n' '\\0' | xargs -0 cat | sha256sum";
    let process = Process::shell(command).with(|spec| spec.launch.directory = Some(directory.to_owned())).run();
    text(process.stdout())
}

/// Item 123: the same as a put through ssh, with names, modes and links.
#[test]
fn a_put_is_like_one_through_ssh() {
    let Some(fleet) = fleet() else { return };
    let directory = tempfile::tempdir().unwrap();
    let source = tree(directory.path());
    let (flat, taktuk) = (directory.path().join("flat"), directory.path().join("taktuk"));
    let hosts = ["node1", "node2", "node3"];
    let to = |root: &std::path::Path| format!("{}/{{{{{{host}}}}}}/", root.display());
    let put = Put::new([&source], to(&flat), hosts).params(params(fleet)).verify(true).build().unwrap().run();
    assert!(put.ok(), "{put:?}");
    let put = TaktukPut::new([&source], to(&taktuk), hosts).params(params(fleet)).verify(true).build().unwrap().run();
    assert!(put.finished_ok(), "{:?}", put.processes());
    assert_eq!(listing(&taktuk), listing(&flat));
    assert!(listing(&taktuk).contains("node3/a tree/sub/-dir"), "{}", listing(&taktuk));
    // To a name that is taken by a directory: said, and nothing is left behind.
    let to = format!("{}/node1/a tree/noise/x", taktuk.display());
    let failed = TaktukPut::new([source.join("noise")], to, ["node1"]).params(params(fleet)).build().unwrap().run();
    assert_eq!(failed.processes()[0].exit_code(), Some(1));
    assert!(failed.fault(0).unwrap().contains("there is no directory"), "{:?}", failed.fault(0));
    assert!(TaktukPut::new([""; 0], "x", hosts).params(params(fleet)).build().unwrap().run().finished_ok());
}

/// What a host has not got whole, it has not got; and a host that is not there harms no other.
#[test]
fn a_put_that_is_cut_leaves_nothing() {
    let Some(fleet) = fleet() else { return };
    let directory = tempfile::tempdir().unwrap();
    let source = directory.path().join("source");
    std::fs::create_dir(&source).unwrap();
    std::fs::write(source.join("good"), "good").unwrap();
    // What cannot be packed is found when half of it is on its way.
    let fifo = source.join("x");
    assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let to = format!("{}/there/{{{{{{host}}}}}}/", directory.path().display());
    let put = TaktukPut::new([&source], &to, ["node1", "node2"]).params(params(fleet)).build().unwrap().run();
    for process in put.processes() {
        assert!(!process.ok(), "{process:?}");
        assert!(text(process.stderr()).contains("neither a file nor a directory"), "{process:?}");
    }
    for host in ["node1", "node2"] {
        let left = std::fs::read_dir(directory.path().join("there").join(host)).unwrap().count();
        assert_eq!(left, 0);
    }
    std::fs::remove_file(&fifo).unwrap();
    let put = TaktukPut::new([&source], &to, ["node1", "refused1"]).params(params(fleet)).build().unwrap().run();
    assert!(put.processes()[0].ok() && put.processes()[1].error().is_some(), "{:?}", put.processes());
    let lists = {
        let mut lists = Lists::default();
        lists.insert("f", vec!["good".into(), "other".into()]).unwrap();
        lists
    };
    std::fs::write(source.join("other"), "other").unwrap();
    let different = TaktukPut::new([source.join("{{f}}")], &to, ["node1", "node2"]).lists(lists).build();
    assert!(matches!(different, Err(CopyError::Different { .. })), "{different:?}");
}

/// Item 126: the same as a get through ssh; hosts never overwrite one another's files.
#[test]
fn a_get_is_like_one_through_ssh() {
    let Some(fleet) = fleet() else { return };
    let directory = tempfile::tempdir().unwrap();
    let source = tree(directory.path());
    let (flat, taktuk) = (directory.path().join("flat"), directory.path().join("taktuk"));
    let hosts = ["node1", "node2"];
    let get = Get::new([&source], &flat, hosts).params(params(fleet)).verify(true).build().unwrap().run();
    assert!(get.ok(), "{get:?}");
    let get = TaktukGet::new([&source], &taktuk, hosts).params(params(fleet)).verify(true).build().unwrap().run();
    assert!(
        get.finished_ok(),
        "{:?}",
        get.processes().iter().map(|process| text(process.stderr())).collect::<Vec<_>>()
    );
    assert_eq!(listing(&taktuk), listing(&flat));
    assert!(listing(&taktuk).contains("node2/a tree/sub/-dir"), "{}", listing(&taktuk));
    assert_eq!(get.processes()[0].stdout(), b"", "what was unpacked is not kept");
    // What is not there, what is not reached; and a clash of names before anything starts.
    let get = TaktukGet::new(["/no/such/file"], &taktuk, ["node1", "refused1"]).params(params(fleet)).build().unwrap();
    let get = get.run();
    assert!(!get.processes()[0].ok() && text(get.processes()[0].stderr()).contains("there is no `/no/such/file'"));
    assert!(get.processes()[1].error().is_some());
    assert!(TaktukGet::new(["x"], "{{{host}}}", ["a", "a"]).build().is_err());
}

/// A get whose files cannot be written here is not ok, although the hosts have done their part.
#[test]
fn a_get_that_cannot_be_placed_says_so_and_leaves_nothing() {
    let Some(fleet) = fleet() else { return };
    let directory = tempfile::tempdir().unwrap();
    let source = tree(directory.path());
    std::fs::write(directory.path().join("node1"), "in the way").unwrap();
    let get =
        TaktukGet::new([&source], directory.path(), ["node1", "node2"]).params(params(fleet)).build().unwrap().run();
    let (bad, good) = (&get.processes()[0], &get.processes()[1]);
    assert!(good.ok() && !bad.ok(), "{:?}", get.processes());
    assert!(text(bad.stderr()).contains("cannot make the directory"), "{bad:?}");
    assert!(get.fault(0).unwrap().contains("cannot make the directory") && get.fault(1).is_none());
    let names = std::fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().file_name());
    assert_eq!(names.collect::<BTreeSet<_>>(), ["a tree", "node1", "node2"].map(Into::into).into());
}

/// Items 137 to 144 and 187: what was chosen is what is used, and what a tool cannot do is said.
#[test]
fn a_factory_makes_actions_with_the_tools_that_were_chosen() {
    let plain = ActionFactory::default();
    assert_eq!((plain.remote, plain.put, plain.get), (RemoteTool::Ssh, PutTool::Scp, GetTool::Scp));
    assert_eq!(*default_factory(), plain);
    let taktuk =
        ActionFactory { remote: RemoteTool::Taktuk, put: PutTool::Taktuk, get: GetTool::Taktuk, ..plain.clone() };
    set_default_factory(taktuk.clone());
    assert_eq!(*default_factory(), taktuk);
    set_default_factory(plain.clone());
    let refused = taktuk.build_remote(Remote::new("cat", ["a"]).stdin(phalanx_process::spec::Stdin::Pipe));
    assert!(matches!(refused, Err(FactoryError::Taktuk(TaktukError::Unsupported(_)))), "{refused:?}");
    let refused = taktuk.build_remote(Remote::new("ls", ["a"]).stdout_file("{{{host}}}.out")).unwrap_err();
    assert!(refused.to_string().contains("a handler can copy it"), "{refused}");
    let chain = ActionFactory { put: PutTool::Chain, ..plain.clone() };
    let built = chain.build_put(Put::new(["/etc/passwd"], "x", ["a", "b"]).fanout(3)).unwrap();
    assert_eq!((&*built.name(), built.processes().len()), ("chain to x", 2));
    let refused = chain.build_put(Put::new(["/etc/passwd"], "x", ["-a"]));
    assert!(matches!(refused, Err(FactoryError::Copy(CopyError::Address { .. }))), "{refused:?}");

    let Some(fleet) = fleet() else { return };
    let directory = tempfile::tempdir().unwrap();
    let source = tree(directory.path());
    for (name, factory) in [("plain", &plain), ("taktuk", &taktuk)] {
        let hosts = ["node1", "node2"];
        // Whose child it is tells the tool: taktuk's are those of Perl.
        let parent = Remote::new("ps -o comm= -p $PPID", hosts).params(params(fleet));
        let action = factory.build_remote(parent).unwrap().run();
        assert!(action.ok());
        let parents: Vec<_> = action.processes().iter().map(|process| text(process.stdout())).collect();
        assert!(parents.iter().all(|parent| parent.starts_with("sshd") == (name == "plain")), "{parents:?}");
        let to = format!("{}/{name}/{{{{{{host}}}}}}/", directory.path().display());
        let put = factory.build_put(Put::new([&source], &to, hosts).params(params(fleet))).unwrap().run();
        assert!(put.finished_ok(), "{put:?}");
        let back = directory.path().join(format!("{name} back"));
        let get = factory.build_get(Get::new([&source], &back, hosts).params(params(fleet))).unwrap().run();
        assert!(get.finished_ok(), "{get:?}");
        assert_eq!(listing(&back), listing(&directory.path().join(name)));
    }
}

/// A tree of several levels: everybody's output comes to the right process, whoever reached it.
#[test]
fn a_tree_of_many_hosts_mixes_nobody_up() {
    let Some(fleet) = fleet() else { return };
    let hosts: Vec<_> = (1..=24).map(|number| format!("node{number}")).collect();
    let params = SshOptions { remote_tty: Some(true), ..params(fleet) };
    let command = "echo {{{host}}} $TAKTUK_HOSTNAME; echo {{{host}}} >&2; exit $((${TAKTUK_POSITION} % 7))";
    let action = TaktukRemote::new(command, &hosts).params(params).build().unwrap().run();
    for (index, (process, host)) in action.processes().iter().zip(&hosts).enumerate() {
        assert_eq!(text(process.stdout()), format!("{host} {host}\n"));
        assert_eq!(text(process.stderr()), format!("{host}\n"));
        assert_eq!(process.exit_code(), Some((index as i32 + 1) % 7));
    }
}

/// Binary output of many megabytes, on both streams at once, byte for byte.
#[test]
fn huge_output_arrives_whole() {
    let Some(fleet) = fleet() else { return };
    let command = "seq 1 100000 >&2 & head -c 8000000 /dev/zero | tr '\\0' 'x'; wait; echo; echo end";
    let action = run(fleet, command, &["node1", "node2"]);
    for process in action.processes() {
        let (out, err) = (process.stdout(), process.stderr());
        assert!(process.ok() && out.len() == 8_000_005 && out.ends_with(b"x\nend\n"), "{}", out.len());
        assert!(out[..8_000_000].iter().all(|byte| *byte == b'x'));
        assert!(err.ends_with(b"99999\n100000\n") && err.iter().filter(|byte| **byte == b'\n').count() == 100_000);
    }
}

#[test]
fn nothing_of_a_command_is_seen_in_a_list_of_processes_here() {
    let Some(fleet) = fleet() else { return };
    let secret = "echo ready; exec sleep 5.4327 # hunter2";
    let action = remote(fleet, secret, &["node1"]).build().unwrap().start();
    wait_until("it is ready", || action.processes()[0].stdout() == b"ready\n");
    let mine = std::process::id().to_string();
    let children = Process::new(["ps", "-o", "args=", "--ppid", &mine]).run();
    let children = text(children.stdout());
    assert!(children.contains("taktuk") && !children.contains("hunter2") && !children.contains("node1"), "{children}");
    action.kill();
    assert!(action.wait().ok());
}

/// One of the hosts gives up while the others take it all; then all are stopped in the middle, and nothing is left.
#[test]
fn a_put_that_one_host_refuses_goes_on_and_one_that_is_killed_leaves_nothing() {
    let Some(fleet) = fleet() else { return };
    let directory = tempfile::tempdir().unwrap();
    let source = directory.path().join("source");
    std::fs::write(&source, vec![b'x'; 20_000_000]).unwrap();
    let mut lists = Lists::default();
    lists.insert("where", vec!["good/".into(), "no/such/place".into(), "fine/".into()]).unwrap();
    let to = format!("{}/{{{{where}}}}", directory.path().display());
    let put = TaktukPut::new([&source], &to, ["node1", "node2", "node3"]).lists(lists).params(params(fleet));
    let put = put.build().unwrap().run();
    let oks: Vec<_> = put.processes().iter().map(Process::ok).collect();
    assert_eq!(oks, [true, false, true], "{:?}", put.processes());
    assert!(put.fault(1).unwrap().contains("there is no directory"), "{:?}", put.fault(1));
    for place in ["good/source", "fine/source"] {
        assert!(std::fs::read(directory.path().join(place)).unwrap() == vec![b'x'; 20_000_000]);
    }

    let there = directory.path().join("there");
    std::fs::create_dir(&there).unwrap();
    std::fs::write(&source, vec![b'y'; 200_000_000]).unwrap();
    let put = TaktukPut::new([&source], &there, ["node1", "node2"]).params(params(fleet)).build().unwrap().start();
    let begun = || std::fs::read_dir(&there).unwrap().count() > 0;
    wait_until("something has come", || begun() || put.ended());
    put.kill();
    let put = put.wait();
    assert!(put.processes().iter().all(|process| process.killed() || process.ok()), "{:?}", put.processes());
    let left = || std::fs::read_dir(&there).unwrap().map(|entry| entry.unwrap().file_name()).collect::<Vec<_>>();
    wait_until("what had come is removed", || left().iter().all(|name| name == "source"));
    if let Ok(whole) = std::fs::metadata(there.join("source")) {
        assert_eq!(whole.len(), 200_000_000, "nothing has its final name before it is whole");
    }
}

/// Called off at several moments of the start: nobody hangs, and nothing stays on the hosts.
#[test]
fn a_kill_at_any_moment_of_the_start_ends_all() {
    let Some(fleet) = fleet() else { return };
    for moment in ["at once", "when somebody has logged in", "when somebody runs"] {
        let logins = fleet.logins();
        let action = remote(fleet, "exec sleep 5.4328", &["node1", "node2", "silent1"]).build().unwrap().start();
        wait_until(moment, || match moment {
            "at once" => true,
            "when somebody has logged in" => fleet.logins() > logins,
            _ => action.processes().iter().any(Process::running),
        });
        action.kill();
        let action = action.wait();
        let over = |process: &Process| process.killed() || !process.started();
        assert!(action.processes().iter().all(over), "{moment}: {:?}", action.processes());
    }
    wait_until("nobody is left", || survivors(fleet, "5.4328") == 0);
}

/// One that is cancelled may begin all the same. It is asked to end, and killed when it does not.
#[test]
fn a_stubborn_command_that_begins_after_its_kill_is_killed_there() {
    let Some(fleet) = fleet() else { return };
    for moment in ["at once", "when a host has logged in"] {
        let logins = fleet.logins();
        let policy = Policy { grace: Some(Duration::from_secs(1)), ..Policy::default() };
        let action = remote(fleet, "trap '' TERM HUP; exec sleep 654.3297", &["node1", "node2"]);
        let action = action.policy(policy).build().unwrap().start();
        wait_until(moment, || moment == "at once" || fleet.logins() > logins);
        action.kill();
        let action = action.wait();
        assert!(action.processes().iter().all(|process| !process.running()), "{moment}: {:?}", action.processes());
    }
    wait_until("no command is left", || survivors(fleet, "654.3297") == 0);
}

#[test]
fn a_get_that_is_killed_leaves_nothing_here() {
    let Some(fleet) = fleet() else { return };
    let directory = tempfile::tempdir().unwrap();
    let (source, there) = (directory.path().join("source"), directory.path().join("there"));
    std::fs::write(&source, vec![b'x'; 100_000_000]).unwrap();
    let get = TaktukGet::new([&source], &there, ["node1", "node2"]).params(params(fleet)).build().unwrap().start();
    let begun = |host: &str| std::fs::read_dir(there.join(host)).is_ok_and(|mut entries| entries.next().is_some());
    wait_until("something has come", || begun("node1") || begun("node2"));
    get.kill();
    let get = get.wait();
    assert!(get.processes().iter().all(|process| process.killed() || process.ok()), "{:?}", get.processes());
    for host in ["node1", "node2"] {
        let names =
            || std::fs::read_dir(there.join(host)).map(|all| all.map(|entry| entry.unwrap().file_name()).collect());
        let left = || names().unwrap_or_else(|_| Vec::new());
        wait_until("what had come is removed", || left().iter().all(|name| name == "source"));
    }
}
