//! Judges what became of a host, from everything that is known of it. The one place that does.

use super::HostResult;
use crate::ExitStatus;
use crate::outcome::{Finished, Outcome};
use crate::ssh::{RemoteExit, SshFailure, classify_ssh_exit};

/// How the host was reached, and so what the exit status of the process means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Route {
    /// The process is the command itself, or something that reports the command's exit status as its own.
    Direct,
    /// The process is ssh, whose own failures have to be told from those of the command.
    Ssh,
}

/// Whether the process was ended because it was to end, as far as those who run it know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum EndedBecause {
    /// It ended by itself, or what ended it is in its outcome.
    #[default]
    ByItself,
    /// It had done its part: its dialogue was over, or it was in the background of a block that is.
    PartOver,
    /// The run was stopped.
    RunStopped,
}

/// What a transfer of files says about its process, apart from how the process ended.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Delivery {
    /// The other side has said that it has everything.
    Confirmed,
    /// Nothing was said: neither that everything has arrived, nor what went wrong.
    Unconfirmed,
    /// It went wrong, for this reason.
    Failed(String),
    /// It went wrong, for this reason, and the process was ended for that.
    GivenUp(String),
}

impl Delivery {
    fn fault(&self) -> Option<&str> {
        match self {
            Self::Failed(reason) | Self::GivenUp(reason) => Some(reason),
            Self::Confirmed | Self::Unconfirmed => None,
        }
    }
}

/// What is said when a transfer that is not confirmed has a process that ended well.
pub(super) const NO_WORD: &str = "the far end ended without a word: is there a shell on that host, and dd, and do its \
                                  login scripts and the options of ssh (StdinNull, -n) leave its stdin alone?";

/// Everything that decides what became of a host.
#[derive(Debug, Clone)]
pub struct Evidence<'a> {
    finished: &'a Finished,
    route: Route,
    accepted: &'a [i32],
    ended: EndedBecause,
    expectation_missed: Option<String>,
    delivery: Option<Delivery>,
    output_lost: Option<String>,
}

impl<'a> Evidence<'a> {
    /// Begins with how the process ended, and how its host was reached.
    #[must_use]
    pub fn new(finished: &'a Finished, route: Route) -> Self {
        Self {
            finished,
            route,
            accepted: &[0],
            ended: EndedBecause::default(),
            expectation_missed: None,
            delivery: None,
            output_lost: None,
        }
    }

    /// Sets the exit codes that are fine; unless set, only 0 is.
    #[must_use]
    pub fn accepting(self, accepted: &'a [i32]) -> Self {
        Self { accepted, ..self }
    }

    /// Sets why the process was ended.
    #[must_use]
    pub fn ended(self, ended: EndedBecause) -> Self {
        Self { ended, ..self }
    }

    /// Adds that something was expected of the process and did not come, in a sentence.
    #[must_use]
    pub fn expectation_missed(self, sentence: Option<String>) -> Self {
        Self { expectation_missed: sentence, ..self }
    }

    /// Adds what the transfer of files says whose process it is.
    #[must_use]
    pub fn delivery(self, delivery: Option<Delivery>) -> Self {
        Self { delivery, ..self }
    }

    /// Adds that output could not be written, and why.
    #[must_use]
    pub fn output_lost(self, reason: Option<String>) -> Self {
        Self { output_lost: reason, ..self }
    }

