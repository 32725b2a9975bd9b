//! What a user would notice if it broke, and what keeps the house in order. One binary, a module per subject.

mod actions;
mod cable;
mod chain;
mod children;
mod clock;
mod config;
mod documents;
mod fleet;
mod forward;
mod logging;
mod manual;
mod phalanx;
mod put_get;
mod record;
mod record_page;
mod record_report;
mod run;
mod run_hosts;
mod run_rollout;
mod run_ssh;
mod run_stop;
mod serial;
mod serial_line;
mod ssh;
mod terminal;
mod tidy;
