//! Which hosts `phalanx run` works on.

use std::fs;

use crate::phalanx::Phalanx;

/// The hosts, in order; the first word of each line.
fn hosts(run: Phalanx) -> String {
    let ran = run.args(["-f", "1", "echo"]).output();
    assert_eq!(ran.status(), Some(0), "{}", ran.stderr());
    ran.stdout().lines().map(|line| line.trim_end_matches(": ").to_owned()).collect::<Vec<_>>().join(" ")
}

#[test]
fn lists_come_from_options_files_groups_and_jobs() {
    let directory = tempfile::tempdir().expect("a directory can be made");
    let path = |name: &str| directory.path().join(name).display().to_string();
    fs::write(path("list"), "b[1-2] # the first rack\n\nc\n").expect("it is ours");
    let configuration =
        "[Main]\ndefault: lab\n[lab]\nmap: [ $GROUP = up ] && echo g[1-3]\nall: echo g[1-4]\nlist: echo up\n";
    fs::write(path("groups.conf"), configuration).expect("it is ours");
    let exec = |arguments: &[&str]| Phalanx::exec(arguments).env("CLUSTERSHELL_CFGDIR", directory.path());
    assert_eq!(hosts(exec(&["-w", "b[2-3],a", "-w", "a,c"]).args(["-x", "zz"])), "b2 b3 a c");
    assert_eq!(hosts(exec(&["-w", &format!("^{}", path("list")), "-x", "b1"])), "b2 c");
    assert_eq!(hosts(exec(&["--hostfile", &path("list"), "-w", "a"])), "a b1 b2 c");
    assert_eq!(hosts(exec(&["-w", "@up!g2,x"])), "g1 g3 x");
    assert_eq!(hosts(exec(&["-g", "up", "-x", "@lab:up!g3"])), "g3");
    assert_eq!(hosts(exec(&["-a"])), "g1 g2 g3 g4");
    assert_eq!(hosts(exec(&[]).env("SLURM_JOB_NODELIST", "s[1-2]")), "s1 s2");
    assert_eq!(hosts(exec(&["-w", "a"]).env("SLURM_JOB_NODELIST", "s[1-2]")), "a");
}

/// A command here, its arguments, and what it must say it would do.
const DRY_RUNS: [(&str, &[&str], &str); 5] = [
    ("run", &["echo {{{host}}}"], "'echo node1'"),
    ("run", &["-R", "exec", "echo {{{host}}} %h"], "'echo node1 node1'"),
    ("put", &["/etc/passwd", "at/{{{host}}}/"], "into `at/node1/`"),
    ("put", &["--chain", "--chain-address", "{{{host}}}-ib0", "/etc/passwd", "at/{{{host}}}/"], "into `at/node1/`"),
    ("get", &["/at/{{{host}}}", "at/{{{host}}}/"], "`/at/node1` into `at/node1/`"),
];

#[test]
fn the_host_in_a_command_or_path_is_its_address_in_every_verb() {
    for (verb, arguments, said) in DRY_RUNS {
        let options = ["-w", "root@node1:2362", "--dry-run"];
        let ran = Phalanx::verb(verb, &options).args(arguments).output();
        assert_eq!(ran.status(), Some(0), "{verb}: {}", ran.stderr());
        assert!(ran.stdout().contains(said), "{verb} {arguments:?}: {}", ran.stdout());
        assert!(ran.stdout().starts_with("root@node1:2362: "), "{verb}: {}", ran.stdout());
    }
    // Where the user names no place for each host, the directory keeps two users of one address apart.
    let ran = Phalanx::verb("get", &["-w", "a@node1,b@node1", "--dry-run", "/x", "at/"]).output();
    assert!(ran.stdout().contains("`at/a@node1`") && ran.stdout().contains("`at/b@node1`"), "{}", ran.stdout());
    // And where both would be one, nothing is overwritten.
    let ran = Phalanx::verb("get", &["-w", "a@node1,b@node1", "--dry-run", "/x", "at/{{{host}}}"]).output();
    assert_eq!(ran.status(), Some(2), "{}", ran.stdout());
}

