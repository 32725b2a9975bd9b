//! Items 175 to 209: every key, every layer, every diagnostic.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;

use phalanx_process::host::Host;

use super::keys::{KEYS, Key};
use super::*;

/// A key, a value as it is written, what is then in force, and a wrong value with what is said of it.
type Row = (&'static str, &'static str, &'static str, &'static str, &'static str);

const DURATION: &str = "write seconds (90, 1.5) or hours, minutes and seconds (\"0:01:30\")";

fn rows() -> Vec<Row> {
    let style = "\"rouge\" is no colour and no attribute; write a colour, a background and attributes as git does: \
                 \"red\", \"bold white blue\"";
    let duration: &str = Box::leak(format!("the string \"5s\" is no duration; {DURATION}").into_boxed_str());
    let mut rows: Vec<Row> = vec![
        (
            "log_level",
            "'debug'",
            "\"debug\"",
            "'loud'",
            "\"loud\" is not known; write one of `off`, `error`, `warn`, `info`, `debug`, `trace`",
        ),
        (
            "remote_tool",
            "'TAKTUK'",
            "\"taktuk\"",
            "'rsh'",
            "`rsh` is no tool to run commands on hosts; known are ssh, taktuk",
        ),
        ("put_tool", "'chain'", "\"chain\"", "1", "it must be a string, not the integer 1; write a text in quotes"),
        (
            "get_tool",
            "'taktuk'",
            "\"taktuk\"",
            "'chain'",
            "`chain` is no tool to copy files from hosts; known are scp, taktuk",
        ),
        ("fanout", "8", "8", "0", "0 is out of range; write a number from 1 to 4294967295"),
        ("command_timeout", "'0:01:30'", "90", "'5s'", duration),
        ("kill_timeout", "2.5", "2.5", "'5s'", duration),
        ("compact_output_threshold", "0", "0", "-1", "-1 is out of range; write a number from 0 to 4294967295"),
        (
            "port_range",
            "[4000, 5000]",
            "[4000, 5000]",
            "[5000, 4000]",
            "there is no port in it; write the first port and the one after the last, as in [25500, 26700]",
        ),
        (
            "color",
            "'never'",
            "\"never\"",
            "true",
            "it must be a string, not the boolean true; write one of `auto`, `always`, `never`",
        ),
        (
            "connection.user",
            "'root'",
            "\"root\"",
            "''",
            "it is empty; leave the key out to leave the choice to your ssh",
        ),
        ("connection.port", "2222", "2222", "65536", "65536 is out of range; write a number from 1 to 65535"),
        (
            "connection.keyfile",
            "'/k'",
            "\"/k\"",
            "'~/k'",
            "`~` has no meaning without a home; set $HOME, or write the whole path",
        ),
        (
            "connection.ssh",
            "'oarsh'",
            "\"oarsh\"",
            "['ssh', '-v']",
            "it must be a string, not an array; write a text in quotes",
        ),
        (
            "connection.scp",
            "'oarcp'",
            "\"oarcp\"",
            "5",
            "it must be a string, not the integer 5; write a text in quotes",
        ),
        (
            "connection.ssh_config",
            "'none'",
            "\"none\"",
            "5",
            "it must be a string, not the integer 5; write a text in quotes",
        ),
        (
            "connection.options",
            "'A=1'",
            "[\"A=1\"]",
            "['A=1\\n', \"B\\n\"]",
            "there is a control character or the end of a line in it; write it without",
        ),
        (
            "connection.ssh_options",
            "['-4', '-C']",
            "[\"-4\", \"-C\"]",
            "5",
            "it must be a list of strings, not the integer 5; write a text in quotes, or several: [\"a\", \"b\"]",
        ),
        (
            "connection.scp_options",
            "['-l']",
            "[\"-l\"]",
            "{}",
            "it must be a list of strings, not a table; write a text in quotes, or several: [\"a\", \"b\"]",
        ),
        (
            "connection.jump",
            "'gate'",
            "\"gate\"",
            "5",
            "it must be a string, not the integer 5; write a text in quotes",
        ),
        (
            "connection.check_host_keys",
            "'accept'",
            "\"accept\"",
            "'acept'",
            "\"acept\" is not known; write one of `enforce`, `accept`, `ignore`; did you mean `accept`?",
        ),
        ("connection.connect_timeout", "20", "20", "'5s'", duration),
        ("connection.remote_tty", "true", "true", "1", "it must be a boolean, not the integer 1; write true or false"),
        (
            "connection.pty",
            "true",
            "true",
            "'yes'",
            "it must be a boolean, not the string \"yes\"; write true or false",
        ),
        ("connection.forwarding_timeout", "60", "60", "'5s'", duration),
        (
            "connection.host_rewrite",
            "'{{{host}}}.lan'",
            "\"{{{host}}}.lan\"",
            "'gate'",
            "\"gate\" would make every host the same; put {{{host}}} where its address belongs",
        ),
    ];
    let (text, texts) = (
        "it must be a string, not the integer 5; write a text in quotes",
        "it must be a list of strings, not the integer 5; write a text in quotes, or several: [\"a\", \"b\"]",
    );
    rows.extend([
        ("taktuk.program", "'t'", "\"t\"", "5", text),
        ("taktuk.options", "['-d', '-1']", "[\"-d\", \"-1\"]", "5", texts),
        ("taktuk.connector", "'oarsh'", "\"oarsh\"", "5", text),
        ("taktuk.connector_options", "'-C'", "[\"-C\"]", "5", texts),
    ]);
    rows.extend([
        ("chain.netcat", "'nc -v'", "\"nc -v\"", "5", text),
        ("chain.client_timeout", "7", "7", "'5s'", duration),
        ("chain.server_timeout", "8", "8", "'5s'", duration),
        ("chain.host_retry", "0", "0", "-1", "-1 is out of range; write a number from 0 to 4294967295"),
        (
            "chain.chain_retry",
            "0.5",
            "0.5",
            "1.5",
            "1.5 is no part of all hosts; write a number of hosts (10), or a part (0.0 to 1.0)",
        ),
        ("chain.try_delay", "0.25", "0.25", "'5s'", duration),
        ("chain.port", "4000", "4000", "0", "0 is out of range; write a number from 1 to 65535"),
        ("chain.address", "'{{{host}}}-ib0'", "\"{{{host}}}-ib0\"", "5", text),
    ]);
    let styles = Role::ALL.map(|role| format!("styles.{}", role.name()));
    rows.extend(styles.map(|name| {
        let name: &str = Box::leak(name.into_boxed_str());
        (name, "'ul cyan'", "\"cyan ul\"", "'rouge'", style)
    }));
    rows
}

fn key(name: &str) -> &'static Key {
    KEYS.iter().find(|key| key.name == name).unwrap_or_else(|| panic!("{name} is no key"))
}

