//! What `phalanx nodeset` makes of stdin, of groups, and of options that meet, where its answers were once others than ClusterShell's.
//! Right here is what ClusterShell 1.10.1 answers.

use std::fs;
use std::io::{Seek, Write};
use std::path::Path;
use std::process::Command;

/// What a call says: its stdout, the last line of its stderr, its exit status.
fn answer(home: &Path, stdin: &str, arguments: &[&str]) -> (String, String, Option<i32>) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_phalanx"));
    command.arg("nodeset").args(arguments).env_clear().env("PATH", "/usr/bin:/bin").env("HOME", home);
    command.env("CLUSTERSHELL_CFGDIR", home).env("PHALANX_CLUSTERSHELL_ETC", home.join("none"));
    let mut input = tempfile::tempfile().expect("a file can be made");
    input.write_all(stdin.as_bytes()).and_then(|()| input.rewind()).expect("a file can be written");
    let output = command.current_dir(home).stdin(input).output().expect("phalanx can be run");
    let told = String::from_utf8(output.stderr).expect("messages are UTF-8");
    let last = told.lines().last().unwrap_or_default().to_owned();
    (String::from_utf8(output.stdout).expect("answers are UTF-8"), last, output.status.code())
}

/// Each row: stdin, the arguments, and the answer on stdout without a word on stderr.
#[track_caller]
fn answers(home: &Path, table: &[(&str, &str, &str)]) {
    for (stdin, arguments, expected) in table {
        let words: Vec<&str> = arguments.split(' ').collect();
        let expected = (format!("{expected}\n").replace(" | ", "\n"), String::new(), Some(0));
        assert_eq!(answer(home, stdin, &words), expected, "printf '{stdin}' | nodeset {arguments}");
    }
}

/// Each row: the arguments, the last line on stderr, the exit status.
#[track_caller]
fn refuses(home: &Path, table: &[(&str, &str, i32)]) {
    for (arguments, message, status) in table {
        let words: Vec<&str> = arguments.split(' ').collect();
        let expected = (String::new(), (*message).to_owned(), Some(*status));
        assert_eq!(answer(home, "", &words), expected, "nodeset {arguments}");
    }
}

fn home() -> tempfile::TempDir {
    tempfile::tempdir().expect("a directory can be made")
}

/// Two sources; `red` is the default one.
fn home_with_groups() -> tempfile::TempDir {
    let home = home();
    let configuration = "[Main]\ndefault: red\n\
        [red]\nmap: case $GROUP in a) echo 'n[1-2]p[1-2]';; b) echo n1p1;; esac\nall: echo @a,@b\nlist: echo a b\n\
        [blue]\nmap: echo n7p7\nlist: echo c\n";
    fs::write(home.path().join("groups.conf"), configuration).expect("a file can be written");
    home
}

#[test]
fn operations_without_operands_apply_to_the_set_on_stdin() {
    let home = home();
    answers(
        home.path(),
        &[
            ("foo[0-10]", "-f -x foo[0-5]", "foo[6-10]"),
            ("foo[0-10]\nbar1 bar2\n", "-f -x foo[1-10],bar2", "bar1,foo0"),
            ("foo[0-10]", "-f -i foo[5-20]", "foo[5-10]"),
            ("foo[0-10]", "-f -X foo[5-12]", "foo[0-4,11-12]"),
            ("foo[0-10]", "-c -i foo[0-5] -x foo0", "5"),
            ("foo[0-10]", "-e -x foo[0-5] -i foo[4-7]", "foo6 foo7"),
            ("foo[0-10]", "-f -x foo0 -I 0-1", "foo[1-2]"),
            ("foo[0-10]", "--index=foo6 -x foo[0-5]", "0"),
            ("foo[2-10]", "-f foo2 -x foo2 -", "foo[2-10]"),
            ("foo3 foo2 foo9", "-e --input-order -x foo9", "foo3 foo2"),
            ("1-10", "-Rf -x 4-20", "1-3"),
            ("1-10", "-Rf -X 9-12", "1-8,11-12"),
            ("", "-f -q -x foo", ""),
        ],
    );
    let (_, told, _) = answer(home.path(), "", &["-f", "-x", "foo"]);
    assert_eq!(told, "WARNING: empty left operand for set operation");
}

#[test]
fn a_listing_is_of_the_nodes_that_operations_leave() {
    let home = home_with_groups();
    answers(
        home.path(),
        &[
            ("", "-l", "@a | @b"),
            ("", "-l n2p2", "@a"),
            ("", "-a -l -x n1p1", "@a"),
            ("n2p2 n9p9\n", "-l - -x n9p9", "@a"),
            ("", "-L", "@a | @b | @blue:c"),
            ("", "-L -s blue", "@c | @red:a | @red:b"),
            ("", "-LLG -s blue", "@c n7p7 | @a n[1-2]p[1-2] | @b n1p1"),
            ("", "-l -s blue", "@blue:c"),
            ("", "-l -s blue n7p7", "@blue:c"),
            ("", "-L n1p1", "@a | @b"),
        ],
    );
    // Nothing is left, so the nodes are in no group.
    for arguments in [["-q", "-l", "-xn1p1"], ["-q", "-l", "-in1p1"]] {
        assert_eq!(answer(home.path(), "", &arguments), (String::new(), String::new(), Some(0)), "{arguments:?}");
    }
}