#[test]
fn the_host_in_a_plan_is_its_address_in_every_kind_of_step() {
    let directory = tempfile::tempdir().expect("a directory can be made");
    let plan = directory.path().join("plan.toml");
    let of = |step: &str| format!("[[step]]\n{step}\non = \"root@node1:2362\"\n");
    let steps = [
        "run = \"echo {{{host}}}\"\noutput = \"said-{{{host}}}\"",
        "local = \"echo {{{host}}}\"",
        "put = \"/etc/passwd\"\nto = \"at/{{{host}}}\"",
        "get = \"/at/{{{host}}}\"\nto = \"at/{{{host}}}\"",
        "chain = \"/etc/passwd\"\nto = \"at/{{{host}}}\"",
        "serial = \"/dev/tty-{{{host}}}\"\nspeed = 9600\ntimeout = 3",
    ];
    fs::write(&plan, steps.map(of).concat()).expect("it is ours");
    let ran = Phalanx::verb("play", &["--dry-run"]).args([&plan]).output();
    assert_eq!(ran.status(), Some(0), "{}", ran.stderr());
    for said in ["'echo node1'", "at `at/node1`, from here", "`/at/node1` at `at/node1`", "/dev/tty-node1"] {
        assert!(ran.stdout().contains(said), "{said}: {}", ran.stdout());
    }
    let shown = ran.stdout();
    let members: Vec<&str> = shown.lines().filter(|line| line.starts_with("  ")).collect();
    assert_eq!(members.len(), steps.len(), "{}", ran.stdout());
    assert!(members.iter().all(|line| line.starts_with("  root@node1:2362: ")), "{}", ran.stdout());
}

/// A directory with groups `web` and `db`.
fn lab() -> tempfile::TempDir {
    let directory = tempfile::tempdir().expect("a directory can be made");
    let configuration = "[Main]\ndefault: lab\n[lab]\n\
        map: case $GROUP in web) echo w[1-2];; db) echo d1;; esac\nall: echo w[1-2] d1\nlist: echo web db\n";
    fs::write(directory.path().join("groups.conf"), configuration).expect("it is ours");
    directory
}

#[test]
fn what_other_programs_users_type_means_the_same_here() {
    let lab = lab();
    let file = lab.path().join("wcoll").display().to_string();
    fs::write(&file, "\u{feff}n1 n2\r\n\r\n# more\r\nroot@n3:22 # the last\r\n").expect("it is ours");
    let exec = |arguments: &[&str]| Phalanx::exec(arguments).env("CLUSTERSHELL_CFGDIR", lab.path());
    assert_eq!(hosts(exec(&["-g", "web,db"])), "w1 w2 d1");
    assert_eq!(hosts(exec(&["-g", "@db", "-g", "web!db"])), "d1 w1 w2");
    assert_eq!(hosts(exec(&["-g", "*", "-x", "@web"])), "d1");
    assert_eq!(hosts(exec(&["-w", "n1 , n[2, 3]\nn4"])), "n1 n2 n3 n4");
    assert_eq!(hosts(exec(&["-w", "ssh:root@n[1-2]", "-w", "[::1]:22,::1,[::1]"])), "root@n1 root@n2 [::1]:22 ::1");
    assert_eq!(hosts(exec(&["-w", "root@n[1-2]:22,n3", "-x", "n[2-3]"])), "root@n1:22");
    assert_eq!(hosts(exec(&[]).env("WCOLL", &file)), "n1 n2 root@n3:22");
    assert_eq!(hosts(exec(&["-x", "n3"]).env("WCOLL", &file).env("SLURM_JOB_NODELIST", "s1")), "n1 n2");
    assert_eq!(hosts(exec(&["-w", "a"]).env("WCOLL", "/nosuch")), "a");
}