fn parsed(text: &str) -> Configuration {
    Configuration::parse("f.toml", text).unwrap_or_else(|diagnostics| panic!("{diagnostics}"))
}

fn complaint(text: &str) -> String {
    Configuration::parse("f.toml", text).expect_err(text).to_string()
}

#[test]
fn every_key_is_read_and_does_what_it_says_it_does() {
    for (name, value, in_force, _, _) in rows() {
        let configuration = parsed(&format!("{name} = {value}"));
        assert_eq!((key(name).show)(&configuration).as_deref(), Some(in_force), "{name}");
        let default = Configuration::default();
        assert_ne!(configuration, default, "{name}");
        let others = KEYS.iter().filter(|other| other.name != name);
        others.for_each(|other| assert_eq!((other.show)(&configuration), (other.show)(&default), "{}", other.name));
    }
    let tested: BTreeSet<&str> = rows().into_iter().map(|row| row.0).collect();
    assert_eq!(tested, KEYS.iter().map(|key| key.name).collect());
}

#[test]
fn every_wrong_value_is_refused_with_file_line_and_key() {
    for (name, _, _, wrong, expected) in rows() {
        let column = name.len() + 4;
        assert_eq!(complaint(&format!("\n{name} = {wrong}")), format!("f.toml:2:{column}: key `{name}`: {expected}"));
        // In a preset too, and although it is not in force.
        let (section, last) = key(name).parts();
        let text = format!("[presets.p.{section}]\n{last} = {wrong}").replace(".]", "]");
        let column = last.len() + 4;
        assert_eq!(complaint(&text), format!("f.toml:2:{column}: key `presets.p.{name}`: {expected}"));
    }
}

