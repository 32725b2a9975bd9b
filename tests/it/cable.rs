//! Two ptys linked by socat: what is written to one comes out of the other, as with the two ends of a serial cable.

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStderr, Command, Stdio};

use phalanx_tests::require_program;

/// A cable, until it is dropped.
pub(crate) struct Cable {
    socat: Child,
    /// Kept open: socat must be able to write its log.
    _log: BufReader<ChildStderr>,
    pub(crate) ends: [String; 2],
}

impl Cable {
    /// `None` without socat: the test is reported as skipped.
    #[expect(clippy::disallowed_methods, reason = "socat stands for hardware, and is not started by what is tested")]
    pub(crate) fn new() -> Option<Self> {
        let program = require_program("socat", "socat")?;
        let mut socat = Command::new(program);
        socat.args(["-d", "-d", "pty,raw,echo=0", "pty,raw,echo=0"]).stderr(Stdio::piped());
        let mut socat = socat.spawn().expect("socat can be started");
        let mut log = BufReader::new(socat.stderr.take().expect("it is piped"));
        let mut end = || loop {
            let mut line = String::new();
            assert!(log.read_line(&mut line).expect("text") > 0, "socat ended");
            if let Some((_, path)) = line.trim_end().split_once("PTY is ") {
                return path.to_owned();
            }
        };
        let ends = [end(), end()];
        Some(Self { socat, _log: log, ends })
    }
}

impl Drop for Cable {
    fn drop(&mut self) {
        let _ = self.socat.kill();
        let _ = self.socat.wait();
    }
}
