//! What the program says about itself for shells and for `man`.

use std::fs;
use std::process::{Command, Output};

use phalanx_tests::phalanx;

use crate::phalanx::Phalanx;

fn bash(script: &str) -> Output {
    Command::new("bash").args(["-c", script]).env("PHALANX", phalanx()).output().expect("there is a bash")
}

#[test]
fn bash_completes_verbs_and_options() {
    let completes = |words: &str, count: usize| {
        let script = format!(
            "source <(\"$PHALANX\" completions bash) && COMP_WORDS=({words}) COMP_CWORD={count} && \
             _phalanx phalanx \"${{COMP_WORDS[$COMP_CWORD]}}\" \"${{COMP_WORDS[$COMP_CWORD-1]}}\" && echo \"${{COMPREPLY[@]}}\""
        );
        let output = bash(&script);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    };
    assert_eq!(completes("phalanx ru", 1), "run");
    assert_eq!(completes("phalanx run --command-", 2), "--command-timeout");
    assert_eq!(completes("phalanx run --worker e", 3), "exec");
    assert_eq!(completes("phalanx completions z", 2), "zsh");
}

#[test]
fn every_shell_is_given_something_about_every_verb() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let ran = Phalanx::verb("completions", &[shell]).output();
        assert_eq!(ran.status(), Some(0));
        for word in ["run", "put", "get", "forward", "serial", "report", "nodeset", "config", "fanout", "preset"] {
            assert!(ran.stdout().contains(word), "{shell}: {word}");
        }
    }
    assert_eq!(Phalanx::verb("completions", &["tcsh"]).output().status(), Some(2));
}

#[test]
fn every_verb_has_a_manual_page() {
    let directory = tempfile::tempdir().expect("a directory can be made");
    let man1 = directory.path().join("share/man1");
    let ran = Phalanx::verb("man", &["--output-dir", man1.to_str().expect("ours")]).output();
    assert_eq!((ran.status(), ran.stderr().as_str()), (Some(0), ""));
    let overview = fs::read_to_string(man1.join("phalanx.1")).expect("it was written");
    for verb in ["run", "put", "get", "forward", "serial", "report", "nodeset", "config", "completions", "man"] {
        let page = fs::read_to_string(man1.join(format!("phalanx-{verb}.1"))).expect("it was written");
        assert!(page.contains(".SH NAME\n") && overview.contains(&format!("phalanx\\-{verb}(1)")), "{verb}");
        assert_eq!(Phalanx::verb("man", &[verb]).output().stdout(), page);
    }
    assert!(!man1.join("phalanx-help.1").exists() && !overview.contains("phalanx\\-help"));
    let unknown = Phalanx::verb("man", &["fly"]).output();
    assert!(
        unknown.stderr().starts_with("phalanx: there is no verb `fly`; known are run, put, "),
        "{}",
        unknown.stderr()
    );
    assert_eq!(unknown.status(), Some(2));
    let file = directory.path().join("file");
    fs::write(&file, "").expect("ours");
    let nowhere = Phalanx::verb("man", &["--output-dir", file.to_str().expect("ours")]).output();
    assert!(nowhere.stderr().contains("cannot make the directory"), "{}", nowhere.stderr());
}