#[test]
fn what_is_no_key_is_answered() {
    for (text, expected) in [
        ("fanuot = 8", "1:1: key `fanuot`: it is not known; did you mean `fanout`?"),
        ("[conection]\nuser = 'a'", "1:2: key `conection`: it is not known; did you mean `connection`?"),
        ("[connection]\nusr = 'a'", "2:1: key `connection.usr`: it is not known; did you mean `user`?"),
        ("user = 'a'", "1:1: key `user`: it does not belong here; write it below [connection]"),
        (
            "[connection]\nfanout = 8",
            "2:1: key `connection.fanout`: it does not belong here; write it at the top of the file, above the first [section]",
        ),
        (
            "connection = 'a'",
            "1:14: key `connection`: it must be a table, not the string \"a\"; write [connection] above its keys",
        ),
        ("preset = 'lab'", "1:10: key `preset`: no preset is called \"lab\"; known are `ephemeral`"),
        (
            "[preset.lab]\nfanout = 8",
            "1:2: key `preset`: it is the name of the preset that is in force; write [presets.NAME] to define one",
        ),
        (
            "presets.lab = 5",
            "1:15: key `presets.lab`: it must be a table, not the integer 5; write [presets.lab] above its keys",
        ),
        (
            "[presets.a]\npreset = 'b'",
            "2:1: key `presets.a.preset`: a preset puts no other one in force; write the name of one of them at the top of the file",
        ),
        ("user = 'a'\nuser = 'b'", "2:1: key `user`: it is there a second time; leave one of them"),
        // execo's own names, and the keys that are not needed (items 181 and 183).
        (
            "intr_period = 1",
            "1:1: key `intr_period`: nothing waits in slices here: Ctrl-C is noticed at once; leave it out",
        ),
        (
            "kill_childs_at_end = true",
            "1:1: key `kill_childs_at_end`: no child outlives the program here, however that ends; leave it out",
        ),
        ("fileput_tool = 'SCP'", "1:1: key `fileput_tool`: it has another name here; write put_tool"),
        (
            "connection.taktuk = 't'",
            "1:12: key `connection.taktuk`: it has another name here; write program below [taktuk]",
        ),
        ("connection.nc = 'nc'", "1:12: key `connection.nc`: it has another name here; write netcat below [chain]"),
        (
            "chainput_host_retry = 5",
            "1:1: key `chainput_host_retry`: it has another name here; write host_retry below [chain]",
        ),
        ("taktuk_options = '-s'", "1:1: key `taktuk_options`: it has another name here; write options below [taktuk]"),
        ("[taktuk]\nuser = 'a'", "2:1: key `taktuk.user`: it does not belong here; write it below [connection]"),
        (
            "[default_connection_params]\nuser = 'a'",
            "1:2: key `default_connection_params`: it has another name here; write [connection]",
        ),
        (
            "[connection]\nhost_rewrite_func = 'f'",
            "2:1: key `connection.host_rewrite_func`: a file holds no code; write host_rewrite = \"{{{host}}}.example.org\" below [connection]",
        ),
    ] {
        assert_eq!(complaint(text).lines().next(), Some(format!("f.toml:{expected}").as_str()), "{text}");
    }
    let all = complaint("fanout = 0\n[connection]\nport = 0\nusr = 'a'");
    assert_eq!(all.lines().count(), 3, "{all}");
}

