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
    for said in ["'echo node1'", "at `at/node1`, from here", "`/at/node1` at `at/node1`", "/dev/tty-node1 9600"] {
        assert!(ran.stdout().contains(said), "{said}: {}", ran.stdout());
    }
    let shown = ran.stdout();
    let members: Vec<&str> = shown.lines().filter(|line| line.starts_with("  ")).collect();
    assert_eq!(members.len(), steps.len(), "{}", ran.stdout());
    assert!(members.iter().all(|line| line.starts_with("  root@node1:2362: ")), "{}", ran.stdout());
}
