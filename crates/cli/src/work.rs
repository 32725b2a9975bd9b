//! The options of every verb that works on many hosts: how many at once, for how long, and what is shown of it.

use std::collections::BTreeMap;
use std::time::Duration;

use phalanx_action::rollout::{FailureBudget, Retries, Rollout};
use phalanx_action::substitute::{Lists, SubstituteError};
use phalanx_config::configuration::Configuration;
use phalanx_process::output::Capture;
use phalanx_process::spec::{Faults, Leftovers, Policy};

use crate::args::values::time;
use crate::output::OutputOptions;

/// How work is done and shown, as typed.
#[derive(Debug, clap::Args)]
pub(crate) struct WorkArgs {
    /// How many hosts work at once [default: 64]
    #[arg(short, long, value_name = "N", value_parser = at_least_one)]
    fanout: Option<usize>,

    /// How long the work may take on each host, in seconds or H:M:S; 0 for ever
    #[arg(short = 'u', long, value_name = "TIME", value_parser = time)]
    command_timeout: Option<Duration>,

    /// Values for {{NAME}} in the command or the paths, one for each host in turn; may be repeated
    #[arg(long = "set", value_name = "NAME=A,B,C", value_parser = named_list)]
    lists: Vec<(String, Vec<String>)>,

    /// Try a host that failed again, so often, after pauses of 1 s, 2 s, 4 s… up to a minute
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) retries: u32,

    /// Work in batches of N hosts, each after the one before has ended: sizes such as 1,10,100, the last one repeats
    #[arg(long, value_name = "N", value_delimiter = ',', value_parser = at_least_one)]
    pub(crate) batch: Vec<usize>,

    /// Start no host more once one has failed for good, or N; those that work go on to their end
    #[arg(long, value_name = "N", num_args = 0..=1, require_equals = true, default_missing_value = "1", value_parser = at_least_one)]
    pub(crate) fail_fast: Option<usize>,

    /// Say nothing but what the hosts say
    #[arg(short, long, conflicts_with = "verbose")]
    pub(crate) quiet: bool,

    /// Say more: starts, ends, settings; twice for debugging
    #[arg(short, long, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,

    /// Exit with the largest remote status
    #[arg(short = 'S', long)]
    pub(crate) max_status: bool,

    /// Show one JSON object per event and line; see docs/json.md
    #[arg(long)]
    pub(crate) json: bool,

    /// Show a table of figures at the end
    #[arg(long)]
    pub(crate) report: bool,

    /// Show what would be done on each host, and do nothing
    #[arg(long, conflicts_with = "json")]
    pub(crate) dry_run: bool,
}

/// How long a process that was asked to end may take before it is killed, unless it is configured.
const GRACE: Duration = Duration::from_secs(5);

/// How long what a command left running may go on speaking.
const LEAK_TIMEOUT: Duration = Duration::from_secs(1);

/// How much of the stderr of a connector is kept to learn why it failed.
const KEPT_OF_STDERR: usize = 4096;

impl WorkArgs {
    /// How hosts are started, and what failures lead to.
    pub(crate) fn rollout(&self, configuration: &Configuration) -> Rollout {
        Rollout {
            fanout: self.fanout.unwrap_or(configuration.fanout),
            batches: self.batch.clone(),
            retries: Retries { count: self.retries, ..Retries::default() },
            failure_budget: self.fail_fast.map(FailureBudget::of),
        }
    }

    /// How every process is treated.
    pub(crate) fn policy(&self, configuration: &Configuration) -> Policy {
        policy(self.command_timeout, configuration)
    }

    /// The values of `{{NAME}}`. What is given twice is one list.
    ///
    /// # Errors
    /// When a name cannot be one.
    pub(crate) fn lists(&self) -> Result<Lists, SubstituteError> {
        let mut values: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for (name, more) in &self.lists {
            values.entry(name).or_default().extend_from_slice(more);
        }
        let mut lists = Lists::default();
        values.into_iter().try_for_each(|(name, values)| lists.insert(name, values))?;
        Ok(lists)
    }

    /// Returns what these options ask to be shown.
    pub(crate) fn output<'a>(&self, configuration: &'a Configuration) -> OutputOptions<'a> {
        OutputOptions {
            configuration,
            label: true,
            quiet: self.quiet,
            verbose: self.verbose > 0,
            gather: false,
            json: self.json,
            report: self.report,
            status_line: true,
            output_dir: None,
            record: None,
        }
    }

    /// How much is to be said: -1 for `-q`, 0, 1 for `-v`…
    pub(crate) fn verbosity(&self) -> i16 {
        i16::from(self.verbose) - i16::from(self.quiet)
    }
}

/// How every process of a verb is treated.
pub(crate) fn policy(timeout: Option<Duration>, configuration: &Configuration) -> Policy {
    configuration.policy(Policy {
        timeout,
        grace: Some(GRACE),
        // No child outlives the run.
        leftovers: Leftovers::Kill,
        // Long enough for what a command started last to say its word, short enough not to wait for daemons.
        leak_timeout: LEAK_TIMEOUT,
        capture_stdout: Capture::None,
        capture_stderr: Capture::Last(KEPT_OF_STDERR),
        // The ends are shown in a way of our own.
        nolog: Faults::ALL,
        // A process that has done what it should need not read to the end.
        ignore: Faults { write_error: true, ..Faults::default() },
        ..Policy::default()
    })
}

fn named_list(text: &str) -> Result<(String, Vec<String>), String> {
    let (name, values) = text.split_once('=').ok_or("expected NAME=A,B,C")?;
    Ok((name.to_owned(), values.split(',').map(str::to_owned).collect()))
}

fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("expected 1 or more".to_owned()),
        Ok(number) => Ok(number),
        Err(_) => Err("expected a number".to_owned()),
    }
}