#[test]
fn special_values_have_their_own_complaints() {
    for (text, expected) in [
        (
            "port_range = [1, 2, 3]",
            "key `port_range`: it must be two numbers; write the first port and the one after the last, as in [25500, 26700]",
        ),
        (
            "port_range = [1, 'x']",
            "key `port_range[2]`: it must be an integer, not the string \"x\"; write a number from 1 to 65535",
        ),
        (
            "port_range = '1-2'",
            "key `port_range`: it must be an array, not the string \"1-2\"; write values between [ and ], with commas",
        ),
        (
            "connection.host_rewrite = 5",
            "key `connection.host_rewrite`: it must be a string or a table; write \"{{{host}}}.example.org\", or { find = \"^node(.*)\", replace = \"n$1\" }",
        ),
        (
            "connection.host_rewrite = { find = '(', replace = '' }",
            "key `connection.host_rewrite.find`: it is no regular expression (unclosed group)",
        ),
        (
            "connection.host_rewrite = { find = 'a' }",
            "key `connection.host_rewrite`: `replace` is missing; write \"{{{host}}}.example.org\", or { find = \"^node(.*)\", replace = \"n$1\" }",
        ),
        (
            "connection.host_rewrite = { find = 'a', replace = '', with = '' }",
            "key `connection.host_rewrite.with`: it is not known; known are `find`, `replace`",
        ),
    ] {
        let said = complaint(text);
        assert_eq!(said.splitn(4, ':').nth(3).map(str::trim_start), Some(expected), "{said}");
    }
}

#[test]
fn the_built_in_preset_has_the_options_of_execo() {
    // Item 209.
    let configuration = parsed("preset = 'ephemeral'");
    assert_eq!(configuration.connection, SshOptions::ephemeral());
    let replaced = parsed("preset = 'ephemeral'\n[presets.ephemeral]\nfanout = 3");
    assert_eq!((replaced.fanout, replaced.connection), (3, SshOptions::default()));
}

/// A directory with a configuration, and an environment in which it is the user's.
struct Home(tempfile::TempDir);

impl Home {
    fn new(text: &[u8]) -> Self {
        let home = Self(tempfile::tempdir().unwrap());
        fs::create_dir_all(home.file().parent().unwrap()).unwrap();
        fs::write(home.file(), text).unwrap();
        home
    }

    fn file(&self) -> std::path::PathBuf {
        self.0.path().join(".config/phalanx/config.toml")
    }

    fn loader(&self, variables: &[(&str, &str)]) -> Loader {
        let home = [("HOME", self.0.path().to_str().unwrap())];
        let all = home.iter().chain(variables).map(|(name, value)| (OsString::from(name), OsString::from(value)));
        Loader::of_environment(all)
    }

    fn fanout(&self, variables: &[(&str, &str)]) -> usize {
        self.loader(variables).load().unwrap().configuration.fanout
    }

    /// Returns what is wrong, with the home taken out.
    fn complaint(&self, loader: Loader) -> String {
        loader.load().unwrap_err().to_string().replace(self.0.path().to_str().unwrap(), "HOME")
    }
}

/// K1, the part below the flags: environment, then preset, then file, then defaults; all combinations.
#[test]
fn the_environment_wins_over_the_preset_and_that_over_the_file() {
    for layers in 0..8 {
        let has = |layer: u32| layers >> layer & 1 == 1;
        let file = if has(0) { "fanout = 2\n" } else { "" };
        let preset = if has(1) { "fanout = 3\n" } else { "" };
        let home = Home::new(format!("{file}preset = 'p'\n[presets.p]\n{preset}[presets.q]\nfanout = 5\n").as_bytes());
        let environment = if has(2) { &[("PHALANX_FANOUT", "4")][..] } else { &[] };
        let expected =
            [(2, 4), (1, 3), (0, 2)].into_iter().find(|(layer, _)| has(*layer)).map_or(64, |(_, value)| value);
        assert_eq!(home.fanout(environment), expected, "{layers}");
    }
}

