//! A bounded run of the fuzz target `hosts`: its corpus, what is hostile, random texts of what means something in a host file; and that the
//! layout of a host file means nothing.

#[path = "../../../fuzz/checks/hosts.rs"]
mod hosts;

use std::fs;
use std::path::Path;

use phalanx_config::groups::NodeList;
use phalanx_nodeset::Parser;
use proptest::prelude::*;

#[test]
fn the_corpus_of_host_files_holds() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/hosts");
    let entries = fs::read_dir(&directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    let paths: Vec<_> = entries.map(|entry| entry.expect("a directory can be read").path()).collect();
    assert!(!paths.is_empty(), "{} is empty", directory.display());
    for path in paths {
        let bytes = fs::read(path).expect("ours");
        hosts::any_bytes(&bytes);
        hosts::any_inventory(&bytes);
    }
}

#[test]
fn hostile_host_files_get_an_answer() {
    for text in [
        "n".repeat(1_000_000),
        "n ".repeat(200_000),
        "n[1-999999999]\n".repeat(10),
        "[".repeat(100_000),
        "a@".repeat(100_000),
        "a:".repeat(100_000),
        ",".repeat(100_000),
        "#".repeat(100_000),
        "\r".repeat(100_000),
        "ssh:".repeat(1_000),
        format!("-{}", "x".repeat(300)),
        "\u{1b}]0;x\u{7}".to_owned(),
        "n1\u{a0}n2\u{feff}".to_owned(),
        "\u{feff}\u{feff}n1".to_owned(),
        "\u{202e}1n".to_owned(),
    ] {
        hosts::any_bytes(text.as_bytes());
        hosts::any_inventory(text.as_bytes());
    }
    let deep: String = (0..2_000).map(|depth| format!("{}a:\n", " ".repeat(depth))).collect();
    let aliases = "a: &a [x,x]\nb: &b [*a,*a]\nc: &c [*b,*b]\nd: {hosts: *c}\n";
    for text in [
        "{".repeat(10_000),
        "[".repeat(10_000) + "\n---",
        format!("---\n{deep}"),
        format!("---\n{aliases}"),
        "[a]\nn[0:9][0:9][0:9][0:9][0:9][0:9][0:9]\n".to_owned(),
        "[a]\nn[a:z][a:z][a:z]:22 ansible_user=x\n".to_owned(),
        (0..500).map(|at| format!("[g{at}:children]\ng{}\n", at + 1)).collect::<String>() + "[g500]\nn1\n",
    ] {
        hosts::any_inventory(text.as_bytes());
    }
}

fn nearly_an_inventory() -> impl Strategy<Value = String> {
    let token = prop::sample::select(vec![
        "[web]\n",
        "[db:children]\n",
        "[web:vars]\n",
        "web\n",
        "db\n",
        "n1",
        "n[1:3]",
        "n[a:c]",
        " ansible_host=",
        "10.0.0.1",
        "x y",
        " ansible_port=22",
        "ansible_user=root",
        "ansible_connection=local",
        "all:\n",
        " hosts:\n",
        "  n1:\n",
        " children:\n",
        "  web:\n",
        " vars: {ansible_user: a}\n",
        "---\n",
        "{",
        "}",
        "'",
        "\"",
        "#",
        ";",
        "\n",
        " ",
        ":",
        "&a ",
        "*a",
        "-",
        "\u{1b}",
        "[",
        "]",
        "@",
    ]);
    prop::collection::vec(token, 0..24).prop_map(|tokens| tokens.concat())
}

fn nearly_a_host_file() -> impl Strategy<Value = String> {
    let token = prop::sample::select(vec![
        "n1", "n2", "root", "web", "[1-3]", "[", "]", "::1", "[::1]", ":22", ":", "@", ",", "!", "&", "^", " ", "  ",
        "\t", "\n", "\r\n", "#", "-", "--", "ssh:", "rsh:", ".", "..", "/", "*", "=", "\0", "\u{feff}", "é", "\u{1b}",
        "'", "$(x)", "01", "0",
    ]);
    prop::collection::vec(token, 0..24).prop_map(|tokens| tokens.concat())
}

/// A host as it may be written, in every form that there is.
fn host() -> impl Strategy<Value = String> {
    let user = prop::sample::select(vec!["", "root@", "a.b@", "a@b@"]);
    let place = prop::sample::select(vec![
        "n1",
        "n2:22",
        "gpu-7.lab",
        "10.0.0.1",
        "10.0.0.1:2222",
        "::1",
        "[fe80::1%eth0]:22",
        "login",
    ]);
    (user, place).prop_map(|(user, place)| format!("{user}{place}"))
}

/// What may stand between hosts in a file. Two hosts are alone on a line only where they are separated by a comma.
fn separator() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["\n", "\r\n", "\n\n", " # two hosts, and more\r\n", "\n\t# [x\n ", ",", " , ", "\t,"])
}

proptest! {
    #[test]
    fn any_text_gets_an_answer(text in nearly_a_host_file()) {
        hosts::any_bytes(text.as_bytes());
    }

    #[test]
    fn any_bytes_get_an_answer(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        hosts::any_bytes(&bytes);
        hosts::any_inventory(&bytes);
    }

    #[test]
    fn any_inventory_gets_an_answer(text in nearly_an_inventory()) {
        hosts::any_inventory(text.as_bytes());
        hosts::any_bytes(text.as_bytes());
    }

    #[test]
    fn the_layout_of_a_host_file_means_nothing(
        written in prop::collection::vec((host(), separator()), 1..12),
        mark in prop::sample::select(vec!["", "\u{feff}", "\u{feff}# hosts\r\n", "\n \n"]),
    ) {
        let mut text = mark.to_owned();
        for (at, (host, separator)) in written.iter().enumerate() {
            text.push_str(host);
            // An operator at the end has nothing to work on.
            text.push_str(if at + 1 < written.len() { separator } else { "\n" });
        }
        let list = NodeList::from_bytes(text.clone().into_bytes(), "f").expect(&text);
        let mut expected: Vec<String> = Vec::new();
        for (host, _) in &written {
            if !expected.contains(host) {
                expected.push(host.clone());
            }
        }
        let parser = Parser::new();
        prop_assert_eq!(list.hosts(&parser).expect(&text), expected, "{}", &text);
    }
}

#[test]
fn several_hosts_may_stand_on_a_line_and_a_host_with_its_user_may_not() {
    let parser = Parser::new();
    let hosts = |text: &str| {
        let list = NodeList::from_bytes(text.as_bytes().to_vec(), "f").map_err(|error| error.to_string())?;
        list.hosts(&parser).map(|hosts| hosts.join(" ")).map_err(|error| error.to_string())
    };
    for (text, expected) in [
        ("n1 n2", "n1 n2"),
        ("n[1-2] n7", "n1 n2 n7"),
        ("gpu1 login n3", "gpu1 login n3"),
        ("gpu1, login", "gpu1 login"),
        ("gpu1 root@login", "gpu1 root@login"),
        ("gpu1 login:22", "gpu1 login:22"),
        ("a[1, 2] # root", "a1 a2"),
    ] {
        assert_eq!(hosts(text).as_deref(), Ok(expected), "{text}");
    }
    for text in ["n1 root", "n1\troot # the user", "10.0.0.1 john.doe", "n1:22 admin2", "n[1-3] root"] {
        let error = hosts(&format!("n0\n{text}\n")).expect_err(text);
        assert!(error.starts_with("f:2:") && error.contains("may be the user of"), "{error}");
    }
}
