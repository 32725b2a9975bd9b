//! Every key that a configuration may have: one list, from which files are read, from which what is in force is shown,
//! and with which the documentation is compared.

use crate::style::{Role, parse, words};

use super::Configuration;
use super::read::{CHECK_HOST_KEYS, COLOURS, Given, LEVELS, join, set};
use super::show::{flag, list, os, path, quoted, rewrite, seconds, skips, word};

/// A key of the configuration.
#[derive(Debug)]
pub struct Key {
    /// Its name with its section: `connection.user`. A preset has the same ones below `presets.NAME`.
    pub name: &'static str,
    /// The item of execo's that it stands for, if any.
    pub item: &'static str,
    /// The type of its value.
    pub kind: Kind,
    /// What it does.
    pub effect: &'static str,
    /// What applies if it is not set, where there is no default value.
    pub unset: &'static str,
    /// An example of a value, as it is written.
    pub example: &'static str,
    /// The variable of the environment that wins over files.
    pub variable: Option<&'static str>,
    /// The flag that wins over all of them.
    pub flag: Option<&'static str>,
    pub(super) read: fn(Given<'_, '_>, &mut Configuration),
    pub(super) show: fn(&Configuration) -> Option<String>,
}

/// What is written as a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A text.
    Text,
    /// One of some words.
    Choice(&'static str),
    /// A whole number.
    Number,
    /// Seconds, or `"H:M:S"`.
    Duration,
    /// `true` or `false`.
    Boolean,
    /// A path; `~/` is the home, what is relative begins in the directory of the file.
    Path,
    /// A text or a list of texts. What layers say is joined.
    Words,
    /// A type of its own; the text describes it.
    Special(&'static str),
}

impl Kind {
    /// Describes it for people.
    #[must_use]
    pub fn describe(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Choice(words) => words,
            Self::Number => "number",
            Self::Duration => "seconds or \"H:M:S\"",
            Self::Boolean => "true or false",
            Self::Path => "path",
            Self::Words => "text or list of texts; joined with those of the file, if in a preset",
            Self::Special(text) => text,
        }
    }
}

impl Key {
    /// Returns its section, empty for the top of the file, and its name there.
    #[must_use]
    pub fn parts(&self) -> (&'static str, &'static str) {
        self.name.split_once('.').unwrap_or(("", self.name))
    }

    /// Returns its default value, as it is written; `None` if it has none.
    #[must_use]
    pub fn default(&self) -> Option<String> {
        (self.show)(&Configuration::default())
    }
}

/// The fields of a key that an entry leaves out.
const KEY: Key = Key {
    name: "",
    item: "",
    kind: Kind::Text,
    effect: "",
    unset: "",
    example: "",
    variable: None,
    flag: None,
    read: |_, _| (),
    show: |_| None,
};

/// Makes the key of a role.
macro_rules! style {
    ($role:expr, $name:literal, $effect:literal) => {
        Key {
            name: $name,
            item: "185",
            kind: Kind::Special("style, in the words of git"),
            effect: $effect,
            example: "\"bold red\"",
            read: |given, to| {
                if let Some(style) = given.item.parse(parse) {
                    to.styles.insert($role, style);
                }
            },
            show: |of| Some(quoted(&words(of.styles.get(&$role).copied().unwrap_or_else(|| $role.style())))),
            ..KEY
        }
    };
}