#[test]
fn hosts_that_cannot_be_understood_are_wrong_usage_with_a_way_out() {
    let lab = lab();
    let file = |content: &[u8]| {
        let path = lab.path().join("hosts");
        fs::write(&path, content).expect("it is ours");
        path.display().to_string()
    };
    let long = "n".repeat(300);
    for (arguments, said) in [
        (["-w", "node 1"], "write commas between hosts: node,1"),
        (["-g", "web db"], "write commas between hosts: web,db"),
        (["-w", "rsh:n1"], "-R says how"),
        (["-w", "n[1-3],-n2"], "a list leaves a host out with `!`"),
        (["-w", "n1\u{1b}[31m"], "\\u{1b}"),
        (["-w", &long], "longer than 250 bytes"),
        (["-w", "n1:0"], "its port is not a number from 1 to 65535"),
        (["-w", "n1:ssh"], "its port is not a number from 1 to 65535"),
        (["-w", "/n/"], "it has the character '/'"),
        (["-w", "x*"], "no host is meant by `-w x*`"),
        (["-g", "nosuch"], "unknown group \"@lab:nosuch\""),
        (["--hostfile", "/nosuch"], "cannot read the host list /nosuch"),
        (["--hostfile", &file(b"n1\n\tn2 root\n")], "hosts:2:5: `root` may be the user of `n2`"),
    ] {
        let ran = Phalanx::exec(&arguments).args(["true"]).env("CLUSTERSHELL_CFGDIR", lab.path()).output();
        assert_eq!((ran.status(), ran.stdout()), (Some(2), String::new()), "{arguments:?}");
        assert!(ran.stderr().contains(said), "{arguments:?}: {}", ran.stderr());
        assert!(!ran.stderr().trim_end().contains(char::is_control) && ran.stderr().len() < 600, "{:?}", ran.stderr());
    }
    for (content, said) in [
        (&b"n1\n\xc3\xa9\xe9\n"[..], "hosts:2:2: this is not valid UTF-8"),
        (b"\xff\xfen\x001\x00", "hosts:1:1: the file is UTF-16"),
        (b"n1\nn2\0", "hosts:2:3: a NUL byte"),
        (b"n1\n n2, n3[\n", "hosts:2:8: missing bracket"),
        (b"n1\nn2;reboot\n", "hosts:2:1: `n2;reboot` is not a host"),
        (b"n1!\nn2\n", "hosts:1:3: missing nodeset operand"),
    ] {
        let path = file(content);
        for arguments in [["--hostfile", &path], ["-w", &format!("^{path}")]] {
            let ran = Phalanx::exec(&arguments).args(["true"]).output();
            assert!(ran.status() == Some(2) && ran.stderr().contains(said), "{said}: {}", ran.stderr());
        }
    }
    let without =
        Phalanx::exec(&["-a", "true"]).env("CLUSTERSHELL_CFGDIR", "/nosuch").env("PHALANX_CLUSTERSHELL_ETC", "/nosuch");
    let ran = without.env("HOME", "/nosuch").env("XDG_CONFIG_HOME", "/nosuch").output();
    assert!(ran.status() == Some(2) && ran.stderr().contains("`-a` asks for a group"), "{}", ran.stderr());
}

#[test]
fn what_is_left_out_and_is_not_there_is_said_and_of_a_copy_refused() {
    let warned = Phalanx::exec(&["-w", "n[1-2]", "-x", "n3", "true"]).output();
    assert!(
        warned.status() == Some(0) && warned.stderr().contains("`-x n3` leaves out no host"),
        "{}",
        warned.stderr()
    );
    let silent = Phalanx::exec(&["-w", "n[1-2]", "-x", "n2,n3", "true"]).output();
    assert_eq!((silent.status(), silent.stderr()), (Some(0), String::new()));
    for verb in ["put", "get"] {
        let ran =
            Phalanx::verb(verb, &["-w", "n1", "--exclude", ".git", "--dry-run", "/etc/passwd", "there/"]).output();
        assert!(ran.status() == Some(2) && ran.stdout().is_empty(), "{verb}: {}", ran.stdout());
        assert!(ran.stderr().contains("files are not chosen with -x"), "{}", ran.stderr());
    }
    let none = Phalanx::exec(&["-w", "n[1-2]", "-x", "n[1-9]", "true"]).output();
    assert!(none.status() == Some(2) && none.stderr().contains("-x leaves out every host"), "{}", none.stderr());
}
