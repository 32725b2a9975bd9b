//! `phalanx serial`: this terminal, or stdin and stdout, joined to a serial line; here, or on other hosts through ssh.

mod bridge;
mod member;
mod pace;

use std::io::IsTerminal as _;
use std::process::ExitCode;
use std::time::Duration;

use clap::ValueEnum;
use phalanx_config::configuration::Configuration;
use phalanx_process::Spec;
use phalanx_process::expect::{Expect, InvalidPattern, Pattern};
use phalanx_process::output::Capture;
use phalanx_process::serial::{DataBits, FlowControl, Parity, Serial, SerialSsh, Settings, StopBits};
use phalanx_process::spec::{Faults, Policy};

use self::bridge::Bridge;
use self::pace::Pacing;
use crate::args::values::time;
use crate::connect::{ConnectArgs, ConnectError};
use crate::exit;
use crate::hosts::{HostArgs, HostsError};

/// What `phalanx serial --help` says below the options.
const HELP: &str = "\
On a terminal, every key is sent as it is pressed, until the escape key (Ctrl-]) is; the terminal is restored whatever \
happens. Otherwise stdin is sent and what arrives goes to stdout, until

1. every line has said what --until is looking for, if that is given;
2. without --until: stdin has ended, all of it was sent, and every line has been silent for --quiet-time;
3. the time of --timeout is over, which is a failure; so is a line that vanishes.

A console that is logged in on discards what arrives before its prompt: --prompt waits for it. What was said before \
the line before was sent is no prompt; so begin with an empty line, which makes a console show the first.

With several hosts, stdin is sent to all of them, and every line comes with its host.

Exit status: 0 left by the escape key, or 1. or 2. happened; 1 a line could not be opened, has vanished, or did not say \
what --until is looking for; 2 wrong usage; 3 internal error; 130, 143 stopped by SIGINT, SIGTERM.";