/// All keys, section by section, in the order in which they are shown.
pub static KEYS: &[Key] = &[
    Key {
        name: "log_level",
        item: "175",
        kind: Kind::Choice("off, error, warn, info, debug or trace"),
        effect: "How much the log says; RUST_LOG wins.",
        example: "\"info\"",
        flag: Some("-q, -v"),
        read: |given, to| set(&mut to.log_level, given.item.choice(&LEVELS)),
        show: |of| word(&LEVELS, of.log_level),
        ..KEY
    },
    Key {
        name: "remote_tool",
        item: "176",
        kind: Kind::Choice("ssh or taktuk"),
        effect: "What runs commands on hosts, where a program asks its factory for an action.",
        example: "\"taktuk\"",
        read: |given, to| set(&mut to.remote_tool, given.named()),
        show: |of| Some(quoted(of.remote_tool.name())),
        ..KEY
    },
    Key {
        name: "put_tool",
        item: "177",
        kind: Kind::Choice("scp, taktuk or chain"),
        effect: "What copies files to hosts, where a program asks its factory for an action.",
        example: "\"chain\"",
        read: |given, to| set(&mut to.put_tool, given.named()),
        show: |of| Some(quoted(of.put_tool.name())),
        ..KEY
    },
    Key {
        name: "get_tool",
        item: "178",
        kind: Kind::Choice("scp or taktuk"),
        effect: "What copies files from hosts, where a program asks its factory for an action.",
        example: "\"taktuk\"",
        read: |given, to| set(&mut to.get_tool, given.named()),
        show: |of| Some(quoted(of.get_tool.name())),
        ..KEY
    },
    Key {
        name: "fanout",
        kind: Kind::Number,
        effect: "How many hosts work at once.",
        example: "16",
        variable: Some("PHALANX_FANOUT"),
        flag: Some("-f"),
        read: |given, to| set(&mut to.fanout, given.item.integer(1..=u32::MAX).map(|number| number as usize)),
        show: |of| Some(of.fanout.to_string()),
        ..KEY
    },
    Key {
        name: "command_timeout",
        kind: Kind::Duration,
        effect: "How long the work may take on each host; 0 for ever.",
        unset: "for ever",
        example: "\"1:30:00\"",
        variable: Some("PHALANX_COMMAND_TIMEOUT"),
        flag: Some("-u"),
        read: |given, to| set(&mut to.command_timeout, given.item.duration().map(Some)),
        show: |of| of.command_timeout.map(seconds),
        ..KEY
    },
    Key {
        name: "kill_timeout",
        item: "180",
        kind: Kind::Duration,
        effect: "How long a process may take between a polite signal and SIGKILL.",
        unset: "5 s on the command line, 60 s in programs",
        example: "10",
        read: |given, to| set(&mut to.kill_timeout, given.item.duration().map(Some)),
        show: |of| of.kill_timeout.map(seconds),
        ..KEY
    },
    Key {
        name: "compact_output_threshold",
        item: "179",
        kind: Kind::Number,
        effect: "How much of each stream the description of a failed process shows, in characters; 0 for all.",
        example: "0",
        read: |given, to| {
            set(&mut to.compact_output_threshold, given.item.integer(0..=u32::MAX).map(|number| number as usize));
        },
        show: |of| Some(of.compact_output_threshold.to_string()),
        ..KEY
    },
    Key {
        name: "port_range",
        item: "182",
        kind: Kind::Special("two numbers, the second excluded"),
        effect: "From which ports one is chosen, to forward or to listen on.",
        example: "[40000, 41000]",
        read: |given, to| set(&mut to.port_range, given.ports()),
        show: |of| Some(format!("[{}, {}]", of.port_range.start, of.port_range.end)),
        ..KEY
    },
    Key {
        name: "color",
        item: "184",
        kind: Kind::Choice("auto, always or never"),
        effect: "When there are colours; NO_COLOR and CLICOLOR_FORCE win.",
        example: "\"never\"",
        read: |given, to| set(&mut to.color, given.item.choice(&COLOURS)),
        show: |of| word(&COLOURS, of.color),
        ..KEY
    },
    Key {
        name: "connection.user",
        item: "188",
        effect: "The user to log in as.",
        unset: "your ssh decides",
        example: "\"root\"",
        variable: Some("PHALANX_USER"),
        flag: Some("-l"),
        read: |given, to| set(&mut to.connection.user, given.word().map(Some)),
        show: |of| of.connection.user.as_deref().map(quoted),
        ..KEY
    },
    Key {
        name: "connection.port",
        item: "190",
        kind: Kind::Number,
        effect: "The port to connect to.",
        unset: "your ssh decides",
        example: "2222",
        flag: Some("-p"),
        read: |given, to| set(&mut to.connection.port, given.item.integer(1..=u16::MAX).map(Some)),
        show: |of| of.connection.port.map(|port| port.to_string()),
        ..KEY
    },
    Key {
        name: "connection.keyfile",
        item: "189",
        kind: Kind::Path,
        effect: "The private key to use.",
        unset: "your ssh decides",
        example: "\"~/.ssh/lab_key\"",
        flag: Some("-i"),
        read: |given, to| set(&mut to.connection.identity_file, given.path().map(Some)),
        show: |of| of.connection.identity_file.as_deref().map(path),
        ..KEY
    },
    Key {
        name: "connection.ssh",
        item: "191",
        effect: "The program that connects: one word, without arguments.",
        unset: "ssh",
        example: "\"oarsh\"",
        variable: Some("PHALANX_SSH"),
        flag: Some("--ssh"),
        read: |given, to| set(&mut to.connection.ssh, given.program().map(Some)),
        show: |of| of.connection.ssh.as_deref().map(os),
        ..KEY
    },
    Key {
        name: "connection.scp",
        item: "192",
        effect: "The program that copies, for programs that call scp: one word, without arguments.",
        unset: "scp",
        example: "\"oarcp\"",
        read: |given, to| set(&mut to.connection.scp, given.program().map(Some)),
        show: |of| of.connection.scp.as_deref().map(os),
        ..KEY
    },
    Key {
        name: "connection.ssh_config",
        kind: Kind::Path,
        effect: "The configuration of ssh, instead of the user's; \"none\" for none at all.",
        unset: "your ssh decides",
        example: "\"ssh_config\"",
        variable: Some("PHALANX_SSH_CONFIG"),
        flag: Some("-F"),
        read: |given, to| set(&mut to.connection.ssh_config, given.ssh_config().map(Some)),
        show: |of| of.connection.ssh_config.as_deref().map(path),
        ..KEY
    },
    Key {
        name: "connection.options",
        kind: Kind::Words,
        effect: "Options for ssh and scp, as after -o; they win over all that is set here.",
        example: "[\"Compression=yes\"]",
        flag: Some("-o, which come first"),
        read: |given, to| join(&mut to.connection.options, given.words()),
        show: |of| Some(list(&of.connection.options)),
        ..KEY
    },
    Key {
        name: "connection.ssh_options",
        item: "194",
        kind: Kind::Words,
        effect: "Words for ssh alone, as they are.",
        example: "[\"-4\", \"-C\"]",
        read: |given, to| join(&mut to.connection.ssh_options, given.os_words()),
        show: |of| Some(list(of.connection.ssh_options.iter().map(|word| word.to_string_lossy()))),
        ..KEY
    },
    Key {
        name: "connection.scp_options",
        item: "195",
        kind: Kind::Words,
        effect: "Words for scp alone, as they are.",
        example: "[\"-l\", \"1000\"]",
        read: |given, to| join(&mut to.connection.scp_options, given.os_words()),
        show: |of| Some(list(of.connection.scp_options.iter().map(|word| word.to_string_lossy()))),
        ..KEY
    },
    Key {
        name: "connection.jump",
        effect: "The hosts to jump through, as after ssh -J.",
        unset: "your ssh decides",
        example: "\"gate.example.org\"",
        read: |given, to| set(&mut to.connection.proxy_jump, given.word().map(Some)),
        show: |of| of.connection.proxy_jump.as_deref().map(quoted),
        ..KEY
    },
    Key {
        name: "connection.check_host_keys",
        item: "209",
        kind: Kind::Choice("enforce, accept or ignore"),
        effect: "What is done about an unknown host key: refuse it, remember it, or accept any.",
        unset: "your ssh decides",
        example: "\"accept\"",
        read: |given, to| set(&mut to.connection.host_key_checking, given.item.choice(&CHECK_HOST_KEYS).map(Some)),
        show: |of| of.connection.host_key_checking.and_then(|checking| word(&CHECK_HOST_KEYS, checking)),
        ..KEY
    },
    Key {
        name: "connection.connect_timeout",
        item: "194",
        kind: Kind::Duration,
        effect: "How long setting up a connection may take; 0 for as long as ssh likes.",
        unset: "your ssh decides",
        example: "20",
        variable: Some("PHALANX_CONNECT_TIMEOUT"),
        flag: Some("-t"),
        read: |given, to| set(&mut to.connection.connect_timeout, given.item.duration().map(Some)),
        show: |of| of.connection.connect_timeout.map(seconds),
    },
    Key {
        name: "connection.remote_tty",
        item: "194",
        kind: Kind::Boolean,
        effect: "Whether a remote command gets a terminal (ssh -tt).",
        unset: "false",
        example: "true",
        read: |given, to| set(&mut to.connection.remote_tty, given.item.boolean().map(Some)),
        show: |of| of.connection.remote_tty.and_then(flag),
        ..KEY
    },
    Key {
        name: "connection.pty",
        item: "206",
        kind: Kind::Boolean,
        effect: "Whether the program that connects gets a terminal of its own here, for one that runs ssh through sudo.",
        unset: "false",
        example: "true",
        read: |given, to| set(&mut to.connection.pty, given.item.boolean().map(Some)),
        show: |of| of.connection.pty.and_then(flag),
        ..KEY
    },
    Key {
        name: "connection.forwarding_timeout",
        item: "205",
        kind: Kind::Duration,
        effect: "How long a forwarded port may take until a connection goes through it; 0 for as long as it takes.",
        unset: "25 s",
        example: "60",
        flag: Some("--forwarding-timeout"),
        read: |given, to| set(&mut to.connection.forwarding_timeout, given.item.duration().map(Some)),
        show: |of| of.connection.forwarding_timeout.map(seconds),
        ..KEY
    },
    Key {
        name: "connection.host_rewrite",
        item: "207",
        kind: Kind::Special("text with {{{host}}}, or { find = REGEX, replace = TEXT }"),
        effect: "The address to connect to, made of that of the host.",
        unset: "the address of the host",
        example: "{ find = \"^node(.*)$\", replace = \"n$1.lan\" }",
        read: |given, to| set(&mut to.host_rewrite, given.rewrite().map(Some)),
        show: |of| of.host_rewrite.as_ref().map(rewrite),
        ..KEY
    },
    Key {
        name: "taktuk.program",
        item: "193",
        effect: "The program that spreads commands and files as a tree.",
        unset: "taktuk",
        example: "\"/opt/taktuk/bin/taktuk\"",
        read: |given, to| set(&mut to.taktuk.taktuk, given.program().map(Some)),
        show: |of| of.taktuk.taktuk.as_deref().map(os),
        ..KEY
    },
    Key {
        name: "taktuk.options",
        item: "196",
        kind: Kind::Special("text or list of texts; replaced as a whole"),
        effect: "Its options.",
        unset: "-s, by which it carries itself to the hosts",
        example: "[\"-s\", \"-d\", \"-1\"]",
        read: |given, to| set(&mut to.taktuk.taktuk_options, given.os_words().map(Some)),
        show: |of| of.taktuk.taktuk_options.as_ref().map(|words| list(words.iter().map(|word| word.to_string_lossy()))),
        ..KEY
    },
    Key {
        name: "taktuk.connector",
        item: "197",
        effect: "The program by which it connects: one word, without arguments.",
        unset: "that of connection.ssh",
        example: "\"oarsh\"",
        read: |given, to| set(&mut to.taktuk.taktuk_connector, given.program().map(Some)),
        show: |of| of.taktuk.taktuk_connector.as_deref().map(os),
        ..KEY
    },
    Key {
        name: "taktuk.connector_options",
        item: "198",
        kind: Kind::Words,
        effect: "Words for that program, before those of the connection.",
        example: "[\"-C\"]",
        read: |given, to| join(&mut to.taktuk.taktuk_connector_options, given.os_words()),
        show: |of| Some(list(of.taktuk.taktuk_connector_options.iter().map(|word| word.to_string_lossy()))),
        ..KEY
    },
    Key {
        name: "chain.netcat",
        item: "199",
        effect: "The netcat of the hosts, with options if it needs any.",
        unset: "the first that is found on each host",
        example: "\"nc.traditional\"",
        flag: Some("--netcat"),
        read: |given, to| set(&mut to.chain.netcat, given.word().map(Some)),
        show: |of| of.chain.netcat.as_deref().map(quoted),
        ..KEY
    },
    Key {
        name: "chain.client_timeout",
        item: "200",
        kind: Kind::Duration,
        effect: "How long connecting to the next host may take.",
        example: "10",
        read: |given, to| set(&mut to.chain.client_timeout, given.item.duration()),
        show: |of| Some(seconds(of.chain.client_timeout)),
        ..KEY
    },
    Key {
        name: "chain.server_timeout",
        item: "201",
        kind: Kind::Duration,
        effect: "How long a host may say or get nothing before it is fed anew or skipped; 0 for ever.",
        example: "60",
        flag: Some("--chain-timeout"),
        read: |given, to| set(&mut to.chain.server_timeout, given.item.duration()),
        show: |of| Some(seconds(of.chain.server_timeout)),
        ..KEY
    },
    Key {
        name: "chain.host_retry",
        item: "202",
        kind: Kind::Number,
        effect: "How often feeding a host is tried again, without a byte of progress.",
        example: "2",
        read: |given, to| set(&mut to.chain.host_retry, given.item.integer(0..=u32::MAX)),
        show: |of| Some(of.chain.host_retry.to_string()),
        ..KEY
    },
    Key {
        name: "chain.chain_retry",
        item: "203",
        kind: Kind::Special("number of hosts, or a part of all from 0.0 to 1.0"),
        effect: "How many hosts in succession may be skipped.",
        example: "0.5",
        flag: Some("--chain-retry"),
        read: |given, to| set(&mut to.chain.chain_retry, given.skips()),
        show: |of| Some(skips(of.chain.chain_retry)),
        ..KEY
    },
    Key {
        name: "chain.try_delay",
        item: "204",
        kind: Kind::Duration,
        effect: "How long to wait before trying again.",
        example: "0.2",
        read: |given, to| set(&mut to.chain.try_delay, given.item.duration()),
        show: |of| Some(seconds(of.chain.try_delay)),
        ..KEY
    },
    Key {
        name: "chain.port",
        kind: Kind::Number,
        effect: "The port on which hosts listen.",
        unset: "a free one of each host's choice",
        example: "25555",
        flag: Some("--chain-port"),
        read: |given, to| set(&mut to.chain.port, given.item.integer(1..=u16::MAX).map(Some)),
        show: |of| of.chain.port.map(|port| port.to_string()),
        ..KEY
    },
    Key {
        name: "chain.address",
        kind: Kind::Special("text with {{{host}}}"),
        effect: "The address by which hosts reach a host.",
        unset: "its own",
        example: "\"{{{host}}}-ib0\"",
        flag: Some("--chain-address"),
        read: |given, to| set(&mut to.chain.address, given.word().map(Some)),
        show: |of| of.chain.address.as_deref().map(quoted),
        ..KEY
    },
    style!(Role::LogHeader, "styles.log_header", "What stands before a message of the log."),
    style!(Role::Level(log::Level::Error), "styles.error", "The level of an error in the log."),
    style!(Role::Level(log::Level::Warn), "styles.warn", "The level of a warning in the log."),
    style!(Role::Level(log::Level::Info), "styles.info", "The level of a notice in the log."),
    style!(Role::Level(log::Level::Debug), "styles.debug", "The level of a message for debugging."),
    style!(Role::Level(log::Level::Trace), "styles.trace", "The level of a message for tracing."),
    style!(Role::StdoutLabel, "styles.stdout_label", "The host before a line of its stdout."),
    style!(Role::StderrLabel, "styles.stderr_label", "The host before a line of its stderr."),
    style!(Role::Host, "styles.host", "A host, where a program shows one."),
    style!(Role::Command, "styles.command", "A command, where a program shows one."),
    style!(Role::Object, "styles.object", "A description of an object."),
    style!(Role::Emphasis, "styles.emphasis", "What is to be noticed."),
    style!(Role::ReportWarning, "styles.report_warning", "A part of a report that is worth a look."),
    style!(Role::ReportError, "styles.report_error", "A part of a report that is wrong."),
    style!(Role::User1, "styles.user1", "For a program's own use."),
    style!(Role::User2, "styles.user2", "For a program's own use."),
    style!(Role::User3, "styles.user3", "For a program's own use."),
];
