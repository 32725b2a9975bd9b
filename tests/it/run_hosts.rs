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
