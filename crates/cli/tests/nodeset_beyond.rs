//! Where `phalanx nodeset` goes beyond ClusterShell, and where it must not follow it.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use phalanx_config::groups::GroupResolver;
use phalanx_nodeset::{GroupSource, Groups};
use std::time::Duration;

fn nodeset(home: &Path, variables: &[(&str, &str)], arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_phalanx"));
    command.arg("nodeset").args(arguments).env_clear().env("PATH", "/usr/bin:/bin").env("HOME", home);
    command.env("CLUSTERSHELL_CFGDIR", home).env("PHALANX_CLUSTERSHELL_ETC", home.join("none"));
    command.envs(variables.iter().copied()).current_dir(home).output().expect("phalanx can be run")
}

#[track_caller]
fn says(home: &Path, variables: &[(&str, &str)], arguments: &[&str], stdout: &str, status: i32) {
    let output = nodeset(home, variables, arguments);
    let said = String::from_utf8_lossy(&output.stdout);
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!((said.trim_end_matches('\n'), output.status.code()), (stdout, Some(status)), "{arguments:?}: {told}");
}

fn home() -> tempfile::TempDir {
    tempfile::tempdir().expect("a directory can be made")
}

#[test]
fn extended_rules_are_read_only_when_asked_for() {
    let home = home();
    says(home.path(), &[], &["-f", "--extended", "a[1-2]3[4-5]"], "a[134-135,234-235]", 0);
    says(home.path(), &[], &["-f", "--extended", "a[1-2][3-4]"], "a[13-14,23-24]", 0);
    says(home.path(), &[], &["-f", "a[1-2][3-4]"], "", 1);
    says(home.path(), &[], &["-e", "--extended", "root@[fe80::[1-2]]:22"], "root@[fe80::1]:22 root@[fe80::2]:22", 0);
    says(home.path(), &[], &["-e", "--input-order", "n3", "n[2,1]", "n3"], "n3 n2 n1", 0);
}

#[test]
fn a_comparison_is_an_exit_status_and_a_mistake_is_another() {
    let home = home();
    says(home.path(), &[], &["--equal", "n[1-2]", "n2", "n1"], "", 0);
    says(home.path(), &[], &["--equal", "n[1-2]", "n2"], "", 1);
    says(home.path(), &[], &["--equal", "n[1-2", "n2"], "", 2);
}

#[test]
fn the_jobs_nodes_need_no_configuration() {
    let home = home();
    says(home.path(), &[("SLURM_JOB_NODELIST", "n[1-3],gpu1")], &["-f", "@slurm:job"], "gpu1,n[1-3]", 0);
    fs::write(home.path().join("oar"), "n1\nn1\nn2\n").expect("a file can be written");
    says(home.path(), &[("OAR_NODE_FILE", "oar")], &["-f", "@oar:job"], "n[1-2]", 0);
    says(home.path(), &[], &["-f", "@slurm:job"], "", 1);
}

#[test]
fn a_mistyped_group_is_nobody_only_for_clustershell() {
    let home = home();
    fs::write(home.path().join("groups.conf"), "[s]\nmap: case $GROUP in a) echo n1;; esac\nlist: echo a b\n")
        .expect("a file can be written");
    says(home.path(), &[], &["-f", "@nosuch"], "", 0);
    says(home.path(), &[], &["-f", "--extended", "@nosuch"], "", 1);
    says(home.path(), &[], &["-f", "--extended", "@b"], "", 0);
    says(home.path(), &[], &["-f", "--extended", "@a"], "n1", 0);
}

#[test]
fn a_name_never_becomes_a_command() {
    let home = home();
    let configuration = "[s]\nmap: echo n-$GROUP; echo '$GROUP'\nlist: echo g\nreverse: echo \"$NODE\" >&2; echo g\n";
    fs::write(home.path().join("groups.conf"), configuration).expect("a file can be written");
    for name in [
        "x;touch owned",
        "$(touch owned)",
        "`touch owned`",
        "x' ; touch owned ; '",
        "x\" ; touch owned ; \"",
        "x|touch owned",
    ] {
        says(home.path(), &[], &["-f", &format!("@{name}")], "", 1);
        let _ = nodeset(home.path(), &[], &["-l", name]);
        assert!(!home.path().join("owned").exists(), "{name}");
    }
    says(home.path(), &[], &["-f", "@x.y"], "n-x.y,x.y", 0);
}

#[test]
fn an_upcall_that_hangs_is_killed_and_said_to_be() {
    let home = home();
    let file = home.path().join("groups.conf");
    fs::write(&file, "[s]\nmap: sleep 1000\n").expect("a file can be written");
    let groups = GroupResolver::from_files([file]).time_limit(Duration::from_millis(50));
    let source: &dyn GroupSource = groups.source(None).expect("there is a source");
    let error = source.nodes("a").expect_err("it is never answered").to_string();
    assert_eq!(error, "sleep 1000: killed after 0.05 s without an answer");
}