#[test]
fn a_completion_knows_the_source_and_the_words_before_it() {
    let home = home_with_groups();
    answers(
        home.path(),
        &[
            ("", "--completion", "@red: | @blue: | @a | @b"),
            ("", "--completion n3 n4", "@red: | @blue: | @a | @b | n3 n4"),
            ("", "-s blue --completion", "@blue:c"),
            ("", "-s blue --completion @c", "@blue:c | n7p7"),
            ("", "-G -s blue --completion", "@c"),
        ],
    );
}

#[test]
fn a_position_is_that_in_the_slice() {
    let home = home();
    answers(
        home.path(),
        &[
            ("", "--index n7 -I 5-9 n[0-9]", "2"),
            ("", "-R --index 7 -I 5-9 0-9", "2"),
            ("", "--index n7 --pick 0 n[0-9]", "7"),
            ("", "-f --slice= n[0-9]", "n[0-9]"),
            ("", "-c --axis= n[0-9]", "10"),
        ],
    );
    refuses(
        home.path(),
        &[
            ("--index n7 -I 0-4 n[0-9]", "ERROR: 'n7' is not in nodeset", 1),
            ("--index n[1-2] n[0-9]", "ERROR: index() argument must be a single node", 1),
            ("-R --index 50 0-9", "ERROR: 50 is not in RangeSet", 1),
            ("--index n5 --pick 2 n[0-9]", "nodeset: error: --index cannot be combined with --pick", 2),
            (
                "-e --input-order --split=2 n[0-9]",
                "nodeset: error: --input-order cannot be combined with --split or --contiguous",
                2,
            ),
        ],
    );
    assert_eq!(answer(home.path(), "", &["--equal", "n[1-2]", "-I", "1-2", "n[0-9]"]).2, Some(0));
    assert_eq!(answer(home.path(), "", &["--equal", "n[0-9]", "-I", "1-2", "n[0-9]"]).2, Some(1));
}

#[test]
fn the_fold_axes_of_defaults_conf_are_counted_from_0_and_hold_for_every_folded_set() {
    let home = home_with_groups();
    let axes = |axes: &str| {
        fs::write(home.path().join("defaults.conf"), format!("[nodeset]\nfold_axis: {axes}\n"))
            .expect("a file can be written");
    };
    axes("1");
    answers(
        home.path(),
        &[
            ("", "-f a[1-2]b[1-2]", "a1b[1-2],a2b[1-2]"),
            ("", "-f --axis=1 a[1-2]b[1-2]", "a[1-2]b1,a[1-2]b2"),
            ("", "-f n[1-3]", "n1,n2,n3"),
            ("", "-ll", "@a n1p[1-2],n2p[1-2] | @b n1p1"),
            ("", "-lll", "@a n1p[1-2],n2p[1-2] 4 | @b n1p1 1"),
            ("", "-ll n1p[1-2]", "@a n1p[1-2] | @b n1p1"),
            ("", "-r @a q[1-2]r[1-2]", "@a,q1r[1-2],q2r[1-2]"),
        ],
    );
    axes("0,-1");
    answers(
        home.path(),
        &[("", "-f a[1-2]b[1-2]c[1-2]", "a[1-2]b1c[1-2],a[1-2]b2c[1-2]"), ("", "-f n[1-3]", "n[1-3]")],
    );
    axes("");
    answers(home.path(), &[("", "-f a[1-2]b[1-2]", "a[1-2]b[1-2]")]);
    axes("1-2");
    let (_, told, status) = answer(home.path(), "", &["-f", "n1"]);
    assert!(told.contains("defaults.conf: fold_axis takes axes") && told.contains("`1-2`"), "{told}");
    assert_eq!(status, Some(1));
}

#[test]
fn malformed_files_of_groups_are_errors_that_name_the_file_and_the_line() {
    for (content, said) in [
        (&b"[Main"[..], "groups.conf: line 1: no section header: '[Main'"),
        (b"map: x\n", "groups.conf: line 1: no section header before: 'map: x'"),
        (b"[a]\nmap: x\nwhat\n", "groups.conf: line 3: neither a section nor an option: 'what'"),
        (b"[a]\nmap: x\n[a]\n", "groups.conf: line 3: section 'a' already exists"),
        (b"[a]\nmap: x\n# caf\xe9\n", "groups.conf: line 3: not valid UTF-8"),
    ] {
        let home = home();
        fs::write(home.path().join("groups.conf"), content).expect("a file can be written");
        let (_, told, status) = answer(home.path(), "", &["-f", "@a"]);
        assert!(told.ends_with(said) && status == Some(1), "{said}: {told}");
    }
}
