//! What the log of an ssh that forwards a port says about it. Pure: lines in, facts out.
//!
//! ```text
//!  Connecting ──"Entering interactive session"──▶ Listening ──"channel N: open confirm"──▶ through
//!      │                                              └───────"channel N: open failed"───▶ refused
//!      └──"cannot listen to port"──▶ not listening
//! ```
//!
//! A TCP connection to the local port says nothing: ssh accepts it before it asks the far side, and closes it when that
//! refuses. And OpenSSH says "Local forwarding listening on …" *before* it listens. The lines that count are these, the
//! same since OpenSSH 5; their texts are never translated.

/// What is known about one forwarding.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct ForwardLog {
    /// ssh has logged in, and listens on all ports that it was asked to.
    pub(super) listening: bool,
    /// A connection went through, to the target.
    pub(super) through: bool,
    /// Why the far side refused a connection to the target, the first time.
    pub(super) refused: Option<String>,
    /// Why ssh could not listen.
    pub(super) not_listening: Option<String>,
    /// What the system said to the last attempt to listen.
    bind_error: Option<String>,
}

impl ForwardLog {
    /// Takes note of a line. `port` is the local one.
    pub(super) fn line(&mut self, line: &str, port: u16) {
        if line.starts_with("debug1: Entering interactive session") {
            self.listening = true;
        } else if let Some(error) = bind_error(line, port) {
            self.bind_error = Some(error.to_owned());
        } else if line.ends_with(&format!("cannot listen to port: {port}")) {
            self.not_listening = Some(self.bind_error.take().unwrap_or_else(|| "it does not say why".to_owned()));
        } else if let Some(said) = about_channel(line) {
            if said.starts_with("open confirm") {
                self.through = true;
            } else if let Some(reason) = said.strip_prefix("open failed: ") {
                self.refused.get_or_insert_with(|| reason.to_owned());
            }
        }
    }
}

/// `bind [127.0.0.1]:80: Permission denied`.
fn bind_error(line: &str, port: u16) -> Option<&str> {
    let rest = line.trim_start_matches("debug1: ").strip_prefix("bind [")?;
    let (_, rest) = rest.split_once("]:")?;
    rest.strip_prefix(&port.to_string())?.strip_prefix(": ")
}

/// `debug2: channel 1: open confirm rwindow 2097152 rmax 32768`.
fn about_channel(line: &str) -> Option<&str> {
    let line = line.strip_prefix("debug2: ").unwrap_or(line);
    let (number, said) = line.strip_prefix("channel ")?.split_once(": ")?;
    number.parse::<u32>().is_ok().then_some(said)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(lines: &[&str]) -> ForwardLog {
        let mut log = ForwardLog::default();
        lines.iter().for_each(|line| log.line(line, 9875));
        log
    }

    const LISTENING: [&str; 4] = [
        "debug1: Local connections to 127.0.0.1:9875 forwarded to remote address 127.0.0.1:9876",
        "debug1: Local forwarding listening on 127.0.0.1 port 9875.",
        "debug1: channel 0: new port-listener [port listener] (inactive timeout: 0)",
        "debug1: Entering interactive session.",
    ];

    #[test]
    fn what_ssh_says_before_it_listens_is_not_believed() {
        assert_eq!(log(&LISTENING[..3]), ForwardLog::default());
        assert_eq!(log(&LISTENING), ForwardLog { listening: true, ..ForwardLog::default() });
    }

    #[test]
    fn only_a_confirmed_channel_goes_through() {
        let asked = ["debug1: Connection to port 9875 forwarding to 127.0.0.1 port 9876 requested."];
        assert!(!log(&asked).through);
        assert!(log(&["debug2: channel 1: open confirm rwindow 2097152 rmax 32768"]).through);
        let refused = log(&["channel 12: open failed: connect failed: Connection refused"]);
        assert_eq!(refused.refused.as_deref(), Some("connect failed: Connection refused"));
        let forbidden = log(&["channel 1: open failed: administratively prohibited: open failed"]);
        assert_eq!(forbidden.refused.as_deref(), Some("administratively prohibited: open failed"));
    }

    #[test]
    fn a_port_in_use_is_told_by_the_system_and_by_ssh() {
        let lines = [
            "bind [127.0.0.1]:9875: Address already in use",
            "channel_setup_fwd_listener_tcpip: cannot listen to port: 9875",
            "Could not request local forwarding.",
        ];
        assert_eq!(log(&lines).not_listening.as_deref(), Some("Address already in use"));
        // One of the addresses of a name is enough.
        assert_eq!(log(&lines[..1]).not_listening, None);
        // The user's configuration may forward ports of its own.
        assert_eq!(log(&["bind [::1]:98: Permission denied", "x: cannot listen to port: 98"]), ForwardLog::default());
    }

    proptest::proptest! {
        /// The other side has a say in this log: its banner is among it.
        #[test]
        fn no_line_makes_it_panic(lines in proptest::collection::vec("(debug1: |debug2: )?(bind \\[|channel )?[\\PC0-9:\\]]{0,20}", 0..9)) {
            log(&lines.iter().map(String::as_str).collect::<Vec<_>>());
        }
    }
}