#[test]
fn the_preset_of_a_flag_wins_over_that_of_the_environment_and_that_over_that_of_the_file() {
    let home = Home::new(b"preset = 'a'\n[presets.a]\nfanout = 1\n[presets.b]\nfanout = 2\n[presets.c]\nfanout = 3\n");
    assert_eq!(home.fanout(&[]), 1);
    assert_eq!(home.fanout(&[("PHALANX_PRESET", "b")]), 2);
    let loaded = home.loader(&[("PHALANX_PRESET", "b")]).preset("c").load().unwrap();
    assert_eq!((loaded.configuration.fanout, loaded.preset.as_deref()), (3, Some("c")));
    assert_eq!(
        home.complaint(home.loader(&[("PHALANX_PRESET", "d")])),
        "no preset is called `d` ($PHALANX_PRESET); known are `ephemeral`, `a`, `b`, `c`; define [presets.d] in \
         HOME/.config/phalanx/config.toml"
    );
    assert!(home.complaint(home.loader(&[]).preset("d")).starts_with("no preset is called `d` (--preset); "));
}

#[test]
fn lists_are_joined_the_strongest_first_and_all_have_their_origin() {
    let home =
        Home::new(b"[connection]\noptions = 'A=1'\nuser = 'u'\n[presets.p.connection]\noptions = ['A=2', 'B=2']\n");
    let loaded = home.loader(&[("PHALANX_USER", "env")]).preset("p").load().unwrap();
    assert_eq!(loaded.configuration.connection.options, ["A=2", "B=2", "A=1"]);
    let shown = loaded.to_toml().replace(home.0.path().to_str().unwrap(), "HOME");
    for line in [
        "options = [\"A=2\", \"B=2\", \"A=1\"]  # preset p, HOME/.config/phalanx/config.toml:5; HOME/.config/phalanx/config.toml:2",
        "user = \"env\"  # $PHALANX_USER",
        "fanout = 64  # default",
        "# port is not set: your ssh decides",
    ] {
        assert!(shown.lines().any(|shown| shown == line), "{line}\n{shown}");
    }
    // Item 208: the defaults that a connection obeys; what the host and the parameters say wins.
    let defaults = loaded.configuration.ssh_options();
    let params = SshOptions { options: vec!["A=3".into()], ..SshOptions::default() };
    let connection = params.resolve(&Host::new("n"), &defaults);
    assert_eq!((connection.user.as_deref(), connection.options.len()), (Some("env"), 4));
    assert_eq!(connection.options[0], "A=3");
}

#[test]
fn every_variable_is_read_by_the_rules_of_its_key() {
    let values = BTreeMap::from([
        (
            "PHALANX_FANOUT",
            ("7", "many", "it must be an integer, not the string \"many\"; write a number from 1 to 4294967295"),
        ),
        ("PHALANX_COMMAND_TIMEOUT", ("0:01:00", "5s", "the string \"5s\" is no duration; ")),
        ("PHALANX_CONNECT_TIMEOUT", ("2.5", "-1", "the string \"-1\" is no duration; ")),
        ("PHALANX_USER", ("007", "a\nb", "there is a control character or the end of a line in it; write it without")),
        (
            "PHALANX_SSH",
            ("a\"\\b", "\u{1}", "there is a control character or the end of a line in it; write it without"),
        ),
        (
            "PHALANX_SSH_CONFIG",
            ("rel/ative", "\t", "there is a control character or the end of a line in it; write it without"),
        ),
    ]);
    let home = Home::new(b"");
    for key in KEYS.iter().filter(|key| key.variable.is_some()) {
        let variable = key.variable.unwrap();
        let (right, wrong, expected) = values[variable];
        let loaded = home.loader(&[(variable, right)]).load().unwrap();
        let shown = (key.show)(&loaded.configuration).unwrap();
        let plain = shown.trim_matches('"').replace("\\\\", "\\").replace("\\\"", "\"");
        let expected_value = if right == "0:01:00" { "60" } else { right };
        assert_eq!(plain, expected_value, "{variable}");
        assert_eq!(loaded.origins.len(), 1);
        let said = home.complaint(home.loader(&[(variable, wrong)]));
        assert!(said.starts_with(&format!("${variable}: {expected}")), "{said}");
        // An empty one is none.
        assert_eq!(home.loader(&[(variable, "")]).load().unwrap().configuration, Configuration::default());
    }
    assert_eq!(values.len(), KEYS.iter().filter(|key| key.variable.is_some()).count());
    use std::os::unix::ffi::OsStringExt as _;
    let error = Loader::of_environment([("PHALANX_USER".into(), OsString::from_vec(vec![0xff]))]).load().unwrap_err();
    assert_eq!(error.to_string(), "$PHALANX_USER: it is not UTF-8; give another value");
}