/// What `phalanx serial` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub(crate) struct SerialArgs {
    /// The bit after a character
    #[arg(long, value_enum, default_value_t = ParityArg::None)]
    parity: ParityArg,

    /// How many bits make a character
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u8).range(5..=8))]
    data_bits: u8,

    /// How many stop bits follow it
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=2))]
    stop_bits: u8,

    /// How an end that cannot keep up says so: not at all, by XOFF and XON, or by RTS and CTS
    #[arg(long, value_enum, default_value_t = FlowArg::None)]
    flow_control: FlowArg,

    /// Let other programs use the device at the same time
    #[arg(long)]
    shared: bool,

    /// The key that leaves: a character, or ^ and a letter for Ctrl and that letter
    #[arg(long, value_name = "KEY", default_value = "^]", value_parser = key)]
    escape: u8,

    /// End when the line has said something that this regular expression matches
    #[arg(long, value_name = "REGEX")]
    until: Option<String>,

    /// Send stdin line by line, the first line at once, each further one when the line has said something that this
    /// regular expression matches
    #[arg(long, value_name = "REGEX")]
    prompt: Option<String>,

    /// Send stdin line by line, and wait this long before each, after its prompt if --prompt is given
    #[arg(long, value_name = "TIME", value_parser = time)]
    delay: Option<Duration>,

    /// How long a line must have been silent after the end of stdin
    #[arg(long, value_name = "TIME", default_value = "1", value_parser = time)]
    quiet_time: Duration,

    /// How long all of it may take
    #[arg(long, value_name = "TIME", value_parser = time)]
    timeout: Option<Duration>,

    #[command(flatten)]
    hosts: HostArgs,

    #[command(flatten)]
    pub(crate) connect: ConnectArgs,

    /// Say nothing but what the lines say
    #[arg(short, long, conflicts_with = "verbose")]
    pub(crate) quiet: bool,

    /// Say more; twice for debugging
    #[arg(short, long, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,

    /// The device, such as /dev/ttyUSB0
    device: String,

    /// Bits per second
    #[arg(value_parser = clap::value_parser!(u32).range(1..))]
    speed: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ParityArg {
    None,
    Even,
    Odd,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum FlowArg {
    None,
    Software,
    Hardware,
}

/// What is wrong with what was typed.
#[derive(Debug, thiserror::Error)]
enum SerialError {
    #[error(transparent)]
    Hosts(#[from] Box<HostsError>),
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error("{0} is about other hosts, but the device is one here: name its hosts with -w, or leave {0} out")]
    NoHosts(&'static str),
    #[error("cannot look for what {0} says: {1}")]
    Pattern(&'static str, InvalidPattern),
}

/// What is to be done, with everything decided.
struct Plan {
    /// Of each line: on which host it is, if not here, and how it is opened.
    lines: Vec<(Option<String>, Spec)>,
    /// The key that leaves, on a terminal.
    escape: Option<u8>,
    until: Option<Expect>,
    pacing: Option<Pacing>,
    quiet_time: Duration,
    timeout: Option<Duration>,
}

/// `phalanx serial`, from what was typed to the exit status.
pub(crate) fn run(args: &SerialArgs, configuration: &Configuration) -> ExitCode {
    let plan = match args.plan(configuration) {
        Ok(plan) => plan,
        Err(error) => return exit::usage(&error),
    };
    if plan.escape.is_some() && !args.quiet {
        exit::eprint(&format!("{} at {}; {} leaves", args.device, args.speed, name_of_key(args.escape)));
    }
    match Bridge::new(plan).and_then(Bridge::run) {
        Ok(status) => ExitCode::from(status),
        Err(error) => exit::internal(&format!("cannot go on: {error}")),
    }
}

impl SerialArgs {
    fn plan(&self, configuration: &Configuration) -> Result<Plan, SerialError> {
        let lines = self.lines(configuration)?;
        let until = self.until.as_ref().map(|regex| compiled("--until", regex)).transpose()?;
        let pacing = self.pacing()?;
        let terminal = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
        let interactive = terminal && until.is_none() && pacing.is_none() && lines.len() == 1;
        Ok(Plan {
            lines,
            escape: interactive.then_some(self.escape),
            until,
            pacing,
            quiet_time: self.quiet_time,
            timeout: self.timeout.filter(|timeout| !timeout.is_zero()),
        })
    }

    /// Returns how stdin is paced, if it is.
    fn pacing(&self) -> Result<Option<Pacing>, SerialError> {
        if self.prompt.is_none() && self.delay.is_none() {
            return Ok(None);
        }
        if let Some(regex) = &self.prompt {
            compiled("--prompt", regex)?;
        }
        let prompt = self.prompt.as_ref().map(Pattern::regex);
        Ok(Some(Pacing { prompt, delay: self.delay.unwrap_or_default() }))
    }

    fn lines(&self, configuration: &Configuration) -> Result<Vec<(Option<String>, Spec)>, SerialError> {
        let policy = Policy {
            grace: configuration.kill_timeout.or(Policy::default().grace),
            capture_stdout: Capture::None,
            // The ends are shown in a way of our own.
            nolog: Faults::ALL,
            ..Policy::default()
        };
        let settings = self.settings();
        if !self.hosts.are_given() {
            let excluded = self.hosts.are_excluded().then_some("-x, --exclude");
            if let Some(option) = excluded.or(self.connect.first_given()) {
                return Err(SerialError::NoHosts(option));
            }
            let line = Serial::new(&self.device, self.speed).settings(settings).policy(policy);
            return Ok(vec![(None, line.spec())]);
        }
        let params = self.connect.params()?;
        let line = |host: String| {
            let line = SerialSsh::new(&host, &self.device, self.speed).settings(settings);
            let spec = line.params(params.clone()).policy(policy.clone()).spec();
            (Some(host), spec)
        };
        Ok(self.hosts.hosts().map_err(Box::new)?.into_iter().map(line).collect())
    }

    fn settings(&self) -> Settings {
        Settings {
            data_bits: match self.data_bits {
                5 => DataBits::Five,
                6 => DataBits::Six,
                7 => DataBits::Seven,
                _ => DataBits::Eight,
            },
            parity: match self.parity {
                ParityArg::None => Parity::None,
                ParityArg::Even => Parity::Even,
                ParityArg::Odd => Parity::Odd,
            },
            stop_bits: if self.stop_bits == 2 { StopBits::Two } else { StopBits::One },
            flow_control: match self.flow_control {
                FlowArg::None => FlowControl::None,
                FlowArg::Software => FlowControl::Software,
                FlowArg::Hardware => FlowControl::Hardware,
            },
            exclusive: !self.shared,
            ..Settings::at(self.speed)
        }
    }
}

/// Compiles the regular expression of an option.
fn compiled(option: &'static str, regex: &str) -> Result<Expect, SerialError> {
    Expect::one(Pattern::regex(regex)).map_err(|error| SerialError::Pattern(option, error))
}

/// `^]`, `^A`, or one character of ASCII.
fn key(text: &str) -> Result<u8, String> {
    match text.as_bytes() {
        [b'^', letter @ b'@'..=b'_'] => Ok(letter & 0x1f),
        [b'^', letter @ b'a'..=b'z'] => Ok(letter & 0x1f),
        [byte @ 0..=0x7f] => Ok(*byte),
        _ => Err("expected one character, or ^ and a letter, such as ^A".to_owned()),
    }
}

fn name_of_key(key: u8) -> String {
    if key < 0x20 { format!("Ctrl-{}", char::from(key | 0x40)) } else { char::from(key).to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_have_names_both_ways() {
        for (text, byte, name) in
            [("^]", 0x1d, "Ctrl-]"), ("^a", 1, "Ctrl-A"), ("^A", 1, "Ctrl-A"), ("~", b'~', "~"), ("^", b'^', "^")]
        {
            assert_eq!(key(text), Ok(byte));
            assert_eq!(name_of_key(byte), name);
        }
        for text in ["", "ab", "é", "^1"] {
            assert!(key(text).is_err(), "{text}");
        }
    }
}