    /// Judges. The first line that applies decides:
    ///
    /// 1. the process could not be started: not transferred, if its transfer says why; else not startable
    /// 2. it ran out of time: timeout
    /// 3. it had done its part: ok
    /// 4. the run was stopped: interrupted; not started, if it never ran
    /// 5. through ssh: the host was not reached
    /// 6. something that was expected of it did not come
    /// 7. its transfer went wrong, and the process was not ended for another reason: not transferred
    /// 8. it was killed: what rule 12 says, else as in rule 4
    /// 9. through ssh: the connection broke, or a signal ended the command there
    /// 10. its files were not confirmed, or its exit code is not 0 although it carried files: not transferred
    /// 11. a signal ended it, or its exit code is not one of those that are fine
    /// 12. a handler failed, or what started it says that it failed, or what was expected of it did not come, or what was written to it was not read, and that
    ///     is not ignored
    /// 13. its output could not be written: output lost
    /// 14. otherwise: ok, or accepted
    #[must_use]
    pub fn judge(self) -> HostResult {
        let outcome = &self.finished.outcome;
        let stopped = if outcome.status.is_some() { HostResult::Interrupted } else { HostResult::NotStarted };
        let fault = self.delivery.as_ref().and_then(Delivery::fault);
        if let Some(error) = &outcome.error {
            return match fault {
                Some(reason) => HostResult::NotTransferred(reason.to_owned()),
                None => HostResult::NotStartable(error.to_string()),
            };
        }
        if outcome.timed_out {
            return HostResult::TimedOut { forced: outcome.forced_kill };
        }
        match self.ended {
            EndedBecause::PartOver => return HostResult::Ok.unless_output_lost(self.output_lost),
            EndedBecause::RunStopped => return stopped,
            EndedBecause::ByItself => {}
        }
        let connection = self.connection();
        if let Some(unreachable @ HostResult::Unreachable { .. }) = connection {
            return unreachable;
        }
        if let Some(sentence) = self.expectation_missed {
            return HostResult::ExpectFailed(sentence);
        }
        if let Some(reason) = fault
            && (!outcome.killed || matches!(self.delivery, Some(Delivery::GivenUp(_))))
        {
            return HostResult::NotTransferred(reason.to_owned());
        }
        if outcome.killed {
            return self.fault_beside_status().unwrap_or(stopped);
        }
        let result = connection.unwrap_or_else(|| self.by_status());
        let faulty = if result.is_ok() { self.fault_beside_status() } else { None };
        faulty.unwrap_or(result).unless_output_lost(self.output_lost)
    }

    /// Applies rules 5 and 9.
    fn connection(&self) -> Option<HostResult> {
        let outcome = &self.finished.outcome;
        if self.route == Route::Direct || outcome.killed {
            return None;
        }
        match classify_ssh_exit(self.finished) {
            RemoteExit::AsReported => None,
            RemoteExit::Signaled => Some(HostResult::Signaled(None)),
            RemoteExit::Lost(SshFailure { reason, hint }) => Some(HostResult::Lost { reason, advice: hint }),
            RemoteExit::NotReached(SshFailure { reason, hint }) => {
                Some(HostResult::Unreachable { reason, advice: hint })
            }
        }
    }

    /// Applies rules 10, 11 and 14.
    fn by_status(&self) -> HostResult {
        match (self.finished.outcome.status, &self.delivery) {
            (Some(ExitStatus::Signaled { signal, .. }), _) => HostResult::Signaled(Some(signal.number())),
            (Some(ExitStatus::UnknownSignal), _) => HostResult::Signaled(None),
            (Some(ExitStatus::Lost) | None, _) => HostResult::Lost {
                reason: match &self.finished.outcome.lost_because {
                    Some(reason) => reason.to_string(),
                    None => "its exit status was taken by something else, or what ran it does not answer".to_owned(),
                },
                advice: "see whether it still runs, and run it again",
            },
            (Some(ExitStatus::Exited(code)), Some(delivery)) => Self::by_delivery(code, delivery),
            (Some(ExitStatus::Exited(code)), None) => self.by_exit_code(code),
        }
    }

    fn by_delivery(code: i32, delivery: &Delivery) -> HostResult {
        HostResult::NotTransferred(match (code, delivery) {
            (0, Delivery::Confirmed) => return HostResult::Ok,
            (_, Delivery::Failed(reason) | Delivery::GivenUp(reason)) => reason.clone(),
            (0, Delivery::Unconfirmed) => NO_WORD.to_owned(),
            (127, Delivery::Confirmed | Delivery::Unconfirmed) => "there is no sh on that host".to_owned(),
            (code, Delivery::Confirmed | Delivery::Unconfirmed) => format!("the far end exited with exit code {code}"),
        })
    }

    fn by_exit_code(&self, code: i32) -> HostResult {
        let fine = self.accepted.contains(&code) || self.finished.ignore.exit_code;
        match code {
            0 if fine => HostResult::Ok,
            code if fine => HostResult::Accepted(code),
            code => HostResult::Exited(code),
        }
    }

    /// Applies rule 12.
    fn fault_beside_status(&self) -> Option<HostResult> {
        let Outcome { failed, handler_failed, expect_failed, write_error, .. } = &self.finished.outcome;
        let ignored = self.finished.ignore;
        if let Some(reason) = handler_failed {
            Some(HostResult::HandlerFailed(reason.to_string()))
        } else if let Some(reason) = failed
            && self.delivery.is_none()
        {
            Some(HostResult::NotTransferred(reason.to_string()))
        } else if *expect_failed && !ignored.expect_failed && self.delivery.is_none() {
            Some(HostResult::ExpectFailed("did not say what was expected of it".to_owned()))
        } else if *write_error && !ignored.write_error {
            Some(HostResult::StdinNotRead)
        } else {
            None
        }
    }
}