/// Item 186.
#[test]
fn the_file_is_where_it_should_be_and_only_the_default_one_may_be_missing() {
    let home = Home::new(b"fanout = 2");
    assert_eq!(home.fanout(&[]), 2);
    assert_eq!(home.fanout(&[("XDG_CONFIG_HOME", "relative/is/ignored")]), 2);
    let other = home.0.path().join("other/phalanx");
    fs::create_dir_all(&other).unwrap();
    fs::write(other.join("config.toml"), "fanout = 3").unwrap();
    let xdg = [("XDG_CONFIG_HOME", other.parent().unwrap().to_str().unwrap())];
    assert_eq!(home.fanout(&xdg), 3);
    let named = home.0.path().join("named.toml");
    fs::write(&named, "fanout = 4").unwrap();
    let named = named.to_str().unwrap().to_owned();
    assert_eq!(home.fanout(&[xdg[0], ("PHALANX_CONFIG", &named)]), 4);
    assert_eq!(Configuration::from_file(Path::new(&named)).unwrap().fanout, 4);

    fs::remove_file(home.file()).unwrap();
    let loaded = home.loader(&[]).load().unwrap();
    assert_eq!((loaded.configuration, loaded.file), (Configuration::default(), None));
    assert!(Loader::of_environment([]).load().unwrap().origins.is_empty());
    assert_eq!(
        home.complaint(home.loader(&[("PHALANX_CONFIG", "/nowhere/config.toml")])),
        "/nowhere/config.toml: cannot read it: No such file or directory (os error 2) (named by $PHALANX_CONFIG)"
    );
    assert!(Configuration::from_file(Path::new("/nowhere")).is_err());
}

#[test]
fn files_that_are_none_are_refused_and_empty_ones_are_fine() {
    let home = Home::new(b"");
    let said = |bytes: &[u8]| {
        fs::write(home.file(), bytes).unwrap();
        home.loader(&[]).load().map(|loaded| loaded.configuration.fanout).map_err(|_| home.complaint(home.loader(&[])))
    };
    let file = "HOME/.config/phalanx/config.toml";
    assert_eq!(said(b""), Ok(64));
    assert_eq!(said(b"\xef\xbb\xbffanout = 2\r\n"), Ok(2));
    assert_eq!(said(b"# \xff"), Err(format!("{file}:1:3: this is not UTF-8, as TOML must be; save the file as UTF-8")));
    assert!(said(b"fanout 8").unwrap_err().starts_with(&format!("{file}:1:")));
    assert_eq!(said(&vec![b'\n'; 17 << 20]), Err(format!("{file}: it is larger than 16 MiB; is it the right file?")));
    fs::remove_file(home.file()).unwrap();
    fs::create_dir(home.file()).unwrap();
    assert_eq!(home.complaint(home.loader(&[])), format!("{file}: it is a directory; give a file in TOML"));
}

