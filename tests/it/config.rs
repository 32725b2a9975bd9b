//! The configuration, seen from the command line. K1 of the reference: file < environment < flags, and a bad file is
//! reported.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use tempfile::TempDir;

use crate::phalanx::{Phalanx, Ran};

/// A home with a configuration in it.
struct Home(TempDir);

impl Home {
    fn new(configuration: &str) -> Self {
        let home = Self(tempfile::tempdir().expect("a directory can be made"));
        fs::create_dir_all(home.file().parent().expect("it is in a directory")).expect("ours");
        fs::write(home.file(), configuration).expect("ours");
        home
    }

    fn file(&self) -> PathBuf {
        self.0.path().join(".config/phalanx/config.toml")
    }

    /// What comes of a command in this home, where nothing else is set.
    fn ran(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Ran {
        let mut phalanx =
            Phalanx::verb(arguments[0], &arguments[1..]).env("HOME", self.0.path().to_str().expect("ours"));
        for variable in
            ["XDG_CONFIG_HOME", "PHALANX_CONFIG", "PHALANX_PRESET", "RUST_LOG", "NO_COLOR", "CLICOLOR_FORCE"]
        {
            phalanx = phalanx.env(variable, "");
        }
        variables.iter().fold(phalanx, |phalanx, (name, value)| phalanx.env(name, value)).output()
    }

    fn stderr(&self, ran: &Ran) -> String {
        ran.stderr().replace(self.0.path().to_str().expect("ours"), "HOME")
    }
}

/// K1 and items 186 and 208: every combination of file, preset, environment, flag and host.
#[test]
fn a_value_is_that_of_the_first_that_has_one() {
    for layers in 0..32 {
        let has = |layer: u32| layers >> layer & 1 == 1;
        let file = if has(0) { "connection.user = 'file'\n" } else { "" };
        let preset = if has(1) { "connection.user = 'preset'\n" } else { "" };
        let home = Home::new(&format!("{file}[presets.p]\n{preset}"));
        let environment = if has(2) { &[("PHALANX_USER", "environment")][..] } else { &[] };
        let flag = if has(3) { &["-l", "flag"][..] } else { &[] };
        let node = if has(4) { "host@n" } else { "n" };
        let ran =
            home.ran(&[&["run", "--dry-run", "--preset", "p", "-w", node], flag, &["true"]].concat(), environment);
        assert_eq!(ran.status(), Some(0), "{}", ran.stderr());
        let expected = ["file", "preset", "environment", "flag", "host"];
        let expected = (0..5).rev().find(|layer| has(*layer)).map(|layer| format!("-l {} ", expected[layer as usize]));
        match expected {
            Some(expected) => assert!(ran.stdout().contains(&expected), "{layers}: {}", ran.stdout()),
            None => assert!(!ran.stdout().contains("-l "), "{}", ran.stdout()),
        }
    }
}

#[test]
fn every_verb_that_connects_obeys_the_configuration() {
    let home = Home::new("[connection]\nssh = './connect'\noptions = 'Compression=yes'\nconnect_timeout = 7\n");
    let program = home.file().with_file_name("connect");
    // It connects to nobody, and says how it was called.
    fs::write(&program, "#!/bin/sh\necho \"$*\" >> \"$HOME/called\"\nexit 1\n").expect("ours");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("ours");
    let called = home.0.path().join("called");
    let here = home.0.path().to_str().expect("ours");
    for arguments in [
        &["run", "-w", "n", "-o", "A=1", "true"][..],
        &["put", "-w", "n", "-o", "A=1", "/etc/hostname", "/tmp/"],
        &["get", "-w", "n", "-o", "A=1", "/etc/hostname", here],
        &["serial", "-w", "n", "-o", "A=1", "/dev/ttyS0", "9600"],
        &["forward", "--forwarding-timeout", "20", "-o", "A=1", "n", "localhost:80"],
    ] {
        let said = |arguments: &[&str]| {
            let ran = home.ran(arguments, &[]);
            assert_eq!(ran.status(), Some(1), "{}", ran.stderr());
            let said =
                fs::read_to_string(&called).unwrap_or_else(|error| panic!("{arguments:?}: {error} {}", ran.stderr()));
            fs::remove_file(&called).expect("ours");
            said
        };
        let usual = said(arguments);
        let at = |option: &str| usual.find(option).unwrap_or_else(|| panic!("{option} is not in {usual}"));
        // ssh takes the first of several values, so flags come first.
        assert!(at("A=1") < at("Compression=yes") && at("Compression=yes") < at("ConnectTimeout=7"), "{usual}");
        // A flag undoes a timeout.
        let undone = said(&[&arguments[..1], &["-t", "0"], &arguments[1..]].concat());
        assert!(!undone.contains("ConnectTimeout"), "{undone}");
    }
    // One that does not need it is not in its way.
    let broken = Home::new("no toml");
    assert_eq!(broken.ran(&["nodeset", "-f", "a1,a2"], &[]).stdout(), "a[1-2]\n");
}

#[test]
fn what_is_configured_of_a_run_takes_effect() {
    let home = Home::new(
        "command_timeout = 0.2\nlog_level = 'info'\ncolor = 'always'\nstyles.stdout_label = 'green'\nfanout = 1\n",
    );
    let ran = home.ran(&["run", "-R", "exec", "-w", "n[1-2]", "echo said; sleep 60"], &[]);
    assert_eq!(ran.status(), Some(1));
    assert!(ran.stdout().contains("\x1b[32mn1: \x1b[0msaid\n\x1b[32mn2: \x1b[0msaid\n"), "{:?}", ran.stdout());
    assert!(ran.stderr().contains("command timeout"), "{}", ran.stderr());
    let never = home.ran(&["run", "-R", "exec", "-w", "n", "-u", "0", "sleep 0.3; echo said"], &[("NO_COLOR", "1")]);
    assert_eq!((never.stdout().as_str(), never.status()), ("n: said\n", Some(0)));
}

#[test]
fn what_is_wrong_is_said_with_file_line_and_key_and_nothing_is_started() {
    let home = Home::new("fanuot = 8\n[connection]\nport = 0\n");
    for verb in [
        &["run", "-R", "exec", "-w", "n", "touch $HOME/started"][..],
        &["put", "-w", "n", "/etc/hostname", "/tmp/"],
        &["get", "-w", "n", "/etc/hostname", "/tmp/"],
        &["forward", "n", "localhost:80"],
        &["serial", "/dev/null", "9600"],
        &["config"],
    ] {
        let ran = home.ran(verb, &[]);
        assert_eq!(ran.status(), Some(2), "{verb:?}");
        assert_eq!(
            home.stderr(&ran),
            "phalanx: HOME/.config/phalanx/config.toml:1:1: key `fanuot`: it is not known; did you mean `fanout`?\n\
             phalanx: HOME/.config/phalanx/config.toml:3:8: key `connection.port`: 0 is out of range; write a number from 1 to 65535\n"
        );
    }
    assert!(!home.0.path().join("started").exists());
    let variable = Home::new("").ran(&["config"], &[("PHALANX_FANOUT", "many")]);
    assert_eq!(
        (variable.stderr().as_str(), variable.status()),
        (
            "phalanx: $PHALANX_FANOUT: it must be an integer, not the string \"many\"; write a number from 1 to 4294967295\n",
            Some(2)
        )
    );
    let preset = Home::new("").ran(&["run", "--preset", "lab", "-w", "n", "true"], &[]);
    assert!(preset.stderr().starts_with("phalanx: no preset is called `lab` (--preset); known are `ephemeral`; "));
}

#[test]
fn only_the_default_file_may_be_missing() {
    let home = Home::new("");
    fs::remove_file(home.file()).expect("ours");
    let ran = home.ran(&["config"], &[]);
    assert_eq!(ran.status(), Some(0));
    let expected = format!("# file: none; it would be {}\n# preset: none\n", home.file().display());
    assert!(ran.stdout().starts_with(&expected), "{}", ran.stdout());
    let named = home.ran(&["run", "-R", "exec", "-w", "n", "true"], &[("PHALANX_CONFIG", "/nowhere/config.toml")]);
    assert_eq!(
        (named.stderr().as_str(), named.status()),
        (
            "phalanx: /nowhere/config.toml: cannot read it: No such file or directory (os error 2) (named by $PHALANX_CONFIG)\n",
            Some(2)
        )
    );
}

#[test]
fn a_key_or_a_program_that_is_not_there_is_said_to_be_configured() {
    let key = Home::new("connection.keyfile = 'no/such/key'").ran(&["run", "-w", "n", "true"], &[]);
    assert!(key.stderr().contains("as a private key (connection.keyfile of the configuration)"), "{}", key.stderr());
    let ssh = Home::new("connection.ssh = 'no-such-ssh'").ran(&["run", "-w", "n", "true"], &[]);
    assert!(ssh.stderr().contains("cannot connect with `no-such-ssh` (connection.ssh of the configuration)"));
    assert_eq!((key.status(), ssh.status()), (Some(2), Some(2)));
}

#[test]
fn what_is_in_force_is_shown_with_its_origin_and_can_be_read_again() {
    let home = Home::new("preset = 'ephemeral'\nfanout = 8\n");
    let ran = home.ran(&["config"], &[("PHALANX_USER", "root")]);
    for line in [
        &format!("fanout = 8  # {}:2", home.file().display()),
        "user = \"root\"  # $PHALANX_USER",
        "check_host_keys = \"ignore\"  # preset ephemeral, built in",
        "color = \"auto\"  # default",
        "# preset: ephemeral",
    ] {
        assert!(ran.stdout().lines().any(|shown| shown == line), "{line}\n{}", ran.stdout());
    }
    let copy = home.0.path().join("copy.toml");
    fs::write(&copy, ran.stdout()).expect("ours");
    let copy = copy.to_str().expect("ours");
    let again = home.ran(&["config", copy], &[]);
    assert!(again.stdout().contains(&format!("user = \"root\"  # {copy}:")), "{}{}", again.stdout(), again.stderr());
    let template = home.ran(&["config", "--keys"], &[]);
    fs::write(copy, template.stdout()).expect("ours");
    assert_eq!(home.ran(&["config", copy], &[]).status(), Some(0));
}
