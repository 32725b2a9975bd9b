//! The options of every verb that works on many hosts: how many at once, for how long, and what is shown of it.

use std::time::Duration;

use phalanx_action::rollout::{Halt, Retries, Rollout};

use crate::args::time;

/// How work is done and shown, as typed.
#[derive(Debug, clap::Args)]
pub(crate) struct WorkArgs {
    /// How many hosts work at once
    #[arg(short, long, value_name = "N", default_value_t = 64, value_parser = at_least_one)]
    pub(crate) fanout: usize,

    /// How long the work may take on each host, in seconds or H:M:S; 0 for ever
    #[arg(short = 'u', long, value_name = "TIME", value_parser = time)]
    pub(crate) command_timeout: Option<Duration>,

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

impl WorkArgs {
    /// How hosts are started, and what failures lead to.
    pub(crate) fn rollout(&self) -> Rollout {
        Rollout {
            fanout: self.fanout,
            batches: self.batch.clone(),
            retries: Retries { count: self.retries, ..Retries::default() },
            halt: self.fail_fast.map(Halt::after),
        }
    }

    /// How much is to be said: -1 for `-q`, 0, 1 for `-v`…
    pub(crate) fn verbosity(&self) -> i16 {
        i16::from(self.verbose) - i16::from(self.quiet)
    }
}

fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("at least one host must be allowed to work".to_owned()),
        Ok(number) => Ok(number),
        Err(_) => Err("expected a number".to_owned()),
    }
}