#[test]
fn paths_begin_in_the_home_or_beside_the_file() {
    let home =
        Home::new(b"[connection]\nkeyfile = '~/key'\nssh_config = 'lab/ssh_config'\nssh = './wrap'\nscp = 'scp'\n");
    let connection = home.loader(&[]).load().unwrap().configuration.connection;
    let beside = home.file().parent().unwrap().to_owned();
    assert_eq!(connection.identity_file, Some(home.0.path().join("key")));
    assert_eq!(connection.ssh_config, Some(beside.join("lab/ssh_config")));
    assert_eq!(connection.ssh, Some(beside.join("./wrap").into()));
    assert_eq!(connection.scp, Some("scp".into()));
}

#[test]
fn what_is_shown_says_the_same_when_it_is_read_again() {
    let text: String = rows().iter().map(|(name, value, ..)| format!("{name} = {value}\n")).collect();
    let home = Home::new((text + "presets.p.connection.options = 'x \"y\\z'\n").as_bytes());
    let loaded = home.loader(&[]).preset("p").load().unwrap();
    assert_eq!(parsed(&loaded.to_toml()), loaded.configuration);
    let nothing = Loader::nothing().load().unwrap();
    assert_eq!(parsed(&nothing.to_toml()).connection, nothing.configuration.connection);
}

#[test]
fn the_template_is_right_in_every_line() {
    let template = template();
    assert_eq!(parsed(&template), Configuration::default());
    let uncommented = template.lines().map(|line| match line.strip_prefix('#') {
        Some(value) if !value.starts_with(' ') => value,
        _ => line,
    });
    let text = uncommented.collect::<Vec<_>>().join("\n").replace("~/", "/home/");
    let configuration = parsed(&text);
    for key in KEYS {
        // What illustrates a key must be a value of it, and another than the default.
        let example = parsed(&format!("{} = {}", key.name, key.example.replace("~/", "/home/")));
        assert_ne!(example, Configuration::default(), "{}", key.name);
        let expected = key.default().or_else(|| (key.show)(&example));
        assert_eq!((key.show)(&configuration), expected, "{}", key.name);
    }
}

#[test]
fn what_is_configured_takes_effect_where_it_is_given() {
    let configuration = parsed(
        "kill_timeout = 7\ncommand_timeout = 9\ncolor = 'always'\nstyles.host = 'green'\nconnection.host_rewrite = '{{{host}}}.lan'",
    );
    let policy = configuration.policy(Policy::default());
    assert_eq!((policy.grace, policy.timeout), (Some(Duration::from_secs(7)), Some(Duration::from_secs(9))));
    let own = Policy { timeout: Some(Duration::from_secs(1)), ..Policy::default() };
    assert_eq!(configuration.policy(own).timeout, Some(Duration::from_secs(1)));
    let never = Policy { timeout: Some(Duration::ZERO), ..Policy::default() };
    assert_eq!(configuration.policy(never).timeout, None);
    assert_eq!(Configuration::default().policy(Policy::default()), Policy::default());
    // Item 184 and 185.
    let styles = configuration.styles(&std::io::stderr());
    assert_eq!(styles.changed(Role::Host), Some(crate::style::parse("green").unwrap()));
    assert_eq!(styles.changed(Role::Command), None);
    let connection = configuration.ssh_options().resolve(&Host::new("n"), &SshOptions::default());
    assert_eq!(connection.address, "n.lan");
}

/// Items 137, 176 to 178, 193: the factory of a configuration has its tools.
#[test]
fn the_configured_tools_are_those_of_its_factory() {
    let text = "remote_tool = 'taktuk'\nput_tool = 'taktuk'\nget_tool = 'taktuk'\ntaktuk.program = '/opt/taktuk'";
    let factory = parsed(text).factory();
    assert_eq!([factory.remote.name(), factory.put.name(), factory.get.name()], ["taktuk"; 3]);
    assert_eq!(factory.taktuk.taktuk.as_deref(), Some("/opt/taktuk".as_ref()));
    assert_eq!(Configuration::default().factory(), phalanx_action::factory::ActionFactory::default());
}
